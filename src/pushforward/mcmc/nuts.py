r"""The no-U-turn sampler: Hamiltonian trajectories that stop where they would turn back.

A trajectory doubles, forwards or backwards in time, until its ends approach each other. With the
sum `r` of the momenta of a part, that is where `p r <= 0` for the momentum `p` of one of its ends
(Betancourt 2017). Each half that is added, and each half of one, must not have turned itself; since
a trajectory of two nearly equal halves can hide a turn between them, both halves are also looked at
with the nearest state of the other. The next state is drawn from all of the trajectory, with
weights `exp(-energy)`, and prefers the half that was added last.

Many chains double together, each with its own direction. Chains whose trajectory has ended wait and
cost no gradients, where the log-density does not know its rows (`any_rows`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward._precision import widest
from pushforward._random import fork, normal_like, uniform_like
from pushforward._shapes import flatten, per_event_sum
from pushforward.checks import positive, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.mcmc.hmc import HMC, leapfrog
from pushforward.mcmc.kernel import DIVERGENT, Move
from pushforward.mcmc.target import ChainState, LogDensity, select

__all__ = ["NUTS", "Span", "joined"]

_DEEPEST = 20
"""A trajectory of a million steps would never end."""


class Span(NamedTuple):
    """Consecutive states of trajectories, in the order in which they were made.

    Args:
        first: the momenta of the first state, `(B, *event)`.
        last: those of the last one.
        total: their sum over all states.
    """

    first: Tensor
    last: Tensor
    total: Tensor


def joined(a: Span, b: Span) -> tuple[Span, Tensor]:
    """The span of two that follow each other, and where it has turned, `(B,)`.

    Turned is what turns as a whole, and what turns as one half with the nearest state of the other.

    >>> one, other = torch.ones(1, 1), -torch.ones(1, 1)
    >>> joined(Span(one, one, one), Span(other, other, other))[1]
    tensor([True])
    """
    whole = Span(a.first, b.last, a.total + b.total)
    turned = ~_onward(a.first, b.last, whole.total)
    turned |= ~_onward(a.first, b.first, a.total + b.first)
    turned |= ~_onward(a.last, b.last, b.total + a.last)
    return whole, turned


def _onward(p: Tensor, q: Tensor, total: Tensor) -> Tensor:
    """Whether both ends move along the sum of the momenta, `(B,)`."""
    return (per_event_sum(p * total) > 0) & (per_event_sum(q * total) > 0)


class _Branch(NamedTuple):
    """What a new half of trajectories is: its end, its span, and a state drawn from it."""

    end: ChainState
    momentum: Tensor
    span: Span
    drawn: ChainState
    log_weight: Tensor
    sound: Tensor


@configurable
@dataclass(frozen=True)
class NUTS:
    """The multinomial no-U-turn sampler (Hoffman & Gelman 2014; Betancourt 2017).

    Args:
        step: the size of a leapfrog step.
        depth: doublings at most: a trajectory has up to `2^depth` states.

    Raises `InputError` for a step size that is not positive, or a depth outside of 1 to 20.

    >>> from pushforward.mcmc import evaluate
    >>> log_p = lambda x: -x.square().sum(-1) / 2
    >>> move = NUTS(0.5).move(log_p, evaluate(log_p, torch.zeros(3, 2)))
    >>> move.evaluations.shape, bool((move.evaluations >= 1).all())
    (torch.Size([3]), True)
    """

    step: float = 0.1
    depth: int = 10

    target = 0.8
    uses_gradient = True

    def __post_init__(self) -> None:
        positive("step", self.step)
        if whole("depth", self.depth) > _DEEPEST:
            raise InputError(f"depth is at most {_DEEPEST}, not {self.depth}")

    @property
    def evaluations(self) -> int:
        """Gradients of the log-density per step at the most; a `Move` says how many there were."""
        return 2**self.depth - 1

    @property
    def probe(self) -> HMC:
        """The kernel that a first step size is found with: one leapfrog step."""
        return HMC(self.step, 1, 0.0)

    def move(
        self,
        log_p: LogDensity,
        state: ChainState,
        step: float | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Move:
        """One trajectory of all chains; see `MarkovKernel`."""
        step = self.step if step is None else step
        momentum = normal_like(state.x, generator)
        # How long trajectories are must not show in what later moves draw.
        noise = fork(generator)
        energy = _energy(state, momentum)
        tally = _Tally(energy, state.log_p)
        ends = [(state, momentum), (state, momentum)]
        span, drawn = Span(momentum, momentum, momentum), state
        log_weight = torch.zeros_like(energy)
        going = energy.isfinite()
        for level in range(self.depth):
            if not bool(going.any()):
                break
            ahead = uniform_like(state.log_p, noise) < 0.5
            (behind, back), (front, forth) = ends
            edge = select(ahead, front, behind), _pick(ahead, forth, back)
            far = _pick(ahead, back, forth)
            signed = torch.where(ahead, 1.0, -1.0).to(state.log_p) * step
            branch = self._branch(log_p, edge, signed, level, going, tally, noise)
            # The new half is preferred: it is taken with min(1, its weight / that of the old one).
            ratio = (branch.log_weight - log_weight).exp()
            taken = branch.sound & (uniform_like(state.log_p, noise) < ratio)
            drawn = select(taken, branch.drawn, drawn)
            log_weight = torch.where(
                branch.sound, torch.logaddexp(log_weight, branch.log_weight), log_weight
            )
            whole_span, turned = joined(Span(far, edge[1], span.total), branch.span)
            span = Span(
                *(_pick(branch.sound, new, old) for new, old in zip(whole_span, span, strict=True))
            )
            going = branch.sound & ~turned
            for side, chosen in ((0, going & ~ahead), (1, going & ahead)):
                at, p = ends[side]
                ends[side] = select(chosen, branch.end, at), _pick(chosen, branch.momentum, p)
        acceptance = (tally.acceptance / tally.leaves.clamp(min=1)).to(state.log_p)
        return Move(drawn, acceptance, tally.diverged, tally.leaves, energy)

    def _branch(
        self,
        log_p: LogDensity,
        edge: tuple[ChainState, Tensor],
        step: Tensor,
        level: int,
        going: Tensor,
        tally: _Tally,
        noise: torch.Generator | None,
    ) -> _Branch:
        """`2^level` states beyond an edge.

        Spans of `2^k` states are joined as a binary counter carries: each part that the recursive
        doubling would make is looked at once, and `level` of them are kept.
        """
        (state, momentum), sound = edge, going.clone()
        log_weight = torch.full_like(tally.energy, -math.inf)
        drawn, span = state, Span(momentum, momentum, momentum)
        parts: list[Span | None] = [None] * (level + 1)
        for leaf in range(2**level):
            if not bool(sound.any()):
                break
            state, momentum = _advanced(log_p, state, momentum, step, sound)
            weight = tally.weigh(state, momentum, sound)
            sound = sound & weight.isfinite()
            log_weight = torch.logaddexp(log_weight, weight)
            chance = (weight - log_weight).exp()
            taken = sound & (uniform_like(state.log_p, noise) < chance)
            drawn = select(taken, state, drawn)
            span, k = Span(momentum, momentum, momentum), 0
            while leaf >> k & 1:
                before = parts[k]
                assert before is not None
                span, turned = joined(before, span)
                sound, k = sound & ~turned, k + 1
            parts[k] = span
        return _Branch(state, momentum, span, drawn, log_weight, sound)


class _Tally:
    """What trajectories have met: energies are compared in the widest precision."""

    def __init__(self, energy: Tensor, like: Tensor) -> None:
        self.energy = energy
        self.leaves = torch.zeros_like(like)
        self.acceptance = torch.zeros_like(energy)
        self.diverged = torch.zeros_like(like).bool()

    def weigh(self, state: ChainState, momentum: Tensor, live: Tensor) -> Tensor:
        """Log-weights of new states, minus infinity for those that diverged or do not count."""
        error = _energy(state, momentum) - self.energy
        sound = error < DIVERGENT
        sound &= flatten(state.gradient).sum(-1).isfinite()
        self.leaves += live
        self.diverged |= live & ~sound
        none = torch.full_like(error, -math.inf)
        weight = torch.where(live & sound, -error, none)
        self.acceptance += weight.clamp(max=0).exp()
        return weight


def _advanced(
    log_p: LogDensity, state: ChainState, momentum: Tensor, step: Tensor, live: Tensor
) -> tuple[ChainState, Tensor]:
    """One leapfrog step of the chains that are live; the others stay."""
    if bool(live.all()):
        return leapfrog(log_p, state, momentum, step)
    if not getattr(log_p, "any_rows", False):
        new, p = leapfrog(log_p, state, momentum, step)
        return select(live, new, state), _pick(live, p, momentum)
    rows = live.nonzero()[:, 0]
    part = ChainState(state.x[rows], state.log_p[rows], state.gradient[rows])
    new, p = leapfrog(log_p, part, momentum[rows], step[rows])
    found = (old.index_copy(0, rows, own) for old, own in zip(state[:3], new[:3], strict=True))
    return ChainState(*found), momentum.index_copy(0, rows, p)


def _energy(state: ChainState, momentum: Tensor) -> Tensor:
    """`|p|^2 / 2 - log p(x)`, `(B,)`."""
    dtype = widest(state.x.device)
    return per_event_sum(momentum.square()).to(dtype) / 2 - state.log_p.to(dtype)


def _pick(chosen: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Rows of `a` that are chosen, `(B,)`, and those of `b` elsewhere."""
    return torch.where(chosen.view(-1, *(1,) * (a.ndim - 1)), a, b)
