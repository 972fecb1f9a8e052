"""Sets of varying size: points that diffuse while they die, and are born again on the way back.

The data are sets of one, three or six points. Their perfect network is known in closed form, so
that what is left is the error of the sampler: tau-leaping needs small steps, the pinned step puts
back each lost point with its exact chance.

    python examples/point_sets.py
    python examples/point_sets.py --smoke
"""

from __future__ import annotations

import sys

import torch

import pushforward as pf

SMOKE = "--smoke" in sys.argv
SETS = 500 if SMOKE else 20_000
BUDGETS = (4, 16) if SMOKE else (4, 16, 64, 256)

problem = pf.analytic.AnalyticCounts.example()
process = pf.processes.JumpDiffusion()
transport = pf.Transport(problem.model(process), process)
empty = process.prior((problem.slots, 1)).sample(SETS)

print(f"{'':12}{'steps':>6}  chance of each size 0..{problem.slots}".ljust(62), "mean    std")
exact = " ".join(f"{chance:6.3f}" for chance in problem.sizes)
mean, std = problem.points.mean.item(), problem.points.covariance.item() ** 0.5
print(f"{'exact':12}{'':>6}  {exact}  {mean:6.3f} {std:6.3f}")
for name in ("tau-leap", "pinned"):
    for steps in BUDGETS:
        times = pf.grids.UniformGrid()(process.thinning.schedule, steps, start=1.0)
        sets = pf.samplers.run(
            pf.registry.resolve("samplers", name), transport, empty, times, seed=0
        )
        sizes = torch.bincount(sets.number, minlength=problem.slots + 1) / SETS
        points = sets.x[sets.mask]
        found = " ".join(f"{share:6.3f}" for share in sizes)
        print(f"{name:12}{steps:6}  {found}  {points.mean():6.3f} {points.std():6.3f}")
