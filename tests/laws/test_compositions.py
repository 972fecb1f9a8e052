"""Samplers and likelihoods on simplices, against mixtures whose predictions are known."""

from __future__ import annotations

import math

import pytest
import torch

import pushforward as pf
from pushforward import Transport, samplers, schedules, state
from pushforward.analytic import AnalyticCorners, AnalyticLineages, AnalyticTokens
from pushforward.distributions import Dirichlet
from pushforward.errors import InputError
from pushforward.processes import (
    CoxIngersollRoss,
    DirichletPath,
    Geodesic,
    WrightFisher,
)
from pushforward.protocols import matching_loss
from pushforward.spaces import (
    FisherRao,
    Sphere,
    Vertices,
)

COUNTS = torch.tensor([[6, 0, 0], [0, 3, 4], [1, 1, 0]])
WEIGHTS = torch.tensor([0.3, 0.5, 0.2])
KINDS = {"wright-fisher": WrightFisher, "cox-ingersoll-ross": CoxIngersollRoss}


def world(name: str, concentration=(1.5, 2.0, 2.5)) -> AnalyticLineages:
    """Three components that overlap."""
    return AnalyticLineages(KINDS[name](concentration), COUNTS, WEIGHTS)


def features(x: torch.Tensor) -> torch.Tensor:
    """Moments that tell distributions apart."""
    pairs = x.unsqueeze(1) * x.unsqueeze(2)
    i, j = torch.triu_indices(x.shape[1], x.shape[1])
    return torch.cat([x, pairs[:, i, j], x.clamp_min(1e-9).log()], 1)


def score(known: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """By how many standard errors the means of features differ."""
    a, b = features(known), features(found)
    error = (a.var(0) / len(a) + b.var(0) / len(b)).sqrt()
    return ((b.mean(0) - a.mean(0)) / error).abs()


@pytest.mark.parametrize("t", [0.02, 0.2, 0.6])
@pytest.mark.parametrize("name", KINDS)
def test_noise_has_the_law_of_the_mixture(name: str, t: float) -> None:
    # The exact transition, and the dual mixture: two ways to the same distribution.
    problem, n = world(name), 8_000
    x = problem.process.sample(problem.sample(n, seed=0), t, torch.Generator().manual_seed(1))
    counts, logs = problem.mixture(t)
    assert float(logs.exp().sum()) == pytest.approx(1, abs=1e-12)
    mixed = AnalyticLineages(problem.process, counts.long(), logs.exp()).sample(n, seed=2)
    assert float(score(mixed, x).max()) < 4


@pytest.mark.parametrize("name", KINDS)
def test_the_prediction_is_the_relative_score(name: str) -> None:
    problem, t = world(name), 0.3
    x = problem.process.sample(problem.sample(6, seed=0), t, torch.Generator().manual_seed(1))
    x = x.double().requires_grad_()
    prior = problem.process.prior((3,)).log_prob(x)
    (slope,) = torch.autograd.grad((problem.noised_log_prob(x, t) - prior).sum(), x)
    pulled = x * slope
    if name == "wright-fisher":
        pulled = pulled - x * pulled.sum(1, keepdim=True)
    assert torch.allclose(problem.model()(x, t), pulled, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_the_loss_is_least_at_the_truth(name: str) -> None:
    problem, n = world(name), 20_000
    process, z = problem.process, problem.sample(n, seed=0)
    exact = problem.model()
    for t in (0.1, 0.4):
        losses = []
        for factor in (0.0, 1.0, 2.0):
            model = lambda x, s, c, k=factor: k * exact(x, s)  # noqa: E731
            generator = torch.Generator().manual_seed(5)
            losses.append(matching_loss(model, process, z, t, generator=generator))
        less, right, more = (loss.double() for loss in losses)
        assert float(right.mean()) < min(float(less.mean()), float(more.mean()))
        # A parabola in the factor, whose slope at the truth is no more than its noise.
        slope = (more - less) / 2
        assert abs(float(slope.mean())) < 3.5 * float(slope.std()) / n**0.5


RULES = {
    "euler": (samplers.Euler(), 100),
    "reverse SDE": (samplers.Euler(churn=1.0), 150),
    "heun": (samplers.Heun(), 30),
    "adaptive": (samplers.DormandPrince(rtol=1e-3, atol=1e-4), 1),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", KINDS)
def test_samplers_draw_the_distribution(name: str, rule: str) -> None:
    problem, (sampler, steps), n = world(name), RULES[rule], 1_500
    process = problem.process
    start = process.prior((3,)).sample(n, seed=2).double()
    times = torch.linspace(1, 0.02, steps + 1).double().tolist()
    x = samplers.run(sampler, Transport(problem.model(), process), start, times, seed=3)
    known = process.sample(problem.sample(10_000, seed=1), 0.02, torch.Generator().manual_seed(4))
    assert float(score(known, x).max()) < 4.2


@pytest.mark.parametrize("name", KINDS)
def test_log_densities_by_the_probability_flow(name: str) -> None:
    problem, stop = world(name), 0.05
    process = problem.process
    x = process.sample(problem.sample(12, seed=7), stop, torch.Generator().manual_seed(8))
    exact = problem.noised_log_prob(x, stop)
    transport = Transport(problem.model(), process)
    prior = process.prior((3,))
    found = samplers.log_prob(transport, prior, x.double(), [stop, 1.0], tolerance=1e-6)
    # The prior is single precision, and alpha^2 is 4e-5 at the end.
    assert torch.allclose(found.value, exact, atol=2e-3)


def test_langevin_steps_leave_the_distribution_as_it_is() -> None:
    # Churn at one time, without transport: forward and reverse halves cancel.
    for name in KINDS:
        problem, n, t = world(name), 1_500, 0.3
        process, h = problem.process, 0.003
        exact = process.sample(problem.sample(9 * n, seed=1), t, torch.Generator().manual_seed(4))
        x, noise = exact[:n], torch.Generator().manual_seed(5)
        model = problem.model()
        for _ in range(40):
            flow = process.dynamics(model(x, t), x, t)
            there = flow.advance(x, h, 1.0, noise)
            x = process.space.exp(there, -h * process.dynamics(model(there, t), there, t).velocity)
        assert float(score(exact[n:], x).max()) < 4.2


# -- Dirichlet paths ----------------------------------------------------------------------------


def path() -> AnalyticCorners:
    """Two sites that depend on each other, three symbols."""
    process = DirichletPath(Vertices(3), reach=12.0)
    return AnalyticCorners(process, AnalyticTokens.random(3, 2, seed=0).data)


def test_the_speed_satisfies_the_equation_of_continuity() -> None:
    # The log-density of the flow of the exact prediction is that of the path.
    problem = path()
    process = problem.process
    t = 0.4
    z = torch.nn.functional.one_hot(problem.data.sample(10, seed=1), 3).double()
    x = process.sample(z, t, torch.Generator().manual_seed(2))
    found = samplers.log_prob(
        Transport(problem.model(), process), process.prior((2, 3)), x, [t, 1.0],
        tolerance=1e-7,
    )  # fmt: skip
    exact = problem.noised_log_prob(x, t)
    assert torch.allclose(found.value, exact, atol=1e-4)


def test_the_path_ends_at_the_table() -> None:
    problem = path()
    process = problem.process
    n = 4_000
    start = process.prior((2, 3)).sample(n, seed=3).double()
    model = problem.model()
    times = torch.linspace(1, 1e-3, 25).double().tolist()
    x = samplers.run(samplers.Heun(), Transport(model, process), start, times)
    ends = process.finish(model(x, 1e-3), x, 1e-3, torch.Generator().manual_seed(4)).argmax(-1)
    counts = torch.bincount(ends[:, 0] * 3 + ends[:, 1], minlength=9).double()
    chances = problem.data.probabilities.flatten()
    chi2 = float(((counts - n * chances) ** 2 / (n * chances)).sum())
    # Sites are drawn apart at the end, which at this reach costs less than the sampling error.
    assert chi2 < 26


# -- geodesics of Fisher and Rao ----------------------------------------------------------------


class Atoms:
    """A few compositions with chances, from the uniform start: the exact velocity.

    Given the end `a`, `x_t` is the image of the uniform distribution under the map that shrinks
    geodesics to `a` by `t`, whose density is known.
    """

    def __init__(self, space: FisherRao, atoms: torch.Tensor, weights: torch.Tensor) -> None:
        self.space, self.atoms, self.weights = space, atoms, weights
        self.process = Geodesic(space)

    def parts(self, x: torch.Tensor, t: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-densities `(B, J)` and velocities `(B, J, K)` given each atom."""
        logs, velocities = [], []
        dim, full = x.shape[1] - 1, -self.space.log_volume(x.shape[1:])
        for atom in self.atoms:
            a = atom.expand_as(x)
            way = self.space.log(a, x)
            r = way.norm(dim=1)
            start = Sphere().exp(a, way / t)
            inside = (start > 0).all(1) & (r / t < math.pi / 2 + 1e-9)
            grown = (dim - 1) * (torch.log(torch.sin(r / t) / torch.sin(r))) - math.log(t)
            logs.append(torch.where(inside, full + grown, -1e4))
            velocities.append(-self.space.log(x, a) / t)
        return torch.stack(logs, 1) + self.weights.log(), torch.stack(velocities, 1)

    def model(self):
        def velocity(x, t, c=None):
            logs, velocities = self.parts(x, float(t))
            return (torch.softmax(logs, 1).unsqueeze(-1) * velocities).sum(1)

        return velocity


def test_geodesics_of_fisher_and_rao_reach_atoms_with_their_chances() -> None:
    space = FisherRao()
    shares = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]]).double()
    problem = Atoms(space, shares.sqrt(), torch.tensor([0.5, 0.3, 0.2]).double())
    n = 1_000
    start = problem.process.prior((3,)).sample(n, seed=0).double()
    times = torch.linspace(1, 0.02, 120).double().tolist()
    x = samplers.run(samplers.Heun(), Transport(problem.model(), problem.process), start, times)
    nearest = torch.cdist(x, problem.atoms).argmin(1)
    counts = torch.bincount(nearest, minlength=3).double()
    expected = n * problem.weights
    assert float(((counts - expected) ** 2 / expected).sum()) < 14
    # At an intermediate time the law is that of the paths.
    cut = torch.linspace(1, 0.5, 60).double().tolist()
    x = samplers.run(samplers.Heun(), Transport(problem.model(), problem.process), start, cut)
    pair = problem.atoms[
        torch.multinomial(problem.weights, 8_000, True, generator=torch.Generator().manual_seed(6))
    ]
    other = problem.process.prior((3,)).sample(8_000, seed=5).double()
    assert float(score(problem.process.sample((pair, other), 0.5), x).max()) < 4.5


def test_the_uniform_start_is_a_dirichlet_distribution() -> None:
    space = FisherRao()
    units = space.units((4,))
    z = space.uniform(50, (4,), torch.Generator().manual_seed(0)).double()
    log = -space.log_volume((4,)) + units.log_volume(z)
    exact = Dirichlet(torch.full((4,), 0.5).double()).log_prob(units(z))
    assert torch.allclose(log, exact)
    assert state.event_shape(units(z)) == (4,)


def test_schedules_that_keep_the_data_are_refused() -> None:
    with pytest.raises(InputError, match="of the data is left"):
        WrightFisher(1.0, schedule=schedules.VP(beta_max=1.0))
    with pytest.raises(InputError, match="alpha\\^2"):
        CoxIngersollRoss(1.0, schedule=schedules.VE())
    with pytest.raises(InputError, match="concentration"):
        CoxIngersollRoss(-1.0)


class Chances(torch.nn.Module):
    """What sites that know nothing of each other have to learn: one number for each symbol."""

    def __init__(self, sites: int, vocabulary: int) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(sites, vocabulary))

    def forward(self, x: torch.Tensor, t: torch.Tensor, c: object = None) -> torch.Tensor:
        return self.logits.expand(len(x), *self.logits.shape)


@pytest.mark.parametrize("vocabulary", [4, 40])
def test_learned_symbols_come_within_twice_the_floor(vocabulary: int) -> None:
    # The toy of Dirichlet flow matching: softmax(u) chances at four sites. Draws of the truth would
    # have a divergence of (K - 1) / (2 n).
    n, sites = 1_500, 4
    generator = torch.Generator().manual_seed(0)
    chances = torch.softmax(torch.rand(sites, vocabulary, generator=generator).double(), -1)
    data = torch.multinomial(chances, 30_000, replacement=True, generator=generator).mT.contiguous()
    process = DirichletPath(Vertices(vocabulary))
    model = pf.Diffusion(Chances(sites, vocabulary), process, event_shape=(sites,))
    pf.fit(
        model, data, steps=120, batch_size=250, lr=0.05, ema=0.95, holdout=0.0, seed=0,
        progress=False, device="cpu",
    )  # fmt: skip
    # Several sets of draws: of few symbols one spreads by half of the floor, of many by a fifth.
    sets = 6 if vocabulary < 10 else 2
    found = []
    for x in model.sample(sets * n, steps=8, seed=1).split(n):
        for site, p in zip(x.mT, chances, strict=True):
            share = torch.bincount(site, minlength=vocabulary) / n
            found.append(float(torch.xlogy(share, share / p).sum()))
    assert sum(found) / len(found) < 2 * (vocabulary - 1) / (2 * n)


def test_the_density_of_any_flow_on_fisher_rao_has_mass_one() -> None:
    # Also that of a network that knows nothing of the edges, which must not carry points over them.
    space, base = FisherRao(), Dirichlet(torch.full((3,), 0.5))
    x = base.sample(3_000, seed=0)
    model = pf.FlowMatching(pf.nn.MLP(3, width=16), path=Geodesic(space), event_shape=(3,))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    model.fit_units(x)
    weights = (model.log_prob(x, steps=64).value.double() - base.log_prob(x)).exp()
    stderr = float(weights.std()) / len(weights) ** 0.5
    assert float(weights.std()) > 0.1
    assert abs(float(weights.mean()) - 1) < 4 * stderr < 0.2
