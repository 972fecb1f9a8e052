"""What keeps a critic from being too steep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from pushforward._random import uniform
from pushforward.checks import number, positive
from pushforward.config import configurable
from pushforward.discrepancies.discrepancy import Critic

__all__ = ["R1", "R1R2", "GradientPenalty", "Regularizer", "SpectralNorm", "WeightClipping"]


class Regularizer(Protocol):
    """A change of the critic, a term of its loss, or both."""

    def begin(self, critic: nn.Module) -> None:
        """Change a new critic once, before it is trained."""

    def project(self, critic: nn.Module) -> None:
        """Bring its weights back to where they may be, before every step."""

    def penalty(
        self, critic: Critic, real: Tensor, fake: Tensor, c: Any, generator: torch.Generator | None
    ) -> Tensor | None:
        """A term of the critic's loss, `(B,)`."""


@dataclass(frozen=True)
class _Nothing:
    def begin(self, critic: nn.Module) -> None:
        """The critic stays as it is."""

    def project(self, critic: nn.Module) -> None:
        """The weights stay as they are."""

    def penalty(
        self, critic: Critic, real: Tensor, fake: Tensor, c: Any, generator: torch.Generator | None
    ) -> Tensor | None:
        """No term."""
        return None


@configurable
@dataclass(frozen=True)
class R1(_Nothing):
    """`weight / 2 |grad D(x)|^2` at data (Mescheder, Geiger & Nowozin 2018).

    The game then has a stable equilibrium even where both distributions lie on manifolds.
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        positive("weight", self.weight)

    def penalty(
        self, critic: Critic, real: Tensor, fake: Tensor, c: Any, generator: torch.Generator | None
    ) -> Tensor:
        """The squared slope at data."""
        return 0.5 * self.weight * _slope(critic, real, c).square()


@configurable
@dataclass(frozen=True)
class R1R2(_Nothing):
    """`weight / 2 (|grad h(x)|^2 + |grad h(y)|^2)` at data and samples (Huang et al. 2024).

    At data alone, as by `R1`, the slope at samples that lie elsewhere is free to explode.
    """

    weight: float = 0.1

    def __post_init__(self) -> None:
        positive("weight", self.weight)

    def penalty(
        self, critic: Critic, real: Tensor, fake: Tensor, c: Any, generator: torch.Generator | None
    ) -> Tensor:
        """The squared slopes at both."""
        both = None if c is None else torch.cat([c, c])
        slopes = _slope(critic, torch.cat([real, fake.detach()]), both).square()
        return 0.5 * self.weight * (slopes[: len(real)] + slopes[len(real) :])


@configurable
@dataclass(frozen=True)
class GradientPenalty(_Nothing):
    """`weight max(0, |grad h| - 1)^2` at points between data and samples (Petzka et al. 2018).

    Args:
        weight: of the penalty.
        flat: what a critic that is too flat pays: 0 by default, and as much as one that is too
            steep with 1, which is the penalty of Gulrajani et al. (2017). On the line a critic that
            has to turn round then meets a wall, since its slope has to pass through zero.
        data: the weight of the term of `R1` beside it. A bound on the slope alone does not damp
            the circles in which players chase each other; the slope at data does.
    """

    weight: float = 10.0
    flat: float = 0.0
    data: float = 0.0

    def __post_init__(self) -> None:
        positive("weight", self.weight)
        number("data", self.data, least=0)

    def penalty(
        self, critic: Critic, real: Tensor, fake: Tensor, c: Any, generator: torch.Generator | None
    ) -> Tensor:
        """The squared distance of the slope from one, and the squared slope at data."""
        u = uniform((len(real),), generator, device=real.device, dtype=real.dtype)
        between = torch.lerp(real, fake, u.reshape(-1, *[1] * (real.ndim - 1)))
        excess = _slope(critic, between, c) - 1
        total = self.weight * torch.where(excess > 0, 1.0, self.flat) * excess.square()
        return (
            total + R1(self.data).penalty(critic, real, fake, c, generator) if self.data else total
        )


@configurable
@dataclass(frozen=True)
class WeightClipping(_Nothing):
    """All weights in `[-largest, largest]` (Arjovsky, Chintala & Bottou 2017)."""

    largest: float = 0.1

    def __post_init__(self) -> None:
        positive("largest", self.largest)

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        """Clip them."""
        for parameter in critic.parameters():
            parameter.clamp_(-self.largest, self.largest)


@configurable
@dataclass(frozen=True)
class SpectralNorm(_Nothing):
    """Linear and convolutional maps divided by their largest singular value (Miyato et al. 2018).

    A plain chain of such maps and activations of slope at most one is a critic of slope at most
    one; a residual layer doubles the bound. The estimate of these values takes one step of the
    power method before every step of training.
    """

    def begin(self, critic: nn.Module) -> None:
        """Register the norm on every map."""
        for module in list(critic.modules()):
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
                parametrizations.spectral_norm(module)

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        """One step of the power method, and none until the next call."""
        for module in critic.modules():
            for norm in module.modules() if hasattr(module, "parametrizations") else ():
                if isinstance(norm, parametrizations._SpectralNorm):
                    norm.train()
                    _ = module.weight  # computed anew, which makes the step
                    norm.eval()


def _slope(critic: Critic, x: Tensor, c: Any) -> Tensor:
    """The norm of the gradient at states, `(B,)`, of a critic or of the witness made of it."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(critic(x, c).sum(), x, create_graph=True)
    # The slope of a norm is infinite at zero.
    return (gradient.flatten(1).square().sum(1) + 1e-12).sqrt()
