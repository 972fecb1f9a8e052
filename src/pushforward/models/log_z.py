"""The normalizing constants of energies: what is known of them, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward import mcmc
from pushforward.protocols import Distribution

__all__ = ["LogZs", "estimated_log_z"]

_UNCERTAIN = 0.1
"""The standard error, in nats, from which a constant deserves a word."""


class LogZs(NamedTuple):
    """Normalizing constants, one for each label, or one.

    Args:
        value: the logarithm of the integral of `exp(-E)` over standardized states.
        stderr: its standard error.
        ess: the effective sample size of the chains that found it.
        converged: whether value and standard error can be trusted.
    """

    value: Tensor
    stderr: Tensor
    ess: Tensor
    converged: Tensor

    def __str__(self) -> str:
        each = [
            f"{value:.4f} ± {stderr:.4f}{'' if fine else ' NOT CONVERGED'} (effective sample size "
            f"{ess:.1f})"
            for value, stderr, ess, fine in zip(*(part.tolist() for part in self), strict=True)
        ]
        return f"log Z: {', '.join(each)}"

    def warnings(self) -> Iterator[str]:
        """What to know before using them, in sentences."""
        if not bool(self.converged.all()):
            yield (
                f"The estimate of log Z has not converged (effective sample size "
                f"{float(self.ess.min()):.1f}): log-densities and their errors are not to be "
                "trusted; call estimate_log_z with more chains or temperatures."
            )
        elif float(self.stderr.max()) > _UNCERTAIN:
            yield (
                f"log Z has a standard error of {float(self.stderr.max()):.2g} nats: call "
                "estimate_log_z with more chains or temperatures."
            )


def estimated_log_z(
    log_p: Callable[[Tensor], mcmc.LogDensity],
    base: Distribution,
    labels: Tensor,
    chains: int,
    temperatures: int,
    generator: torch.Generator,
) -> LogZs:
    """The constants of `log_p(label)` for each of some labels, by chains from the base.

    Warns of weights that degenerate: `mcmc.annealed_importance_sampling`.
    """
    found = [
        mcmc.annealed_importance_sampling(
            log_p(label), base, chains, betas=temperatures, generator=generator
        )
        for label in labels
    ]
    numbers = torch.tensor([(one.log_z, one.stderr, one.ess) for one in found])
    converged = torch.tensor([one.converged for one in found], device=labels.device)
    value, stderr, ess = numbers.to(labels.device).unbind(-1)
    return LogZs(value, stderr, ess, converged)
