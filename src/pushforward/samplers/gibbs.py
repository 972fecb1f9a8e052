"""A corrector of tokens: some drawn anew given all others, which leaves the law alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import fine_uniform
from pushforward.config import configurable
from pushforward.protocols import Sampler, State, Transport
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.remasking import check_tokens
from pushforward.samplers.rule import Rule

__all__ = ["GibbsCorrector"]


@configurable
@dataclass(frozen=True)
class GibbsCorrector(Rule):
    """A step of another sampler, then moves that draw tokens anew at the new time.

    The prediction gives the law of one token given all others, `p_t(x^i | rest)`, in closed form,
    so that a move in detailed balance with `p_t` costs one evaluation: a Gibbs step on tokens that
    jump (compare Zhao et al. 2024), and showing a hidden token or hiding a visible one in the right
    proportion under masking.

    Exactness: with `sites = 1` the law at each time is left alone, whatever the model's law is, and
    what a predictor has spoiled is mended. More sites at once are as many moves for one evaluation,
    with an error, since each is drawn as if the others stood still.

    Args:
        predictor: any sampler of tokens; the pinned one by default.
        moves: after each step.
        sites: how many tokens, chosen at random, a move draws anew.

    Raises `InputError` for settings out of range, `CapabilityError` for other processes.
    """

    predictor: Sampler = field(default_factory=Ancestral)
    moves: int = 1
    sites: int = 1

    def __post_init__(self) -> None:
        checks.whole("moves", self.moves)
        checks.whole("sites", self.sites)

    @property
    def evaluations(self) -> int:
        """Those of the predictor, and one per move."""
        own = self.predictor.evaluations
        return own + self.moves if own else 0

    def plan(self, process: Any, grid: Sequence[float]) -> list[tuple[Any, float]]:
        """The predictor's rows, each with the time at its end."""
        check_tokens(process, self)
        return list(zip(self.predictor.plan(process, grid), grid[1:], strict=True))

    def init(self, x: Tensor) -> State:
        """The predictor's state."""
        return self.predictor.init(x)

    def step(
        self,
        transport: Transport,
        state: State,
        row: tuple[Any, float],
        generator: torch.Generator | None = None,
    ) -> State:
        """The predictor's step, corrected; nothing is left to correct in the data."""
        ahead, s = row
        state = self.predictor.step(transport, state, ahead, generator)
        x = state.x
        for _ in range(self.moves if s > 0 else 0):
            new = transport.process.redrawn(transport.model(x, s), x, s, generator)
            order = fine_uniform(x.shape, generator, device=x.device).flatten(1)
            chosen = order.argsort(1).argsort(1) < self.sites
            x = torch.where(chosen.view(x.shape).to(x.device), new, x)
        return State(x, state.memory)
