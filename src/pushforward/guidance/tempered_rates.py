"""Rates of jumps given a context, tempered: guidance of tokens without a predictor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pushforward.errors import CapabilityError, InputError
from pushforward.guidance.classifier_free import both_ways
from pushforward.processes import Jumps, TiltedLogits
from pushforward.protocols import Model, Time

__all__ = ["TemperedRates"]


@dataclass(frozen=True)
class TemperedRates:
    r"""Reversed rates `R(x, y | c)^strength R(x, y)^(1 - strength)`.

    Predictor-free guidance of Nisonoff et al. (2025). By Bayes' rule it is `R(x, y) (p_t(c | y) /
    p_t(c | x))^strength`, the guidance of a predictor (`TokenGuidance`) that two models imply.

    Exactness: at `strength = 0` and 1 the models' own reversals. At others rates alone draw from no
    law that can be written down. Tokens that a `samplers.GibbsCorrector` draws anew given all
    others are of `p_t(x) p_t(c | x)^strength` at each time, so that with many moves late in the run
    what is drawn is the tilted law `p(x) p(c | x)^strength`. `ClassifierFree`, which tempers the
    logits of the data of each token, is exact for one token, and no corrector makes it so for more.

    Cost: one evaluation of the model on a batch of twice the size.

    Args:
        model: predicts logits, with a context and without.
        process: `Jumps`.
        strength: of the guidance.

    Raises `CapabilityError` for another process, `InputError` for a negative strength, or a call
    without contexts, as for `ClassifierFree`.

    >>> from pushforward import spaces
    >>> process = Jumps(spaces.Tokens(2))
    >>> likes = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    >>> model = lambda x, t, c: likes[c.clamp(min=0)].unsqueeze(1)
    >>> guided = TemperedRates(model, process, 3.0)
    >>> guided(torch.tensor([[0]]), 0.5, torch.tensor([1])).gain
    tensor([[[0.0000, 0.6292]]])
    """

    model: Model
    process: Any
    strength: float = 1.0

    exactness = "exact at strength 1; at others where a corrector mends the tokens"

    def __post_init__(self) -> None:
        if not isinstance(self.process, Jumps):
            raise CapabilityError(
                f"rates are tempered under Jumps, not under {type(self.process).__name__}: masked "
                "tokens have ClassifierFree, guidance= of a model"
            )
        if not 0 <= self.strength < math.inf:
            raise InputError(f"the strength of guidance is a number >= 0, not {self.strength}")

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> TiltedLogits:
        """The conditional logits, with the gain that tempers their rates."""
        own, free = both_ways(self.model, x_t, t, c)
        logs = [self.process.ratios(pred, x_t, t).log() for pred in (own, free)]
        gain = (self.strength - 1) * torch.sub(*logs)
        found: TiltedLogits = self.process.tilted(own, gain, x_t)
        return found
