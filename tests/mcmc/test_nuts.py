"""The no-U-turn sampler: its trees against a recursion, its draws against known laws."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import mcmc, targets
from pushforward.errors import ConvergenceWarning, InputError
from pushforward.mcmc import nuts

DOUBLE = torch.float64


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normal(x):
    return -x.square().sum(-1) / 2


def _quartic(x):
    return -(x.pow(4) / 4 + x.square() / 2).sum(-1)


def _turns(p: list[torch.Tensor]) -> bool:
    """Whether a part of a trajectory turns, by the definition: of it, and of each half in turn."""
    if len(p) == 1:
        return False
    half = len(p) // 2
    left, right = p[:half], p[half:]

    def back(ends, total) -> bool:
        return any(float((end * total).sum()) <= 0 for end in ends)

    return (
        _turns(left)
        or _turns(right)
        or back((p[0], p[-1]), sum(p))
        or back((p[0], right[0]), sum(left) + right[0])
        or back((left[-1], p[-1]), sum(right) + left[-1])
    )


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_branches_stop_where_the_recursion_says(level: int) -> None:
    x = torch.randn(300, 2, generator=_seed(), dtype=DOUBLE)
    p = torch.randn(300, 2, generator=_seed(1), dtype=DOUBLE)
    state = mcmc.evaluate(_quartic, x)
    step = torch.linspace(0.02, 0.6, 300, dtype=DOUBLE)
    tally = nuts._Tally(nuts._energy(state, p), state.log_p)
    going = torch.ones(300).bool()
    branch = mcmc.NUTS()._branch(_quartic, (state, p), step, level, going, tally, _seed(2))
    at, q, path = state, p, []
    for _ in range(2**level):
        at, q = mcmc.leapfrog(_quartic, at, q, step)
        path.append(q)
    expected = torch.tensor([not _turns([row[k] for row in path]) for k in range(300)])
    assert 20 < int(expected.sum()) < 290
    assert torch.equal(branch.sound, expected)
    whole = branch.sound
    assert torch.allclose(branch.span.total[whole], sum(path)[whole])
    assert torch.allclose(branch.span.first[whole], path[0][whole])
    assert torch.allclose(branch.end.x[whole], at.x[whole])


def test_joined_spans_turn_where_the_recursion_says() -> None:
    """Of momenta drawn at random, of which some turn only beside the nearest state of the other."""
    p = torch.randn(4, 4000, 2, generator=_seed(), dtype=DOUBLE) + 0.9
    ones = [nuts.Span(row, row, row) for row in p]
    left, first = nuts.joined(*ones[:2])
    right, second = nuts.joined(*ones[2:])
    whole, last = nuts.joined(left, right)
    turned = first | second | last
    expected = torch.tensor([_turns(list(p[:, k])) for k in range(4000)])
    assert torch.equal(turned, expected)
    assert torch.equal(whole.first, p[0])
    assert torch.equal(whole.last, p[3])
    # Each of both extra checks decides for some.
    ends = nuts._onward(p[0], p[3], whole.total) & ~first & ~second
    one = ends & ~nuts._onward(p[0], p[2], left.total + p[2])
    other = ends & ~nuts._onward(p[1], p[3], right.total + p[1])
    assert int((one & ~other).sum()) > 10
    assert int((other & ~one).sum()) > 10


def test_the_next_state_has_the_weight_of_its_energy() -> None:
    """The state drawn from a branch, over many draws, beside `exp(-energy)` of its four states."""
    n, step = 40_000, torch.tensor(0.9, dtype=DOUBLE)
    x = torch.tensor([[0.3, -1.1]], dtype=DOUBLE).expand(n, 2)
    p = torch.tensor([[0.9, 0.4]], dtype=DOUBLE).expand(n, 2)
    state = mcmc.evaluate(_quartic, x)
    tally = nuts._Tally(nuts._energy(state, p), state.log_p)
    going = torch.ones(n).bool()
    branch = mcmc.NUTS()._branch(_quartic, (state, p), step.expand(n), 1, going, tally, _seed())
    at, q, weights, places = state, p, [], []
    for _ in range(2):
        at, q = mcmc.leapfrog(_quartic, at, q, step)
        weights.append(float((-nuts._energy(at, q)[0]).exp()))
        places.append(at.x[0])
    assert bool(branch.sound.all())
    share = weights[1] / sum(weights)
    found = float((branch.drawn.x == places[1]).all(1).double().mean())
    assert 0.05 < share < 0.95
    assert abs(share - 0.5) > 0.05
    assert abs(found - share) < 4.5 * (share * (1 - share) / n) ** 0.5
    expected = math.log(sum(weights)) + float(tally.energy[0])
    assert torch.allclose(branch.log_weight, torch.full_like(branch.log_weight, expected))


def test_trajectories_stop_at_half_a_turn() -> None:
    """On a round normal law, a trajectory is about half of the period `2 pi` long."""
    x = torch.randn(500, 4, generator=_seed(), dtype=DOUBLE)
    move = mcmc.NUTS(0.1).move(_normal, mcmc.evaluate(_normal, x), generator=_seed(1))
    lengths = 0.1 * move.evaluations
    assert 0.5 * math.pi < float(lengths.mean()) < 2.2 * math.pi


def test_rows_do_not_know_of_each_other() -> None:
    x = torch.randn(20, 3, generator=_seed())
    kernel = mcmc.NUTS(0.4)
    whole = mcmc.run(kernel, _quartic, x, 6, seed=3).x
    part = mcmc.run(kernel, _quartic, x[:7], 6, seed=3).x
    assert torch.equal(whole[:7], part)


def test_chains_that_wait_cost_nothing() -> None:
    """Rows are left out where the density says that it takes any: the same draws, fewer rows."""
    rows = []

    class Counting:
        any_rows = True

        def __call__(self, x):
            rows.append(len(x))
            return _quartic(x)

    x = torch.randn(50, 3, generator=_seed(), dtype=DOUBLE)
    kernel = mcmc.NUTS(0.3)
    start = mcmc.evaluate(_quartic, x)
    one = kernel.move(Counting(), start, generator=_seed(1))
    other = kernel.move(_quartic, start, generator=_seed(1))
    assert torch.equal(one.state.x, other.state.x)
    assert sum(rows) == int(one.evaluations.sum())
    assert min(rows) < 50


def test_a_cliff_is_a_divergence() -> None:
    def log_p(x):
        return torch.where(x[:, 0] < 1, _normal(x), _normal(x) * math.nan)

    x = torch.zeros(200, 1, dtype=DOUBLE)
    with pytest.warns(ConvergenceWarning, match="diverged"):
        chains = mcmc.run(mcmc.NUTS(0.3), log_p, x, 10, seed=0)
    assert (chains.x < 1).all()
    assert int(chains.diverged.sum()) > 0


def test_the_depth_bounds_the_cost() -> None:
    x = torch.randn(30, 2, generator=_seed())
    move = mcmc.NUTS(1e-3, 4).move(_normal, mcmc.evaluate(_normal, x), generator=_seed(1))
    assert (move.evaluations == 15).all()
    assert mcmc.NUTS(depth=4).evaluations == 15
    with pytest.raises(InputError, match="depth is a whole number of at least 1"):
        mcmc.NUTS(depth=0)
    with pytest.raises(InputError, match="depth is at most 20, not 21"):
        mcmc.NUTS(depth=21)


@pytest.mark.parametrize(
    ("target", "known"),
    [
        (targets.eight_schools(centered=False), slice(0, 2)),
        (targets.student(4, 7.0), slice(None)),
        (targets.funnel(3, 1.0), slice(None)),
        (targets.banana(2, 1.0, 0.5), slice(None)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_moments_are_within_four_errors(target, known: slice) -> None:
    reference = targets.eight_schools().reference if known.stop else target.reference
    found = mcmc.sample_chains(target, target.start(32, seed=0), 250, warmup=200, seed=1)
    summary = found.summary()
    assert float(summary.r_hat.max()) < 1.05
    gap = (summary.mean[known] - reference.mean[known]) / summary.mcse[known]
    assert float(gap.abs().max()) < 4
    square = (found.x[..., known] - reference.mean[known]).square()
    mcse = square.flatten(0, 1).std(0) / mcmc.effective_sample_size(square).sqrt()
    gap = (square.mean((0, 1)) - reference.std[known].square()) / mcse
    assert float(gap.abs().max()) < 4
