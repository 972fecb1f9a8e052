"""Schedules: closed forms, slopes, the log-SNR and its inverse, and what is refused."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass

import pytest
import torch

from pushforward import registry, schedules
from pushforward.config import build, configurable, describe
from pushforward.errors import CapabilityError, InputError

SCHEDULES = {
    "vp": schedules.VP(),
    "cosine": schedules.Cosine(),
    "ve": schedules.VE(),
    "rectified": schedules.Rectified(),
    "ou": schedules.OU(rate=0.5, horizon=4.0),
    "sub-vp": schedules.SubVP(),
    "edm": schedules.EDM(),
    "chain": schedules.Chain.linear(50),
    "sde": schedules.LinearSDE(lambda t: -2 * t, lambda t: 1 + t),
    "custom": schedules.Custom(lambda t: 1 - t**2, lambda t: t * (2 - t)),
}


@pytest.fixture(params=SCHEDULES)
def schedule(request) -> schedules.Schedule:
    return SCHEDULES[request.param]


@pytest.mark.parametrize(
    ("name", "t", "alpha", "sigma"),
    [
        # exp(-B/2) with B = 0.1 t + 19.9 t^2 / 2.
        ("vp", 0.5, math.exp(-0.5 * 2.5375), math.sqrt(1 - math.exp(-2.5375))),
        ("vp", 1.0, math.exp(-5.025), math.sqrt(1 - math.exp(-10.05))),
        ("cosine", 1 / 3, math.cos(math.pi / 6), 0.5),
        ("cosine", 1.0, 0.0, 1.0),
        ("ve", 0.5, 1.0, 0.01 * math.sqrt(5000 - 1)),
        ("rectified", 0.25, 0.75, 0.25),
        ("ou", 0.5, math.exp(-1.0), math.sqrt(1 - math.exp(-2.0))),
        ("sub-vp", 0.5, math.exp(-0.5 * 2.5375), 1 - math.exp(-2.5375)),
        ("edm", 0.25, 1.0, 20.0),
    ],
)
def test_closed_forms(name: str, t: float, alpha: float, sigma: float) -> None:
    found = SCHEDULES[name].values(t)
    assert found == pytest.approx((alpha, sigma), rel=1e-12, abs=1e-15)
    batch = SCHEDULES[name].values(torch.tensor([t], dtype=torch.float64))
    assert [float(k) for k in batch] == pytest.approx((alpha, sigma), rel=1e-12, abs=1e-15)


def test_all_is_data_at_zero(schedule) -> None:
    assert schedule.values(0.0) == pytest.approx((1.0, 0.0), abs=1e-12)


def test_slopes_are_those_of_finite_differences(schedule) -> None:
    h = 1e-6
    # Off the steps of a chain, where its slope jumps.
    for t in (0.11, 0.51, 0.91):
        found = schedule.at(t)
        below, above = schedule.values(t - h), schedule.values(t + h)
        slopes = [(b - a) / (2 * h) for a, b in zip(below, above, strict=True)]
        assert (found.d_alpha, found.d_sigma) == pytest.approx(slopes, rel=1e-6, abs=1e-8)


def test_the_diffusion_keeps_the_law(schedule) -> None:
    # d sigma^2 / dt = 2 (alpha'/alpha) sigma^2 + g^2, the variance of the forward SDE.
    for t in (0.2, 0.7):
        k = schedule.at(t)
        growth = 2 * k.sigma * k.d_sigma
        assert growth == pytest.approx(2 * k.d_alpha / k.alpha * k.sigma**2 + k.g2, rel=1e-9)


def test_the_rate_of_vp_is_linear_and_that_of_ou_constant() -> None:
    for t in (0.1, 0.9):
        assert schedules.VP().at(t).g2 == pytest.approx(0.1 + 19.9 * t)
        assert schedules.OU(rate=0.5, horizon=4.0).at(t).g2 == pytest.approx(2 * 0.5 * 4.0)


def test_log_snr_falls_and_is_inverted(schedule) -> None:
    t = torch.linspace(0.01, 0.99, 50, dtype=torch.float64)
    value = schedule.log_snr(t)
    assert (value.diff() < 0).all()
    alpha, sigma = schedule(t)
    assert torch.allclose(value, (alpha / sigma).square().log(), atol=1e-10)
    assert torch.allclose(schedule.time_at_log_snr(value), t, atol=1e-9)
    assert schedule.log_snr(0.0) == math.inf
    one = schedule.log_snr(0.3)
    assert one == pytest.approx(float(schedule.log_snr(torch.tensor(0.3, dtype=torch.float64))))


def test_slow_functions_are_inverted_too() -> None:
    # A corner, a flat start and one that starts noisy: by bracketing, all values at once.
    corner = schedules.Custom(
        lambda t: 1 - t, lambda t: torch.where(t < 0.3, t, 0.3 + 5 * (t - 0.3))
    )
    flat = schedules.Custom(lambda t: 1 + 0 * t, lambda t: t**4)
    noisy = schedules.Custom(lambda t: 1 - t, lambda t: 0.1 + t)
    t = torch.linspace(0.01, 0.99, 40, dtype=torch.float64)
    for schedule in (corner, flat, noisy):
        assert torch.allclose(schedule.time_at_log_snr(schedule.log_snr(t)), t, atol=1e-12, rtol=0)
    beyond = torch.tensor([math.inf, 50.0, -50.0, -math.inf], dtype=torch.float64)
    for schedule in (noisy, schedules.Rectified(), schedules.EDM(), schedules.Chain((0.1, 0.2))):
        found = schedule.time_at_log_snr(beyond)
        assert torch.allclose(found, torch.tensor([0.0, 0.0, 1.0, 1.0]).double(), atol=1e-9)


@pytest.mark.parametrize(
    ("schedule", "d_sigma", "g2"),
    [
        (schedules.VP(), math.inf, 0.1),
        (schedules.VP(0.0, 20.0), math.sqrt(10.0), 0.0),
        (schedules.SubVP(), 0.1, 0.0),
        (schedules.Cosine(), math.pi / 2, 0.0),
        (schedules.VE(0.01, 10.0), math.inf, 1e-4 * 2 * math.log(1000)),
        (schedules.EDM(), 80.0, 0.0),
        (schedules.Rectified(), 1.0, 0.0),
        (schedules.OU(0.5, 4.0), math.inf, 4.0),
        (schedules.Chain((0.1, 0.2)), math.inf, -2 * math.log(0.9)),
        (schedules.LinearSDE(lambda t: -1 - t, lambda t: 1 + t), math.inf, 1.0),
        (schedules.LinearSDE(lambda t: -1 - t, lambda t: 2 * t**0.5), math.sqrt(2), 0.0),
        (schedules.Custom(lambda t: 1 - t, lambda t: t**0.5), math.inf, 1.0),
        (schedules.Custom(lambda t: 1 - t, lambda t: t**0.25), math.inf, math.inf),
        (schedules.Custom(lambda t: 1 - t, lambda t: 0.5 + t), 1.0, 2 * 0.5 * 1.5),
    ],
    ids=str,
)
def test_slopes_at_zero_are_limits(schedule, d_sigma: float, g2: float) -> None:
    found = schedule.at(0.0)
    assert (found.d_sigma, found.g2) == pytest.approx((d_sigma, g2), rel=1e-6, abs=1e-12)
    t = torch.tensor([0.0, 0.5], dtype=torch.float64)
    batch = schedule.at(t)
    assert [float(batch.d_sigma[0]), float(batch.g2[0])] == [found.d_sigma, found.g2]
    assert float(batch.g2[1]) == pytest.approx(schedule.at(0.5).g2, rel=1e-9)


def test_no_signal_is_minus_infinity() -> None:
    for name in ("cosine", "rectified"):
        assert SCHEDULES[name].log_snr(1.0) == -math.inf
        assert SCHEDULES[name].at(1.0).g2 == math.inf
    # Also where the signal ends with slope zero.
    assert schedules.Custom(lambda t: (1 - t) ** 2, lambda t: t).at(1.0).g2 == math.inf


def test_only_some_preserve_variance(schedule) -> None:
    t = torch.linspace(0, 1, 21, dtype=torch.float64)
    alpha, sigma = schedule(t)
    kept = bool(torch.allclose(alpha**2 + sigma**2, torch.ones_like(t), atol=1e-12))
    assert schedule.preserves_variance == kept


def test_a_grid_is_computed_once() -> None:
    class Counting(schedules.Schedule):
        calls = 0

        def __call__(self, t):
            self.calls += 1
            return 1 - t, t

    schedule = Counting()
    schedule.tabulate([0.1, 0.2, 0.3])
    for t in (0.1, 0.2, 0.3, 0.1):
        assert schedule.at(t).sigma == t
    assert schedule.calls == 1


def test_slopes_also_where_gradients_are_off(schedule) -> None:
    t = torch.tensor([0.4], dtype=torch.float64)
    with torch.no_grad():
        assert float(schedule.at(t).d_sigma) == pytest.approx(schedule.at(0.4).d_sigma)
    with torch.inference_mode():
        assert float(schedule.at(t).d_sigma) == pytest.approx(schedule.at(0.4).d_sigma)


@pytest.mark.parametrize("name", registry.names("schedules"))
def test_they_go_through_a_configuration(name: str) -> None:
    schedule = registry.resolve("schedules", name)
    assert build(describe(schedule)) == schedule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.VP(beta_min=-1.0), "beta_min"),
        (lambda: schedules.VP(beta_min=2.0, beta_max=1.0), "2.0 and 1.0"),
        (lambda: schedules.VP(beta_max=math.inf), "inf"),
        (lambda: schedules.VE(sigma_min=0.0), "0.0 and 50.0"),
        (lambda: schedules.VE(sigma_max=math.nan), "nan"),
        (lambda: schedules.OU(rate=0.0), "positive rate"),
        (lambda: schedules.OU(horizon=math.inf), "inf"),
        (
            lambda: schedules.Custom(lambda t: 1 - t, lambda t: t, t_min=0.5, t_max=0.2),
            "t_min < t_max, not 0.5 and 0.2",
        ),
        (lambda: schedules.VP().at(1.5), "time 1.5 lies outside"),
        (lambda: schedules.VP().values(-0.1), "time -0.1 lies outside"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    "schedule", [schedules.VP(), schedules.Custom(lambda t: 1 - t, torch.sqrt)]
)
def test_values_are_those_of_the_times_as_they_are_now(schedule) -> None:
    t = torch.tensor([0.2, 0.4])

    def check() -> None:
        for found, known in zip(schedule.values(t), schedule(t.clone()), strict=True):
            assert torch.equal(found, known)

    check()
    # Ways to write to a tensor, three of which leave no trace on it.
    t.mul_(2)
    check()
    t.numpy()[:] = [0.1, 0.3]
    check()
    t.data.fill_(0.7)
    check()
    torch.from_dlpack(t).fill_(0.6)
    check()
    # And to what was handed out.
    schedule.values(t)[0].numpy()[:] = 5.0
    schedule.values(t)[1].fill_(5.0)
    check()
    # Nor is another type, a gradient, or a mode without gradients mixed up with it.
    assert schedule.values(t.double())[0].dtype == torch.float64
    with torch.inference_mode():
        schedule.values(t)
    (schedule.values(t)[0] * torch.ones(2, requires_grad=True)).sum().backward()
    t.requires_grad_()
    assert schedule.values(t)[0].requires_grad


def test_what_is_learned_is_not_remembered() -> None:
    rate = torch.tensor(1.0, requires_grad=True)
    schedule = schedules.Custom(lambda t: torch.exp(-rate * t), lambda t: t)
    t = torch.tensor([0.5])
    before = schedule.values(t)[0]
    before.sum().backward()
    with torch.no_grad():
        rate.mul_(2)
    after = schedule.values(t)[0]
    after.sum().backward()
    assert float(after.detach()) == pytest.approx(float(before.detach()) ** 2)


def test_two_functions_and_what_they_are_refused_for() -> None:
    found = schedules.Custom(lambda t: 1 - t**2, lambda t: t).at(0.5)
    assert found[:4] == (0.75, 0.5, -1.0, 1.0)
    with pytest.raises(InputError, match=r"sigma is a function of time, not 0\.5"):
        schedules.Custom(lambda t: (1 - t, t), 0.5)
    for schedule in (SCHEDULES["custom"], SCHEDULES["sde"]):
        with pytest.raises(InputError, match=r"define it at the top of a module.*configurable"):
            describe(schedule)
    assert build(describe(Power(3.0)), trust=(__name__,)) == Power(3.0)


def test_functions_of_a_trusted_module_are_saved_by_name(tmp_path, monkeypatch) -> None:
    text = "import torch\n\n\ndef left(t):\n    return 1 - t**2\n\n\ndef noise(t):\n    return t\n"
    (tmp_path / "my_clock.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    my_clock = importlib.import_module("my_clock")
    spec = describe(schedules.Custom(my_clock.left, my_clock.noise))
    assert spec["args"]["alpha"] == {"function": "my_clock:left"}
    assert build(spec, trust=("my_clock",)).at(0.5)[:2] == (0.75, 0.5)
    with pytest.raises(InputError, match=r"pass trust=\('my_clock',\)"):
        build(spec)
    with pytest.raises(InputError, match="no function of my_clock"):
        build({"function": "my_clock:torch"}, trust=("my_clock",))


@configurable
@dataclass(frozen=True)
class Power(schedules.Schedule):
    """What the message advises."""

    power: float = 2.0

    def __call__(self, t):
        return 1 - t**self.power, t


def test_a_range_of_the_log_snr() -> None:
    first, last = schedules.VP().log_snr_range(0.9, 0.1)
    assert (first, last) == (schedules.VP().log_snr(0.9), schedules.VP().log_snr(0.1))
    assert schedules.VP().log_snr_range(0.1, 0.9) == (last, first)
    with pytest.raises(InputError, match=r"zero at t = 1\.0: stay inside"):
        schedules.Rectified().log_snr_range(1.0, 0.1)
    # No noise at all, and a bridge, whose noise goes at both ends.
    still = schedules.Custom(lambda t: 1 - t, lambda t: 0 * t)
    bridge = schedules.Custom(lambda t: 1 + 0 * t, lambda t: (t * (1 - t)).sqrt())
    for clock in (still, bridge):
        with pytest.raises(CapabilityError, match="has no log signal-to-noise ratio"):
            clock.log_snr_range(0.9, 0.1)


def test_the_shift_is_that_of_the_papers() -> None:
    t = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    # Flux: exp(mu) / (exp(mu) + 1 / t - 1).
    for mu in (0.5, 1.15):
        flux = math.exp(mu) / (math.exp(mu) + (1 / t - 1))
        assert torch.allclose(schedules.shift_time(t, math.exp(mu)), flux)
    # Noise levels times the shift, on straight lines (Esser et al. 2024, eq. 23).
    shifted, clock = schedules.shift_time(t, 3.0), schedules.Rectified()
    assert torch.allclose(clock.log_snr(shifted), clock.log_snr(t) - 2 * math.log(3.0))
    assert torch.allclose(schedules.shift_time(shifted, 1 / 3.0), t)
