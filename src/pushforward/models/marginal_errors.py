"""How far the ends of simulated paths are from the distribution that they should have."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pushforward import metrics
from pushforward.models.model import Curve
from pushforward.models.transport_map import End
from pushforward.schrodinger import HalfBridge, OuterIterations

__all__ = ["MarginalError", "MarginalErrors"]

_ROWS = 2000
"""Rows of each side that an error is measured with."""

_FAR = 3
"""Times its floor that an error may be: two samples of one distribution are rarely so far apart."""


class MarginalError(NamedTuple):
    """How far the ends of simulated paths are from the distribution that they should have.

    Args:
        iteration: the outer iteration that learned from these ends.
        end: `target` if the paths ran forward.
        value: the sliced Wasserstein distance, in units of the model.
        floor: that of as many states of the distribution itself, twice.
    """

    iteration: int
    end: End
    value: float
    floor: float


class MarginalErrors(nn.Module):
    """The errors of some outer iterations, saved with a model.

    Args:
        iterations: which direction learns when.
    """

    measured: Tensor

    def __init__(self, iterations: OuterIterations) -> None:
        super().__init__()
        self.iterations = iterations
        self.register_buffer("measured", torch.full((iterations.count, 2), -1.0))

    def forget(self) -> None:
        """Start anew."""
        self.measured.fill_(-1)

    def measure(
        self, at: HalfBridge, ends: Tensor, exact: Tensor, context: Tensor | None, count: int | None
    ) -> None:
        """Compare simulated ends with as many exact states, rows of data if a `count` is given.

        With contexts, together with them: right states in the wrong contexts are told.
        """
        # The first pass over the data: later ones are the same rows again, at no distance.
        m = min(_ROWS, len(exact) // 2, (len(exact) if count is None else count) // 2)
        if m >= 4:
            ends, exact = (_joined(x, context) for x in (ends, exact))
            other = exact[m : 2 * m]
            found = [metrics.sliced_wasserstein(x[:m], other).value for x in (ends, exact)]
            self.measured[at.number] = torch.tensor(found)

    def found(self) -> list[MarginalError]:
        """One for each outer iteration that has any."""
        rows = enumerate(self.measured.tolist())
        # What learns the way back has simulated forward.
        return [
            MarginalError(k, "source" if self.iterations.forward(k) else "target", value, floor)
            for k, (value, floor) in rows
            if value >= 0
        ]

    def curves(self) -> list[Curve]:
        """The errors over the outer iterations, in units of their floors."""
        errors = self.found()
        series: dict[str, list[tuple[float, float]]] = {}
        for e in errors:
            point = e.iteration, e.value / max(e.floor, 1e-12)
            series.setdefault(f"at the {e.end}", []).append(point)
        if errors:
            series["floor"] = [(e.iteration, 1.0) for e in errors]
        note = (
            "How far the ends of simulated paths are from the distribution that they should have, "
            "in sliced Wasserstein distance: so many times as far as two samples of that "
            "distribution are from each other."
        )
        return [Curve("Marginals over the outer iterations", series, "outer iteration", note)]

    def missed(self) -> list[MarginalError]:
        """Those of the last outer iteration each way that are far above their floors."""
        return [e for e in self.found()[-2:] if e.value > _FAR * e.floor]

    def warnings(self, advice: str) -> list[str]:
        """What the last outer iterations miss, and what to do about it."""
        return [
            f"Simulated paths miss the {e.end}: their ends are {e.value:.3g} from it in outer "
            f"iteration {e.iteration}, and two samples of it {e.floor:.3g} from each other. "
            f"{advice}"
            for e in self.missed()
        ]


def _joined(x: Tensor, c: Tensor | None) -> Tensor:
    """States beside their contexts in units of their own, or their labels, as vectors `(B, k)`."""
    if c is None:
        return x
    if c.is_floating_point():
        shown = c[~c.isnan().any(1)]
        # Hidden contexts are their own group, whose members are alike in this.
        c = ((c - shown.mean(0)) / shown.std(0).clamp(min=1e-12)).nan_to_num()
    else:
        c = nn.functional.one_hot(c - c.min())
    return torch.cat([x.flatten(1), c.to(x)], 1)
