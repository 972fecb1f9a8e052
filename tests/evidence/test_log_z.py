"""`log Z` by each method, beside the truth."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from pushforward import evidence, mcmc, targets
from pushforward.distributions import GaussianMixture, Normal
from pushforward.errors import CapabilityError, ConvergenceError, InputError
from pushforward.estimates import LogProb
from pushforward.evidence import two_starts
from pushforward.targets import Target

DOUBLE = torch.float64


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def regression() -> tuple[Target, float]:
    """A logistic regression of two weights, and its `log Z` by quadrature."""
    x = torch.randn(60, 1, generator=_seed(), dtype=DOUBLE)
    y = (torch.rand(60, generator=_seed(1), dtype=DOUBLE) < torch.sigmoid(2 * x[:, 0])).double()
    target = targets.logistic_regression(x, y, 3.0)
    axis = torch.linspace(-12, 12, 601, dtype=DOUBLE)
    logs = target(torch.cartesian_prod(axis, axis))
    return target, float(logs.logsumexp(0)) + 2 * math.log(float(axis[1] - axis[0]))


def test_smc_from_two_starts(regression) -> None:
    target, truth = regression
    options = {"seed": 0, "islands": 6, "particles": 128}
    found = evidence.log_z(target, most=6, **options)
    assert found.converged
    assert found.stderr < 0.08
    assert abs(found.value - truth) < 4 * found.stderr
    assert found.lower < found.value < found.upper
    assert len(found.runs) == 6
    assert found.ess > 300
    assert evidence.log_z(target, most=6, **options) == found
    # The better start runs on, until its error is what is aimed at.
    longer = evidence.log_z(target, aim=0.7 * found.stderr, **options)
    assert longer.runs[:6] == found.runs
    assert 11 <= len(longer.runs) <= 13
    assert abs(longer.value - truth) < 4 * longer.stderr
    assert longer.ess > 1.5 * found.ess


def test_what_each_start_met_is_told() -> None:
    target = targets.multi_well(2, 1, 2.0)
    found = evidence.log_z(target, seed=0, islands=4, particles=64, most=4)
    assert [start.kind for start in found.starts][:2] == ["Laplace start", "wide start"]
    for start in found.starts:
        assert start.betas[-1] == 1.0
        assert list(start.betas) == sorted(start.betas)
        assert len(start.ess) == len(start.acceptance) == len(start.betas)
        assert all(0 < share <= 1 for share in (*start.ess, *start.acceptance))
        # Two wells of equal weight.
        assert abs(sum(start.shares) - 1) < 1e-9
        assert max(start.shares) < 0.75 or start.kind == "Laplace start"
    assert found.value in {start.value for start in found.starts}


def test_a_start_that_knows_one_mode_is_outvoted() -> None:
    """Laplace's start knows few of forty modes: little of `Z`, and no reason for doubt."""
    target = targets.mixture_of_40()
    found = evidence.log_z(target, seed=0, islands=6, particles=1024, most=6)
    # Nothing else may be doubted than the tail of the weights of so few particles, which depends
    # on how the machine rounds.
    assert found.converged or any("heavy tail" in note for note in found.notes)
    assert abs(found.value) < 4 * found.stderr < 0.6
    laplace, wide, _ = found.starts
    assert laplace.value < math.log(4 / 40)
    assert max(laplace.shares) > 0.3
    assert max(wide.shares) < 0.15
    assert "has seen less of the target" in found.notes[-1]


def test_heavy_tails_are_told() -> None:
    """From a normal law to Cauchy's: runs agree with each other, and are too low."""
    cauchy = torch.distributions.StudentT(torch.tensor(1.0, dtype=DOUBLE))
    target = Target(lambda x: cauchy.log_prob(x).sum(-1), 6, base=Normal((6,), dtype=DOUBLE))
    found = evidence.log_z(target, seed=0, islands=6, particles=256, most=12)
    assert not found.converged
    assert any("heavy tail" in note or "differ by" in note for note in found.notes)


def test_two_fits_to_chains_confirm_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the start of Laplace leads nowhere, as on funnels, only a base tells something else."""

    def nowhere(*_: Any) -> Any:
        raise ConvergenceError("the mode is in a neck")

    monkeypatch.setattr(two_starts, "laplace_start", nowhere)
    size = {"seed": 0, "islands": 4, "particles": 128, "most": 4}
    alone = Target(lambda x: -x.square().sum(-1) / 2, 2)
    found = evidence.log_z(alone, **size)
    assert abs(found.value - math.log(2 * math.pi)) < 4 * found.stderr
    assert not found.converged
    assert any("miss alike" in note for note in found.notes)
    told = Target(alone.log_prob, 2, base=Normal((2,), 1.5, dtype=DOUBLE))
    assert evidence.log_z(told, **size).converged


def test_annealing_gives_a_lower_bound(regression) -> None:
    target, truth = regression
    found = evidence.log_z(target, "ais", seed=0, chains=512, temperatures=60)
    assert found.converged
    assert abs(found.value - truth) < 4 * found.stderr
    (elbo,) = found.bounds
    assert elbo.holds
    assert elbo.side == "lower"
    assert elbo.value - 3 * elbo.stderr < truth


def test_both_ways_enclose_the_truth() -> None:
    target = targets.many_well(1)
    truth = target.reference.log_z
    found = evidence.log_z(target, "bar", seed=0, chains=400, temperatures=8)
    low, high = found.bounds
    assert low.holds
    assert high.holds
    assert low.value < truth - 3 * low.stderr
    assert high.value > truth + 3 * high.stderr
    assert abs(found.value - truth) < 4 * found.stderr
    assert found.converged


def test_draws_that_are_not_exact_bound_nothing() -> None:
    target = Target(lambda x: -x.square().sum(-1) / 2, 2, base=Normal((2,), 2.0, dtype=DOUBLE))
    with pytest.raises(CapabilityError, match="no exact draws of target"):
        evidence.log_z(target, "bar", seed=0)
    draws = torch.randn(200, 2, generator=_seed(), dtype=DOUBLE)
    found = evidence.crossed(target, draws=draws, chains=200, temperatures=5, seed=0)
    assert [bound.holds for bound in found.bounds] == [True, False]
    assert abs(found.value - math.log(2 * math.pi)) < 4 * found.stderr


@pytest.mark.parametrize("temperatures", [1, 3])
def test_backward_weights_have_the_inverse_mean(temperatures: int) -> None:
    """`E exp(-w) = 1 / Z` at any number of temperatures, with moves between."""
    law = GaussianMixture(
        torch.tensor([[-1.5], [1.0]], dtype=DOUBLE), 0.5, torch.tensor([0.3, 0.7], dtype=DOUBLE)
    )
    base = Normal((1,), dtype=DOUBLE)
    n = 40_000
    x = law.sample(n, seed=0).double()
    betas = mcmc.temperatures(temperatures)
    steps = torch.full((temperatures,), 0.5, dtype=DOUBLE)

    def log_p(x):
        return law.log_prob(x) + 2.0

    # The other way round: the mixture is the base, so that weights are bounded.
    weights = evidence.anneal_back(
        mcmc.MALA(), log_p, base.log_prob, x, betas, steps, generator=_seed(1)
    )
    share = (2.0 - weights).exp()
    error = float(share.std()) / n**0.5
    assert error < 0.02
    assert abs(float(share.mean()) - 1) < 4 * error
    moved = evidence.anneal_back(
        mcmc.MALA(), log_p, base.log_prob, x, betas, 2 * steps, generator=_seed(1)
    )
    assert temperatures == 1 or not torch.equal(moved, weights)


@pytest.mark.parametrize(("n", "m"), [(4000, 4000), (4000, 500), (300, 6000)])
def test_bennett_is_better_than_either_way(n: int, m: int) -> None:
    """Normal log-weights of variance 4: `N(c - 2, 4)` forward is `N(c + 2, 4)` backward."""
    values, ways = [], []
    for seed in range(60):
        f = 1 + 2 * torch.randn(n, generator=_seed(seed), dtype=DOUBLE)
        b = 5 + 2 * torch.randn(m, generator=_seed(1000 + seed), dtype=DOUBLE)
        values.append(evidence.bennett(f, b))
        one = float(f.logsumexp(0)) - math.log(n)
        other = math.log(m) - float((-b).logsumexp(0))
        ways.append((one, other))
    found = torch.tensor(values, dtype=DOUBLE)
    gap = found[:, 0] - 3
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / 60**0.5 + 1e-3
    assert abs(float(gap.std() / found[:, 1].mean()) - 1) < 0.35
    single = (torch.tensor(ways, dtype=DOUBLE) - 3).square().mean(0).sqrt()
    assert float(gap.square().mean().sqrt()) < 1.02 * float(single.min())


def test_a_spike_beside_a_hill_is_flagged() -> None:
    """Nine tenths in a spike: a wide start alone is 2.3 nats low, and sure of it."""
    place = torch.full((4,), 5.0, dtype=DOUBLE)

    def log_p(x):
        hill = torch.distributions.Normal(0.0, 1.0).log_prob(x).sum(-1)
        spike = torch.distributions.Normal(place, 0.01).log_prob(x).sum(-1)
        return torch.logaddexp(hill + math.log(0.1), spike + math.log(0.9))

    base = Normal((4,), 2.0, dtype=DOUBLE)
    pilot = evidence.temper(log_p, base, 2, 128, generator=_seed())
    runs = evidence.temper(log_p, base, 6, 128, ladder=pilot.ladder, generator=_seed(1))
    alone = evidence.combined(runs.log_z, "smc", 1.0)
    assert alone.converged
    assert alone.upper < -1.9
    target = Target(log_p, 4, base=base, name="spike")
    found = evidence.tempered(target, islands=6, particles=128, starts=place[None] + 0.005, seed=0)
    assert not found.converged
    assert found.lower < -1.9
    assert found.upper > 0
    assert abs(found.value) < 0.1
    assert "do not overlap" in found.notes[-1]


def test_a_start_that_leads_nowhere_is_told() -> None:
    flat = Target(lambda x: 0 * x.sum(-1) - 1, 2)
    with pytest.raises(ConvergenceError, match="no curvature"):
        evidence.laplace_start(flat, torch.zeros(3, 2))


def test_a_density_without_a_mode_to_start_from() -> None:
    """A plateau with exponential tails: the base, and a normal law fitted to chains, agree."""

    def log_p(x):
        # Flat at its top, where Laplace's approximation finds no curvature.
        return -(x.abs() - 1).clamp(min=0).sum(-1) * 2

    target = Target(log_p, 1, base=Normal((1,), 2.0, dtype=DOUBLE))
    found = evidence.log_z(target, seed=0, islands=6, particles=256)
    assert "Laplace start: the density has no curvature" in found.notes[0]
    assert found.converged
    assert abs(found.value - math.log(3)) < 4 * found.stderr
    assert found.stderr < 0.1


def test_laplace_is_exact_for_normal_laws() -> None:
    factor = torch.tensor([[2.0, 0.0, 0.0], [0.5, 0.3, 0.0], [-1.0, 0.2, 1.5]], dtype=DOUBLE)
    law = torch.distributions.MultivariateNormal(
        torch.tensor([1.0, -2.0, 3.0]).double(), scale_tril=factor
    )
    start = evidence.laplace_start(law.log_prob, torch.zeros(2, 3, dtype=DOUBLE), inflate=1.0)
    assert torch.allclose(start.mean, law.mean, atol=1e-5)
    assert torch.allclose(start.factor @ start.factor.mT, factor @ factor.mT, rtol=1e-4, atol=1e-5)
    x = torch.randn(4, 3, generator=_seed(), dtype=DOUBLE)
    assert torch.allclose(start.log_prob(x), law.log_prob(x), atol=1e-3)
    fitted = evidence.fitted_start(start.sample(20_000, seed=0), inflate=1.0)
    assert torch.allclose(fitted.factor, factor, atol=0.06)


class _Guess:
    """A proposal whose densities are estimates."""

    def sample(self, n, seed=None):
        return Normal((1,), 1.2, dtype=DOUBLE).sample(n, seed=seed)

    def log_prob(self, x):
        value = Normal((1,), 1.2, dtype=DOUBLE).log_prob(x)
        return LogProb(value, torch.full_like(value, 0.1), "estimated", nfe=1)


def test_importance_of_any_proposal() -> None:
    target = Target(lambda x: -x.square().sum(-1) / 2, 1)
    found = evidence.importance(target, Normal((1,), 1.2, dtype=DOUBLE), seed=0)
    assert found.converged
    assert abs(found.value - 0.5 * math.log(2 * math.pi)) < 4 * found.stderr
    assert found.bounds[0].holds
    guessed = evidence.importance(target, _Guess(), seed=0)
    assert not guessed.converged
    assert not guessed.bounds[0].holds
    assert "estimated" in guessed.notes[-1]
    narrow = evidence.importance(target, Normal((1,), 0.2, dtype=DOUBLE), 500, seed=0)
    assert not narrow.converged
    assert "weights degenerate" in narrow.notes[0]


def test_importance_within_bounds() -> None:
    """Of the exponential law, by draws that are exponential themselves, at another rate."""
    law = torch.distributions.Exponential(torch.tensor(0.7).double())

    class Draws:
        def sample(self, n, seed=None):
            u = torch.rand(n, 1, generator=_seed(seed % 2**31), dtype=DOUBLE)
            return -u.log() / 0.7

        def log_prob(self, x):
            return law.log_prob(x)[:, 0]

    target = Target(lambda x: -x.sum(-1), 1, bijector=torch.distributions.ExpTransform())
    found = evidence.importance(target, Draws(), seed=0)
    assert found.converged
    assert abs(found.value) < 4 * found.stderr


def test_bad_input_is_named() -> None:
    target = targets.student(2, 5.0)
    with pytest.raises(InputError, match="method is 'smc' or 'ais' or 'bar'"):
        evidence.log_z(target, "nested")
    with pytest.raises(InputError, match="weights of two chains"):
        evidence.bennett(torch.zeros(1), torch.zeros(3))
