"""From one data set to another: a Brownian bridge between two moons and eight Gaussians.

No family trains bridges yet, so this is also what training is made of: one loss, one loop.

    python examples/bridge.py            # a minute
    python examples/bridge.py --smoke    # a few steps, to see that it runs
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

import pushforward as pf

SMOKE = "--smoke" in sys.argv
STEPS = 10 if SMOKE else 4000
SAMPLES = 200 if SMOKE else 4000
BATCH = 512

# Unpaired: any point of the first set may meet any point of the second.
left = pf.data.load("two_moons", n=20_000).x
right = pf.data.load("8gaussians", n=20_000).x


class Ends(nn.Module):
    """Where a point of the path comes from, and where it goes."""

    def __init__(self) -> None:
        super().__init__()
        self.start, self.end = pf.nn.MLP(2), pf.nn.MLP(2)

    def forward(self, x: Tensor, t: float | Tensor, c: object = None) -> tuple[Tensor, Tensor]:
        time = torch.as_tensor(t, dtype=x.dtype)
        return self.start(x, time), self.end(x, time)


torch.manual_seed(0)
process = pf.processes.Bridge(sigma=0.5)
net = Ends()
optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
for step in range(STEPS):
    pair = tuple(x[torch.randint(len(x), (BATCH,))] for x in (left, right))
    loss = pf.protocols.matching_loss(net, process, pair, torch.rand(BATCH)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    if step % max(1, STEPS // 5) == 0:
        print(f"step {step}: loss {loss:.4f}")

# The learned path can be walked both ways, as an ODE or as an SDE with the same marginals.
transport = pf.Transport(net, process)
times = torch.linspace(0.002, 0.998, 20 if SMOKE else 200).tolist()
with torch.no_grad():
    for name, source, target, grid in (
        ("moons to Gaussians", left, right, times),
        ("Gaussians to moons", right, left, times[::-1]),
    ):
        floor = pf.metrics.energy_distance(target[:SAMPLES], target[-SAMPLES:])
        print(f"\n{name}: energy distance to the target; data against data: {floor}")
        for churn in (0.0, 1.0):
            x = pf.samplers.run(pf.samplers.Euler(churn), transport, source[:SAMPLES], grid, seed=0)
            print(f"  churn {churn:g}: {pf.metrics.energy_distance(x, target[-SAMPLES:])}")
