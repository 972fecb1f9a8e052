"""From one data set to another and back: a Schrödinger bridge of two moons and eight Gaussians.

python examples/bridge.py            # about a minute
python examples/bridge.py --smoke    # a few steps, to see that it runs
"""

from __future__ import annotations

import sys

import torch

import pushforward as pf

SMOKE = "--smoke" in sys.argv
ITERATIONS, STEPS = (2, 5) if SMOKE else (8, 500)
ROWS, SAMPLES = (1000, 200) if SMOKE else (20_000, 4000)

# Unpaired: any point of the source may meet any point of the target.
source = pf.data.load("two_moons", n=ROWS).x
target = pf.data.load("8gaussians", n=ROWS).x

# In each outer iteration one direction learns from random paths that the other has simulated. The
# noise on the way is given in the units of the data: less of it keeps points nearer to where they
# were, and is harder to learn.
torch.manual_seed(0)
outer = pf.schrodinger.OuterIterations(count=ITERATIONS, steps=STEPS)
nets = [pf.nn.AffineSkip(pf.nn.MLP(2)) for _ in range(2)]
model = pf.SchrodingerBridge(*nets, reference=pf.processes.Bridge(sigma=0.5), iterations=outer)
pf.fit(model, target, source=source, steps=outer.total_steps, batch_size=256, lr=2e-3,
       progress=not SMOKE)  # fmt: skip

for error in model.marginal_errors:
    print(
        f"outer iteration {error.iteration}: simulated paths end {error.value:.3f} from the "
        f"{error.end}; two samples of it are {error.floor:.3f} apart"
    )

# The bridge goes both ways, by random paths or by the ODE with the same marginals.
for name, start, end, carry in (
    ("moons to Gaussians", source, target, model.forward),
    ("Gaussians to moons", target, source, model.backward),
):
    floor = pf.metrics.energy_distance(end[:SAMPLES], end[-SAMPLES:])
    print(f"\n{name}: energy distance to the data; data against data: {floor}")
    for sampler in ("pinned", "heun"):
        x = carry(start[:SAMPLES], sampler=sampler, steps=50, seed=0)
        print(f"  {sampler}: {pf.metrics.energy_distance(x, end[-SAMPLES:])}")

# Several draws for each point say what the noise leaves open, the energy what the way costs.
draws = model.forward(source[:500], n=20, seed=0)
print(f"\nspread of 20 draws from one point: {float(draws.std(0).mean()):.3f}")
print(f"energy of the flow: {float(model.path_energy(source[:500]).mean()):.3f}")
