"""Guidance of tokens by a predictor of noisy sequences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import Jumps, Masking
from pushforward.protocols import Model, Time

__all__ = ["TokenGuidance"]

TokenLogProb = Callable[[Tensor, Time, Any], Tensor]
"""`log p(y | x_t)` of one-hot codes `(B, sites, K + 1)`, the mask the last, as a function of
`(codes, t, c)`, `(B,)`; differentiable for `neighbors="taylor"`."""

_AT_ONCE = 1 << 14
"""Sequences that the predictor is given together."""


@dataclass(frozen=True)
class TokenGuidance:
    r"""Chances of each next state multiplied by `(p(y | next state) / p(y | x_t))^strength`.

    Predictor-based guidance (Schiff et al. 2025; Nisonoff et al. 2025). Under `Masking` logits of
    hidden tokens, `p(x_0^i = k | x_t) p(y | x_t with k at i)^strength`, renormalized at each; under
    `Jumps` reversed rates, times `(p(y | x_t with k at i) / p(y | x_t))^strength`
    (`processes.TiltedLogits`).

    Exactness: at `strength = 1` the reversal given `y` if `log_prob` is the logarithm of `p(y |
    x_t)` and `neighbors="all"`. Of other strengths, masked tokens are renormalized given the
    visible ones, which is the tilted law `p(x) p(y | x)^strength` for one token, and for several no
    law that can be written down: what comes first does not know what the tilt makes of what comes
    later. The same holds of rates, but a `samplers.GibbsCorrector` under `Jumps` draws tokens given
    all others from `p_t(x) p(y | x)^strength` exactly: with many moves late in the run what is
    drawn is the tilted law.

    Cost: one evaluation of the model, and of the predictor one for each symbol at each site
    (`all`), or one with its gradient (`taylor`), which replaces differences by derivatives.

    Args:
        model: predicts logits.
        process: `Masking` or `Jumps`.
        log_prob: of one-hot codes of noisy sequences, `(B, sites, K + 1)`, the mask the last.
        strength: of the guidance.
        neighbors: `all`, or `taylor`.

    Raises `CapabilityError` for another process, `InputError` for a strength that is negative, or a
    `log_prob` of another shape.

    >>> from pushforward import spaces
    >>> process = Masking(spaces.Tokens(2))
    >>> wish = lambda codes, t, c: codes[:, 0, 1].clamp_min(0.1).log()
    >>> free = lambda x, t, c=None: torch.zeros(*x.shape, 2)
    >>> TokenGuidance(free, process, wish)(torch.tensor([[2]]), 0.5).softmax(-1)
    tensor([[[0.0909, 0.9091]]])
    """

    model: Model
    process: Any
    log_prob: TokenLogProb
    strength: float = 1.0
    neighbors: Literal["all", "taylor"] = "all"

    exactness = (
        "exact at strength 1 with neighbors='all' if log_prob is the logarithm of p(y | x_t); "
        "otherwise of no law that can be written down, but for one masked token, or where a "
        "corrector mends tokens that jump"
    )

    def __post_init__(self) -> None:
        if not isinstance(self.process, Masking | Jumps):
            raise CapabilityError(
                f"guidance of tokens takes Masking or Jumps, not {type(self.process).__name__}: it "
                "asks for the chance of each token in the place of another"
            )
        checks.one_of("neighbors", self.neighbors, get_args(Literal["all", "taylor"]))
        if not 0 <= self.strength < math.inf:
            raise InputError(f"the strength of guidance is a number >= 0, not {self.strength}")

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Any:
        """The guided prediction of the process."""
        logits = self.model(x_t, t, c)
        if self.strength == 0:
            return logits
        gain = self._all(x_t, t, c) if self.neighbors == "all" else self._taylor(x_t, t, c)
        return self.process.tilted(logits, self.strength * gain, x_t)

    def _all(self, x_t: Tensor, t: Time, c: Any) -> Tensor:
        """`log p(y | x_t with k at i)`, `(B, sites, K)`."""
        symbols, (n, sites) = self.process.space.vocabulary, x_t.shape
        place = torch.arange(sites, device=x_t.device)
        found = []
        for k in range(symbols):
            changed = x_t.unsqueeze(1).repeat(1, sites, 1)
            changed[:, place, place] = k
            found.append(self._values(changed.flatten(0, 1), t, c, sites).view(n, sites))
        return torch.stack(found, -1)

    def _values(self, x: Tensor, t: Time, c: Any, copies: int) -> Tensor:
        """The predictor at sequences of which each row of the batch has several."""
        rows = max(1, _AT_ONCE // copies) * copies
        values = []
        for first in range(0, len(x), rows):
            part = x[first : first + rows]
            own = slice(first // copies, (first + len(part)) // copies)
            values.append(self._log_prob(part, _of(t, own, copies), _of(c, own, copies)))
        return torch.cat(values)

    def _taylor(self, x_t: Tensor, t: Time, c: Any) -> Tensor:
        """The first-order change of `log p(y | x_t)` with `k` in the place of what is there."""
        with torch.inference_mode(False), torch.enable_grad():
            codes = self._codes(x_t.clone()).requires_grad_()
            value = self._shaped(self.log_prob(codes, t, c), len(x_t))
            if not value.requires_grad:
                raise CapabilityError("neighbors='taylor' needs a log_prob with a derivative")
            (slope,) = torch.autograd.grad(value.sum(), codes)
        return slope[..., :-1] - slope.gather(-1, x_t.unsqueeze(-1))

    def _log_prob(self, x: Tensor, t: Time, c: Any) -> Tensor:
        return self._shaped(self.log_prob(self._codes(x), t, c), len(x))

    def _codes(self, x: Tensor) -> Tensor:
        return functional.one_hot(x, self.process.space.vocabulary + 1).float()

    def _shaped(self, value: Tensor, n: int) -> Tensor:
        if value.shape != (n,):
            raise InputError(
                f"log_prob of {n} sequences has shape ({n},), not {tuple(value.shape)}"
            )
        return value


def _of(value: Any, rows: slice, copies: int) -> Any:
    """What rows have, for the copies of each."""
    if not isinstance(value, Tensor) or value.ndim == 0:
        return value
    return value[rows].repeat_interleave(copies, 0)
