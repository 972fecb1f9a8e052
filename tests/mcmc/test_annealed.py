"""Annealed importance sampling where the normalizing constant is known."""

from __future__ import annotations

import math
import warnings

import pytest
import torch

from pushforward import mcmc
from pushforward.distributions import GaussianMixture, Normal
from pushforward.errors import InputError

HALF_LOG = 0.5 * math.log(2 * math.pi)


def _gaussian(x):
    """Variances 1 and 1/4 around (1, 1); `Z = 2 pi / 2`."""
    return -((x[:, 0] - 1).square() + 4 * (x[:, 1] - 1).square()) / 2


def _experts(x):
    """A product of three Gaussian experts `exp(-(w x - b)^2 / 2)`, itself Gaussian."""
    w = torch.tensor([[1.0, 0.5], [-0.5, 1.5], [1.0, 1.0]], dtype=x.dtype)
    b = torch.tensor([0.5, -1.0, 1.5], dtype=x.dtype)
    return -(x @ w.T - b).square().sum(-1) / 2


def _experts_log_z() -> float:
    w = torch.tensor([[1.0, 0.5], [-0.5, 1.5], [1.0, 1.0]], dtype=torch.float64)
    b = torch.tensor([0.5, -1.0, 1.5], dtype=torch.float64)
    precision, pull = w.T @ w, w.T @ b
    rest = b @ b - pull @ torch.linalg.solve(precision, pull)
    return float(2 * HALF_LOG - torch.logdet(precision) / 2 - rest / 2)


_MIXTURE = GaussianMixture(
    torch.tensor([[-3.0, 0.0], [3.0, 0.0], [0.0, 3.0]]), 0.2, torch.tensor([0.2, 0.3, 0.5])
)


def _mixture(x):
    return _MIXTURE.log_prob(x) + 5.0


@pytest.mark.parametrize("kernel", [mcmc.MALA(), mcmc.HMC(leapfrogs=4)], ids=str)
@pytest.mark.parametrize(
    ("log_p", "expected"),
    [(_gaussian, 2 * HALF_LOG - math.log(2)), (_experts, _experts_log_z()), (_mixture, 5.0)],
    ids=["gaussian", "experts", "mixture"],
)
def test_the_constant_is_found(kernel, log_p, expected: float) -> None:
    found = mcmc.annealed_importance_sampling(
        log_p, Normal((2,), 3.0), 600, kernel=kernel, betas=80, seed=0
    )
    assert found.stderr < 0.1
    assert abs(found.log_z - expected) < 4 * found.stderr
    assert 60 < found.ess <= 600
    assert found.x.shape == (600, 2)
    assert abs(float(found.weights.sum()) - 1) < 1e-5
    assert not found.diverged.any()


def test_the_error_is_what_repetition_says_and_falls_as_the_root_of_n() -> None:
    errors = {}
    for n in (100, 1600):
        runs = [
            mcmc.annealed_importance_sampling(
                _gaussian, Normal((2,), 2.0), n, betas=40, kernel=mcmc.MALA(), seed=seed
            )
            for seed in range(40)
        ]
        off = torch.tensor([r.log_z - (2 * HALF_LOG - math.log(2)) for r in runs])
        claimed = torch.tensor([r.stderr for r in runs])
        errors[n] = float(off.square().mean().sqrt())
        # The spread of a root mean square of 40 is about 1 / sqrt(80) of it.
        assert abs(errors[n] / float(claimed.square().mean().sqrt()) - 1) < 4 / 80**0.5
    assert abs(math.log(errors[100] / errors[1600]) / math.log(16) - 0.5) < 0.16


def test_weighted_states_are_a_sample_of_the_target() -> None:
    """Mode weights 0.2, 0.3, 0.5, from a base that knows nothing of them."""
    found = mcmc.annealed_importance_sampling(
        _mixture, Normal((2,), 3.0), 2000, betas=80, kernel=mcmc.MALA(), seed=1
    )
    mode = torch.cdist(found.x, _MIXTURE.means).argmin(1)
    for k, weight in enumerate((0.2, 0.3, 0.5)):
        share = float(found.weights[mode == k].sum())
        assert abs(share - weight) < 4 * (weight * (1 - weight) / found.ess) ** 0.5


def test_one_step_is_importance_sampling() -> None:
    """With `betas = (0, 1)` the weights are `exp(log_p - log_base)` of the base's own draws."""
    base = Normal((2,), 2.0)
    found = mcmc.annealed_importance_sampling(_gaussian, base, 4000, betas=(0.0, 1.0), seed=0)
    assert abs(found.log_z - (2 * HALF_LOG - math.log(2))) < 4 * found.stderr


def test_weights_that_degenerate_are_reported() -> None:
    with pytest.warns(UserWarning, match=r"have not converged.*not to be trusted"):
        mcmc.annealed_importance_sampling(
            lambda x: -(x - 40).square().sum(-1) * 50, Normal((2,), 0.5), 100, betas=2, seed=0
        )


def test_few_chains_that_fall_short_are_not_believed() -> None:
    """From a base of deviation 1 to one of 30: one run in twenty looks right and is far off."""
    exact = HALF_LOG + math.log(30)
    wrong = 0
    for seed in range(30):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = mcmc.annealed_importance_sampling(
                lambda x: -(x / 30).square().sum(-1) / 2, Normal((1,), 1.0), 64, seed=seed
            )
        assert bool(said) != found.converged
        wrong += found.converged and abs(found.log_z - exact) > 3 * found.stderr
    assert wrong <= 2


def test_a_rejected_move_is_no_alarm() -> None:
    """Steps far too long at the end are rejected by every chain; the constant is right."""

    def steep(x):
        # Rises by thousands within a step of the kernel that suits the base.
        return -(10 * x[:, 0]).pow(4)

    exact = math.log(2 * math.gamma(1.25) / 10)
    for seed in range(2):
        found = mcmc.annealed_importance_sampling(
            steep, Normal((1,), 2.0), 200, kernel=mcmc.HMC(step=2.0), betas=400, seed=seed
        )
        assert found.converged
        assert found.diverged.double().mean() > 0.5
        assert abs(found.log_z - exact) < 3 * found.stderr


def test_systematic_resampling_keeps_to_the_weights() -> None:
    weights = torch.tensor([0.52, 0.03, 0.45, 0.0])
    total = torch.zeros(4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2000):
        picks = mcmc.systematic_resampling(weights.log(), 7, generator)
        counts = torch.bincount(picks, minlength=4)
        assert (counts >= (7 * weights).floor()).all()
        assert (counts <= (7 * weights).ceil()).all()
        total += counts
    assert torch.allclose(total / 2000, 7 * weights, atol=4 * 0.5 / 2000**0.5)


def test_bad_input_is_named() -> None:
    base = Normal((1,))

    def log_p(x):
        return -x.square().sum(-1)

    for betas in ((0.0, 0.5), (0.5, 1.0), (0.0, 0.5, 0.5, 1.0), (1.0,)):
        with pytest.raises(InputError, match="increase from 0 to 1"):
            mcmc.annealed_importance_sampling(log_p, base, betas=betas)
    with pytest.raises(InputError, match="temperatures"):
        mcmc.annealed_importance_sampling(log_p, base, betas=0)
    with pytest.raises(InputError, match="n is a whole number"):
        mcmc.annealed_importance_sampling(log_p, base, 1)
