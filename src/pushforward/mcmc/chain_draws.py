"""What chains have drawn, and what their diagnostics say of it, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward.mcmc.diagnostics import (
    bulk_ess,
    effective_sample_size,
    energy_fraction,
    r_hat,
    tail_ess,
)
from pushforward.mcmc.metric import Metric

__all__ = ["ChainDraws", "ChainSummary"]

_R_HAT, _ESS, _ENERGY, _DEEP = 1.01, 400.0, 0.3, 0.01


class ChainSummary(NamedTuple):
    """Of each number of a state, `(*event)` each.

    Args:
        mean: its mean.
        std: its standard deviation.
        mcse: the standard error of the mean.
        bulk: effective sample size of the middle.
        tail: effective sample size of the ends.
        r_hat: whether chains agree.
    """

    mean: Tensor
    std: Tensor
    mcse: Tensor
    bulk: Tensor
    tail: Tensor
    r_hat: Tensor


@dataclass(frozen=True)
class ChainDraws:
    """Draws of many chains after warm-up.

    Args:
        x: the states, `(draws, chains, *event)`.
        log_p: log-densities up to a constant, in the coordinates that chains moved in, `(draws,
            chains)`.
        acceptance: of each move, `(draws, chains)`.
        diverged: moves that diverged, `(draws, chains)`.
        evaluations: of the log-density in each move, `(draws, chains)`.
        energy: of each trajectory at its start; `None` for kernels without momenta.
        step: the step size in use.
        metric: the coordinates that chains moved in.
        warmup_evaluations: of the log-density in warm-up, per chain.
        target: the acceptance rate aimed at, `None` for none.
        deepest: evaluations of the longest trajectory that the kernel makes, `None` for one length.
    """

    x: Tensor
    log_p: Tensor
    acceptance: Tensor
    diverged: Tensor
    evaluations: Tensor
    energy: Tensor | None
    step: float
    metric: Metric
    warmup_evaluations: float
    target: float | None
    deepest: int | None = None

    def summary(self) -> ChainSummary:
        """Mean, deviation, their error, effective sample sizes and R-hat of each number."""
        x = self.x.detach().cpu().double()
        std = x.flatten(0, 1).std(0)
        return ChainSummary(
            x.mean((0, 1)), std, std / effective_sample_size(x).sqrt(), bulk_ess(x), tail_ess(x),
            r_hat(x),
        )  # fmt: skip

    @property
    def sample_stats(self) -> dict[str, Tensor]:
        """By the names that ArviZ knows, `(draws, chains)` each; see `report.arviz_dict`."""
        found = {
            "lp": self.log_p,
            "acceptance_rate": self.acceptance,
            "diverging": self.diverged,
            "n_steps": self.evaluations,
        }
        return found if self.energy is None else {**found, "energy": self.energy}

    def warnings(self, names: Sequence[str] = ()) -> list[str]:
        """What to know before these draws are used, in sentences; empty if nothing is wrong."""
        found, own = [], self.summary()
        draws, chains = self.log_p.shape
        if (bad := _worst(own.r_hat, names, lambda v: v > _R_HAT)) is not None:
            found.append(
                f"Chains do not agree: R-hat is {bad[1]:.3f} for {bad[0]}, above {_R_HAT}. Draw "
                "longer chains, or start from other places; modes that lie apart need tempering."
            )
        for which, values in (("bulk", own.bulk), ("tail", own.tail)):
            if (bad := _worst(-values, names, lambda v: v > -_ESS)) is not None:
                found.append(
                    f"The {which} effective sample size of {bad[0]} is {-bad[1]:.0f} of "
                    f"{draws * chains} draws, below {_ESS:.0f}: draw more."
                )
        unknown = int(own.r_hat.isnan().sum())
        if unknown:
            found.append(
                f"{unknown} numbers of a state never changed, or are not finite: nothing is known "
                "of their convergence."
            )
        if lost := int(self.diverged.sum()):
            found.append(
                f"{lost} of {draws * chains} moves diverged: part of the target may be out of "
                "reach. Take a smaller step or a higher acceptance rate, or other coordinates."
            )
        if self.energy is not None and draws > 3:
            low = energy_fraction(self.energy)
            stuck = int((low < _ENERGY).sum())
            if stuck:
                found.append(
                    f"The energy fraction of missing information is {float(low.min()):.2f}, below "
                    f"{_ENERGY} for {stuck} of {chains} chains: they cross levels of energy "
                    "slowly, as where tails are heavy or scales differ from place to place."
                )
        if self.deepest is not None:
            share = float((self.evaluations >= self.deepest).double().mean())
            if share > _DEEP:
                found.append(
                    f"{share:.0%} of trajectories are as long as they may be, {self.deepest} "
                    "steps: chains would explore more with a greater depth."
                )
        if self.target is not None and abs(float(self.acceptance.mean()) - self.target) > 0.15:
            found.append(
                f"{float(self.acceptance.mean()):.2f} of proposals are accepted, where "
                f"{self.target:.2f} was aimed at: give a longer warmup."
            )
        return found


def _worst(values: Tensor, names: Sequence[str], bad: Any) -> tuple[str, float] | None:
    """Name and value of the largest number, if it is bad; NaN is left aside."""
    flat = values.flatten().nan_to_num(nan=-torch.inf, posinf=torch.inf)
    at = int(flat.argmax())
    value = float(flat[at])
    if value == -torch.inf or not bad(value):
        return None
    return (names[at] if names else f"number {at}"), value
