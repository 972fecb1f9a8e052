"""Markov chains of tokens pinned at both ends: the reference of bridges between sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks, registry
from pushforward._precision import widest
from pushforward._random import drawn_from_logits
from pushforward.config import configurable
from pushforward.distributions import IndependentSymbols
from pushforward.dynamics import Jump, Reaction
from pushforward.errors import InputError
from pushforward.processes.controlled_reference import ControlledReference, Pair
from pushforward.processes.jumps import drawn_jump
from pushforward.processes.rates import Rates
from pushforward.processes.reading import LogitsReading
from pushforward.processes.semigroup import Semigroup
from pushforward.protocols import Time
from pushforward.spaces import Tokens

__all__ = ["TokenBridge"]

_LEAST = 1e-12
"""The least chance of a transition that logarithms are taken of, and that a bridge may have."""


@configurable
@dataclass(frozen=True)
class TokenBridge(ControlledReference):
    r"""A continuous-time Markov chain at each site of a sequence, between two given sequences.

    With the rates `R` of the chain and its transitions `q_r = exp(r duration R)`, sites are
    independent given both ends:

        p(x_t | x_0, x_1) = q_{1-t}(x_1, x_t) q_t(x_t, x_0) / q_1(x_1, x_0).

    The control of a direction is `u`, a number for each symbol at each site, `(B, *sites, K)`: by
    how much the law of the end ahead differs from that of the reference,

        p(end = e | x_t) = e^{u_e} q_r(x_t, e) / h_r(x_t),   h_r(x) = sum_e q_r(x, e) e^{u_e},

    with the time `r` that remains. `u = 0` is the reference itself; of a single site, the `u` of
    the Schrödinger bridge is its log potential, the same at all states and times. The rates of
    the Markovian projection of a mixture of bridges are those of Doob's transform,

        duration R(x, y) E[q_r(y, end) / q_r(x, end) | x_t = x] = duration R(x, y) h_r(y) / h_r(x),

    of one site at a time, where `y` takes the place of its symbol `x` (compare Ksenofontov &
    Korotin 2025, in discrete time). A random step is exact for a control that does not change in
    it. The error of a control is the cross-entropy of the end.

    Args:
        space: the tokens; the mask is not used.
        rates: one of `processes.rates`, or its short name: `uniform`, `birth-death`, `gaussian`.
        duration: how long the reference runs from one end to the other, in units of the time in
            which its slowest mode decays by `e`: what `sigma^2` is for Brownian motion.

    Raises `InputError` for rates that do not fit the vocabulary or are not in detailed balance, and
    for a duration in which a symbol practically never becomes another one.

    >>> bridge = TokenBridge(Tokens(3), duration=1e-6)
    >>> bridge.sample((torch.tensor([[0, 1, 2]]), torch.tensor([[0, 1, 2]])), 0.5)
    tensor([[0, 1, 2]])
    """

    space: Tokens
    rates: Rates | str = "uniform"
    duration: float = 1.0

    def __post_init__(self) -> None:
        checks.positive("duration", self.duration)
        object.__setattr__(self, "rates", registry.resolve("rates", self.rates))
        self._check_chain()

    def _check_chain(self) -> None:
        chain, symbols = self.chain, self.space.vocabulary
        stationary = chain.stationary.reshape(-1, symbols)
        x = torch.arange(symbols).unsqueeze(1).expand(-1, len(stationary))
        away, back = stationary.mT.unsqueeze(-1) * chain.out(x), stationary * chain.into(x)
        if not (bool((stationary > 0).all()) and torch.allclose(away, back, atol=1e-12)):
            raise InputError(
                "the reference of a bridge is the same in both directions of time: give rates in "
                "detailed balance, pi_i R_ij = pi_j R_ji with all pi_i > 0, such as symmetric ones"
            )
        least = float(chain.row(x, self._left(1.0)).min())
        if least < _LEAST:
            raise InputError(
                f"in duration={self.duration:g} some symbol becomes another one with a chance "
                f"below {_LEAST:g}, so that paths can hardly join all ends: take a longer one"
            )

    @cached_property
    def chain(self) -> Semigroup:
        """The transitions of a token."""
        rates: Any = self.rates
        found: Semigroup = rates.semigroup(self.space.vocabulary)
        return found

    def reading(self, predict: Any = None) -> LogitsReading:
        """One control."""
        return LogitsReading(self.space.vocabulary)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> IndependentSymbols:
        """The stationary distribution of the chain, at each site: the source, where no data are
        given for it."""
        return IndependentSymbols(self.chain.stationary, tuple(shape))

    def sample(self, z: Pair, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """A state of a bridge between coupled ends `(x_0, x_1)`."""
        target, source = z
        before = self.chain.row(source, self._left(1 - t))
        after = self.chain.column(target, self._left(t))
        return drawn_from_logits((before * after).log(), generator)

    def log_kernel(self, x: Tensor, end: Tensor, remaining: Time) -> Tensor:
        """The log-chance of an end over that in equilibrium, `(B,)`."""
        row = self._log_row(x, remaining)
        found = (row - self.chain.stationary.to(row).log()).gather(-1, end.unsqueeze(-1))
        return found.flatten(1).sum(1)

    def expected_control(self, x: Tensor, ends: Tensor, chances: Tensor, remaining: Time) -> Tensor:
        """That of the marginal law of the end at each site."""
        codes = functional.one_hot(ends, self.space.vocabulary).to(chances)
        law = torch.tensordot(chances, codes, 1)
        return law.log() - self._log_row(x, remaining)

    def end_error(self, control: Tensor, x: Tensor, end: Tensor, remaining: Time) -> Tensor:
        """The cross-entropy of all tokens of the end in nats, per site, `(B,)`."""
        logits = control + self._log_row(x, remaining).to(control.dtype)
        entropy = functional.cross_entropy(logits.movedim(-1, 1), end, reduction="none")
        return entropy.flatten(1).mean(1)

    def dynamics(self, pred: Any, x_t: Tensor, t: Time) -> Jump:
        """Jumps towards the target, and jumps towards the source."""
        ahead, back = self.jump_rates(pred[0], x_t, t), self.jump_rates(pred[1], x_t, 1 - t)
        return Jump(
            self.space,
            restore=Reaction(ahead.sum(-1), lambda g: drawn_jump(ahead, g)),
            destroy=Reaction(back.sum(-1), lambda g: drawn_jump(back, g)),
            chained=True,
        )

    def jump_rates(self, control: Tensor, x: Tensor, remaining: Time) -> Tensor:
        """The rates from `x` to every other symbol at each site under a control towards an end a
        time `remaining` away, `(B, *sites, K)`."""
        h = self._steered(control, remaining)
        here = h.gather(-1, x.unsqueeze(-1)).clamp_min(_tiny(h))
        return self.duration * self.chain.out(x) * h / here

    def move(
        self,
        x: Tensor,
        control: Tensor,
        t: float,
        s: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A random step from `t` to `s` in either direction, all sites at once: exact for a control
        that stays as it is, and at the end a draw of it."""
        step, remaining = abs(s - t), t if s < t else 1 - t
        # Rounding must not make the last step longer than what remains.
        rest = max(remaining - step, 0.0)
        chances = self.chain.row(x, self._left(step)) * self._steered(control, rest)
        return drawn_from_logits(chances.log(), generator)

    def finish(
        self, pred: Any, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """A draw of the target at every site."""
        return self.move(x_t, pred[0], t, 0.0, generator)

    def unsteered(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The end of the reference itself, from one end of time to the other."""
        return self.chain.move(x, self._left(1.0), generator)

    def _left(self, remaining: Time) -> Time:
        """What is left of the slowest mode after a time."""
        if isinstance(remaining, Tensor):
            return torch.exp(-self.duration * remaining.to(widest(remaining.device)))
        return math.exp(-self.duration * remaining)

    def _log_row(self, x: Tensor, remaining: Time) -> Tensor:
        return self.chain.row(x, self._left(remaining)).clamp_min(_LEAST).log()

    def _steered(self, control: Tensor, remaining: Time) -> Tensor:
        """`h_r` for every symbol, `(B, *sites, K)`, up to a factor for each site."""
        u = control.to(self.chain.precision(control.dtype, control.device))
        weights = (u - u.amax(-1, keepdim=True)).exp()
        # By detailed balance sum_e q(y, e) w_e = sum_e pi_e w_e q(e, y) / pi_y.
        stationary = self.chain.stationary.to(weights)
        return self.chain.push(stationary * weights, self._left(remaining)) / stationary


def _tiny(x: Tensor) -> float:
    return torch.finfo(x.dtype).tiny
