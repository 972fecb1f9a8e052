"""The score error of a trained network: the estimate on held-out rows beside the integral.

`benchmarks/certificates.py --tables learned` does so for 20 trainings.
"""

from __future__ import annotations

from itertools import pairwise

import torch

import pushforward as pf
from pushforward.certificates import certify
from pushforward.certificates.subjects import RowContexts, law_in_units, subject_of
from pushforward.distributions import GaussianMixture
from pushforward.grids import LogSNRGrid

DOUBLE = torch.float64
LINE = GaussianMixture(
    torch.tensor([[-2.0], [1.5]], dtype=DOUBLE),
    torch.tensor([0.09, 0.25], dtype=DOUBLE),
    torch.tensor([0.3, 0.7], dtype=DOUBLE),
)


@torch.no_grad()
def _integral(model: pf.Diffusion, x: torch.Tensor, times: list[float]) -> float:
    """`1/2 sum_k (SNR_{k+1} - SNR_k) E |D - prediction|^2` over the line."""
    subject = subject_of(model, RowContexts(), x.dtype)
    law = law_in_units(LINE, subject, model.inward(x[:2]))
    points, total = torch.linspace(-8, 8, 4001, dtype=DOUBLE)[:, None], 0.0
    for t, s in pairwise(times):
        (alpha, sigma), (alpha_s, sigma_s) = (model.process.schedule.values(r) for r in (t, s))
        density = law.mixture.noised(alpha, sigma).log_prob(points).exp()
        gap = subject.predict(points, t) - law.posterior_mean(points, alpha, sigma)
        mean = float(torch.trapezoid(density * gap.square()[:, 0], points[:, 0]))
        total += 0.5 * ((alpha_s / sigma_s) ** 2 - (alpha / sigma) ** 2) * mean
    return total


def test_the_estimate_covers_the_integral() -> None:
    z = []
    for seed in range(3):
        x = LINE.sample(1000, seed=seed).float()
        torch.manual_seed(seed)
        model = pf.Diffusion(pf.nn.MLP(1, width=16, depth=1))
        pf.fit(model, x[:500], steps=60, seed=seed, lr=5e-3, holdout=0.0, progress=False)
        options = {"steps": 16, "stop": 0.05, "denoise": False, "seed": seed}
        found = certify(model, x[500:], law=LINE, **options).terms["score error"]
        times = LogSNRGrid()(model.process.schedule, 16, stop=0.05)
        true = _integral(model, x, times)
        assert true > 0.005
        z.append((found.value - true) / found.stderr)
        # Without the law the mean over draws is above; one set of them may err by its error.
        upper = certify(model, x[500:], **options).terms["score error"]
        assert upper.value > true - 3 * upper.stderr
    assert max(map(abs, z)) < 3
