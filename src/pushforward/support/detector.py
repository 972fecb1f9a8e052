r"""Points outside of the support, with a rate of false alarms that is kept.

Any score of how anomalous a point is becomes a p-value beside the scores of held-out data,

    p(x) = (1 + #{i : s_i >= s(x)}) / (m + 1),

which for a point of the same distribution is at most `alpha` with a chance of at most `alpha`,
whatever the score and the distribution (conformal p-values, Bates et al. 2023): on average over
held-out sets of `m` points that the score has not been fitted to.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pushforward.checks import fraction
from pushforward.errors import InputError

__all__ = ["AnomalyDetector"]


class AnomalyDetector:
    """Tells points outside of the support of some data.

    Args:
        score: larger for stranger points, `(n, *event)` to `(n,)`: the `distance` of a support, or
            `lambda x: -model.log_prob(x).value` of a model with a density.
        held_out: data that neither the score nor its model was fitted to.

    Raises `InputError` for scores that are NaN or of another shape.

    >>> held_out = torch.randn(99, 2, generator=torch.Generator().manual_seed(0))
    >>> detector = AnomalyDetector(lambda x: x.norm(dim=1), held_out)
    >>> detector.outside(torch.tensor([[0.0, 0.1], [9.0, 0.0]]))
    tensor([False,  True])
    """

    def __init__(self, score: Callable[[Tensor], Tensor], held_out: Tensor) -> None:
        self.score = score
        self.scores = self._scored(held_out).sort().values

    def p_value(self, x: Tensor) -> Tensor:
        """The share of held-out data that are as strange, this point among them, `(n,)`."""
        m = len(self.scores)
        below = torch.searchsorted(self.scores, self._scored(x))
        return (1 + m - below).double() / (m + 1)

    def outside(self, x: Tensor, alpha: float = 0.05) -> Tensor:
        """Whether points are outside, `(n,)`, of which `alpha` of the data are called at most.

        Raises `InputError` for an `alpha` that so few held-out points cannot tell.
        """
        fraction("alpha", alpha)
        if alpha * (len(self.scores) + 1) < 1:
            raise InputError(
                f"alpha={alpha:g} takes {math.ceil(1 / alpha) - 1} held-out points or more, not "
                f"{len(self.scores)}"
            )
        return self.p_value(x) <= alpha

    def _scored(self, x: Tensor) -> Tensor:
        found = self.score(x).detach().cpu().double()
        if found.shape != (len(x),) or bool(found.isnan().any()):
            raise InputError(
                f"a score is one number for each of {len(x)} points and no NaN, not of shape "
                f"{tuple(found.shape)} with {int(found.isnan().sum())} NaN"
            )
        return found
