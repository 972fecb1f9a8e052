"""Jumps: every token follows a Markov chain of its own, independently, to its equilibrium."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks, registry
from pushforward._precision import in_double
from pushforward._random import drawn_from_logits
from pushforward._shapes import like
from pushforward.config import configurable
from pushforward.distributions import IndependentSymbols
from pushforward.dynamics import Jump, Reaction
from pushforward.errors import InputError
from pushforward.processes._clock import check_clock, destruction_rate
from pushforward.processes.process import GenerativeProcess
from pushforward.processes.rates import Rates
from pushforward.processes.reading import LogitsReading, Reading
from pushforward.processes.semigroup import Semigroup
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import Tokens
from pushforward.state import EventShape

__all__ = ["Jumps", "TiltedLogits", "drawn_jump"]

_LEAST = 1e-12
"""Chances of a transition below it count as it, so that quotients stay finite."""


class TiltedLogits(NamedTuple):
    """A prediction of `Jumps` that favors some states: what guidance makes of the rates.

    Reversed rates and pinned chances to `y` at a site are multiplied by `exp(gain)`, and so are the
    chances of a token given all others: those of `p_t(x) h_t(x)`, where the gain is `log h_t` with
    `y` at the site, less `log h_t` of what is there.
    """

    logits: Tensor
    """Of the data, `(B, *sites, K)`."""

    gain: Tensor
    """`(B, *sites, K)`, zero at the symbol that is there."""


@configurable
@dataclass(frozen=True)
class Jumps(GenerativeProcess[Tensor, Tensor, Tensor]):
    r"""Each token follows a continuous-time Markov chain with rates `beta_t R`, on its own.

    The rates are scaled so that the slowest mode of the chain decays at rate 1, and
    `beta = -alpha' / alpha`: `alpha_t` is what is left of that mode. For uniform rates a token is
    that of the data with the chance `alpha_t`, and otherwise drawn from all symbols.

    The prediction is logits of the data, `p(x_0 | x_t)` for each site, `(B, *sites, K)`; guidance
    adds a gain to them (`TiltedLogits`). They stand for `p_t(y) / p_t(x) = sum_{x_0} q(y | x_0) /
    q(x | x_0) p(x_0 | x_t)`, the probability of the state with `y` at a site over that with `x`
    there, and the rates of the reversal are `beta_t R(y, x) p_t(y) / p_t(x)` (Campbell et al. 2022;
    Lou, Meng & Ermon 2024).

    The loss is the relative entropy of the true reversal given the data, of rates `r`, from that of
    the model, of rates `s`, per unit of time, `sum_y r log(r / s) - r + s`: its integral over the
    time bounds the negative log-likelihood in nats, constant included (`samplers.evidence_bound`).

    Args:
        space: the tokens; the mask is not used.
        rates: one of `processes.rates`, or its short name: `uniform`, `birth-death`, `gaussian`.
        schedule: what is left at each time.

    Raises `InputError` for rates that do not fit the vocabulary, and for a schedule that leaves
    more than a twentieth of the data.

    >>> process = Jumps(Tokens(3))
    >>> process.sample(torch.tensor([[0, 1, 2]]), 0.0)
    tensor([[0, 1, 2]])
    """

    space: Tokens
    rates: Rates | str = "uniform"
    schedule: Schedule = field(default_factory=Rectified)

    def __post_init__(self) -> None:
        check_clock(self.schedule)
        object.__setattr__(self, "rates", registry.resolve("rates", self.rates))
        _ = self.chain

    supports = frozenset({"bound", "guidance"})
    loss_bounds = True
    sampler = "pinned"

    @cached_property
    def chain(self) -> Semigroup:
        """The transitions of a token."""
        rates: Any = self.rates
        found: Semigroup = rates.semigroup(self.space.vocabulary)
        return found

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    def reading(self, predict: Any = None) -> Reading:
        """Logits of the symbols.

        By default (`predict="logits"`) of `p(x_0 | x_t)`. With `predict="rest"` the network puts
        out logits of the data given the other sites, and the chance of the site's own symbol,
        `q(x_t | x_0)`, is multiplied in: what is known in closed form then need not be learned.
        """
        checks.one_of("predict", predict or "logits", ("logits", "rest"))
        plain = LogitsReading(self.space.vocabulary)
        return _RestReading(self) if predict == "rest" else plain

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> IndependentSymbols:
        """The stationary distribution of the chain, at each site."""
        return IndependentSymbols(self.chain.stationary, tuple(shape))

    def sample(self, z: Tensor, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """Each token moved by the transition of the chain."""
        return self.chain.move(z, self.schedule.values(t)[0], generator)

    def loss(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """The relative entropy of the rates, per unit of time, in nats, summed, `(B,)`."""
        left, _ = self.schedule.values(t)
        model = self.ratios(pred, x_t, t)
        data = self.chain.row(z, left)
        data = data / data.gather(-1, x_t.unsqueeze(-1)).clamp_min(_LEAST)
        # The logarithm of each by itself: a quotient of small numbers has no finite derivative.
        gain = torch.xlogy(data, data) - data * model.clamp_min(_LEAST).log()
        cost = gain - data + model
        cost = (self.chain.into(x_t) * cost).flatten(1).sum(-1)
        return (like(destruction_rate(self.schedule, t), cost) * cost).to(pred.dtype)

    def prior_cost(self, z: Tensor, t: float) -> Tensor:
        """How far the noised tokens are from the equilibrium, summed, `(B,)`."""
        noised = in_double(self.chain.row(z, float(self.schedule.at(t).alpha)))
        stationary = self.chain.stationary.to(noised)
        return (torch.xlogy(noised, noised) - torch.xlogy(noised, stationary)).flatten(1).sum(1)

    def cost_rate(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """The loss."""
        return self.loss(pred, z, x_t, t)

    def data_cost(self, pred: Tensor, z: Tensor, x_t: Tensor, t: float) -> Tensor:
        """The cross-entropy of all tokens, as they are drawn at the end."""
        entropy = functional.cross_entropy(pred.movedim(-1, 1), z, reduction="none")
        return entropy.flatten(1).sum(1)

    def dynamics(self, pred: Tensor | TiltedLogits, x_t: Tensor, t: Time) -> Jump:
        """Reversed jumps restore the data, and jumps of the chain destroy them.

        Raises `InputError` at a float time at which nothing of the data is left, where rates are
        infinite.
        """
        beta = self._beta(t)
        back = self.chain.into(x_t) * self.ratios(pred, x_t, t)
        away = self.chain.out(x_t)
        scale, dtype = like(beta, x_t), _logits(pred).dtype
        return Jump(
            self.space,
            restore=Reaction((scale * back.sum(-1)).to(dtype), lambda g: drawn_jump(back, g)),
            destroy=Reaction((scale * away.sum(-1)).to(dtype), lambda g: drawn_jump(away, g)),
            chained=True,
        )

    def ratios(self, pred: Tensor | TiltedLogits, x_t: Tensor, t: Time) -> Tensor:
        """`p_t(y) / p_t(x_t)` with `y` in the place of one token, `(B, *sites, K)`."""
        left, _ = self.schedule.values(t)
        return self._restored(pred, x_t, left, left)

    def tilted(self, pred: Tensor, log_factors: Tensor, x_t: Tensor) -> TiltedLogits:
        """The prediction of rates that are multiplied by quotients of factors.

        Args:
            pred: logits.
            log_factors: of the state with `y` at a site, `(B, *sites, K)`.
            x_t: the state, whose own factor divides them.
        """
        return TiltedLogits(pred, log_factors - log_factors.gather(-1, x_t.unsqueeze(-1)))

    def told(self, pred: Tensor, tokens: Tensor) -> Tensor:
        """Logits by which given tokens are certain, `-1` where none is, `(B, *sites)`.

        Whatever reverses the chain then moves these tokens as it would given their data, and ends
        with them.

        >>> Jumps(Tokens(2)).told(torch.zeros(1, 2, 2), torch.tensor([[1, -1]])).softmax(-1)
        tensor([[[0.0000, 1.0000],
                 [0.5000, 0.5000]]])
        """
        symbols = torch.arange(self.space.vocabulary, device=tokens.device)
        other = (tokens >= 0).unsqueeze(-1) & (symbols != tokens.unsqueeze(-1))
        return pred.masked_fill(other, -torch.inf)

    def bridge(
        self,
        pred: Tensor | TiltedLogits,
        x_t: Tensor,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """`q(x_s | x_t, x_0)`, exact, in the mean over the predicted `x_0`, site by site.

        The posterior is that of the chain, so `churn` has nothing to act on.
        """
        if not s < t:
            raise InputError(f"a pinned step runs towards the data, not from {t} to {s}")
        now, then = (float(self.schedule.at(time).alpha) for time in (t, s))
        before = self._restored(pred, x_t, now, then)
        return drawn_from_logits((before * self.chain.column(x_t, now / then)).log(), generator)

    def redrawn(
        self,
        pred: Tensor | TiltedLogits,
        x_t: Tensor,
        t: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Every token drawn anew given all others, `p_t(y | rest)`: one Gibbs move if one is kept.

        The law at time `t` is left alone if one site at a time takes what is drawn.
        """
        return drawn_from_logits(self.ratios(pred, x_t, t).log(), generator)

    def rate_bound(self, t: float) -> float:
        """More than the reversed rate of any token at a time, for any prediction."""
        x = torch.arange(self.space.vocabulary).unsqueeze(1)
        shape = self.chain.stationary.shape
        x = x.expand(-1, shape[0] if len(shape) > 1 else 1)
        left = float(self.schedule.at(t).alpha)
        # Of x from x_0, and of y from x_0 weighted by the rates from y to x: `(x, site, x_0)`.
        here = self.chain.column(x, left).double().clamp_min(_LEAST)
        into = self.chain.into(x).double()
        rows = [self.chain.row(x0.expand_as(x), left).double() for x0 in x]
        there = torch.stack([(into * row).sum(-1) for row in rows], -1)
        return float(self._beta(t)) * float((there / here).max())

    def finish(
        self,
        pred: Tensor | TiltedLogits,
        x_t: Tensor,
        t: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """A draw of the data at every site."""
        return self.bridge(pred, x_t, t, 0.0, generator=generator)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)

    def _beta(self, t: Time) -> Time:
        beta = destruction_rate(self.schedule, t)
        if isinstance(beta, float) and beta == torch.inf:
            raise InputError(
                f"nothing of the data is left at t = {t}, where rates are infinite: start at "
                f"{self.schedule.t_max} or use a pinned step"
            )
        return beta

    def _restored(self, pred: Tensor | TiltedLogits, x_t: Tensor, now: Time, then: Time) -> Tensor:
        """`sum_{x_0} q_then(y | x_0) / q_now(x_t | x_0) p(x_0 | x_t)`, times the factor of `y`."""
        found = self.chain.push(self._quotients(_logits(pred), x_t, now), then)
        return found * pred.gain.to(found).exp() if isinstance(pred, TiltedLogits) else found

    def _quotients(self, pred: Tensor, x_t: Tensor, left: Time) -> Tensor:
        """`p(x_0 | x_t) / q(x_t | x_0)` for every `x_0`, in the precision of the chain."""
        logits = functional.log_softmax(
            pred.to(self.chain.precision(pred.dtype, pred.device)), dim=-1
        )
        return torch.exp(logits - self.chain.column(x_t, left).clamp_min(_LEAST).log())


@dataclass(frozen=True)
class _RestReading(Reading[Tensor, Tensor]):
    """Logits of the data given the other sites, joined with what the own site says."""

    process: Jumps

    def output_shape(self, event_shape: EventShape) -> EventShape:
        """One number for each symbol at each site."""
        return (*event_shape, self.process.space.vocabulary)

    def read(self, row: Time, output: Tensor, x_t: Tensor) -> Tensor:
        """`log p(x_0 | rest) + log q(x_t | x_0)`."""
        own = self.process.chain.column(x_t, self.process.schedule.values(row)[0])
        return output + own.clamp_min(_LEAST).log().to(output.dtype)


def _logits(pred: Tensor | TiltedLogits) -> Tensor:
    return pred.logits if isinstance(pred, TiltedLogits) else pred


def drawn_jump(weights: Tensor, generator: torch.Generator | None) -> Tensor:
    """A symbol for each site, any where no jump can be."""
    stuck = weights.sum(-1, keepdim=True) == 0
    return drawn_from_logits(torch.where(stuck, 1.0, weights).log(), generator)
