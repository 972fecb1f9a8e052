r"""Steps that are exact given the endpoint: DDPM, DDIM, unmasking, births.

On a Gaussian process a step has the mean of the pinned kernel `p(x_s | x_t, x_0)`, with the
prediction in the place of `x_0`. There are several answers to what its variance should be:

* `posterior`, that of the pinned kernel (`beta tilde` of Ho et al. 2020): right for data that is
  known, too small else;
* `beta`, that of the forward kernel from `s` to `t`: right for standard normal data, and the upper
  end of what is right for data of at most unit variance;
* `learned` between the two, `exp(v log beta + (1 - v) log beta tilde)` (Nichol & Dhariwal 2021),
  with `v` from the model;
* from `Var[x_0 | x_t]`, by the law of total variance (Bao et al. 2022a, 2022b): the right one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import combine
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Kernel
from pushforward.protocols import Bridged, GaussianKernels, State, Transport, follows
from pushforward.samplers.analytic_dpm import Variance, step_variance
from pushforward.samplers.rule import Rule

__all__ = ["Ancestral"]


class _Row(NamedTuple):
    """A pinned kernel with the variance of the step, or the logarithms of a learned one's range."""

    t: float
    kernel: Kernel
    log_range: tuple[float, float] | None = None


@configurable
@dataclass(frozen=True)
class Ancestral(Rule):
    """The pinned kernel `p(x_s | x_t, z)` with the prediction in the place of `z`.

    On a `Gaussian` process `churn = 1` is DDPM (Ho et al. 2020), `churn = 0` DDIM (Song, Meng &
    Ermon 2021) and `sqrt(churn)` is DDIM's eta. On tokens and point sets it restores each lost
    piece with its exact chance. It steps to `t = 0` without trouble. DDIM runs in both directions:
    towards the noise it is DDIM inversion.

    Args:
        churn: between 0 and 1, see above; the variance is multiplied by it.
        variance: of a step on a Gaussian process, see above: `posterior`, `beta`, `learned`, for a
            model that predicts the pair `(E[x_0 | x_t], v)`, or `Var[x_0 | x_t]` as a function of
            `(x_t, t)`, in closed form, by `tweedie_variance`, or learned
            (`models.PosteriorVariance`), of which the step takes all but what `churn` leaves out.

    Raises `InputError` for settings out of range, `CapabilityError` for a process without pinned
    kernels, or without a variance to choose.

    >>> from pushforward import Transport, processes, samplers, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> transport = Transport(lambda x, t, c=None: 0 * x, process)
    >>> sampler = Ancestral(variance=lambda x, t: torch.ones(()))
    >>> x = samplers.run(sampler, transport, torch.zeros(100_000, 1), [1.0, 0.0], seed=0)
    >>> round(x.std().item(), 1)
    1.0
    """

    churn: float = 1.0
    variance: Literal["posterior", "beta", "learned"] | Variance = "posterior"

    def __post_init__(self) -> None:
        checks.number("churn", self.churn, least=0, most=1)
        if not callable(self.variance) and self.variance not in ("posterior", "beta", "learned"):
            raise InputError(
                "the variance is 'posterior', 'beta', 'learned' or a function (x_t, t), not "
                f"{self.variance!r}"
            )

    def plan(
        self, process: Any, grid: Sequence[float]
    ) -> Sequence[_Row] | Sequence[tuple[float, float]]:
        """The kernel of each step, or its times where the kernel depends on the state."""
        if not follows(process, Bridged):
            raise CapabilityError(
                f"{type(process).__name__} has no pinned kernel: use the euler or sde sampler; "
                "Gaussian, Masking, Thinning and JumpDiffusion have one"
            )
        if follows(process, GaussianKernels):
            return [self._row(process, t, s) for t, s in pairwise(grid)]
        if self.variance != "posterior":
            raise CapabilityError(
                f"the steps of {type(process).__name__} have no variance to choose: that takes a "
                "Gaussian process"
            )
        return list(pairwise(grid))

    def _row(self, process: GaussianKernels, t: float, s: float) -> _Row:
        kernel: Kernel = process.pinned(t, s, self.churn)
        if self.variance not in ("posterior", "beta") and not process.space.white:
            raise CapabilityError(
                f"a variance for each coordinate takes white noise, not {process.space}: use the "
                "ddpm sampler"
            )
        if self.variance == "posterior" or callable(self.variance) or kernel.std is None:
            return _Row(t, kernel)
        forward = math.sqrt(self.churn) * float(process.transition(s, t).std)
        if self.variance == "beta":
            return _Row(t, kernel._replace(std=forward))
        return _Row(t, kernel, (2 * math.log(float(kernel.std)), 2 * math.log(forward)))

    def rehearsed(self) -> Ancestral:
        """The same steps with a variance that asks nothing of the model."""
        if callable(self.variance):
            return replace(self, variance=lambda x, t: x.new_zeros(()))
        return replace(self, variance="posterior") if self.variance == "learned" else self

    def step(
        self,
        transport: Transport,
        state: State,
        row: Any,
        generator: torch.Generator | None = None,
    ) -> State:
        """A draw of the kernel from `t` to `s`."""
        (model, process), x = transport, state.x
        if not isinstance(row, _Row):
            pred = model(x, row[0])
            return State(process.bridge(pred, x, *row, self.churn, generator))
        t, kernel, log_range = row
        pred = model(x, t)
        std: Tensor | None = None
        if self.variance == "learned":
            pred, v = _pair(pred, x)
            if log_range is not None:
                std = torch.exp(0.5 * (log_range[0] + (log_range[1] - log_range[0]) * v))
        elif callable(self.variance):
            std = step_variance(kernel, self.variance(x, t)).sqrt()
        if std is None:
            return State(process.draw(kernel, x, pred, generator))
        mean = combine((kernel.keep, kernel.gain), (x, pred))
        return State(mean + std * process.space.randn(x, generator))


def _pair(pred: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """The posterior mean and the place of the log-variance in its range."""
    if not isinstance(pred, tuple) or len(pred) != 2 or pred[0].shape != x.shape:
        raise InputError(
            "a learned variance takes a model that predicts the pair (E[x_0 | x_t], v), the first "
            "shaped like the states, and v between 0 and 1"
        )
    return pred
