"""The variance of ancestral steps, and DDIM in both directions."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import Transport, grids, processes, registry, schedules, spaces
from pushforward.analytic import AnalyticMixture
from pushforward.distributions import GaussianMixture, Normal
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics import observed_order
from pushforward.samplers import Ancestral, run

VP = processes.Gaussian(schedules.VP())


def posterior_mean(variance: float):
    """Of centered normal data."""

    def model(x, t, c=None):
        k = VP.schedule.at(t)
        return k.alpha * variance / (k.alpha**2 * variance + k.sigma**2) * x

    return model


def end_variance(rule: Ancestral, variance: float, steps: int, model=None) -> float:
    times = grids.UniformGrid()(VP.schedule, steps, start=1.0, stop=0.0)
    x = Normal((1,)).sample(40_000, seed=0)
    transport = Transport(model or posterior_mean(variance), VP)
    return float(run(rule, transport, x, [*times[:-1], 1e-3], seed=1).var())


def test_beta_is_exact_for_standard_normal_data_and_the_posterior_is_not() -> None:
    """However few the steps (Ho et al. 2020, section 3.2)."""
    for steps in (2, 5):
        error = 4 * math.sqrt(2 / 40_000)
        assert end_variance(Ancestral(variance="beta"), 1.0, steps) == pytest.approx(1, abs=error)
        assert end_variance(Ancestral(), 1.0, steps) < 0.95


def test_the_name_is_that_of_ho_et_al() -> None:
    """Their chain, with the variance `beta_k`."""
    chain = schedules.Chain.linear(10, 0.01, 0.3)
    process = processes.Gaussian(chain)
    rows = registry.resolve("samplers", "ddpm-beta").plan(
        process, [k / 10 for k in range(10, -1, -1)]
    )
    found = [row.kernel.std for row in rows]
    assert found[:-1] == pytest.approx([math.sqrt(beta) for beta in chain.betas[:0:-1]])
    # The last step adds no noise.
    assert found[-1] is None
    plain = registry.resolve("samplers", "ddpm").plan(process, [k / 10 for k in range(10, -1, -1)])
    means = [(row.kernel.keep, row.kernel.gain) for row in rows]
    assert means == [(row.kernel.keep, row.kernel.gain) for row in plain]


def test_a_learned_variance_lies_between_the_two_in_the_logarithm() -> None:
    """Nichol & Dhariwal (2021), eq. 15."""

    def learned(v: float):
        return lambda x, t, c=None: (posterior_mean(1.0)(x, t), torch.full_like(x, v))

    rule, times = Ancestral(variance="learned"), [1.0, 0.4]
    x = torch.zeros(5, 1)
    noise = [
        run(rule, Transport(learned(v), VP), x, times, seed=0)[:, 0].abs().log()
        for v in (0.0, 0.5, 1.0)
    ]
    ends = [
        run(Ancestral(variance=v), Transport(posterior_mean(1.0), VP), x, times, seed=0)
        for v in ("posterior", "beta")
    ]
    assert noise[0] == pytest.approx(ends[0][:, 0].abs().log().numpy(), abs=1e-5)
    assert noise[2] == pytest.approx(ends[1][:, 0].abs().log().numpy(), abs=1e-5)
    assert noise[1] == pytest.approx(((noise[0] + noise[2]) / 2).numpy(), abs=1e-5)
    assert float((noise[2] - noise[0]).min()) > 0.05
    # To the data itself a step is the prediction.
    end = run(rule, Transport(learned(0.5), VP), torch.ones(1, 1), [0.5, 0.0], seed=0)
    assert end == pytest.approx(posterior_mean(1.0)(torch.ones(1, 1), 0.5).numpy())


@pytest.mark.parametrize("churn", [0.0, 0.5, 1.0])
def test_churn_scales_every_variance(churn: float) -> None:
    kernels = [
        Ancestral(churn, variance).plan(VP, [0.8, 0.5])[0].kernel
        for variance in ("posterior", "beta")
    ]
    forward = VP.transition(0.5, 0.8).std
    for kernel, largest in zip(kernels, (VP.pinned(0.8, 0.5).std, forward), strict=True):
        assert (kernel.std or 0.0) == pytest.approx(math.sqrt(churn) * largest)


def test_what_is_refused() -> None:
    masking = processes.Masking(spaces.Tokens(3))
    with pytest.raises(CapabilityError, match="Masking have no variance to choose"):
        Ancestral(variance="beta").plan(masking, [1.0, 0.5])
    colored = processes.Gaussian(space=spaces.Hilbert(torch.eye(2)))
    with pytest.raises(CapabilityError, match="white noise"):
        Ancestral(variance="learned").plan(colored, [1.0, 0.5])
    with pytest.raises(InputError, match="predicts the pair"):
        run(
            Ancestral(variance="learned"),
            Transport(posterior_mean(1.0), VP),
            torch.zeros(2, 1),
            [1.0, 0.5],
        )
    with pytest.raises(InputError, match=r"DDIM\) it runs towards the noise too"):
        run(Ancestral(), Transport(posterior_mean(1.0), VP), torch.zeros(2, 1), [0.1, 0.5])


def test_ddim_inversion_returns_to_the_data_at_first_order() -> None:
    """DDIM on the reversed grid takes data to noise, and back with the error of its order."""
    data = GaussianMixture(torch.tensor([[2.0, 0.0], [-1.0, 1.0]], dtype=torch.float64), 0.09, None)
    transport = Transport(AnalyticMixture(data).model(VP), VP)
    x = data.sample(300, seed=0)
    rule, steps, errors, latents = registry.resolve("samplers", "ddim"), (100, 200, 400), [], []
    for count in steps:
        times = grids.LogSNRGrid()(VP.schedule, count, start=1.0, stop=0.01)
        z = run(rule, transport, x, times[::-1])
        back = run(rule, transport, z, times)
        errors.append(float((back - x).square().mean().sqrt()))
        latents.append(z)
    assert observed_order(steps, errors).value == pytest.approx(1, abs=0.25)
    assert errors[-1] < 0.03
    # The latent states are standard normal.
    z = latents[-1]
    assert z.mean(0).numpy() == pytest.approx([0, 0], abs=4 / 300**0.5)
    assert z.var(0).numpy() == pytest.approx([1, 1], abs=4 * (2 / 300) ** 0.5)
