"""R-hat and effective sample sizes against autoregressive chains, where both are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pushforward import mcmc
from pushforward.errors import InputError


def _autoregressive(rho: float, steps: int, chains: int, seed: int = 0):
    """Stationary AR(1) chains `(steps, chains, 1)` of unit variance."""
    noise = torch.randn(
        steps, chains, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    x = noise.clone()
    for t in range(1, steps):
        x[t] = rho * x[t - 1] + (1 - rho**2) ** 0.5 * noise[t]
    return x


@pytest.mark.parametrize("rho", [-0.3, 0.0, 0.5, 0.9])
def test_the_effective_sample_size_of_autoregressive_chains(rho: float) -> None:
    """`N (1 - rho) / (1 + rho)`; the estimate's relative error is a few per cent here."""
    steps, chains = 4000, 8
    found = [
        float(mcmc.effective_sample_size(_autoregressive(rho, steps, chains, seed)))
        for seed in range(5)
    ]
    expected = steps * chains * (1 - rho) / (1 + rho)
    spread = torch.tensor(found)
    assert abs(float(spread.mean()) / expected - 1) < 0.06
    # It is what the spread of means says: their variance is 1 / ESS.
    means = _autoregressive(rho, 500, 4000).mean(0)
    each = 500 * (1 - rho) / (1 + rho)
    assert abs(float(means.var()) * each - 1) < 4 * (2 / 4000) ** 0.5 + 0.03


def test_chains_that_agree_and_chains_that_do_not() -> None:
    x = _autoregressive(0.5, 1000, 4)
    assert abs(float(mcmc.r_hat(x)) - 1) < 0.01
    apart = x + torch.arange(4.0).view(1, 4, 1)
    assert float(mcmc.r_hat(apart)) > 1.4
    assert float(mcmc.effective_sample_size(apart)) < 20
    assert float(mcmc.bulk_ess(apart)) < 20
    drifting = x + torch.linspace(0, 4, 1000).view(-1, 1, 1)
    assert float(mcmc.r_hat(drifting)) > 1.3


def test_coordinates_are_judged_apart() -> None:
    good = _autoregressive(0.0, 400, 4)
    slow = _autoregressive(0.95, 400, 4, seed=1)
    trace = torch.cat([good, slow], -1)
    assert mcmc.r_hat(trace).shape == (2,)
    sizes = mcmc.effective_sample_size(trace)
    assert sizes[0] > 10 * sizes[1]


def test_a_trace_of_hamiltonian_chains_is_worth_its_length() -> None:
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
    chains = mcmc.run(
        mcmc.HMC(leapfrogs=5),
        lambda x: -x.square().sum(-1) / 2,
        x,
        500,
        warmup=100,
        trace=True,
        seed=0,
    )
    assert chains.trace is not None
    assert (mcmc.r_hat(chains.trace) < 1.01).all()
    assert (mcmc.effective_sample_size(chains.trace) > 1000).all()


def _traces() -> dict[str, np.ndarray]:
    """Traces `(steps, chains)` that any library can be shown."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 4))
    slow = x.copy()
    for t in range(1, 500):
        slow[t] = 0.8 * slow[t - 1] + 0.6 * x[t]
    return {
        "independent": x,
        "autoregressive": slow,
        "scales": x * [0.1, 10, 0.1, 10],
        "cauchy": x / rng.normal(size=(500, 4)),
        "shifted": x + [0, 0, 0, 1.0],
        "odd": slow[:373],
        "rounded": slow.round(),
        "drifting": slow + np.linspace(0, 3, 500)[:, None],
        "anti": np.diff(x, axis=0),
    }


# What ArviZ 0.21 finds in them: `rhat`, and `ess` of the methods bulk, tail and mean.
ARVIZ = {
    "independent": (1.000585, 1832.43, 1932.01, 1811.61),
    "autoregressive": (1.016792, 222.37, 432.43, 222.29),
    "scales": (1.700440, 1916.61, 138.71, 2013.93),
    "cauchy": (1.000484, 1761.19, 1926.91, 2014.98),
    "shifted": (1.118726, 22.36, 63.54, 22.14),
    "odd": (1.034283, 176.36, 300.38, 175.05),
    "rounded": (1.016725, 231.23, 348.69, 231.23),
    "drifting": (1.302823, 10.68, 79.79, 10.71),
    "anti": (0.999710, 6572.18, 2202.52, 6572.18),
}


@pytest.mark.parametrize("name", ARVIZ)
def test_the_diagnostics_are_those_of_arviz(name: str) -> None:
    """To all digits but for where slow chains are cut, which is two lags later here."""
    trace = torch.from_numpy(_traces()[name]).unsqueeze(-1)
    ratio, *sizes = ARVIZ[name]
    assert float(mcmc.r_hat(trace)) == pytest.approx(ratio, abs=2e-6)
    judges = (mcmc.bulk_ess, mcmc.tail_ess, mcmc.effective_sample_size)
    for judge, size in zip(judges, sizes, strict=True):
        assert float(judge(trace)) == pytest.approx(size, rel=0.02)


def test_frozen_chains_are_not_worth_their_length() -> None:
    """One that stands still among good ones, all still, and all at the same place."""
    sizes = (mcmc.bulk_ess, mcmc.tail_ess, mcmc.effective_sample_size)
    one = _autoregressive(0.0, 1000, 4)
    one[:, 0] = 0.0
    assert float(mcmc.r_hat(one)) > 1.3
    assert all(bool(size(one).isnan()) for size in sizes)
    each = torch.arange(4.0).view(1, 4, 1).expand(100, 4, 1)
    assert float(mcmc.r_hat(each)) == float("inf")
    assert all(bool(size(each).isnan()) for size in sizes)
    lost = _autoregressive(0.0, 1000, 4)
    lost[3, 1] = float("nan")
    for nothing in (torch.ones(100, 4, 1), lost):
        assert all(bool(judge(nothing).isnan()) for judge in (mcmc.r_hat, *sizes))


@pytest.mark.parametrize(
    "judge", [mcmc.r_hat, mcmc.bulk_ess, mcmc.tail_ess, mcmc.effective_sample_size]
)
def test_short_traces_are_refused(judge) -> None:
    with pytest.raises(InputError, match="at least 4 steps"):
        judge(torch.zeros(3, 2, 1))
