"""Samplers of tokens on worlds with everything in closed form: laws, orders, and what is biased."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from pushforward import Transport, grids, processes, registry, samplers, spaces
from pushforward.analytic import AnalyticTokens
from pushforward.dynamics import Parallel, Split, double_jumps
from pushforward.errors import CapabilityError, ConvergenceWarning, InputError, SamplingError
from pushforward.samplers.rule import Rule

K = 4
TWO = AnalyticTokens.random(K, 2, seed=0)
LONG = AnalyticTokens.random(32, 1, seed=1)
RATES = {
    "uniform": "uniform",
    "gaussian": processes.GaussianRates(reach=1.5, spread=0.4),
    "one way": processes.MatrixRates(
        [[0, 2, 0, 0.1], [0, 0, 1, 0], [0.5, 0, 0, 1], [1, 0.3, 0, 0]]
    ),
}


def _process(name: str, symbols: int = K) -> processes.GenerativeProcess:
    if name == "masking":
        return processes.Masking(spaces.Tokens(symbols))
    return processes.Jumps(spaces.Tokens(symbols), RATES.get(name, name))


def _codes(x: torch.Tensor, symbols: int) -> torch.Tensor:
    return (x * symbols ** torch.arange(x.shape[1] - 1, -1, -1)).sum(1)


def _p_value(x: torch.Tensor, law) -> float:
    """Of a chi-square test that sequences follow a table."""
    p = law.probabilities.flatten().double()
    found = _codes(x, law.vocabulary).bincount(minlength=len(p)).double()
    assert found[p < 1e-12].sum() == 0
    kept = p >= 1e-12
    n, p, found = len(x), p[kept], found[kept]
    statistic = ((found - n * p) ** 2 / (n * p)).sum()
    degrees = torch.tensor(len(p) - 1.0, dtype=torch.float64)
    return float(torch.special.gammaincc(degrees / 2, statistic / 2))


def _run(world, process, sampler, times, n=40_000):
    x = world.noised(process, times[0]).sample(n, seed=0)
    return samplers.run(sampler, Transport(world.model(process), process), x, times, seed=1)


EXACT = [
    (TWO, "uniform", samplers.Uniformization(), 0.05),
    (TWO, "gaussian", samplers.Uniformization(), 0.1),
    (TWO, "one way", samplers.Uniformization(), 0.2),
    (TWO, "masking", samplers.Uniformization(), 0.05),
    (TWO, "masking", samplers.FirstHitting(), 0.05),
    (TWO, "masking", samplers.FirstHitting(), 0.0),
    (LONG, "uniform", samplers.Ancestral(), 0.0),
    (LONG, "birth-death", samplers.Ancestral(), 0.0),
    (LONG, "masking", samplers.FirstHitting(), 0.0),
]


@pytest.mark.parametrize(
    ("world", "name", "sampler", "stop"),
    EXACT,
    ids=[f"{name}-{type(rule).__name__}-{stop}" for _, name, rule, stop in EXACT],
)
def test_exact_samplers_are_at_the_floor_of_sampling(world, name: str, sampler, stop) -> None:
    process = _process(name, world.data.vocabulary)
    times = [0.9, 0.6, 0.4, 0.25, 0.15, *([stop] if stop < 0.15 else [])]
    times = [t for t in times if t >= stop]
    times = times if times[-1] == stop else [*times, stop]
    x = _run(world, process, sampler, times, 20_000)
    assert _p_value(x, world.noised(process, stop)) > 1e-3


def _kernels(process, world, t: float, s: float, rule: str) -> torch.Tensor:
    """The chance of every sequence from every one in a step, exact, `(K^sites, K^sites)`."""
    x = torch.cartesian_prod(*[torch.arange(K)] * 2)
    pred = world.model(process)(x, t)
    if rule == "pinned":
        now, then = process.schedule.at(t).alpha, process.schedule.at(s).alpha
        quotients = pred.exp() / process.chain.column(x, now)
        each = process.chain.push(quotients, then) * process.chain.column(x, now / then)
        each = each.double() / each.double().sum(-1, keepdim=True)
    else:
        beta = -process.schedule.at(t).d_alpha / process.schedule.at(t).alpha
        back = (beta * process.chain.into(x) * process.ratios(pred, x, t)).double()
        rate = back.sum(-1, keepdim=True)
        mean = rate * (t - s)
        chance = {
            "single": mean * torch.exp(-mean),
            "exponential": -torch.expm1(-mean),
            "linear": mean.clamp(max=1),
        }[rule]
        stay = torch.nn.functional.one_hot(x, K) * (1 - chance)
        each = stay + chance * back / rate
    return (each[:, 0].unsqueeze(-1) * each[:, 1].unsqueeze(-2)).flatten(1)


@pytest.mark.parametrize("name", ["uniform", "gaussian"])
@pytest.mark.parametrize("rule", ["single", "exponential", "linear", "pinned"])
def test_the_error_of_a_leap_is_of_first_order(name: str, rule: str) -> None:
    process, errors, counts = _process(name), [], (40, 80, 160, 320)
    start, stop = 0.9, 0.1
    for steps in counts:
        times = torch.linspace(start, stop, steps + 1).double().tolist()
        law = TWO.noised(process, start).probabilities.flatten().double()
        for t, s in pairwise(times):
            law = law @ _kernels(process, TWO, t, s, rule)
        exact = TWO.noised(process, stop).probabilities.flatten()
        errors.append(float((law - exact).abs().sum() / 2))
    slopes = [math.log2(a / b) for a, b in pairwise(errors)]
    assert slopes[-1] == pytest.approx(1.0, abs=0.1), errors


STEPS = [
    (samplers.TauLeaping("single"), "single"),
    (samplers.TauLeaping(), "exponential"),
    (samplers.TauLeaping("linear"), "linear"),
    (samplers.Euler(), "exponential"),
    (samplers.Ancestral(), "pinned"),
]


# A single leap as long as a quarter of the time skips jumps, which the law that is stated has.
@pytest.mark.filterwarnings("ignore:.*would jump twice and more")
@pytest.mark.parametrize(
    ("sampler", "rule"), STEPS, ids=[f"{type(s).__name__}-{r}" for s, r in STEPS]
)
def test_a_step_has_the_law_that_is_stated(sampler, rule: str) -> None:
    process, t, s, n = _process("uniform"), 0.6, 0.35, 40_000
    law = TWO.noised(process, t).probabilities.flatten()
    exact = type(TWO.data)((law @ _kernels(process, TWO, t, s, rule)).view(K, K))
    assert _p_value(_run(TWO, process, sampler, [t, s], n), exact) > 1e-3


class _Still(Rule):
    """A predictor that leaves the state where it is."""

    def step(self, transport, state, row, generator=None):
        return state


@pytest.mark.parametrize("name", ["uniform", "gaussian", "one way", "masking"])
@pytest.mark.parametrize("s", [0.2, 0.5, 0.8])
def test_a_corrector_leaves_the_law_alone_and_in_balance(name: str, s: float) -> None:
    process, n = _process(name), 40_000
    law = TWO.noised(process, s)
    x = law.sample(n, seed=0)
    transport = Transport(TWO.model(process), process)
    corrector = samplers.GibbsCorrector(_Still(), moves=1)
    y = samplers.run(corrector, transport, x, [0.9, s], seed=1)
    assert _p_value(y, law) > 1e-3
    assert float((x != y).double().mean()) > 0.05
    assert int((x != y).sum(1).max()) == 1
    # Detailed balance: as many pairs one way as the other.
    kinds = law.vocabulary**2
    pairs = _codes(x, law.vocabulary) * kinds + _codes(y, law.vocabulary)
    flow = pairs.bincount(minlength=kinds**2).view(kinds, kinds).double()
    gap, total = flow - flow.mT, flow + flow.mT
    z = (gap / total.clamp(min=1).sqrt())[total > 20]
    assert float(z.abs().max()) < 4.5


def test_a_corrector_mends_what_was_wrong() -> None:
    process, s = _process("uniform"), 0.5
    transport = Transport(TWO.model(process), process)
    x = torch.zeros(20_000, 2, dtype=torch.long)
    y = samplers.run(samplers.GibbsCorrector(_Still(), moves=12), transport, x, [0.9, s], seed=1)
    assert _p_value(y, TWO.noised(process, s)) > 1e-3


@pytest.mark.parametrize("name", ["uniform", "gaussian", "masking"])
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_remasking_keeps_the_law_of_a_token_whatever_the_steps(name: str, share: float) -> None:
    world, process = AnalyticTokens.random(K, 1, seed=3), _process(name)
    y = _run(world, process, samplers.Remasking(share), [0.9, 0.6, 0.3], 40_000)
    assert _p_value(y, world.noised(process, 0.3)) > 1e-3
    # And hides tokens again that were visible.
    if name == "masking":
        x = world.data.sample(40_000, seed=0)
        transport = Transport(world.model(process), process)
        z = samplers.run(samplers.Remasking(share), transport, x, [0.6, 0.3], seed=0)
        hidden = float((z == K).double().mean())
        assert hidden == pytest.approx(share * 0.3, abs=4 * math.sqrt(share * 0.3 / 40_000))


def test_the_glyph_comes_out_of_gaussian_rates() -> None:
    """Two ordered tokens of 32 symbols, and rates as Campbell et al. (2022) chose them."""
    world, n = AnalyticTokens.tau(), 2000
    rates = processes.GaussianRates(reach=1.0, spread=8 / 32)
    process = processes.Jumps(spaces.Tokens(32), rates)
    times = [0.999, *torch.linspace(0.97, 0.0, 30).tolist()]
    x = process.prior((2,)).sample(n, seed=0)
    y = samplers.run(
        samplers.Ancestral(), Transport(world.model(process), process), x, times, seed=1
    )
    law = world.data.probabilities
    assert float((law[y[:, 0], y[:, 1]] > 0).double().mean()) > 0.95
    # Rows and columns by themselves, each as far as draws of the glyph and 31 steps allow.
    for axis in (0, 1):
        found = y[:, axis].bincount(minlength=32) / n
        assert float((found - law.sum(1 - axis)).abs().sum() / 2) < 0.1


CLAIMS = {
    "tau-leap": ("uniform", "gaussian", "one way", "masking"),
    "euler-leap": ("uniform", "masking"),
    "euler": ("uniform", "masking"),
    "pinned": ("uniform", "gaussian", "one way", "masking"),
    "remdm": ("uniform", "masking"),
    "gibbs": ("uniform", "masking"),
    "first-hitting": ("masking",),
}


@pytest.mark.parametrize(
    ("sampler", "name"), [(s, n) for s, names in CLAIMS.items() for n in names]
)
def test_every_sampler_comes_near_the_data(sampler: str, name: str) -> None:
    process, n = _process(name), 8000
    start = 1.0 if name == "masking" else 0.999
    times = grids.UniformGrid()(process.schedule, 100, start=start, stop=1e-3)
    x = process.prior((2,)).sample(n, seed=0)
    transport = Transport(TWO.model(process), process)
    y = samplers.run(registry.resolve("samplers", sampler), transport, x, times, seed=1)
    y = process.finish(transport.model(y, 1e-3), y, 1e-3, torch.Generator().manual_seed(0))
    assert int(y.max()) < K
    found = _codes(y, K).bincount(minlength=K**2) / n
    far = float((found - TWO.data.probabilities.flatten()).abs().sum() / 2)
    # 16 states and 8000 draws are .018 apart by chance; a step is of order .01.
    assert far < 0.035


@pytest.mark.parametrize("order", ["confidence", "entropy", "margin", "random"])
def test_an_order_of_confidence_is_biased_and_leaves_no_mask(order: str) -> None:
    p = torch.tensor([[0.9, 0.05, 0.05], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4]])
    world, process, n = (
        AnalyticTokens.markov(p.double(), 4),
        processes.Masking(spaces.Tokens(3)),
        8000,
    )
    transport = Transport(world.model(process), process)
    x = process.prior((4,)).sample(n)
    for budget, temperature in ((None, 1.0), (0.7, 1.0), (None, 0.0)):
        rule = samplers.ConfidenceOrder(order, budget, temperature)
        y = samplers.run(rule, transport, x, [1.0, 0.5, 0.0], seed=0)
        assert int(y.max()) < 3
        found = _codes(y, 3).bincount(minlength=81) / n
        far = float((found - world.data.probabilities.flatten()).abs().sum() / 2)
        assert far > 0.04, (budget, temperature)
    # One by one, any order that does not look at the tokens to come has the right law.
    rule = samplers.ConfidenceOrder(order)
    y = samplers.run(rule, transport, x, [1.0, 0.75, 0.5, 0.25, 0.0], seed=0)
    assert _p_value(y, world.data) > 1e-3


def test_a_leap_to_the_data_leaves_no_mask() -> None:
    process = _process("masking")
    transport = Transport(TWO.model(process), process)
    x = process.prior((2,)).sample(2000)
    y = samplers.run(samplers.TauLeaping(), transport, x, [1.0, 0.5, 0.0], seed=0)
    assert int(y.max()) < K


PITCHES = processes.NeighborRates([[float(k)] for k in range(32)], neighbors=8)
FAR = {"ordered": "birth-death", "neighbors": PITCHES}


@pytest.mark.parametrize("rule", [samplers.TauLeaping("single"), samplers.Euler()])
@pytest.mark.parametrize("name", FAR)
def test_leaps_that_skip_jumps_are_said_to(name: str, rule) -> None:
    """32 steps between neighbors are .17 to .36 from the law of one site, by exact kernels."""
    process = processes.Jumps(spaces.Tokens(32), FAR[name])
    x = process.prior((1,)).sample(200, seed=0)
    times = torch.linspace(0.99, 1e-3, 33).tolist()
    transport = Transport(LONG.model(process), process)
    with pytest.warns(ConvergenceWarning, match="sampler='pinned'"):
        samplers.run(rule, transport, x, times, seed=0)
    # The sampler that it names says nothing, as it skips none.
    samplers.run(samplers.Ancestral(), transport, x, times, seed=0)


@pytest.mark.parametrize("steps", [8, 32])
def test_leaps_of_symbols_without_order_are_silent(steps: int) -> None:
    """They are .05 and .01 away; early steps, near the noise, skip jumps that later ones make."""
    process = processes.Jumps(spaces.Tokens(32))
    x = process.prior((1,)).sample(200, seed=0)
    times = torch.linspace(0.99, 1e-3, steps + 1).tolist()
    transport = Transport(LONG.model(process), process)
    assert double_jumps(transport.dynamics(x, times[0]), times[1] - times[0]) > 0.3
    samplers.run(samplers.TauLeaping(), transport, x, times, seed=0)


def test_second_jumps_are_looked_for_inside_of_products() -> None:
    jumps = processes.Jumps(spaces.Tokens(K), "birth-death")
    x, pred = torch.zeros(3, 2, dtype=torch.long), torch.zeros(3, 2, K)
    own = jumps.dynamics(pred, x, 0.5)
    found = double_jumps(own, -0.2)
    mean = own.restore.rate.double() * 0.2
    torch.testing.assert_close(found, (1 - torch.exp(-mean) * (1 + mean)).mean())
    hidden = processes.Masking(spaces.Tokens(K)).dynamics(pred, x, 0.5)
    assert double_jumps(hidden, -0.2) is None
    assert double_jumps(Parallel((hidden, own)), -0.2) == found
    assert double_jumps(Split((hidden,)), -0.2) is None


def test_first_hitting_takes_an_evaluation_a_token() -> None:
    process, calls = _process("masking"), []
    exact = TWO.model(process)

    def model(x, t, c=None):
        calls.append(t)
        return exact(x, t)

    x = process.prior((2,)).sample(100)
    samplers.run(samplers.FirstHitting(), Transport(model, process), x, [1.0, 0.3, 0.0], seed=0)
    assert len(calls) == 2
    # Later tokens at earlier times, uniform here: the first at 1 - sqrt(u), so with mean 2 / 3.
    assert (calls[1] < calls[0]).all()
    assert float(calls[0].mean()) == pytest.approx(2 / 3, abs=0.1)


def test_what_samplers_of_tokens_refuse() -> None:
    masking, uniform = _process("masking"), _process("uniform")
    x = torch.zeros(3, 2, dtype=torch.long)
    transport = Transport(TWO.model(uniform), uniform)
    with pytest.raises(CapabilityError, match="take uniformization"):
        samplers.FirstHitting().plan(uniform, [0.9, 0.1])
    with pytest.raises(CapabilityError, match="takes Masking, not Jumps"):
        samplers.run(samplers.ConfidenceOrder(), transport, x, [0.9, 0.1])
    for rule in (samplers.Uniformization(), samplers.GibbsCorrector()):
        with pytest.raises(CapabilityError, match="takes tokens under Masking or Jumps"):
            rule.plan(processes.Thinning(), [0.9, 0.1])
    with pytest.raises(InputError, match="towards the data"):
        samplers.Uniformization().plan(masking, [0.1, 0.9])
    with pytest.raises(InputError, match="towards the data"):
        samplers.FirstHitting().plan(masking, [0.1, 0.9])
    with pytest.raises(SamplingError, match="stop earlier"):
        samplers.run(samplers.Uniformization(most=3), transport, x, [0.9, 0.1], seed=0)
    wrong = Transport(lambda x, t, c=None: torch.zeros(*x.shape, K), uniform)
    with pytest.raises(SamplingError, match="above its bound"):
        samplers.run(
            samplers.Uniformization(),
            wrong._replace(process=_Slow(uniform)),
            x.repeat(50, 1),  # so many that some jump
            [0.9, 0.1],
            seed=0,
        )
    for make in (
        lambda: samplers.TauLeaping("double"),
        lambda: samplers.TauLeaping(churn=-1.0),
        lambda: samplers.Remasking(1.5),
        lambda: samplers.GibbsCorrector(moves=0),
        lambda: samplers.ConfidenceOrder("best"),
        lambda: samplers.ConfidenceOrder(entropy=-1.0),
        lambda: samplers.Uniformization(margin=0.5),
    ):
        with pytest.raises(InputError):
            make()


class _Slow:
    """A process that promises less than it does."""

    def __init__(self, process) -> None:
        self._process = process

    def rate_bound(self, t: float) -> float:
        return 0.2

    def redrawn(self, *args):
        raise NotImplementedError

    def __getattr__(self, name: str):
        return getattr(self._process, name)
