"""R-hat and effective sample sizes against autoregressive chains, where both are known."""

from __future__ import annotations

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
    expected = (1 + torch.arange(4.0).repeat(2).var().item()) ** 0.5
    assert abs(float(mcmc.r_hat(apart)) - expected) < 0.05
    assert float(mcmc.effective_sample_size(apart)) < 20
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


@pytest.mark.parametrize("judge", [mcmc.r_hat, mcmc.effective_sample_size])
def test_short_traces_are_refused(judge) -> None:
    with pytest.raises(InputError, match="at least 4 steps"):
        judge(torch.zeros(3, 2, 1))
