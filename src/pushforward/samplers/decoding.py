"""Masked tokens shown in the order of the model's confidence: fast, and of no exact law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import drawn_from_logits, fine_uniform, most_probable
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.processes import Masking
from pushforward.protocols import State, Transport
from pushforward.samplers.rule import Rule

__all__ = ["ConfidenceOrder", "Order"]

Order = Literal["confidence", "entropy", "margin", "random"]
"""Which hidden tokens are shown first: those with the most probable symbol, of least entropy, with
the largest lead of the most probable symbol over the next, or any."""


@configurable
@dataclass(frozen=True)
class ConfidenceOrder(Rule):
    """The tokens of which the model is most certain, shown first (Chang et al. 2022; Ben-Hamu et
    al. 2025).

    Exactness: none. Which tokens are shown depends on what the model says of them, and tokens that
    are shown together are drawn as if they were independent: the law is not that of the model, and
    leans towards low entropy. With `order="random"` it is that of the pinned sampler with a fixed
    number of tokens a step.

    Args:
        order: what is shown first.
        entropy: the budget of a step in nats; as many tokens as keep the sum of their entropies,
            without the largest, within it, and one at least. Without it, as many as the clock says.
        temperature: of the symbols that are drawn; 0 takes the most probable.

    Raises `InputError` for settings out of range, `CapabilityError` for other processes than
    `Masking`.
    """

    order: Order = "confidence"
    entropy: float | None = None
    temperature: float = 1.0

    def __post_init__(self) -> None:
        checks.one_of("order", self.order, get_args(Order))
        checks.number("temperature", self.temperature, least=0)
        if self.entropy is not None:
            checks.number("entropy", self.entropy, least=0)

    def step(
        self,
        transport: Transport,
        state: State,
        row: Any,
        generator: torch.Generator | None = None,
    ) -> State:
        """The tokens shown between `t` and `s`; all that are left in a step to 0."""
        (model, process), x, (t, s) = transport, state.x, row
        if not isinstance(process, Masking):
            raise CapabilityError(
                f"an order of confidence takes Masking, not {type(process).__name__}"
            )
        pred = model(x, t)
        hidden = (x == process.space.mask).flatten(1)
        logs = pred.log_softmax(-1).flatten(1, -2)
        rank = self._rank(logs, hidden, generator)
        if self.entropy is None or s == 0:
            # So many stay hidden, of all sites: rounded down, so that none is left at the end.
            kept = int((1 - float(process.schedule.at(s).alpha)) * hidden.shape[1])
            show = rank < (hidden.sum(1) - kept).unsqueeze(1)
        else:
            show = rank < self._affordable(logs, rank, hidden)
        new = self._drawn(pred, generator)
        return State(process.space.where((show & hidden).view(x.shape), new, x))

    def _rank(self, logs: Tensor, hidden: Tensor, generator: torch.Generator | None) -> Tensor:
        """The place of each hidden token in the order, the first one 0."""
        if self.order == "confidence":
            score = logs.max(-1).values
        elif self.order == "entropy":
            score = -_entropy(logs)
        elif self.order == "margin":
            best = logs.exp().topk(2, -1).values
            score = best[..., 0] - best[..., 1]
        else:
            score = fine_uniform(hidden.shape, generator, device=hidden.device).to(logs)
        return torch.where(hidden, score, -torch.inf).argsort(1, descending=True).argsort(1)

    def _affordable(self, logs: Tensor, rank: Tensor, hidden: Tensor) -> Tensor:
        """How many tokens in the order stay within the budget, `(B, 1)`."""
        entropy = torch.where(hidden, _entropy(logs), torch.inf)
        ordered = torch.zeros_like(entropy).scatter(1, rank, entropy)
        cost = ordered.cumsum(1) - ordered.cummax(1).values
        within = (cost <= (self.entropy or 0.0)).sum(1, keepdim=True)
        return within.clamp_min(1)

    def _drawn(self, pred: Tensor, generator: torch.Generator | None) -> Tensor:
        if self.temperature == 0:
            return most_probable(pred)
        return drawn_from_logits(pred / self.temperature, generator)


def _entropy(logs: Tensor) -> Tensor:
    return -(logs.exp() * logs.nan_to_num(neginf=0.0)).sum(-1)
