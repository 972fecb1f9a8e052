"""The discrete chain: its kernels in closed form, and the process that it discretizes."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from pushforward import Transport, grids, registry, samplers, schedules
from pushforward.config import build, describe
from pushforward.errors import InputError
from pushforward.metrics import observed_order
from pushforward.processes import Gaussian
from pushforward.schedules import OU, VP, Chain, LinearSDE

STEPS = 40
CHAIN = Chain.linear(STEPS)


def _levels() -> list[float]:
    """`prod (1 - beta)` up to each step, from the definition."""
    levels = [1.0]
    for beta in CHAIN.betas:
        levels.append(levels[-1] * (1 - beta))
    return levels


def test_marginals_are_products() -> None:
    for k, level in enumerate(_levels()):
        alpha, sigma = CHAIN.values(k / STEPS)
        assert (alpha**2, sigma**2) == pytest.approx((level, 1 - level), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_time_of_the_chain_belongs_to_the_step_before_in_any_precision(dtype) -> None:
    # Velocities and the weight of the bound have the slope in them, which jumps by 20% at k = 1.
    chain = Chain.linear(1000)
    times = [k / 1000 for k in range(1, 1001)]
    logs = 0.5 * torch.log1p(-torch.tensor(chain.betas, dtype=torch.float64))
    found = chain.at(torch.tensor(times, dtype=dtype)).d_alpha.double()
    # A rounding of the time moves log alpha by up to its slope, 10 at t = 1, times that rounding;
    # a step of log alpha, of 5e-5 to 1e-2, is the difference of sums of up to 5.
    tolerance = max(16 * torch.finfo(dtype).eps, 1e-12)
    assert torch.allclose(found, 1000 * logs * logs.cumsum(0).exp(), rtol=tolerance, atol=0)


def test_the_transition_between_neighbors_is_the_chain() -> None:
    process = Gaussian(CHAIN)
    for k, beta in enumerate(CHAIN.betas, start=1):
        kernel = process.transition((k - 1) / STEPS, k / STEPS)
        assert kernel.keep == pytest.approx(math.sqrt(1 - beta), rel=1e-12)
        assert kernel.std == pytest.approx(math.sqrt(beta), rel=1e-9)


def test_the_pinned_kernel_is_the_posterior_of_the_chain() -> None:
    # Ho et al. (2020), eqs. 6 and 7.
    process, levels = Gaussian(CHAIN), _levels()
    for k in range(2, STEPS + 1):
        beta, now, before = CHAIN.betas[k - 1], levels[k], levels[k - 1]
        kernel = process.pinned(k / STEPS, (k - 1) / STEPS)
        assert kernel.keep == pytest.approx(
            math.sqrt(1 - beta) * (1 - before) / (1 - now), rel=1e-9
        )
        assert kernel.gain == pytest.approx(math.sqrt(before) * beta / (1 - now), rel=1e-9)
        assert kernel.std**2 == pytest.approx((1 - before) / (1 - now) * beta, rel=1e-9)


def test_transitions_compose() -> None:
    process = Gaussian(schedules.Cosine())
    first, second = process.transition(0.2, 0.5), process.transition(0.5, 0.9)
    whole = process.transition(0.2, 0.9)
    assert first.keep * second.keep == pytest.approx(whole.keep, rel=1e-12)
    variance = (second.keep * first.std) ** 2 + second.std**2
    assert variance == pytest.approx(whole.std**2, rel=1e-12)


def test_the_chain_of_an_ou_process_is_its_exact_skeleton() -> None:
    chain, process = Chain.ornstein_uhlenbeck(50, rate=0.5, horizon=4.0), OU(0.5, 4.0)
    assert chain.betas[0] == pytest.approx(1 - math.exp(-2 * 0.5 * 4.0 / 50), rel=1e-12)
    for k in range(1, 51):
        assert chain.values(k / 50) == pytest.approx(process.values(k / 50), rel=1e-12)


def test_the_skeleton_of_any_schedule_that_preserves_variance() -> None:
    cosine = schedules.Cosine()
    times = [0.1, 0.4, 0.9]
    chain = Chain.skeleton(cosine, times)
    for k, t in enumerate(times, start=1):
        assert chain.values(k / 3) == pytest.approx(cosine.values(t), rel=1e-12)
    with pytest.raises(InputError, match="does not preserve variance"):
        Chain.skeleton(schedules.VE(), times)


def test_the_linear_chain_tends_to_vp_at_rate_one() -> None:
    steps = (100, 200, 400, 800)
    errors = [
        max(abs(Chain.linear(n).at(t).alpha - VP().at(t).alpha) for t in (0.25, 0.5, 1.0))
        for n in steps
    ]
    assert observed_order(steps, errors).value == pytest.approx(1.0, abs=0.1)


def test_the_ancestral_law_tends_to_that_of_the_sde_at_rate_one() -> None:
    # Normal data: each step is linear, so the variance at the end is exact.
    data, errors, steps = 0.49, [], (50, 100, 200, 400)
    for n in steps:
        process = Gaussian(Chain.linear(n))
        variance = 1.0
        for k in range(n, 1, -1):
            alpha, sigma = process.schedule.values(k / n)
            kernel = process.pinned(k / n, (k - 1) / n)
            mean = alpha * data / (alpha**2 * data + sigma**2)
            variance = (kernel.keep + kernel.gain * mean) ** 2 * variance + kernel.std**2
        errors.append(abs(variance - data))
    assert observed_order(steps, errors).value == pytest.approx(1.0, abs=0.25)


def test_the_grid_of_the_chain_visits_every_step() -> None:
    times = grids.UniformGrid()(CHAIN, STEPS, start=1.0, stop=0.0)
    assert times == pytest.approx([k / STEPS for k in range(STEPS, -1, -1)], abs=1e-12)
    transport = Transport(lambda x, t, c=None: 0 * x + 0.5, Gaussian(CHAIN))
    x = samplers.run(samplers.Ancestral(), transport, torch.zeros(3, 2), times, seed=0)
    # The last step goes to the prediction itself.
    assert torch.allclose(x, torch.full((3, 2), 0.5))


@pytest.mark.parametrize("name", ["adams", "deis", "unipc3", "adams4"])
@pytest.mark.parametrize("chain", [Chain.linear(1000), Chain.cosine(1000), Chain.cosine(50)])
def test_multistep_weights_are_exact_where_the_rate_jumps(chain: Chain, name: str) -> None:
    # A constant prediction leaves DDIM's step, for any order, clock and number of betas in a step.
    rule, times = registry.resolve("samplers", name), grids.LogSNRGrid()(chain, 10)
    for row, (t, s) in zip(rule.plan(Gaussian(chain), times), pairwise(times), strict=True):
        now, then = chain.at(t), chain.at(s)
        if rule.predict == "noise":
            exact = then.sigma - now.sigma * then.alpha / now.alpha
        else:
            exact = then.alpha - now.alpha * then.sigma / now.sigma
        assert sum(row.gains) == pytest.approx(exact, rel=1e-9)


def test_cosine_betas_are_those_of_the_paper() -> None:
    chain = Chain.cosine(1000)
    f = [math.cos((k / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for k in range(1001)]
    assert chain.betas[499] == pytest.approx(1 - f[500] / f[499], rel=1e-9)
    assert chain.betas[-1] == 0.999


def test_a_chain_is_written_down_and_read_back() -> None:
    assert build(describe(CHAIN)) == CHAIN


def test_few_steps_are_the_skeleton_of_vp_and_a_single_one_samples() -> None:
    # Euler's betas for the rates of VP reach one at 20 steps.
    for steps in (1, 2, 20):
        chain = Chain.linear(steps)
        for k in range(1, steps + 1):
            assert chain.values(k / steps) == pytest.approx(VP().values(k / steps), rel=1e-9)
    with pytest.raises(InputError, match=r"beta_2 is 1\.015: take more steps or smaller"):
        Chain.linear(5, first=0.02, last=4.0)
    # Normal data through one step, exactly: the posterior mean, and the variance left around it.
    chain, data = Chain.linear(1), 0.49
    process = Gaussian(chain)
    alpha, sigma = chain.values(1.0)

    def mean(x: torch.Tensor, t: float, c: None = None) -> torch.Tensor:
        a, s = chain.values(t)
        return a * data / (a**2 * data + s**2) * x

    x = torch.full((2, 1), 1.5, dtype=torch.float64)
    end = samplers.run(samplers.Ancestral(), Transport(mean, process), x, [1.0, 0.0])
    assert end == pytest.approx(1.5 * alpha * data / (alpha**2 * data + sigma**2))
    times = grids.UniformGrid()(chain, 400)
    assert (times[0], times[-1]) == (1.0, 1e-3)
    end = samplers.run(samplers.Heun(), Transport(mean, process), x, grids.LogSNRGrid()(chain, 40))
    a, s = chain.values(1e-3)
    ratio = math.sqrt((a**2 * data + s**2) / (alpha**2 * data + sigma**2))
    assert end == pytest.approx(1.5 * ratio, rel=1e-3)


def test_zero_terminal_snr_is_the_rescaling_of_the_paper() -> None:
    # Lin et al. (2023), algorithm 1, as printed there.
    chain = Chain.scaled_linear(1000)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    assert chain.betas == pytest.approx(betas.tolist(), rel=1e-12)
    alphas_bar_sqrt = (1 - betas).cumprod(0).sqrt()
    first, last = alphas_bar_sqrt[0].clone(), alphas_bar_sqrt[-1].clone()
    alphas_bar_sqrt -= last
    alphas_bar_sqrt *= first / (first - last)
    alphas_bar = alphas_bar_sqrt**2
    expected = 1 - torch.cat([alphas_bar[:1], alphas_bar[1:] / alphas_bar[:-1]])
    rescaled = chain.zero_terminal_snr()
    assert rescaled.betas == pytest.approx(expected.tolist(), rel=1e-9)
    for k in (1, 500, 999, 1000):
        level = float(alphas_bar[k - 1])
        assert rescaled.values(k / 1000)[0] ** 2 == pytest.approx(level, rel=1e-9, abs=1e-15)
    assert rescaled.at(1.0)[:2] == (0.0, 1.0)
    assert rescaled.log_snr(1.0) == -math.inf
    assert math.isinf(rescaled.at(1.0).g2)
    assert build(describe(rescaled)) == rescaled == rescaled.zero_terminal_snr()
    # Samplers that need some signal start a thousandth of a step earlier, inside the last step.
    assert 0.999 < rescaled.t_max < 1
    t = torch.tensor([0.3, 0.9985, 0.9995, rescaled.t_max], dtype=torch.float64)
    assert torch.allclose(rescaled.time_at_log_snr(rescaled.log_snr(t)), t, atol=1e-12)
    with pytest.raises(InputError, match="one step"):
        Chain((0.5,)).zero_terminal_snr()


def test_a_chain_without_signal_at_its_end_samples_from_there() -> None:
    # Data N(2, 0.01): with the exact posterior mean, ddpm from pure noise has the right mean.
    chain = Chain.linear(100).zero_terminal_snr()

    def mean(x: torch.Tensor, t: float, c: None = None) -> torch.Tensor:
        a, s = chain.values(t)
        return 2 + a * 0.01 / (a**2 * 0.01 + s**2) * (x - 2 * a)

    x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    times = grids.UniformGrid()(chain, 100, start=1.0, stop=0.0)
    end = samplers.run(samplers.Ancestral(), Transport(mean, Gaussian(chain)), x, times, seed=1)
    assert float(end.mean()) == pytest.approx(2.0, abs=4 * 0.1 / 4000**0.5)


@pytest.mark.parametrize("betas", [(0.1, 1.5), (0.0,), (-0.1,), (0.1, float("nan"))])
def test_betas_outside_the_unit_interval_are_refused(betas: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=rf"inside \(0, 1\), but beta_{len(betas)} is"):
        Chain(betas)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True])
def test_a_chain_has_a_whole_number_of_steps(steps) -> None:
    with pytest.raises(InputError, match="steps is a whole number of at least 1"):
        Chain.cosine(steps)
    with pytest.raises(InputError, match="at least one beta"):
        Chain(())


@pytest.mark.parametrize(
    ("drift", "diffusion", "known"),
    [
        (lambda t: -0.5 * (0.1 + 19.9 * t), lambda t: (0.1 + 19.9 * t).sqrt(), VP()),
        (lambda t: -2.0 + 0 * t, lambda t: 2.0 + 0 * t, OU(rate=0.5, horizon=4.0)),
        (
            lambda t: 0 * t,
            lambda t: 0.01 * (2 * math.log(1000)) ** 0.5 * 1000**t,
            schedules.VE(0.01, 10.0),
        ),
    ],
    ids=["vp", "ou", "ve"],
)
def test_drift_and_diffusion_give_the_known_schedules(drift, diffusion, known) -> None:
    found = LinearSDE(drift, diffusion)
    for t in (1e-3, 0.1, 0.33, 0.9, 1.0):
        assert list(found.at(t)) == pytest.approx(list(known.at(t)), rel=1e-8, abs=1e-8)


def test_a_linear_sde_that_is_refused() -> None:
    with pytest.raises(InputError, match="finite on"):
        LinearSDE(lambda t: 1 / (t - 1), lambda t: 1 + t)
    with pytest.raises(InputError, match="must not vanish"):
        LinearSDE(lambda t: -t, lambda t: 0 * t)


def test_a_linear_sde_whose_coefficients_jump() -> None:
    # Two Ornstein-Uhlenbeck processes, one after the other, in closed form.
    jump, slow, fast = 0.437, 2.0, 7.0
    found = LinearSDE(
        lambda t: -torch.where(t < jump, slow, fast),
        lambda t: torch.where(t < jump, slow, 3.0),
    )

    def exact(t: float) -> tuple[float, float]:
        first, second = min(t, jump), max(t - jump, 0.0)
        alpha = math.exp(-slow * first - fast * second)
        variance = slow**2 * -math.expm1(-2 * slow * first) / (2 * slow)
        variance *= math.exp(-2 * fast * second)
        variance += 9.0 * -math.expm1(-2 * fast * second) / (2 * fast)
        return alpha, math.sqrt(variance)

    for t in (1e-4, 0.3, 0.4369, 0.437, 0.43701, 0.4372, 0.6, 1.0):
        assert found.values(t) == pytest.approx(exact(t), rel=1e-9)
