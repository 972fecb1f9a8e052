r"""Continuous flows: the solution of an ordinary differential equation (Chen et al. 2018).

`dx/dt = v(x, t)` from the base at `t = 1` to the data at `t = 0`, and
`d log p / dt = -div v` along the path (FFJORD: Grathwohl et al. 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pushforward.checks import whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.transforms.condition import TransformCondition
from pushforward.transforms.transform import Transform

__all__ = ["Continuous"]


@configurable
class Continuous(Transform):
    """The flow of a network's vector field, by the classical Runge-Kutta method of order four.

    Trained by likelihood, with gradients through the solver's steps, each of which is computed
    again in the backward pass: memory does not grow with their number.

    Args:
        net: a network from the entries of a state and the time, `(B, d + 1)`, to `(B, d)`, such as
            `nn.Perceptron(d + 1, d)`: smooth in time, unlike networks with features of many
            frequencies.
        steps: of the solver.
        exact: up to how many features the divergence is exact; beyond, one random probe a solution,
            from torch's global generator as in dropout, estimates it without bias.

    Raises `InputError` for no steps.

    >>> layer = Continuous(nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)))
    >>> z = torch.tensor([[0.5, -1.0]])
    >>> bool(torch.allclose(layer.inverse(layer(z))[0], z, atol=1e-5))
    True
    """

    def __init__(self, net: nn.Module, steps: int = 16, exact: int = 8) -> None:
        super().__init__()
        self.net, self.steps = net, whole("steps", steps)
        self.exact = whole("exact", exact, least=0)
        self.condition = TransformCondition.of(net)

    def is_estimate(self, features: int) -> bool:
        """Beyond `exact` features."""
        return features > self.exact

    def _push(self, z: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """From `t = 1` to `t = 0`."""
        return self._solve(z, c, 1.0, -1.0)

    def _inverse(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
        """From `t = 0` to `t = 1`."""
        return self._solve(x, c, 0.0, 1.0)

    def error(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """An estimate of the solver's error in the log-determinant of `inverse`, `(B,)`: how far it
        is from that with twice the steps, times 16 / 15.

        Raises `InputError` beyond `exact` features, where the noise of the probes hides it.
        """
        if self.is_estimate(x[0].numel()):
            raise InputError(
                f"the error of estimated divergences is that of their probes: take exact="
                f"{x[0].numel()} to see that of the solver"
            )
        coarse = self.inverse(x, c)[1]
        fine = Continuous(self.net, 2 * self.steps, self.exact).inverse(x, c)[1]
        return (coarse - fine).abs() * 16 / 15

    def _solve(
        self, x: Tensor, c: Tensor | None, start: float, sign: float
    ) -> tuple[Tensor, Tensor]:
        h = sign / self.steps
        probe = None
        if x[0].numel() > self.exact:
            probe = torch.where(torch.rand_like(x) < 0.5, -1.0, 1.0).to(x)
        log_det = x.new_zeros(len(x))
        for k in range(self.steps):
            arguments = (x, log_det, c, start + k * h, h, probe)
            if torch.is_grad_enabled():
                x, log_det = checkpoint(
                    self._step, *arguments, use_reentrant=False, preserve_rng_state=False
                )
            else:
                x, log_det = self._step(*arguments)
        return x, log_det

    def _step(
        self, x: Tensor, log_det: Tensor, c: Tensor | None, t: float, h: float, probe: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        v1, d1 = self._rates(x, t, c, probe)
        v2, d2 = self._rates(x + 0.5 * h * v1, t + 0.5 * h, c, probe)
        v3, d3 = self._rates(x + 0.5 * h * v2, t + 0.5 * h, c, probe)
        v4, d4 = self._rates(x + h * v3, t + h, c, probe)
        x = x + h / 6 * (v1 + 2 * (v2 + v3) + v4)
        return x, log_det + h / 6 * (d1 + 2 * (d2 + d3) + d4)

    def _rates(
        self, x: Tensor, t: float, c: Tensor | None, probe: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Velocity and divergence."""
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            place = x if x.requires_grad else x.detach().requires_grad_()
            flat = place.flatten(1)
            seen = torch.cat([flat, torch.full_like(flat[:, :1], t)], 1)
            v = (self.net(seen) if c is None else self.net(seen, c)).reshape(x.shape)
            if probe is not None:
                (back,) = torch.autograd.grad(v, place, probe, create_graph=wanted)
                divergence = (back * probe).flatten(1).sum(1)
            else:
                flat = v.flatten(1)
                divergence = x.new_zeros(len(x))
                for i in range(flat.shape[1]):
                    (row,) = torch.autograd.grad(
                        flat[:, i].sum(), place, create_graph=wanted, retain_graph=True
                    )
                    divergence = divergence + row.flatten(1)[:, i]
        return (v, divergence) if wanted else (v.detach(), divergence.detach())
