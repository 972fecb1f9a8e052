"""`log Z` by tempered sequential Monte Carlo from two starts, or three, of which two agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from pushforward import mcmc
from pushforward._random import derived_seed, fresh_seed
from pushforward.checks import positive, whole
from pushforward.errors import ConvergenceError
from pushforward.evidence.intervals import LogZ, StartRecord, agreed, combined, runs_for
from pushforward.evidence.laplace import NormalStart, fitted_start, laplace_start, rounded
from pushforward.evidence.smc import effective_size, temper
from pushforward.metrics import mode_shares
from pushforward.targets import Target

__all__ = ["tempered"]

_FEW = 2000
"""Numbers of a state up to which a covariance is worth its cost."""


_HEAVY, _ROOM = 0.5, 0.1
"""The shape of the tail of weights from which on their variance is not finite (Vehtari et al.
2024), so that the spread of a few runs says too little, and the room for the error of the shape of
one batch."""

_ENOUGH, _SKEWED = 24, 2.5
"""From how many runs on their skewness is known, and from which one on a few outweigh the others:
logarithms of sums of many light weights are normal."""

_ALIKE = (
    "Both starts are laws fitted to chains, which miss alike what chains do not reach, such as the "
    "neck of a funnel: give the target a base."
)

_CHECK = 0.1
"""The standard error, in nats, of an estimate that is to confirm another."""


@torch.no_grad()
def tempered(
    target: Target,
    *,
    islands: int = 8,
    particles: int = 2048,
    length: int | None = None,
    thin: int = 4,
    aim: float = 0.01,
    most: int = 48,
    starts: Tensor | None = None,
    seed: int | None = None,
    callback: Callable[[], None] | None = None,
) -> LogZ:
    """By tempered sequential Monte Carlo, from Laplace's approximation and from a wide law.

    Each start has a pilot, which finds the ladder, and independent runs along it, whose mean is
    unbiased. If the two agree, the one of less error runs on until its standard error is `aim`, and
    the other one until it is known to a tenth of a nat. If
    one of them leads nowhere, or they disagree, as where there are many modes of which Laplace's
    approximation knows one, a normal law fitted to other chains is a third start: two of the three
    have to agree, and the last one may only have seen less. Else none is trusted (`agreed`), nor
    are two laws fitted to chains where Laplace's approximation, from a mode in the neck of a
    funnel, leads nowhere: chains miss such necks, and so do both. What
    no start came near is missed by all: a narrow mode that holds most of the integral shows only
    if one of the starts finds it. A neck that holds a few parts in a hundred, which the better
    start misses, is below what the other one can tell, and the error does not count it.

    Args:
        target: its `base`, if it has one, is the wide law; else a normal law fitted to chains.
        islands: independent runs of each start at first, all in one batch.
        particles: in each.
        length: of the chains after resampling, see `temper`; by default what leaves at least 64 of
            them, a power of two up to 32.
        thin: moves from one state of a chain to the next. With one of them, runs on a funnel all
            come out lower than its integral, and more alike than they are near it: particles that
            hardly move make errors that the spread of the runs does not show.
        aim: the standard error, in nats, that the better start runs on for.
        most: runs of the better start, at most.
        starts: more places to look for modes from, `(n, *event)`, in coordinates without bounds.
        seed: for all randomness.
        callback: called at each temperature.

    Raises `ConvergenceError` if no start leads to the target.
    """
    whole("islands", islands, least=2)
    whole("most", most, least=2)
    positive("aim", aim)
    length = _length(whole("particles", particles, least=2)) if length is None else length
    base_seed = fresh_seed(seed)
    noise = torch.Generator().manual_seed(derived_seed(base_seed, 0))
    places = target.start(256, generator=noise)
    target.check(places)
    if starts is not None:
        places = torch.cat([starts.to(places), places])
    tried: list[_Start] = []
    notes: list[str] = []
    kinds: dict[str, Callable[[torch.Generator], Any]] = {
        "Laplace start": lambda own: laplace_start(target, places),
        "wide start": lambda own: _wide(target, places, own),
        "fitted start": lambda own: _fitted(target, places.flip(0), own, inflate=2.5),
    }
    waiting = list(enumerate(kinds.items()))
    while True:
        pairs = [pair for pair in combinations(tried, 2) if _agree(*pair)]
        if pairs:
            one, other = max(pairs, key=lambda pair: max(s.spread().value for s in pair))
            better, second = sorted((one, other), key=lambda s: s.spread().stderr)
            better.run_on(aim, most, islands)
            # What confirms an estimate has to be known itself.
            second.run_on(max(aim, _CHECK), most, islands)
            if _agree(one, other):
                break
        elif waiting:
            k, (kind, make) = waiting.pop(0)
            own = torch.Generator().manual_seed(derived_seed(base_seed, 1, k))
            settings = {"length": length, "thin": thin, "generator": own, "callback": callback}
            try:
                start = _Start(target, make(own), kind, particles, settings)
                start.run(islands)
            except ConvergenceError as error:
                notes.append(f"{kind}: {error}.")
                continue
            tried.append(start)
        else:
            return _undecided(tried, notes)
    # Not that of less error, which would favor the one that has missed a tail by chance.
    both, check = better.estimate(), second.estimate()
    both = replace(
        both, notes=(*both.notes, f"{check.method}: {check.value:.4f} ± {check.stderr:.4f}.")
    )
    if notes and one.from_chains and other.from_chains:
        both = replace(both, converged=False, notes=(*both.notes, _ALIKE))
    for third in tried:
        if third is not one and third is not other:
            both = _dissent(both, third, (one, other))
    found = tuple(start.record() for start in tried)
    return replace(both, notes=(*notes, *both.notes), starts=found)


def _length(particles: int) -> int:
    """The longest chains that leave enough of them, in which all particles are."""
    return max(
        k for k in (1, 2, 4, 8, 16, 32) if k == 1 or (not particles % k and particles >= 64 * k)
    )


def _undecided(tried: Sequence[_Start], notes: Sequence[str]) -> LogZ:
    """What starts say of which no two agree."""
    if not tried:
        raise ConvergenceError(" ".join(notes))
    records = tuple(start.record() for start in tried)
    if len(tried) == 1:
        only = tried[0].estimate()
        said = (*only.notes, *notes, "Only one start led to the target: nothing confirms it.")
        return replace(only, converged=False, notes=said, starts=records)
    one, other = sorted(tried, key=lambda start: start.spread().value)[-2:]
    both = agreed(one.estimate(), other.estimate(), apart=_apart(one, other))
    return replace(both, converged=False, notes=(*notes, *both.notes), starts=records)


def _agree(one: _Start, other: _Start) -> bool:
    """Whether two starts have converged, each on its own, to the same."""
    a, b = one.spread(), other.spread()
    return a.converged and b.converged and agreed(a, b).converged


def _dissent(both: LogZ, third: _Start, pair: tuple[_Start, _Start]) -> LogZ:
    """Two starts that agree, beside a third one.

    A start that gives less has seen less, as one of many modes. That is no reason to doubt the
    others if what it saw lies where they have been, or weighs too little to matter.
    """
    own = third.estimate()
    if agreed(both, own).converged:
        return both
    apart = any(_apart(third, start) for start in pair)
    if own.value > both.value:
        return agreed(both, own, apart=apart)
    higher = float(third.height.median()) > max(float(start.height.max()) for start in pair)
    extra = math.log1p(math.exp(own.value - both.value))
    if (apart or higher) and extra > max(both.stderr, 0.01):
        return agreed(both, own, apart=True)
    said = f"{own.method}: {own.value:.4f} ± {own.stderr:.4f}, which has seen less of the target."
    return replace(both, notes=(*both.notes, said))


class _Start:
    """Runs from one start along the ladder of a pilot, in batches of any size."""

    def __init__(
        self, target: Target, law: Any, kind: str, particles: int, settings: dict[str, Any]
    ) -> None:
        self.target, self.law, self.kind = target, law, kind
        self.from_chains = kind == "fitted start" or (kind == "wide start" and target.base is None)
        self.particles, self.settings = particles, settings
        self.base, self.log_p = rounded(target, law)
        pilot = temper(self.log_p, self.base, 2, particles, **settings)
        self.ladder, self.evaluations = pilot.ladder, pilot.evaluations
        self.log_z: list[Tensor] = []
        self.tails: list[Tensor] = []
        self.size = 0.0

    def run(self, islands: int) -> None:
        """So many more runs; those of the first batch are looked at."""
        runs = temper(
            self.log_p, self.base, islands, self.particles, ladder=self.ladder, **self.settings
        )
        if not self.log_z:
            self.first = runs
            flat = runs.x.flatten(0, 1)
            # Particles in coordinates without bounds, `(R N, *event)`.
            self.x = flat if self.base is self.law else self.law.outward(flat)
            self.height = self.target(self.x)
        self.log_z.append(runs.log_z)
        self.tails.append(runs.k_hat.nan_to_num(nan=0.0, neginf=0.0))
        self.evaluations += runs.evaluations
        self.size += float(effective_size(runs.log_weights).sum())

    def run_on(self, aim: float, most: int, islands: int) -> None:
        """More runs, in batches, until the standard error should be `aim`."""
        left = runs_for(self.spread(), aim, most) - len(torch.cat(self.log_z))
        while left > 0:
            self.run(min(left, islands))
            left -= islands

    def spread(self) -> LogZ:
        """The estimate of all runs so far, by what they differ."""
        return combined(torch.cat(self.log_z), f"smc, {self.kind}", self.size)

    def estimate(self) -> LogZ:
        """The same, with a look at the tails of the weights, which runs may have missed alike."""
        found, logs = self.spread(), torch.cat(self.log_z).double()
        worst = float(torch.stack(self.tails).mean(0).max())
        away = (logs - logs.mean()) / logs.std()
        skewed = len(logs) >= _ENOUGH and float(away.pow(3).mean()) > _SKEWED
        if worst <= _HEAVY + _ROOM / math.sqrt(len(self.tails)) and not skewed:
            return found
        said = (
            f"Weights from the {self.kind} have a heavy tail, of the shape {worst:.2f}"
            f"{', and the runs are skewed' if skewed else ''}: their variance need not be finite, "
            "and the spread of the runs may be too small an error. Give a base that is wider than "
            "the target."
        )
        return replace(found, converged=False, notes=(*found.notes, said))

    def record(self) -> StartRecord:
        """What the runs met."""
        found, modes = self.estimate(), self.target.modes
        shares: tuple[float, ...] = ()
        if modes is not None:
            weights = self.first.log_weights.exp().flatten()
            shares = tuple(mode_shares(self.target.constrain(self.x), modes, weights).tolist())
        return StartRecord(
            self.kind, found.value, found.stderr, tuple(rung.beta for rung in self.ladder),
            tuple((self.first.ess / self.particles).tolist()),
            tuple(self.first.acceptance.tolist()), shares, self.evaluations,
        )  # fmt: skip


def _wide(target: Target, places: Tensor, noise: torch.Generator) -> Any:
    """The base of the target, or a normal law fitted to chains."""
    return _fitted(target, places, noise) if target.base is None else target.base


def _fitted(
    target: Target, places: Tensor, noise: torch.Generator, inflate: float = 1.3
) -> NormalStart:
    """A normal law with the moments of chains of the no-U-turn sampler, and wider."""
    dim = math.prod(target.unbounded_shape)
    if dim > _FEW:
        raise ConvergenceError(f"{dim} numbers are too many to fit a normal law to chains")
    chains = mcmc.sample_chains(
        target, places[-32:], max(100, dim // 8), warmup=150, kernel=mcmc.NUTS(depth=7),
        seed=fresh_seed(None, noise),
    )  # fmt: skip
    return fitted_start(chains.x.flatten(0, 1), inflate)


def _apart(one: _Start, other: _Start) -> bool:
    """Whether the particles of two starts are apart in one of their numbers."""
    a, b = one.x.flatten(1), other.x.flatten(1)
    below, above = a.amax(0) < b.amin(0), b.amax(0) < a.amin(0)
    return bool((below | above).any())
