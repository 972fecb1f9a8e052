"""Debias coarsely, then draw fine fields that have these coarse ones."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor

from pushforward import checks, registry
from pushforward._random import start_noise
from pushforward.downscaling.debiasing import Debiasing, fitted
from pushforward.downscaling.downscaler import Downscaler, Progress
from pushforward.downscaling.refinement import Refinement
from pushforward.downscaling.reversal import denoiser_of, reversed_from
from pushforward.downscaling.unpaired import Unpaired

__all__ = ["ConstrainedDiffusion"]


class ConstrainedDiffusion(Downscaler):
    """Coarse fields of the fine model by optimal transport, and fine ones with these (Wan et al.
    2023).

    First the coarse fields go where the optimal plan to the coarse fields of the target takes them.
    Then a diffusion of the fine fields draws what a coarse grid does not see: each prediction has
    its coarse field replaced, `x + A^+ (y - A x)` (Wang et al. 2023), so that what comes out meets
    the debiased `y` up to rounding. Its small scales are drawn exactly where the large ones tell
    nothing of them, and by a heuristic elsewhere.

    Args:
        model: a diffusion of the fine fields.
        debiasing: a name of `pushforward list debiasings` or a `Debiasing`; `waves`, optimal
            transport of homogeneous fields on periodic domains, by default, `None` to keep the
            coarse fields. Other domains need another one: `fit` refuses `waves` there.
        steps: of the reversal.

    Raises `InputError` for names that do not exist, a model without predictions under noise, and
    numbers out of range.
    """

    grid: Refinement | None = None
    """Between the coarse fields and the fine ones, once it is fitted."""

    def __init__(
        self, model: Any, debiasing: str | Debiasing | None = "waves", steps: int = 50
    ) -> None:
        denoiser_of(model)
        self.model, self.steps = model, checks.whole("steps", steps, 2)
        self.debiasing: Debiasing | None = (
            None if debiasing is None else registry.resolve("debiasings", debiasing)
        )

    def fit(self, data: Unpaired) -> Self:
        """The plan between the coarse fields of the two sides."""
        if self.debiasing is not None:
            self.debiasing.fit_on(data.grid, data.source, data.seen)
        self.grid = data.grid
        return self

    def debiased(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """The coarse fields that are met, on the fine grid, `(B, C, H, W)`."""
        grid = fitted(self.grid)
        # What the plan draws where the source has no power may lie beyond the coarse grid.
        return grid.low_pass(x if self.debiasing is None else self.debiasing(x, seed=seed))

    def __call__(self, x: Tensor, *, seed: int = 0, progress: Progress | None = None) -> Tensor:
        """Fields of the target whose coarse ones are the debiased given ones."""
        grid, met = fitted(self.grid), self.debiased(x, seed=seed)

        def altered(free: Tensor, rows: slice) -> Tensor:
            fields = self.model.outward(free)
            found: Tensor = self.model.inward(grid.constrained(fields, met[rows].to(fields)))
            return found

        known = denoiser_of(self.model)
        z = known.prior.sample(len(x), generator=start_noise(seed, slice(0, len(x))))
        z = z.to(self.model.device, self.model.dtype)
        made = reversed_from(
            self.model, z, known.start, steps=self.steps, seed=seed, altered=altered,
            progress=progress,
        )  # fmt: skip
        # Once more, against the rounding of the units of the model.
        return grid.constrained(made, met.to(made))
