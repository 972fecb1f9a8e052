"""Schrödinger bridges of sequences against static entropic plans, by enumeration of all states."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import Transport, ot, samplers
from pushforward.analytic import AnalyticAtoms
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import (
    BirthDeathRates,
    GaussianRates,
    MatrixRates,
    SiteRates,
    TokenBridge,
    UniformRates,
    bridge_on,
)
from pushforward.schrodinger import Controls, simulate_ends
from pushforward.spaces import Tokens

K, SITES = 3, 2
STATES = torch.cartesian_prod(*[torch.arange(K)] * SITES)
N = len(STATES)
RATES = {
    "uniform": UniformRates(),
    "ordinal": GaussianRates(reach=1.0, spread=0.4),
    "sites": SiteRates((UniformRates(), BirthDeathRates())),
}
EACH = pytest.mark.parametrize("name", RATES)


def _process(name: str) -> TokenBridge:
    return TokenBridge(Tokens(K), RATES[name], duration=0.6)


def _weights() -> tuple[Tensor, Tensor]:
    """Target and source, on all sequences."""
    draws = torch.rand(2, N, generator=torch.Generator().manual_seed(1)).double() + 0.05
    a, b = draws / draws.sum(1, keepdim=True)
    return a, b


def _problem(name: str) -> AnalyticAtoms:
    return AnalyticAtoms(_process(name), STATES, STATES, *_weights())


def _generator_of(rates: Tensor) -> Tensor:
    """Rates `(N, sites, K)` of single sites as a matrix of all sequences `(N, N)`."""
    found = torch.zeros(N, N).double()
    for site in range(SITES):
        for symbol in range(K):
            to = STATES.clone()
            to[:, site] = symbol
            j = to[:, 0] * K + to[:, 1]
            other = STATES[:, site] != symbol
            found[other, j[other]] += rates[other, site, symbol].double()
    return found - torch.diag(found.sum(1))


def _kernel(process: TokenBridge, r: float) -> Tensor:
    """Transitions of the reference between all sequences, by the matrix exponential."""
    generator = _generator_of(process.duration * process.chain.out(STATES))
    return torch.linalg.matrix_exp(r * generator)


def _equilibrium(process: TokenBridge) -> Tensor:
    """The stationary law of all sequences."""
    first, second = process.chain.stationary.expand(SITES, K)
    return torch.outer(first, second).flatten()


def _given_state(process: TokenBridge, plan: Tensor, t: float, forward: bool) -> Tensor:
    """The law of the end ahead given `x_t`, `(N, N)`, for bridges that join a plan."""
    after, before, whole = (_kernel(process, r) for r in (t, 1 - t, 1.0))
    joint = torch.einsum("ab,bx,xa->xab", plan / whole.mT, before, after)
    ends = joint.sum(2 if forward else 1)
    return ends / ends.sum(1, keepdim=True)


def _control(process: TokenBridge, plan: Tensor, t: float, forward: bool) -> Tensor:
    chances = _given_state(process, plan, t, forward)
    return process.expected_control(STATES, STATES, chances, t if forward else 1 - t)


def _markovian(process: TokenBridge, plan: Tensor, forward: bool, steps: int = 32) -> Tensor:
    """The coupling `(target, source)` that the Markovian projection of a plan induces, by Runge and
    Kutta's method for the master equation."""

    def slope(since: float) -> Tensor:
        t = 1 - since if forward else since
        t = min(max(t, 1e-9), 1 - 1e-9)
        u = _control(process, plan, t, forward)
        return _generator_of(process.jump_rates(u, STATES, t if forward else 1 - t))

    law, h = torch.eye(N).double(), 1 / steps
    for k in range(steps):
        first, middle, last = (slope((k + part) * h) for part in (0.0, 0.5, 1.0))
        one = law @ first
        two = (law + h / 2 * one) @ middle
        three = (law + h / 2 * two) @ middle
        four = (law + h * three) @ last
        law = law + h / 6 * (one + 2 * two + 2 * three + four)
    if forward:
        return (plan.sum(0).unsqueeze(1) * law).mT
    return plan.sum(1).unsqueeze(1) * law


def _index(x: Tensor) -> Tensor:
    return x[:, 0] * K + x[:, 1]


def _divergence(p: Tensor, q: Tensor) -> float:
    return float((p * (p / q).log()).sum())


@EACH
def test_the_kernel_and_the_bridge_are_those_of_the_rates(name: str) -> None:
    process, n = _process(name), 20_000
    whole = _kernel(process, 0.7)
    log_kernel = process.log_kernel(
        STATES.repeat_interleave(N, 0), STATES.repeat(N, 1), 0.7
    ).reshape(N, N)
    assert torch.allclose(log_kernel.double().exp() * _equilibrium(process), whole, atol=1e-6)
    assert torch.allclose(log_kernel, log_kernel.mT, atol=1e-5)
    a, b, t = 1, 5, 0.3
    pair = STATES[a].expand(n, SITES), STATES[b].expand(n, SITES)
    x = process.sample(pair, t, torch.Generator().manual_seed(0))
    found = torch.bincount(_index(x), minlength=N) / n
    law = _kernel(process, 1 - t)[b] * _kernel(process, t)[:, a] / _kernel(process, 1.0)[b, a]
    assert float(law.sum()) == pytest.approx(1)
    assert bool(((found - law).abs() < 4 * (law * (1 - law) / n).sqrt() + 1e-9).all())
    for end, k in ((0.0, a), (1.0, b)):
        assert bool((_index(process.sample(pair, end, torch.Generator())) == k).all())


@EACH
def test_the_coupling_is_the_entropic_plan_of_sinkhorn(name: str) -> None:
    problem, (a, b) = _problem(name), _weights()
    cost = -_kernel(problem.process, 1.0).log().mT
    known = ot.sinkhorn(ot.CostMatrix(cost), 1.0, a, b, tolerance=1e-11).matrix()
    assert torch.allclose(problem.plan, known, atol=1e-7)
    assert float((known - a.unsqueeze(1) * b).abs().max()) > 0.01


@EACH
def test_jumps_are_those_of_the_transform_of_doob(name: str) -> None:
    # The joint potential of all sites, though controls know one site at a time.
    problem, t = _problem(name), 0.4
    process = problem.process
    for forward, r in ((True, t), (False, 1 - t)):
        u = problem.control(STATES, t, forward=forward)
        found = _generator_of(process.jump_rates(u, STATES, r))
        logs = problem._logs[0 if forward else 1]
        h = _kernel(process, r) @ (logs.exp() / _equilibrium(process))
        rates = _generator_of(process.duration * process.chain.out(STATES))
        known = rates * h / h.unsqueeze(1)
        known = known - torch.diag(known.diagonal())
        found = found - torch.diag(found.diagonal())
        assert torch.allclose(found, known, atol=2e-6)


def test_forward_and_backward_jumps_reverse_each_other() -> None:
    problem, t = _problem("ordinal"), 0.35
    process = problem.process

    def law(t: float) -> Tensor:
        parts = (
            _kernel(process, t),
            problem.plan / _kernel(process, 1.0).mT,
            _kernel(process, 1 - t),
        )
        return torch.einsum("xa,ab,bx->x", *parts)

    pred = tuple(problem.control(STATES, t, forward=forward) for forward in (True, False))
    ahead = _generator_of(process.jump_rates(pred[0], STATES, t))
    back = _generator_of(process.jump_rates(pred[1], STATES, 1 - t))
    flow = law(t).unsqueeze(1) * ahead
    reverse = (law(t).unsqueeze(1) * back).mT
    off = ~torch.eye(N).bool()
    assert torch.allclose(flow[off], reverse[off], atol=1e-9)
    slope = (law(t - 1e-5) - law(t + 1e-5)) / 2e-5
    assert torch.allclose(law(t) @ ahead, slope, atol=1e-7)
    jump = process.dynamics(pred, STATES, t)
    assert torch.allclose(jump.restore.rate.sum(1), -ahead.diagonal())
    assert torch.allclose(jump.destroy.rate.sum(1), -back.diagonal())


@pytest.mark.parametrize("alternating", [True, False], ids=["alternating", "forward"])
def test_iterated_markovian_fitting_converges_to_the_plan(alternating: bool) -> None:
    problem, (a, b) = _problem("ordinal"), _weights()
    plan, gaps = a.unsqueeze(1) * b, []
    for k in range(8):
        plan = _markovian(problem.process, plan, forward=not alternating or k % 2 == 1)
        gaps.append(_divergence(problem.plan, plan))
        # The integrator leaves 3e-6 each time.
        assert torch.allclose(plan.sum(1), a, atol=3e-5)
        assert torch.allclose(plan.sum(0), b, atol=3e-5)
    assert all(later < earlier for earlier, later in pairwise(gaps))
    assert gaps[0] > 1e-5
    assert gaps[-1] < 1e-3 * gaps[0]


def test_fitting_from_the_reference_is_sinkhorn_step_by_step() -> None:
    process, (a, b) = _process("uniform"), _weights()
    kernel = _kernel(process, 1.0).mT
    plan = kernel * b
    for k in range(4):
        # Simulated from exact states of one distribution: its marginal is set, half a sweep.
        forward = k % 2 == 1
        known = plan * (b / plan.sum(0)) if forward else plan * (a / plan.sum(1)).unsqueeze(1)
        given = known.sum(0) if forward else known.sum(1)
        simulated = _markovian(process, plan, forward)
        shares = simulated / (simulated.sum(0) if forward else simulated.sum(1).unsqueeze(1))
        plan = shares * (given if forward else given.unsqueeze(1))
        assert torch.allclose(plan, known, atol=1e-6)


@EACH
@pytest.mark.parametrize("forward", [True, False], ids=["forward", "backward"])
def test_the_error_of_a_control_is_least_at_the_expected_one(name: str, forward: bool) -> None:
    # In exact expectation, for a coupling that is no bridge: the gradient vanishes there.
    process, (a, b), t = _process(name), _weights(), 0.45
    r = t if forward else 1 - t
    plan = 0.5 * a.unsqueeze(1) * b + 0.5 * torch.diag(torch.full((N,), 1 / N).double())
    chances = _given_state(process, plan, t, forward)
    x, ends = STATES.repeat_interleave(N, 0), STATES.repeat(N, 1)

    def risk(u: Tensor) -> Tensor:
        error = process.end_error(u.repeat_interleave(N, 0), x, ends, r).reshape(N, N)
        return (chances * error).sum(1)

    with torch.enable_grad():
        u = process.expected_control(STATES, STATES, chances, r).double().requires_grad_()
        (slope,) = torch.autograd.grad(risk(u).sum(), u)
    assert float(slope.abs().max()) < 1e-6
    away = torch.randn(u.shape, generator=torch.Generator().manual_seed(2)).double()
    assert bool((risk(u.detach() + away) > risk(u.detach())).all())


def test_one_site_is_steered_exactly_in_one_step() -> None:
    process = TokenBridge(Tokens(4), "birth-death", duration=0.5)
    symbols = torch.arange(4).unsqueeze(1)
    target = torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    problem = AnalyticAtoms(process, symbols, symbols, target, target.flip(0))
    # The control is the log potential, at all states and times.
    potential = problem._logs[0]
    for t in (0.2, 0.9):
        u = problem.control(symbols, t, forward=True).squeeze(1)
        assert torch.allclose(u - u[:, :1], (potential - potential[0]).expand(4, 4), atol=1e-9)
    n = 20_000
    start = torch.full((n, 1), 2)
    known = problem.plan[:, 2] / problem.plan[:, 2].sum()
    for steps in (1, 7):
        ends = simulate_ends(
            process, lambda x, t: problem.control(x, t, forward=True), start, steps, forward=True,
            generator=torch.Generator().manual_seed(steps),
        )  # fmt: skip
        found = torch.bincount(ends.flatten(), minlength=4) / n
        assert bool(((found - known).abs() < 4 * (known * (1 - known) / n).sqrt()).all())


@pytest.mark.parametrize("rule", ["pinned", "euler", "tau-leap"])
def test_samplers_arrive_at_the_target(rule: str) -> None:
    problem, n = _problem("sites"), 6_000
    controls = Controls(
        lambda x, t: problem.control(x, t, forward=True),
        lambda x, t: problem.control(x, t, forward=False),
    )
    transport = Transport(controls, problem.process)
    for forward in (True, False):
        if rule == "tau-leap" and not forward:
            continue
        start = problem.sample(n, seed=3)[1 if forward else 0]
        times = [k / 40 for k in range(41)]
        ends = samplers.run(
            pf.registry.resolve("samplers", rule), transport, start,
            times[::-1] if forward else times, seed=4,
        )  # fmt: skip
        known = _weights()[0 if forward else 1]
        found = torch.bincount(_index(ends), minlength=N) / n
        # The bias is of the order of a step.
        assert bool(((found - known).abs() < 4 * (known * (1 - known) / n).sqrt() + 0.01).all())


def test_the_uncontrolled_chain_is_the_reference() -> None:
    process, n = _process("ordinal"), 20_000
    ends = process.unsteered(STATES[3].expand(n, SITES), torch.Generator().manual_seed(5))
    known = _kernel(process, 1.0)[3]
    found = torch.bincount(_index(ends), minlength=N) / n
    assert bool(((found - known).abs() < 4 * (known * (1 - known) / n).sqrt()).all())
    # The control zero is the reference, too.
    zero = torch.zeros(N, SITES, K)
    rates = process.jump_rates(zero, STATES, 0.5)
    assert torch.allclose(rates, process.duration * process.chain.out(STATES), atol=1e-6)


@pytest.mark.parametrize("method", ["dsbm-imf", "dsbm-ipf"])
def test_a_model_learns_the_plan_of_two_sets_of_sequences(method: str, tmp_path) -> None:
    torch.manual_seed(0)
    space, n = Tokens(K), 1_000
    reference = TokenBridge(space, "birth-death", duration=0.4)
    # Ends of low or high symbols; equal symbols after independent ones.
    generator = torch.Generator().manual_seed(6)
    a = torch.randint(2, (n, SITES), generator=generator)
    b = torch.randint(1, 3, (n, 1), generator=generator).expand(n, SITES).contiguous()
    source, target = (pf.data.load(x, space=space) for x in (a, b))
    model = pf.SchrodingerBridge.for_data(
        target, reference=reference, method=method, iterations=4, train_steps=120, steps=10
    )
    run = pf.fit(
        model, target, source=source, steps=120, batch_size=128, lr=1e-2, holdout=0.0, seed=0,
        progress=False,
    )  # fmt: skip
    many = a.repeat(4, 1)
    ends = run.model.forward(many, seed=1)
    found = torch.zeros(N, N).double()
    found.index_put_((_index(ends), _index(many)), torch.tensor(1 / (4 * n)).double(), True)
    shares = [torch.bincount(_index(x), minlength=N).double() / n for x in (b, a)]
    kept = [share > 0 for share in shares]
    problem = AnalyticAtoms(
        reference, STATES[kept[0]], STATES[kept[1]],
        *(share[keep] for share, keep in zip(shares, kept, strict=True)),
    )  # fmt: skip
    known = torch.zeros(N, N).double()
    known[kept[0].unsqueeze(1) & kept[1]] = problem.plan.flatten()
    # Total variation, of which independent ends would have more.
    gap = 0.5 * float((found - known).abs().sum())
    independent = 0.5 * float((shares[0].unsqueeze(1) * shares[1] - known).abs().sum())
    assert gap < 0.08 < independent
    back = run.model.backward(b, seed=2)
    assert float((back < 2).all(1).double().mean()) > 0.95
    run.model.save(tmp_path / "model")
    assert torch.equal(pf.load(tmp_path / "model").backward(b[:9], seed=2), back[:9])
    assert run.model.marginal_errors
    with pytest.raises(CapabilityError, match="no energy"):
        run.model.path_energy(a)


def test_one_network_serves_both_directions_and_starts_from_noise() -> None:
    space = Tokens(K)
    target = pf.data.load(torch.zeros(64, SITES).long(), space=space)
    model = pf.SchrodingerBridge.for_data(
        target, reference=bridge_on(space), shared=True, iterations=2, train_steps=4, steps=3
    )
    run = pf.fit(model, target, steps=4, batch_size=16, holdout=0.0, seed=0, progress=False)
    x = run.model.sample(10, seed=0)
    assert x.dtype == torch.int64
    space.check(x)
    assert torch.equal(run.model.sample(4, seed=0), x[:4])


def test_bridges_of_tokens_refuse_what_they_cannot_do() -> None:
    around = MatrixRates([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    with pytest.raises(InputError, match="detailed balance"):
        TokenBridge(Tokens(3), around)
    with pytest.raises(InputError, match="detailed balance"):
        TokenBridge(Tokens(2), MatrixRates([[0, 1], [0, 0]]))
    with pytest.raises(InputError, match="take a longer one"):
        TokenBridge(Tokens(30), "birth-death", duration=0.01)
    for wrong in (0.0, -1.0, math.inf):
        with pytest.raises(InputError, match="duration"):
            TokenBridge(Tokens(3), duration=wrong)
    with pytest.raises(InputError, match="dsbm-imf"):
        pf.SchrodingerBridge(
            pf.nn.MLP(3, width=8, num_classes=2), reference=TokenBridge(Tokens(3)), method="dsb"
        )
    with pytest.raises(InputError, match="churn=1"):
        TokenBridge(Tokens(3)).bridge((None, None), STATES, 0.5, 0.4, churn=0.0)
