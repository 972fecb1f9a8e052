"""A bridge through a shared noise level: what two distributions have in common survives it."""

from __future__ import annotations

from typing import Any, Self

from torch import Tensor

from pushforward import checks, registry
from pushforward._random import RowNoise, derived_seed
from pushforward.downscaling.debiasing import Debiasing, fitted
from pushforward.downscaling.downscaler import Downscaler, Progress
from pushforward.downscaling.reversal import denoiser_of, reversed_from
from pushforward.downscaling.shared_noise import SharedNoise, shared_noise
from pushforward.downscaling.unpaired import Unpaired

__all__ = ["NoiseBridge"]


class NoiseBridge(Downscaler):
    """Coarse fields noised until fine ones would look the same, then denoised as fine ones.

    The method of Bischoff & Deck (2024), and of Meng et al. (2022) for pictures: only a diffusion
    of the fine fields is learned. Noise of level `t*` hides all scales in which the two
    distributions differ (`shared_noise`), and the reversal draws them anew. What differs in larger
    scales passes through: `debiasing` takes it off first.

    Args:
        model: a diffusion of the fine fields.
        debiasing: a name of `pushforward list debiasings` or a `Debiasing`, between the coarse
            fields and what a coarse grid sees of the fine ones; `moments` by default, `None` to
            leave them as they are.
        wavenumber: which `t*` is chosen by; by default the last in which the spectra agree, of
            those that the coarse grid resolves.
        steps: of the reversal.

    Raises `InputError` for names that do not exist, a model without predictions under noise, and
    numbers out of range.
    """

    level: SharedNoise | None = None
    """Where the fields are noised to, once it is fitted."""

    def __init__(
        self,
        model: Any,
        debiasing: str | Debiasing | None = "moments",
        wavenumber: int | None = None,
        steps: int = 50,
    ) -> None:
        denoiser_of(model)
        self.model, self.wavenumber = model, wavenumber
        self.debiasing: Debiasing | None = (
            None if debiasing is None else registry.resolve("debiasings", debiasing)
        )
        self.steps = checks.whole("steps", steps, 2)

    def fit(self, data: Unpaired) -> Self:
        """The bias and the level of the noise."""
        source = data.source
        if self.debiasing is not None:
            source = self.debiasing.fit_on(data.grid, source, data.seen)(source)
        schedule = denoiser_of(self.model).process.schedule
        self.level = shared_noise(
            self.model.inward(source), self.model.inward(data.target), schedule,
            wavenumber=self.wavenumber, largest=data.grid.cutoff, window=not data.grid.periodic,
        )  # fmt: skip
        return self

    def __call__(self, x: Tensor, *, seed: int = 0, progress: Progress | None = None) -> Tensor:
        """Fields of the target with the large scales of the coarse ones."""
        level = fitted(self.level)
        if self.debiasing is not None:
            x = self.debiasing(x, seed=seed)
        z = self.model.inward(x)
        noise = RowNoise(derived_seed(seed, 1), slice(0, len(z)), z.device)
        z = denoiser_of(self.model).process.sample(z, level.t, noise)
        return reversed_from(self.model, z, level.t, steps=self.steps, seed=seed, progress=progress)
