r"""A path from standard normal noise, read as a Gaussian process.

Where the source `x_1` of a path is standard normal and independent of the data, a state is
`x_t = a_t x_0 + sigma_t noise` with `sigma_t^2 = b_t^2 + gamma_t^2`: what flow matching learns on
it is a posterior mean in other words.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pushforward._shapes import combine
from pushforward.processes.gaussian import Gaussian
from pushforward.processes.path import MARGIN, Path, StochasticInterpolant, inside
from pushforward.protocols import Time
from pushforward.schedules import Coefficients, Schedule

__all__ = ["PathSchedule", "gaussian_of", "posterior_mean"]


@dataclass(frozen=True)
class PathSchedule(Schedule):
    """`alpha_t = a_t` and `sigma_t^2 = b_t^2 + gamma_t^2` of a path from standard normal noise.

    >>> from pushforward.processes import Linear
    >>> PathSchedule(Linear()).at(0.25)[:2]
    (0.75, 0.25)
    """

    path: Path

    t_min, t_max = MARGIN, 1 - MARGIN

    def __call__(self, t: Tensor) -> tuple[Tensor, Tensor]:
        k = self.path.ends(inside(t))
        return k.a, (k.b**2 + k.gamma**2) ** 0.5

    def _differentiate(self, t: Tensor) -> Coefficients:
        # A path knows its slopes.
        k = self.path.ends(inside(t))
        sigma = (k.b**2 + k.gamma**2) ** 0.5
        d_sigma = (k.b * k.d_b + k.gamma * k.d_gamma) / sigma
        g2 = 2 * sigma * (d_sigma - sigma * k.d_a / k.a)
        return Coefficients(k.a, sigma, k.d_a, d_sigma, g2)


def gaussian_of(process: StochasticInterpolant) -> Gaussian:
    """The Gaussian process with the states of a path from standard normal noise."""
    return Gaussian(PathSchedule(process.path))


def posterior_mean(process: StochasticInterpolant, pred: Tensor, x_t: Tensor, t: Time) -> Tensor:
    r"""`E[x_0 | x_t]` from what flow matching predicts on a path.

    Of `x_t = a x_0 + b x_1 + gamma z` and `v = a' x_0 + b' x_1`, in expectation given `x_t`,

        E[x_0 | x_t] = (b' (x_t - gamma E[z | x_t]) - b v) / (a b' - a' b),

    and `v / a'` where there is no `x_1`.

    >>> import torch
    >>> from pushforward.processes import Linear
    >>> x_0, x_1 = torch.tensor([[2.0]]), torch.tensor([[-1.0]])
    >>> line = StochasticInterpolant(Linear())
    >>> posterior_mean(line, x_1 - x_0, 0.75 * x_0 + 0.25 * x_1, 0.25)
    tensor([[2.]])
    """
    k = process.path.ends(inside(t))
    velocity, *noise = pred.chunk(process.heads, 1)
    if not process.takes_source:
        return combine((1 / k.d_a,), (velocity,))
    turn = k.a * k.d_b - k.d_a * k.b
    state = combine((1.0, -k.gamma), (x_t, noise[0])) if noise else x_t
    return combine((k.d_b / turn, -k.b / turn), (state, velocity))
