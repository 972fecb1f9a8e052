"""Functions instead of vectors: the same process on a grid of any size.

White noise has no limit as a grid is refined: a diffusion of function values with it is another
model on every grid. Noise with a trace-class covariance has a limit, and `Gaussian` carries over
unchanged to the space `Hilbert` that owns it. Here the data is a Gaussian process, so that the
perfect network is known in closed form and what is left is the sampler's error.

    python examples/functions.py
    python examples/functions.py --smoke
"""

from __future__ import annotations

import sys

import pushforward as pf

SMOKE = "--smoke" in sys.argv
SAMPLES = 200 if SMOKE else 4000
STEPS = 20 if SMOKE else 100
SAMPLERS = {
    "probability flow, Euler": pf.samplers.Euler(),
    "reverse SDE, Euler": pf.samplers.Euler(churn=1.0),
    "Heun": pf.samplers.Heun(),
    "DPM-Solver++ 2M": pf.samplers.Multistep(order=2),
    "pinned kernels, DDPM": pf.samplers.Ancestral(),
}

print(f"{'':26}{'grid':>6}{'variance':>12}{'exact':>8}{'roughness':>12}{'exact':>8}")
for points in (32, 128):
    # Smooth functions of variance 1.5, noised with rough ones.
    problem = pf.analytic.AnalyticFunctions.on_grid(points, variance=1.5, length=0.3)
    process = problem.process(pf.schedules.Cosine())
    transport = pf.Transport(problem.model(process), process)
    times = pf.grids.LogSNRGrid()(process.schedule, STEPS)
    exact = problem.noised(process, times[-1]).covariance

    for name, sampler in SAMPLERS.items():
        # Smooth covariances are nearly singular: the closed form needs double precision.
        start = process.prior((points,), times[0]).sample(SAMPLES, seed=0).double()
        x = pf.samplers.run(sampler, transport, start, times, seed=1)

        # The mean of f^2, and of the squared change over a fixed distance of 1/16.
        lag = points // 16
        variance = x.square().mean()
        roughness = (x[:, lag:] - x[:, :-lag]).square().mean()
        true_variance = exact.diagonal().mean()
        true_roughness = 2 * (true_variance - exact.diagonal(lag).mean())
        print(
            f"{name:26}{points:6}{variance:12.3f}{true_variance:8.3f}"
            f"{roughness:12.4f}{true_roughness:8.4f}"
        )
