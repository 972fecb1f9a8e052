"""How chains of an energy model start from its base and come to the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from pushforward import mcmc, registry
from pushforward.mcmc import Kernel, LogDensity

__all__ = ["Approach", "approach"]

_WARMUP = 100


class Approach(Protocol):
    """A way from the base to the target."""

    def tune(
        self,
        log_p: LogDensity,
        base: LogDensity,
        x: Tensor,
        steps: int,
        generator: torch.Generator,
    ) -> Any:
        """The step sizes that a few chains from `x` find."""

    def fixed(self, step: float, steps: int, like: Tensor) -> Any:
        """The step sizes if all are the same."""

    def draw(
        self,
        log_p: LogDensity,
        base: LogDensity,
        x: Tensor,
        steps: int,
        sizes: Any,
        generator: torch.Generator,
        callback: Callable[[], None],
    ) -> Tensor:
        """Where chains from `x` end. Warns of those that diverge."""


@dataclass(frozen=True)
class _Direct:
    """Steps on the target itself."""

    kernel: Kernel

    def tune(
        self,
        log_p: LogDensity,
        base: LogDensity,
        x: Tensor,
        steps: int,
        generator: torch.Generator,
    ) -> float:
        if self.kernel.target is None:
            return self.kernel.step
        return mcmc.run(self.kernel, log_p, x, 1, warmup=_WARMUP, generator=generator).step

    def fixed(self, step: float, steps: int, like: Tensor) -> float:
        return step

    def draw(
        self,
        log_p: LogDensity,
        base: LogDensity,
        x: Tensor,
        steps: int,
        sizes: float,
        generator: torch.Generator,
        callback: Callable[[], None],
    ) -> Tensor:
        chains = mcmc.run(
            self.kernel, log_p, x, steps, step=sizes, generator=generator, callback=callback
        )
        return chains.x


@dataclass(frozen=True)
class _Annealed:
    """One step at each temperature of the geometric path."""

    kernel: Kernel

    def tune(
        self,
        log_p: LogDensity,
        base: LogDensity,
        x: Tensor,
        steps: int,
        generator: torch.Generator,
    ) -> Tensor:
        ladder = mcmc.temperatures(steps)
        return mcmc.anneal(self.kernel, log_p, base, x, ladder, generator=generator).steps

    def fixed(self, step: float, steps: int, like: Tensor) -> Tensor:
        return like.new_full((steps,), step)

    def draw(
        self,
        log_p: LogDensity,
        base: LogDensity,
        x: Tensor,
        steps: int,
        sizes: Tensor,
        generator: torch.Generator,
        callback: Callable[[], None],
    ) -> Tensor:
        ladder = mcmc.temperatures(steps)
        path = mcmc.anneal(
            self.kernel,
            log_p,
            base,
            x,
            ladder,
            steps=sizes,
            generator=generator,
            callback=callback,
        )
        mcmc.warn_of_divergence(path.diverged, float(sizes[-1]))
        return path.x


def approach(sampler: str | Kernel) -> Approach:
    """The approach called `annealed`, or by the kernel of a name, or by a kernel.

    Raises `InputError` for another name, with the nearest one.
    """
    if sampler == "annealed":
        return _Annealed(mcmc.MALA())
    return _Direct(registry.resolve("kernels", sampler))
