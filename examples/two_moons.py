"""One model, six samplers: how many evaluations of the network does each one need?

python examples/two_moons.py            # a minute
python examples/two_moons.py --smoke    # a few steps, to see that it runs
"""

from __future__ import annotations

import sys

import torch

import pushforward as pf

SMOKE = "--smoke" in sys.argv
STEPS = 20 if SMOKE else 4000
SAMPLES = 200 if SMOKE else 4000
BUDGETS = (4, 16) if SMOKE else (4, 8, 16, 32, 64)

data = pf.data.load("two_moons", n=20_000)
held_out = pf.data.load("two_moons", n=SAMPLES, seed=1).x

torch.manual_seed(0)
model = pf.Diffusion(pf.nn.MLP(2, width=128, depth=4))
pf.fit(model, data, steps=STEPS, batch_size=512, seed=0)

# The distance to fresh data, beside the distance between two fresh sets of the same size.
floor = pf.metrics.sliced_wasserstein(data.x[:SAMPLES], held_out)
print(f"\nsliced Wasserstein distance to held-out points; data against data: {floor}\n")
print("evaluations".ljust(12), *(f"{budget:>15}" for budget in BUDGETS))
for name in ("euler", "ddim", "heun", "dpm++2m", "ddpm", "sde"):
    sampler = pf.registry.resolve("samplers", name)
    distances = []
    for budget in BUDGETS:
        # The last step is the final denoising, one evaluation.
        steps = 1 + max(1, (budget - 1) // sampler.evaluations)
        x = model.sample(SAMPLES, sampler=sampler, steps=steps, seed=2)
        distances.append(pf.metrics.sliced_wasserstein(x, held_out))
    print(name.ljust(12), *(f"{distance!s:>15}" for distance in distances))

# The same model is a density: the mean over held-out points, in nats, with its errors.
print(f"\n{model.log_prob(held_out[:200], steps=16 if SMOKE else 64)}")
