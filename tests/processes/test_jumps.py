"""Jumps of tokens beside closed forms: transitions, reversed rates, steps, and the bound."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import registry, schedules
from pushforward.analytic import AnalyticMarkov, AnalyticTokens
from pushforward.config import build, describe
from pushforward.distributions import IndependentSymbols
from pushforward.errors import InputError
from pushforward.processes import (
    BirthDeathRates,
    GaussianRates,
    Jumps,
    Masking,
    MatrixRates,
    NeighborRates,
    SiteRates,
    UniformRates,
)
from pushforward.spaces import Tokens

K = 4
CIRCLE = [[math.cos(a), math.sin(a)] for a in (0.0, 1.0, 2.5, 4.0)]
ONE_WAY = [[0, 2, 0, 0.1], [0, 0, 1, 0], [0.5, 0, 0, 1], [1, 0.3, 0, 0]]
BALANCED = [[0, 1, 0, 2], [2, 0, 3, 4], [0, 6, 0, 8], [1, 1, 1, 0]]

RATES = {
    "uniform": UniformRates(),
    "birth-death": BirthDeathRates(),
    "ring": BirthDeathRates(cyclic=True),
    "gaussian": GaussianRates(reach=1.5, spread=0.4),
    "neighbors": NeighborRates(CIRCLE, neighbors=2),
    "matrix": MatrixRates(ONE_WAY),
    "sites": SiteRates((BirthDeathRates(), MatrixRates(ONE_WAY))),
}
CASES = {name: Jumps(Tokens(K), rates) for name, rates in RATES.items()}
WORLD = AnalyticTokens.random(K, 2, seed=0)


def _matrix(process: Jumps, site: int) -> torch.Tensor:
    """The rates of a site, with their diagonal, `(K, K)`."""
    x = torch.arange(K).unsqueeze(1).expand(K, 2)
    jumps = process.chain.out(x)[:, site].double()
    return jumps - torch.diag(jumps.sum(1))


@pytest.fixture(params=CASES)
def process(request) -> Jumps:
    return CASES[request.param]


def test_transitions_are_exponentials_of_the_rates(process: Jumps) -> None:
    x = torch.arange(K).unsqueeze(1).expand(K, 2)
    left = torch.tensor([1.0, 0.9, 0.3, 0.01], dtype=torch.float64)
    for site in range(2):
        rates = _matrix(process, site)
        exact = torch.linalg.matrix_exp(-left.log()[:, None, None] * rates)
        assert torch.allclose(
            process.chain.row(x, left)[:, site].double(), exact[range(K), range(K)], atol=1e-6
        )
        for k, a in enumerate(left.tolist()):
            assert torch.allclose(process.chain.row(x, a)[:, site].double(), exact[k], atol=1e-6)
            found = process.chain.column(x, a)[:, site].double()
            assert torch.allclose(found, exact[k].mT, atol=1e-6)
            assert torch.allclose(
                process.chain.into(x)[:, site].double(),
                (rates - torch.diag(rates.diagonal())).mT,
                atol=1e-6,
            )
        # Scaled so that the slowest mode decays at rate one, to the stationary distribution.
        decays = torch.linalg.eigvals(rates).real.sort(descending=True).values
        assert decays[:2].tolist() == pytest.approx([0.0, -1.0], abs=1e-6)
        stationary = process.chain.stationary.expand(2, K)[site]
        assert torch.allclose(stationary @ rates, torch.zeros(K).double(), atol=1e-6)
        assert torch.allclose(
            process.chain.row(x, 0.0)[:, site].double(), stationary.expand(K, K), atol=1e-6
        )


def test_gaussian_rates_are_in_detailed_balance_and_near() -> None:
    chain = GaussianRates(reach=1.5, spread=0.4).semigroup(K)
    x = torch.arange(K).unsqueeze(1)
    flow = chain.stationary.unsqueeze(1) * chain.out(x)[:, 0]
    assert torch.allclose(flow, flow.mT)
    away = chain.out(torch.tensor([[0]]))[0, 0]
    # Towards the middle nothing is rejected.
    assert float(away[2] / away[1]) == pytest.approx(math.exp((1 - 4) / (2 * 1.5**2)))
    place = torch.arange(K).double() - 1.5
    assert torch.allclose(chain.stationary, (-0.5 * (place / 1.6).square()).softmax(0))


def test_balanced_rates_and_others_have_the_same_transitions() -> None:
    # The same chain by eigenvectors, and by squaring: a site of a cycle without its balance.
    balanced = MatrixRates(BirthDeathRates().semigroup(K).out(torch.arange(K)[:, None])[:, 0])
    nearly = torch.tensor(balanced.matrix)
    nearly[0, 2] += 1e-6
    x = torch.arange(K).unsqueeze(1)
    one, two = (MatrixRates(m).semigroup(K) for m in (balanced.matrix, nearly))
    assert type(one) is not type(two)
    assert torch.allclose(one.row(x, 0.3), two.row(x, 0.3), atol=1e-5)
    w = torch.rand(5, 3, K, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left = torch.linspace(0.1, 0.9, 5).double()
    assert torch.allclose(one.push(w, left), two.push(w, left), atol=1e-5)
    assert torch.allclose(one.column(x, left[:K]), two.column(x, left[:K]), atol=1e-5)


@pytest.mark.parametrize("t", [0.1, 0.5, 0.9])
def test_ratios_are_those_of_the_noised_law(process: Jumps, t: float) -> None:
    law = WORLD.noised(process, t)
    x = law.states()
    ratios = process.ratios(WORLD.model(process)(x, t), x, t)
    p = law.probabilities
    for site in range(2):
        beside = p[x[:, 0]] if site == 1 else p.mT[x[:, 1]]
        exact = beside / p.flatten().unsqueeze(1)
        assert torch.allclose(ratios[:, site].double(), exact.double(), rtol=1e-4)


@pytest.mark.parametrize("t", [0.2, 0.8])
def test_reversed_rates_undo_the_change_of_the_law(process: Jumps, t: float) -> None:
    """The master equation, forward and reversed, beside a difference quotient of the law."""
    law, h = WORLD.noised(process, t), 1e-5
    change = (
        WORLD.noised(process, t + h).probabilities - WORLD.noised(process, t - h).probabilities
    ) / (2 * h)
    x, p = law.states(), law.probabilities.flatten()
    pred = WORLD.model(process)(x, t)
    jumps = process.dynamics(pred, x, t)
    beta = -process.schedule.at(t).d_alpha / process.schedule.at(t).alpha
    back = beta * process.chain.into(x) * process.ratios(pred, x, t)
    away = beta * process.chain.out(x)
    for rates, reaction, sign in ((away, jumps.destroy, 1), (back, jumps.restore, -1)):
        assert torch.allclose(reaction.rate.double(), rates.sum(-1).double(), rtol=1e-4)
        flow = torch.zeros_like(p)
        for site in range(2):
            for y in range(K):
                to = x.clone()
                to[:, site] = y
                moved = (p * rates[:, site, y]).double()
                flow.index_add_(0, K * to[:, 0] + to[:, 1], moved)
                flow -= moved
        assert torch.allclose(sign * flow, change.flatten(), atol=3e-6), sign


def test_a_pinned_step_is_the_posterior_of_the_chain(process: Jumps) -> None:
    # One site, so that sites do not interact: the law at s comes out of that at t.
    if isinstance(process.rates, SiteRates):
        process = Jumps(Tokens(K), SiteRates(process.rates.parts[1:]))
    world = AnalyticTokens.random(K, 1, seed=3)
    t, s, n = 0.8, 0.35, 100_000
    x = world.noised(process, t).sample(n, seed=0)
    y = process.bridge(
        world.model(process)(x, t), x, t, s, generator=torch.Generator().manual_seed(1)
    )
    exact = world.noised(process, s).probabilities
    found = y[:, 0].bincount(minlength=K) / n
    assert ((found - exact).abs() < 4.5 * (exact * (1 - exact) / n).sqrt()).all()
    # Jointly with where it came from: forward, from s to t.
    joint = torch.zeros(K, K).index_put_((y[:, 0], x[:, 0]), torch.ones(n), accumulate=True) / n
    left = process.schedule.at(t).alpha / process.schedule.at(s).alpha
    forward = process.chain.row(torch.arange(K).unsqueeze(1), left)[:, 0].double()
    truth = exact.unsqueeze(1) * forward
    assert ((joint - truth).abs() < 5 * (truth * (1 - truth) / n).sqrt() + 1e-6).all()


@pytest.mark.parametrize("name", ["uniform", "gaussian", "matrix", "sites", "masking"])
def test_the_bound_of_the_exact_model_is_the_entropy(name: str) -> None:
    process = Masking(Tokens(K)) if name == "masking" else CASES[name]
    p = WORLD.data.probabilities
    entropy = -float((p * p.log()).sum())
    start = 1.0 if name == "masking" else 0.9999
    exact = WORLD.model(process)
    found = WORLD.bound(process, exact, start, 1e-3)
    assert found == pytest.approx(entropy, abs=2e-4)
    # What is wrong costs: nothing but the exact model is as cheap.
    for wrong in (0.7, 1.5):
        worse = WORLD.bound(process, lambda x, t, w=wrong: w * exact(x, t), start, 1e-3)
        assert worse > entropy + 0.002, wrong


def test_what_a_site_says_is_multiplied_in() -> None:
    process = CASES["uniform"]
    t = torch.tensor([0.3, 0.6])
    x = torch.tensor([[0, 1], [2, 2]])
    reading = process.reading("rest")
    assert reading.output_shape((2,)) == (2, K)
    pred = reading.read(reading.at(t), torch.zeros(2, 2, K), x)
    # Of uniform data, independent: p(x_0 | x_t) is the transition itself.
    left = (1 - t)[:, None, None]
    exact = left * torch.nn.functional.one_hot(x, K) + (1 - left) / K
    assert torch.allclose(pred.softmax(-1), exact)
    assert torch.allclose(process.ratios(pred, x, t), torch.ones(2, 2, K), atol=1e-6)
    with pytest.raises(InputError, match="'rest'"):
        process.reading("noise")


def test_the_prior_is_the_equilibrium(process: Jumps) -> None:
    prior = process.prior((2,))
    x = prior.sample(50_000, seed=0)
    for site in range(2):
        exact = process.chain.stationary.expand(2, K)[site]
        found = x[:, site].bincount(minlength=K) / len(x)
        assert ((found - exact).abs() < 4 * (exact / len(x)).sqrt()).all()
    every = torch.cartesian_prod(torch.arange(K), torch.arange(K))
    assert float(prior.log_prob(every).exp().sum()) == pytest.approx(1.0)


def test_what_is_refused() -> None:
    space = Tokens(K)
    with pytest.raises(InputError, match="never come to one distribution"):
        Jumps(space, MatrixRates([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]))
    with pytest.raises(InputError, match="never come"):
        Jumps(space, NeighborRates([[0.0], [0.1], [9.0], [9.1]], neighbors=1))
    with pytest.raises(InputError, match="between 2 symbols, but there are 4"):
        Jumps(space, MatrixRates([[0, 1], [1, 0]]))
    with pytest.raises(InputError, match="not negative"):
        MatrixRates([[0, -1], [1, 0]]).semigroup(2)
    with pytest.raises(InputError, match="table of numbers"):
        MatrixRates("abc")
    with pytest.raises(InputError, match="not of one length"):
        MatrixRates([[0, 1], [1]])
    with pytest.raises(InputError, match="no set of rates is called 'unifrm'"):
        Jumps(space, "unifrm")
    with pytest.raises(InputError, match="rates are given for 2 sites, but states have 3"):
        CASES["sites"].sample(torch.zeros(1, 3, dtype=torch.long), 0.5)
    with pytest.raises(InputError, match="probabilities of 2 sites"):
        CASES["sites"].prior((3,))
    with pytest.raises(InputError, match="left at the end"):
        Jumps(space, schedule=schedules.VE())
    with pytest.raises(InputError, match="rates are infinite"):
        CASES["uniform"].dynamics(torch.zeros(1, 1, K), torch.zeros(1, 1).long(), 1.0)
    with pytest.raises(InputError, match="reach"):
        GaussianRates(reach=0.0)
    with pytest.raises(InputError, match="one for each site"):
        SiteRates(())


def test_rates_are_written_to_plain_values_and_back(process: Jumps) -> None:
    found = build(describe(process))
    assert found == process
    assert registry.find("processes", "uniform-jumps")(Tokens(K)) == CASES["uniform"]
    assert isinstance(process.prior((2,)), IndependentSymbols)


def test_the_loss_of_a_model_that_is_quite_wrong_has_a_gradient(process: Jumps) -> None:
    x = torch.tensor([[0, 1], [3, 2]])
    pred = torch.full((2, 2, K), -200.0)
    pred[..., 0] = 0.0
    pred.requires_grad_()
    for t in (1e-3, 0.5, 0.999):
        loss = process.loss(pred, torch.tensor([[2, 1], [1, 0]]), x, torch.full((2,), t))
        (slope,) = torch.autograd.grad(loss.sum(), pred)
        assert loss.isfinite().all()
        assert slope.isfinite().all()


@pytest.mark.parametrize("name", ["uniform", "matrix", "masking"])
def test_a_markov_source_has_the_posterior_of_its_table(name: str) -> None:
    process = Masking(Tokens(K)) if name == "masking" else CASES[name]
    p = torch.rand(K, K, generator=torch.Generator().manual_seed(4)).double()
    p = p / p.sum(1, keepdim=True)
    source, table = AnalyticMarkov(p, 3), AnalyticTokens.markov(p, 3)
    x = table.noised(process, 0.6).sample(50, seed=0)
    one, two = (world.model(process)(x, 0.6) for world in (source, table))
    assert torch.allclose(one.exp(), two.exp(), atol=1e-6)
    every = table.data.states()
    assert torch.allclose(source.log_prob(every), table.data.log_prob(every))
    law = table.data.probabilities
    assert source.entropy == pytest.approx(-float((law * law.log()).sum()))
    drawn = source.sample(20_000, seed=0)
    error = float(source.log_prob(drawn).std()) / 20_000**0.5
    assert -float(source.log_prob(drawn).mean()) == pytest.approx(source.entropy, abs=4 * error)
    with pytest.raises(InputError, match="sum to one"):
        AnalyticMarkov(2 * p, 3)
    for apart in (torch.eye(2), torch.eye(2).flip(0)):
        with pytest.raises(InputError, match="no one stationary distribution"):
            AnalyticMarkov(apart, 3)
