"""How chains of an energy model start from its base and come to the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import mcmc, registry
from pushforward.mcmc import LogDensity

__all__ = ["Approach", "approach"]

_WARMUP = 100


class Approach(NamedTuple):
    """Chains of a kernel from the base to the target.

    Args:
        kernel: what moves them.
        annealed: one step at each temperature of the geometric path, or all on the target itself.
    """

    kernel: mcmc.MarkovKernel
    annealed: bool

    def step_sizes(
        self,
        log_p: LogDensity,
        base: LogDensity,
        pilots: Tensor,
        steps: int,
        generator: torch.Generator,
    ) -> Tensor:
        """The size of each step, `(steps,)`, that a few chains find."""
        if self.annealed:
            return mcmc.anneal(self.kernel, log_p, base, pilots, steps, generator=generator).steps
        size = self.kernel.step
        if self.kernel.target is not None:
            run = mcmc.run(self.kernel, log_p, pilots, 1, warmup=_WARMUP, generator=generator)
            size = run.step
        return pilots.new_full((steps,), size)

    def draw(
        self,
        log_p: LogDensity,
        base: LogDensity,
        x: Tensor,
        sizes: Tensor,
        generator: torch.Generator,
        callback: Callable[[], None],
    ) -> Tensor:
        """Where chains from `x` end. Warns of those that diverge."""
        more: dict[str, Any] = {"generator": generator, "callback": callback}
        if not self.annealed:
            step = float(sizes[0])
            return mcmc.run(self.kernel, log_p, x, len(sizes), step=step, **more).x
        path = mcmc.anneal(self.kernel, log_p, base, x, len(sizes), steps=sizes, **more)
        mcmc.warn_of_divergence(path.diverged, float(sizes[-1]))
        return path.x


def approach(sampler: str | mcmc.MarkovKernel) -> Approach:
    """The approach called `annealed`, or by the kernel of a name, or by a kernel.

    Raises `InputError` for another name, with the nearest one.
    """
    annealed = sampler == "annealed"
    return Approach(mcmc.MALA() if annealed else registry.resolve("kernels", sampler), annealed)
