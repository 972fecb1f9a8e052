"""Each kernel leaves its target as it is: detailed balance where it holds, else invariance."""

from __future__ import annotations

import pytest
import torch

from pushforward import mcmc

DOUBLE = torch.float64


def _seed(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _skewed(x):
    """Skewed, and with a correlation: a log-gamma law of one number, a normal one given it."""
    return 2 * x[:, 0] - x[:, 0].exp() - (x[:, 1] - 0.5 * x[:, 0]).square() / 2


def _draws(n: int, seed: int = 0):
    """Exact draws of the same: the sum of two exponential numbers is a gamma one."""
    u = torch.rand(n, 2, generator=_seed(seed), dtype=DOUBLE)
    first = (-u.log()).sum(1).log()
    noise = torch.randn(n, generator=_seed(seed + 1), dtype=DOUBLE)
    return torch.stack([first, 0.5 * first + noise], 1)


def _statistics(x):
    """What tells places apart, `(n, k)`."""
    a, b = x.unbind(1)
    return torch.stack([a, b, a * a, a * b, b.tanh(), (a > 0.5).double(), a.exp() * 0.2], 1)


REVERSIBLE = [
    mcmc.RandomWalk(0.9),
    mcmc.Barker(0.8),
    mcmc.MALA(0.7),
    mcmc.HMC(0.5, 3),
]


@pytest.mark.parametrize("kernel", REVERSIBLE, ids=lambda k: type(k).__name__)
def test_detailed_balance(kernel) -> None:
    """For `x` from the target, `(x, y)` and `(y, x)` have one law: `E f(x) g(y) = E g(x) f(y)`."""
    n = 100_000
    x = _draws(n)
    start = mcmc.valued(_skewed, x) if not kernel.uses_gradient else mcmc.evaluate(_skewed, x)
    y = kernel.move(_skewed, start, generator=_seed(5)).state.x
    f, g = _statistics(x), _statistics(y)
    products = torch.einsum("ni,nj->nij", f, g)
    gap = (products - products.mT).flatten(1)
    error = (gap.std(0) / n**0.5).clamp(min=1e-12)
    assert float((gap.mean(0) / error).abs().max()) < 4.5


@pytest.mark.parametrize(
    "kernel",
    [*REVERSIBLE, mcmc.NUTS(0.7), mcmc.NUTS(1.4), mcmc.Underdamped(0.7)],
    ids=lambda k: f"{type(k).__name__} {k.step}",
)
def test_the_target_is_invariant(kernel) -> None:
    """Statistics after a few moves are those of before, within the errors of their differences."""
    n = 60_000
    x = _draws(n, 10)
    start = mcmc.valued(_skewed, x) if not kernel.uses_gradient else mcmc.evaluate(_skewed, x)
    state = start
    for k in range(3):
        state = kernel.move(_skewed, state, generator=_seed(20 + k)).state
    gap = _statistics(state.x) - _statistics(x)
    error = gap.std(0) / n**0.5
    assert float((gap.mean(0) / error).abs().max()) < 4.5
    moved = (state.x != x).any(1).double().mean()
    assert float(moved) > 0.6


def test_underdamped_momenta_stay_normal() -> None:
    n = 60_000
    state = mcmc.evaluate(_skewed, _draws(n, 30))
    kernel = mcmc.Underdamped(0.8, 0.5)
    for k in range(4):
        state = kernel.move(_skewed, state, generator=_seed(40 + k)).state
    p = state.momentum
    assert float((p.mean(0) * n**0.5).abs().max()) < 4.5
    assert float(((p.square().mean(0) - 1) * (n / 2) ** 0.5).abs().max()) < 4.5
    joint = p * _statistics(state.x)[:, :1]
    assert float((joint.mean(0) / joint.std(0) * n**0.5).abs().max()) < 4.5


def test_refused_underdamped_steps_turn_round() -> None:
    """With next to no friction a refused step leaves `x` where it was, and turns the momentum."""
    kernel = mcmc.Underdamped(6.0, 1e-9)
    x = _draws(2000)
    start = mcmc.evaluate(_skewed, x)._replace(
        momentum=torch.randn(2000, 2, generator=_seed(), dtype=DOUBLE)
    )
    moved = kernel.move(_skewed, start, generator=_seed(1)).state
    stayed = (moved.x == x).all(1)
    assert 0.3 < float(stayed.double().mean()) < 1
    assert torch.allclose(moved.momentum[stayed], -start.momentum[stayed], atol=1e-3)


def test_barker_is_metropolis_hastings_with_its_proposals() -> None:
    """`p(y) q(y, x) / p(x) q(x, y)` with `q(x, x + w) = N(w) sigmoid(w g)`, number by number."""
    h = 0.5
    x = _draws(200)
    state = mcmc.evaluate(_skewed, x)
    move = mcmc.Barker(h).move(_skewed, state, generator=_seed(1))
    moved = (move.state.x != x).any(1)
    assert 20 < int(moved.sum()) < 200
    w = (move.state.x - x)[moved]
    there = torch.sigmoid(w * state.gradient[moved]).log().sum(1)
    back = torch.sigmoid(-w * move.state.gradient[moved]).log().sum(1)
    expected = (move.state.log_p - state.log_p)[moved] + back - there
    assert torch.allclose(move.acceptance[moved], expected.exp().clamp(max=1))


def test_unadjusted_langevin_has_its_bias_exactly() -> None:
    """A step is `a x + b n`, with the stationary variance `b^2 / (1 - a^2) = 1 / (1 - h / 4)`.

    With steps `x - h' x + sqrt(2 h') n`, `h' = h / 2`, that is `1 / (1 - h' / 2)`.
    """

    def normal(x):
        return -x.square().sum(-1) / 2

    h = 0.3
    out = []
    for place in (0.0, 1.0):
        state = mcmc.evaluate(normal, torch.full((5, 1), place, dtype=DOUBLE))
        out.append(mcmc.ULA(h).move(normal, state, generator=_seed()).state.x)
    noise = torch.empty(5, 1, dtype=DOUBLE).normal_(generator=_seed())
    a, b = (out[1] - out[0]).mean(), (out[0] / noise).mean()
    assert abs(float(b**2 / (1 - a**2)) - 1 / (1 - h / 4)) < 1e-14


@pytest.mark.parametrize(
    "kernel", [*REVERSIBLE, mcmc.Underdamped(0.8)], ids=lambda k: type(k).__name__
)
def test_as_many_go_from_cell_to_cell_as_come_back(kernel) -> None:
    """Detailed balance on a grid of 4 by 4 cells: each pair of cells exchanges alike."""
    n = 100_000
    x = _draws(n, 50)
    start = mcmc.valued(_skewed, x) if not kernel.uses_gradient else mcmc.evaluate(_skewed, x)
    y = kernel.move(_skewed, start, generator=_seed(60)).state.x
    edges = torch.tensor([[-0.4, 0.3, 0.9], [-0.7, 0.1, 0.9]], dtype=DOUBLE)

    def cell(z):
        a, b = (torch.bucketize(z[:, k].contiguous(), edges[k]) for k in (0, 1))
        return 4 * a + b

    flows = torch.bincount(16 * cell(x) + cell(y), minlength=256).view(16, 16).double()
    there, back = flows.triu(1), flows.mT.triu(1)
    met = (there + back) > 30
    assert int(met.sum()) > 25
    score = ((there - back) / (there + back).sqrt())[met]
    assert float(score.abs().max()) < 4.5
    # A kernel that drifts does not: the same steps with a push.
    pushed = torch.bincount(16 * cell(x) + cell(y + 0.06), minlength=256).view(16, 16).double()
    score = ((pushed - pushed.mT) / (pushed + pushed.mT).sqrt())[met]
    assert float(score.abs().max()) > 4.5


@pytest.mark.parametrize("h", [0.5, 1.3])
@pytest.mark.parametrize("v", [1.0, 4.0])
def test_splitting_has_the_variance_of_a_normal_law_exactly(h: float, v: float) -> None:
    """A step is linear in `x`, `p` and the noise: its stationary law solves `S = M S M' + b b'`."""
    kernel = mcmc.BAOAB(h, 0.7)

    def normal(x):
        return -x.square().sum(-1) / (2 * v)

    rows = {}
    for name, x, p in (("none", 0.0, 0.0), ("x", 1.0, 0.0), ("p", 0.0, 1.0)):
        at, momentum = (torch.full((1, 1), value, dtype=DOUBLE) for value in (x, p))
        state = mcmc.evaluate(normal, at)._replace(momentum=momentum)
        moved = kernel.move(normal, state, generator=_seed()).state
        rows[name] = torch.cat([moved.x[0], moved.momentum[0]])
    noise = torch.empty(1, 1, dtype=DOUBLE).normal_(generator=_seed())
    b = rows["none"] / noise[0]
    m = torch.stack([rows["x"] - rows["none"], rows["p"] - rows["none"]], 1)
    eye = torch.eye(4, dtype=DOUBLE)
    spread = torch.linalg.solve(eye - torch.kron(m, m), torch.outer(b, b).flatten()).view(2, 2)
    assert abs(float(spread[0, 0]) - v) < 1e-12 * v
    assert abs(float(spread[1, 1]) - (1 - h**2 / (4 * v))) < 1e-12
    assert abs(float(spread[0, 1])) < 1e-12
