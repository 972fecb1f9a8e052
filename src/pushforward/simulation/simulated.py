"""What a simulation has found: particles at some times, and the rates at all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import LogProb
from pushforward.simulation.entropy_rates import EntropyRates
from pushforward.simulation.sequential_score import ScoreFit, SequentialScore

__all__ = ["COLUMNS", "Simulated"]

COLUMNS = ("time", *EntropyRates._fields, *(f"fit_{name}" for name in ScoreFit._fields))
"""Of the history, one row for each time step."""

_ROUGH = 0.1
"""How far `stein` may be from zero before a warning says so."""


@dataclass(frozen=True)
class Simulated:
    """Particles of the probability flow.

    Args:
        times: those that were kept, `(K,)`.
        x: the particles at these, `(K, n, *event)`: row `k` of all times is one trajectory.
        velocity: `b - D s` there, the probability current over the density.
        log_density: `log p_t` at the particles, `(K, n)`, in nats; `None` for a start without one.
        history: a row for each time step, `(steps + 1, columns)`, in double precision.
        finished: whether the last time has been reached.
        nfe: evaluations of the score at each particle, each backward pass of a divergence counted
            apart; those of fits do not count.
        score: what was fitted last, a function of states; `None` for what was read from a folder.
    """

    times: Tensor
    x: Tensor
    velocity: Tensor
    log_density: Tensor | None
    history: Tensor
    finished: bool
    nfe: int
    score: SequentialScore | None = None

    def column(self, name: str) -> Tensor:
        """One quantity at all time steps, `(steps + 1,)`.

        By name: `time`, a field of `EntropyRates`, or `fit_` and a field of `ScoreFit`.

        Raises `InputError` for another name, `CapabilityError` for what this simulation does not
        know.
        """
        if name not in COLUMNS:
            raise InputError(f"there is no {name!r}: there are {', '.join(COLUMNS)}")
        found = self.history[:, COLUMNS.index(name)]
        if name in EntropyRates._fields and bool(found.isnan().all()):
            why = (
                "it starts from particles, not from a distribution with log_prob"
                if name.startswith("expansion")
                else "the diffusion is degenerate"
            )
            raise CapabilityError(f"this simulation has no {name}: {why}")
        return found

    def log_prob(self) -> LogProb:
        """`log p_t` at the particles of the last time, by the ODE.

        Raises `CapabilityError` for a start without a density.
        """
        return LogProb(self._density()[-1], torch.zeros(self.x.shape[1]), "ode", self.nfe)

    def entropy(self) -> tuple[Tensor, Tensor]:
        """The differential entropy `-E log p_t` at the times that were kept, and its standard
        errors, `(K,)`; in nats.

        Raises `CapabilityError` for a start without a density.
        """
        values = self._density().double()
        return -values.mean(1), values.std(1) / math.sqrt(values.shape[1])

    def currents(self) -> Tensor:
        """The probability current `p_t (b - D s)` at the particles, `(K, n, *event)`.

        Raises `CapabilityError` for a start without a density.
        """
        density = self._density().exp()
        return density.reshape(*density.shape, *[1] * (self.x.ndim - 2)) * self.velocity

    def warnings(self) -> list[str]:
        """In words, what is wrong with the scores; empty if nothing is known to be."""
        said = []
        time, stein = self.column("time"), self.column("stein").abs()
        if float(stein.max()) > _ROUGH:
            worst = int(stein.argmax())
            said.append(
                f"at time {float(time[worst]):g} the score is off: E (x - m) . D s is "
                f"{1 - float(self.column('stein')[worst]):.2f} of what it is for the exact one; "
                "take more steps, particles, or a larger network"
            )
        late = self.column("fit_converged") == 0
        if bool(late.any()):
            said.append(
                f"{int(late.sum())} of {len(late)} fits of the score ended before the tolerance"
            )
        return said

    def _density(self) -> Tensor:
        if self.log_density is None:
            raise CapabilityError(
                "the density is not known: start from a distribution with log_prob, and particles "
                "drawn from it"
            )
        return self.log_density
