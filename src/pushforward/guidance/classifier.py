"""Classifier guidance (Dhariwal & Nichol 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.guidance.differentiating import check_process, recording, tweedie_gain, watched
from pushforward.protocols import GaussianKernels, Guided, Model, Time

__all__ = ["ClassifierGuidance", "NoisyLogProb"]

NoisyLogProb = Callable[[Tensor, Time, Any], Tensor]
"""`log p(y | x_t)` of noisy states, `(B,)`, differentiable, as a function of `(x_t, t, c)`."""


@dataclass(frozen=True)
class ClassifierGuidance:
    r"""`E[x_0 | x_t] + strength (sigma^2 / alpha) grad log p(y | x_t)`.

    Dhariwal & Nichol (2021) for the posterior mean, and so for every sampler. `log_prob` may be
    anything differentiable: a classifier of noisy states, the log of a constraint's probability, a
    reward.

    Exactness: at `strength = 1` exact if `log_prob` is the logarithm of `p(y | x_t)`; more
    exaggerates the label, and is the posterior of no likelihood.

    Cost: one evaluation of the model, one of the classifier and its gradient.

    Args:
        model: predicts `E[x_0 | x_t]`.
        process: its Gaussian process, with white noise.
        log_prob: `log p(y | x_t)`, `(B,)`, of `(x_t, t, c)`, where `c` is the model's context.
        strength: one number, or one for each row, `(B,)`.

    Raises `InputError` for strengths that are not finite or negative, and for a `log_prob` of
    another shape; `CapabilityError` for one without derivative, or another process.

    >>> from pushforward import processes, schedules
    >>> process = processes.Gaussian(schedules.Rectified())
    >>> log_prob = lambda x, t, c: -x.square().sum(1)
    >>> ClassifierGuidance(lambda x, t, c=None: x, process, log_prob)(torch.ones(1, 1), 0.5)
    tensor([[0.]])
    """

    model: Model
    process: GaussianKernels
    log_prob: NoisyLogProb
    strength: float | Tensor = 1.0

    exactness = (
        "exact at strength 1 if log_prob is the logarithm of p(y | x_t); otherwise the posterior "
        "of no likelihood"
    )

    def __post_init__(self) -> None:
        check_process(self.process, type(self).__name__)
        strength = torch.as_tensor(self.strength)
        if strength.ndim > 1 or not bool((strength >= 0).all() and (strength < math.inf).all()):
            raise InputError(
                f"the strength of guidance is a number >= 0, or one for each row, not "
                f"{self.strength}"
            )

    def guide(self, x_t: Tensor, t: Time, c: Any = None) -> Guided:
        """The predictions with and without guidance; `log_likelihood` is `strength log_prob`."""
        factor = tweedie_gain(self.process, x_t, t)
        free = self.model(x_t, t, c)
        with recording():
            x = watched(x_t)
            value = self.log_likelihood(x, c, t)
            if not value.requires_grad:
                raise CapabilityError("classifier guidance needs a log_prob with a derivative in x")
            (score,) = torch.autograd.grad(value.sum(), x, materialize_grads=True)
        return Guided(free, free + factor * score, value.detach())

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The guided prediction."""
        return self.guide(x_t, t, c).guided

    def log_likelihood(self, x_0: Tensor, c: Any = None, t: Time = 0.0) -> Tensor:
        """`strength log p(y | x_t)`, by default at the time of the data, `(B,)`."""
        value = self.log_prob(x_0, t, c)
        if not isinstance(value, Tensor) or value.shape != (len(x_0),):
            what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"log_prob of {len(x_0)} states has shape ({len(x_0)},), not {what}")
        return torch.as_tensor(self.strength).to(value) * value
