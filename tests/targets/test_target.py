"""A target of one's own: bounds, gradients, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import biject_to, constraints
from torch.distributions.transforms import ExpTransform

from pushforward import mcmc
from pushforward.distributions import Normal
from pushforward.errors import CapabilityError, InputError
from pushforward.spaces import Standardize
from pushforward.targets import Target


def _normal(x):
    return -x.square().sum(-1) / 2


def _integral(target: Target, reach: float, points: int) -> float:
    """Over one or two coordinates without bounds, by the trapezoidal rule."""
    axis = torch.linspace(-reach, reach, points, dtype=torch.float64)
    dim = math.prod(target.unbounded_shape)
    z = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    return float(target(z).exp().sum()) * float(axis[1] - axis[0]) ** dim


def test_bounds_keep_the_integral() -> None:
    """Of gamma, beta and Dirichlet densities, in coordinates without bounds."""
    gamma = torch.distributions.Gamma(torch.tensor(2.5).double(), torch.tensor(1.5).double())
    target = Target(lambda x: gamma.log_prob(x)[:, 0], 1, bijector=ExpTransform())
    assert abs(_integral(target, 30, 4001) - 1) < 1e-9
    beta = torch.distributions.Beta(torch.tensor(2.0).double(), torch.tensor(3.0).double())
    unit = biject_to(constraints.unit_interval)
    target = Target(lambda x: beta.log_prob(x)[:, 0], 1, bijector=unit)
    assert abs(_integral(target, 30, 4001) - 1) < 1e-6
    law = torch.distributions.Dirichlet(torch.tensor([2.0, 3.0, 1.5]).double())
    target = Target(law.log_prob, 3, bijector=biject_to(constraints.simplex))
    assert target.unbounded_shape == (2,)
    assert abs(_integral(target, 25, 501) - 1) < 1e-6
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(target.unconstrain(target.constrain(z)), z)


def test_a_bijection_of_the_library_bounds_too() -> None:
    units = Standardize((1,))
    units.fit(torch.tensor([[-3.0], [5.0]]))
    target = Target(lambda x: Normal((1,)).log_prob(x), 1, bijector=units)
    assert abs(_integral(target, 10, 2001) - 1) < 1e-6


def test_a_gradient_that_is_given_is_taken() -> None:
    calls = []

    def gradient(x):
        calls.append(len(x))
        return -x

    def numpy_like(x):
        return _normal(x.detach())

    target = Target(numpy_like, 3, gradient=gradient)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    state = mcmc.evaluate(target, x)
    assert torch.equal(state.gradient, -x)
    assert calls == [6]
    target.check(x)
    bounded = Target(numpy_like, 3, gradient=gradient, bijector=ExpTransform())
    found = mcmc.evaluate(bounded, x).gradient
    own = mcmc.evaluate(Target(_normal, 3, bijector=ExpTransform()), x).gradient
    assert torch.allclose(found, own)


def test_a_distribution_is_a_target() -> None:
    target = Target(Normal((2, 3), 2.0))
    assert target.event_shape == (2, 3)
    assert target.exact
    assert target.sample(4, seed=0).shape == (4, 2, 3)
    assert target(torch.zeros(1, 2, 3)).shape == (1,)


@pytest.mark.parametrize(
    ("log_prob", "message"),
    [
        (lambda x: -x.square(), r"shape \(4,\), not \(4, 2\): sum over"),
        (lambda x: -x.square().sum(), r"shape \(4,\), not \(\)|shape \(1,\)"),
        (lambda x: 1.0, "not float"),
        (lambda x: _normal(x.detach()), "no derivative in x"),
        (lambda x: _normal(x) * math.nan, "NaN or infinite at 4 of 4"),
        (lambda x: (x[:, 0] + 9).log() * 0 + x.sum(-1).sqrt(), "NaN or infinite"),
        (lambda x: _normal(x) - x.mean(), "rows do not interact"),
        (lambda x: (x[:, 0].square() * 0).sqrt() - 1, "gradient of target is not finite"),
    ],
)
def test_what_is_no_density_is_refused(log_prob, message: str) -> None:
    x = -torch.rand(4, 2, generator=torch.Generator().manual_seed(0)) - 0.1
    with pytest.raises(InputError, match=message):
        Target(log_prob, 2).check(x)


def test_a_wrong_gradient_is_seen() -> None:
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="not that of log_prob"):
        Target(_normal, 2, gradient=lambda x: x).check(x)
    with pytest.raises(InputError, match=r"has their shape, not \(4,\)"):
        Target(_normal, 2, gradient=lambda x: x[:, 0]).check(x)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="give event_shape="):
        Target(_normal)
    with pytest.raises(InputError, match="not int"):
        Target(5, 2)
    with pytest.raises(InputError, match="event_shape is a whole number"):
        Target(_normal, 0)
    with pytest.raises(InputError, match="as many names, not 1"):
        Target(_normal, 2, names=("a",))
    with pytest.raises(InputError, match=r"shape \(B, 2\), not \(4, 3\)"):
        Target(_normal, 2).check(torch.zeros(4, 3))
    with pytest.raises(
        CapabilityError, match=r"no exact draws of target are known: take chains\(\)"
    ):
        Target(_normal, 2).sample(3)
    nowhere = Target(lambda x: _normal(x) - math.inf, 2)
    with pytest.raises(InputError, match="no finite density near the origin"):
        nowhere.start(3, seed=0)


def test_starts_lie_where_the_density_is() -> None:
    half = Target(lambda x: torch.where(x[:, 0] > 0, _normal(x), _normal(x) - math.inf), 2)
    assert (half.start(50, seed=0)[:, 0] > 0).all()
