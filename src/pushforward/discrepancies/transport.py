"""The Sinkhorn divergence as what a generator makes small."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from pushforward.checks import positive
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.ot import sinkhorn_divergence

__all__ = ["SinkhornDivergence"]


@configurable
@dataclass(frozen=True)
class SinkhornDivergence:
    """Entropic transport without its bias, between states (Genevay et al. 2018; Feydy et al. 2019).

    There is no critic: the plan between two batches plays its part. The estimate of a batch is
    above that of the distributions, the more so the larger the dimension.

    Args:
        epsilon: the strength of the entropy, per dimension and in units of standardized data, whose
            mean squared distance is 2 in each dimension.
        tolerance: of the plans' marginals.

    Raises `InputError` for numbers that are not positive.

    >>> import torch
    >>> x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    >>> round(float(SinkhornDivergence().generator_loss(x, x + 1).mean()), 3)  # the squared shift
    2.0
    """

    epsilon: float = 0.05
    tolerance: float = 1e-3

    outputs = 0
    pointwise = False

    def __post_init__(self) -> None:
        positive("epsilon", self.epsilon)
        positive("tolerance", self.tolerance)

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The divergence of both batches, the same number in each row. At least two rows."""
        if len(fake) < 2:
            raise InputError("a plan needs at least two states to compare: a larger batch")
        epsilon = self.epsilon * real[0].numel()
        value = sinkhorn_divergence(real, fake, epsilon, tolerance=self.tolerance)
        return value.expand(len(fake))

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Minus the same."""
        return -self.generator_loss(real, fake)

    def witness(self, values: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """Raises `CapabilityError`: there is no critic whose slope could be asked for."""
        raise CapabilityError("the Sinkhorn divergence has no critic to regularize")
