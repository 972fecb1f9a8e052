r"""The same path with another prediction: where it goes, and what noise it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pushforward._shapes import combine, per_event_mean
from pushforward.dynamics import Flow
from pushforward.errors import CapabilityError
from pushforward.processes.bridge import Path
from pushforward.protocols import Time
from pushforward.spaces import Euclidean

__all__ = ["Motion"]

MARGIN = 1e-3
"""How close to the ends coefficients are taken: at the ends themselves slopes may be infinite."""


@dataclass(frozen=True)
class Motion:
    r"""A path whose prediction is `E[a' x_0 + b' x_1 | x_t]` and, if it is noisy, `E[noise | x_t]`.

        velocity = E[a' x_0 + b' x_1 | x_t] + gamma' E[noise | x_t],
        score    = -E[noise | x_t] / gamma

    (Albergo, Boffi & Vanden-Eijnden 2023, theorem 2.6). Unlike the conditional expectations of the
    ends, these exist where there is no noise, and their errors are not divided by `gamma` twice.
    Both are one tensor, one after the other along the first axis of the event. Times closer to an
    end than 0.001 count as that, so that grids may run from 0 to 1.

    Args:
        path: the weights of the ends and of the noise.
        scale: what `gamma` is divided by, for states that are not in the units of the path.

    >>> import torch
    >>> from pushforward.processes import Linear
    >>> Motion(Linear()).dynamics(torch.ones(1, 2), torch.zeros(1, 2), 0.0).velocity
    tensor([[1., 1.]])
    """

    path: Path
    scale: float = 1.0

    @property
    def heads(self) -> int:
        """How many tensors are predicted: two for a noisy path, else one."""
        return 1 + (self.path.ends(0.5).gamma > 0)

    def prior(self, shape: tuple[int, ...]) -> Any:
        """Raises `CapabilityError`: a path between laws has no prior."""
        raise CapabilityError("a path between two laws has no prior: start it from its source")

    def sample(self, z: tuple[Tensor, ...], t: Time) -> Tensor:
        """The point of the path through `z = (x_0, x_1)` or `(x_0, x_1, noise)`."""
        k = self.path.ends(inside(t))
        return combine((k.a, k.b, k.gamma / self.scale)[: len(z)], z)

    def loss(self, pred: Tensor, z: tuple[Tensor, ...], x_t: Tensor, t: Time) -> Tensor:
        """The squared errors of what is predicted, per dimension, `(B,)`."""
        k = self.path.ends(inside(t))
        motion, *noise = pred.chunk(self.heads, 1)
        loss = per_event_mean((motion - combine((k.d_a, k.d_b), z[:2])).square())
        return loss + per_event_mean((noise[0] - z[2]).square()) if noise else loss

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Flow:
        """The flow, with its score if the path is noisy."""
        parts = pred.chunk(self.heads, 1)
        if len(parts) == 1:
            return Flow(Euclidean(), parts, (1.0,), None, 0.0)
        k = self.path.ends(inside(t))
        return Flow(
            Euclidean(),
            basis=parts,
            velocity_weights=(1.0, k.d_gamma / self.scale),
            score_weights=(0.0, -self.scale / k.gamma),
            g2=k.g2 / self.scale**2,
        )

    def tabulate(self, grid: Sequence[float]) -> None:
        """Nothing: the coefficients of a path are cheap."""


def inside(t: Time) -> Time:
    """A time kept away from both ends.

    >>> inside(0.0), inside(0.5)
    (0.001, 0.5)
    """
    if isinstance(t, Tensor):
        return t.clamp(MARGIN, 1 - MARGIN)
    return min(max(t, MARGIN), 1 - MARGIN)
