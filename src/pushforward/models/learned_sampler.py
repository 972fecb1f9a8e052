"""A sampler of a density known up to a constant, which is trained without data."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import config, registry
from pushforward._precision import widest
from pushforward._random import RowNoise, derived_seed, fresh_seed, generator_or_global
from pushforward.checks import number, one_of, whole
from pushforward.config import configurable
from pushforward.errors import ConvergenceError
from pushforward.estimates import Capabilities, LogProb
from pushforward.importance import log_mean
from pushforward.learned_samplers import (
    LOSSES,
    OFF_POLICY,
    Density,
    PathPair,
    ReplayBuffer,
    SamplerEstimates,
    estimates,
    explored,
    simulate,
    simulate_back,
    suitable_objective,
)
from pushforward.learned_samplers.coordinates import COORDINATES, fitted_coordinates
from pushforward.models.model import GenerativeModel, Progress, finite, parts_of, refuse_context
from pushforward.models.trainable import Trainable
from pushforward.models.unnormalized import target_of
from pushforward.nn import SteeredMLP

__all__ = ["LearnedSampler"]

_PATHS_AT_ONCE = 4096

_REFRESH, _FRESH = 5, 128
"""Steps of training between two looks at new ends of paths, and how many these are."""


@configurable
class LearnedSampler(GenerativeModel, Trainable):
    r"""A learned sampler of `exp(log_prob(x)) / Z`, with `log Z` by the weights of its paths.

    A method makes two chains of steps between a start and the target, with a learned drift. The
    mean of the importance weights of its paths is `Z` at any number of steps, whatever was learned
    (`pushforward.learned_samplers`). It is trained without data: `pf.fit(model, None, steps=...)`.

    Args:
        target: a name of `pushforward list targets`; a `targets.Target`; or a function of a module
            of yours, either a log-density `(B, *event) -> (B,)` with `event_shape=`, or one without
            arguments that returns a `Target`. A saved sampler knows a name again, and a function
            where its module is trusted; any other target has to be given to `load`.
        method: a name of `pushforward list learned-samplers`, or a `learned_samplers.PathPair`.
        steps: of a path, in training; where nothing is learned for each step, `sample(steps=)` and
            `estimates(steps=)` may take others.
        objective: what training minimizes: `log-variance`, the default where the method allows
            it; `trajectory-balance`; `adjoint-matching`, for `pis` and `dds`; or `reverse-kl`,
            which finds few of many modes, since it learns from paths of its own alone.
        replay: the share of a batch that are paths back from a `ReplayBuffer`, for an objective
            that learns from any; with 1 `adjoint-matching` simulates none but to refill it.
        buffer: the size of each half of it.
        exploration: what fills it before the first step: `smc`, particles of tempered sequential
            Monte Carlo, or `none`.
        coordinates: in which paths move, see `fitted_coordinates`: `chains`, `laplace`, `base` or
            `none`. They are fitted before the first step of training.
        width: hidden units of the networks.
        depth: their residual layers.
        options: of the target's name, such as `{"dim": 5}` or `{"data": "folder"}`.
        event_shape: the shape of one state, for a function.

    Raises `InputError` for what does not exist, and `CapabilityError` for an objective that cannot
    train the method.

    >>> model = LearnedSampler("student", steps=8, width=8, options={"dim": 2})
    >>> model.sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    learns_without_data = True
    loss_measures_quality = False
    loss_meaning = (
        "The loss compares the log-weights of the sampler's paths: their variance, or minus their "
        "mean, which is minus a lower bound of log Z. A low loss on paths that miss a mode says "
        "nothing of that mode: look at the estimates."
    )
    center: Tensor
    factor: Tensor
    seed: Tensor

    def __init__(
        self,
        target: Any,
        method: str | PathPair = "dds",
        *,
        steps: int = 64,
        objective: str | None = None,
        replay: float = 0.5,
        buffer: int = 2048,
        exploration: str = "smc",
        coordinates: str = "chains",
        width: int = 64,
        depth: int = 2,
        options: Mapping[str, Any] | None = None,
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        self_target = target_of(target, event_shape, options)
        super().__init__(self_target.event_shape)
        self.target = self_target
        self.replay = number("replay", replay, least=0, most=1)
        self.exploration = one_of("exploration", exploration, ("smc", "none"))
        self.coordinates = one_of("coordinates", coordinates, COORDINATES)
        dim = math.prod(self.target.unbounded_shape)
        chosen = registry.resolve("learned-samplers", method)
        # The method may be the user's own object, and serve several models.
        self.paths: PathPair = copy.deepcopy(chosen).build(
            dim, whole("steps", steps), lambda: SteeredMLP(dim, width=width, depth=depth)
        )
        self.objective = suitable_objective(objective, self.paths)
        self.register_buffer("center", torch.zeros(dim))
        self.register_buffer("factor", torch.eye(dim))
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))
        self.buffer = ReplayBuffer(buffer, dim)
        self.log_normalizer = (
            nn.Parameter(torch.zeros(())) if self.objective == "trajectory-balance" else None
        )
        self._ready()

    # -- what it is -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Samples, with densities estimated by paths back."""
        return Capabilities(True, "estimated", False)

    def describe(self, tensors: dict[str, Tensor] | None = None) -> dict[str, Any]:
        """The model as plain values; a target that has no name is to be given again to `load`."""
        found: dict[str, Any] = config.describe(
            self, unnamed=("target",), tensors={} if tensors is None else tensors
        )
        return found

    def density(self, dtype: torch.dtype | None = None) -> Density:
        """The target in the coordinates of the paths."""
        return Density(self.target, self.center, self.factor, dtype)

    # -- learning -------------------------------------------------------------------------------

    def fit_units(self, x: Any, source: Any = None) -> None:
        """Nothing: there are no data."""

    def prepare(self, x: Any, c: Any = None, *, generator: torch.Generator) -> None:
        """Find the coordinates in which paths move, and explore the target in them."""
        own = fresh_seed(None, generator)
        self.seed.fill_(own)
        start = fitted_coordinates(self.target, self.coordinates, seed=derived_seed(own, 0))
        self.center.copy_(start.mean.flatten())
        self.factor.copy_(start.factor)
        if self.exploration == "none":
            return
        noise = torch.Generator().manual_seed(derived_seed(own, 1))
        wide = Density(self.target, start.mean.flatten(), start.factor)
        try:
            x, log_weights = explored(wide, self.buffer.size, generator=noise)
        except ConvergenceError as error:
            warnings.warn(
                f"tempering does not lead to {self.target.name} ({error}): the sampler learns from "
                "its own paths alone, and will miss what they miss",
                stacklevel=2,
            )
            return
        self.buffer.keep(x, log_weights)
        if self.log_normalizer is not None:
            with torch.no_grad():
                self.log_normalizer.fill_(float(log_weights.logsumexp(0)) - math.log(len(x)))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All with one rate, but for the normalizer, which moves by nats."""
        if self.log_normalizer is None:
            return super().parameter_groups()
        return [
            {"params": list(self.paths.parameters())},
            {"params": [self.log_normalizer], "rate": 10.0},
        ]

    @torch.no_grad()
    def on_step(self, step: int, source: Any, target: Any, c: Any = None) -> None:
        """Keep the ends of some of the sampler's own paths, every few steps."""
        if not self._replays or step % _REFRESH:
            return
        noise = torch.Generator(self.device)
        noise.manual_seed(derived_seed(int(self.seed), 2, step))
        found = simulate(self.paths, self.density(), _FRESH, generator=noise)
        self.buffer.add(self.paths.position(found.states[-1]), found.log_weights)

    @property
    def _replays(self) -> bool:
        return self.replay > 0 and self.objective in OFF_POLICY

    @property
    def compares_rows(self) -> str:
        """Paths of one batch: their weights with the mean of all, and noise with that of others."""
        return "paths are drawn and weighed batch by batch"

    def loss(
        self,
        x: Any,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """What training minimizes, `(B,)`, for as many paths as there are rows, which say no more.

        Args:
            x: anything with `B` rows.
            c: nothing.
            generator: for the paths.
            rows: those of the batch whose losses are asked for.
        """
        refuse_context(self, c)
        noise = generator_or_global(generator, self.device)
        again = None
        if self._replays and self.buffer.filled:
            again = self.buffer.draw(int(self.replay * len(x)), noise)
        return LOSSES[self.objective](
            self.paths, self.density(), len(x), generator=noise, replay=again,
            log_z=self.log_normalizer,
        )[rows]  # fmt: skip

    # -- drawing --------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        steps: int | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """`n` states, `(n, *event)`, that paths end at; they follow the target as far as it was
        learned, and `weighted` says by how much each is off.

        Args:
            n: how many.
            c: nothing.
            steps: of a path; those of training by default.
            seed: of all randomness.
            generator: in the place of a seed.
            batch_size: paths at a time.
            progress: called with the number of finished parts, and of all.

        Raises `CapabilityError` for other steps where something is learned for each.
        """
        refuse_context(self, c)
        return finite(self.weighted(
            n, steps=steps, seed=seed, generator=generator, batch_size=batch_size,
            progress=progress,
        )[0])  # fmt: skip

    @torch.no_grad()
    def weighted(
        self,
        n: int,
        *,
        steps: int | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> tuple[Tensor, Tensor]:
        """States `(n, *event)` and their log-weights `(n,)`, whose mean weight is `Z`.

        Means weighted by them are those of the target, as far as its modes were reached.
        """
        pair, density = self._pair(steps), self.density(widest(self.device))
        own = fresh_seed(seed, generator)
        parts = parts_of(n, batch_size or _PATHS_AT_ONCE)
        states, weights = [], []
        with self.evaluating():
            for k, part in enumerate(parts, start=1):
                noise = RowNoise(own, part, self.device)
                found = simulate(pair, density, part.stop - part.start, generator=noise)
                ends = density.outward(pair.position(found.states[-1]))
                states.append(self.target.constrain(ends))
                weights.append(found.log_weights)
                if progress is not None:
                    progress(k, len(parts))
        return torch.cat(states), torch.cat(weights)

    @torch.no_grad()
    def log_prob(
        self,
        x: Tensor,
        c: Any = None,
        *,
        paths: int = 64,
        steps: int | None = None,
        seed: int | None = None,
    ) -> LogProb:
        """The log-density of the sampler itself, `(B,)`, by paths back from each state.

        With the weights `w` of the paths it is `log gamma(x) + log mean 1/w`, in expectation from
        below. For the target's own density subtract `log Z` from `model.target.log_prob(x)`.

        Args:
            x: states `(B, *event)`.
            c: nothing.
            paths: from each state.
            steps: of a path; those of training by default.
            seed: for the paths.
        """
        refuse_context(self, c)
        whole("paths", paths, least=10)
        pair, density = self._pair(steps), self.density(widest(self.device))
        z = self.target.unconstrain(x.to(self.device, density.dtype)).flatten(1)
        noise = RowNoise(fresh_seed(seed), slice(0, paths * len(z)), self.device)
        with self.evaluating():
            inward = density.inward(z).to(self.dtype).repeat_interleave(paths, 0)
            weights = simulate_back(pair, density, inward, generator=noise).log_weights
        found = log_mean(-weights.view(len(z), paths).mT.to(density.dtype))
        value = self.target.log_prob(x.to(self.device, density.dtype)) + found.value
        return LogProb(
            value.to(self.dtype), found.stderr.to(self.dtype), "estimated", nfe=pair.steps,
            converged=found.converged,
        )  # fmt: skip

    @torch.no_grad()
    def estimates(
        self,
        n: int = 2000,
        *,
        steps: int | None = None,
        seed: int | None = None,
    ) -> SamplerEstimates:
        """`log Z` with its bounds, effective sample sizes and the coverage of modes.

        Where the target has exact draws, as many of these as paths bound `log Z` from above and
        show what the paths miss. Otherwise those of the buffer show it, and bound nothing.

        Args:
            n: how many paths.
            steps: of a path; those of training by default.
            seed: for all randomness.
        """
        whole("n", n, least=10)
        own = fresh_seed(seed)
        density = self.density(widest(self.device))
        draws = self._known(n, derived_seed(own, 1))
        noise = torch.Generator(self.device)
        noise.manual_seed(derived_seed(own, 0))
        with self.evaluating():
            return estimates(
                self._pair(steps), density, n, generator=noise, exact=self.target.exact,
                draws=None if draws is None else draws.to(self.dtype),
            )  # fmt: skip

    def _known(self, n: int, seed: int) -> Tensor | None:
        """Draws of the target `(n, d)` in the coordinates of the paths, exact where there are some,
        else of the buffer; `None` without."""
        density, noise = self.density(widest(self.device)), torch.Generator().manual_seed(seed)
        if self.target.exact:
            x = self.target.sample(n, generator=noise).to(self.device, widest(self.device))
            return density.inward(self.target.unconstrain(x))
        if not self.buffer.filled:
            return None
        shares = self.buffer.shares().cpu()
        rows = torch.multinomial(shares, n, replacement=True, generator=noise)
        return self.buffer.states[rows.to(self.device)]

    def reference(self, n: int, *, seed: int = 0) -> Tensor:
        """States `(n, *event)` that stand for the target beside samples: exact draws where there
        are some, those of the buffer, or of the sampler itself, weighted."""
        known = self._known(n, derived_seed(seed, 1))
        if known is not None:
            return self.target.constrain(self.density().outward(known)).to(self.dtype)
        x, log_weights = self.weighted(n, seed=seed)
        noise = torch.Generator().manual_seed(derived_seed(seed, 1))
        share = log_weights.cpu().double().softmax(0)
        return x[torch.multinomial(share, n, replacement=True, generator=noise)].to(self.dtype)

    def warnings(self, x: Any = None, c: Any = None) -> list[str]:
        """What estimates of 1,000 paths say is wrong, in sentences; data are not looked at."""
        found = self.estimates(1000, seed=0)
        return [*found.log_z.notes, *found.warnings]

    def _pair(self, steps: int | None) -> PathPair:
        return self.paths if steps is None else self.paths.on_grid(steps)
