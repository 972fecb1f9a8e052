"""A posterior of parameters given observations, learned once for all observations."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed, fresh_seed
from pushforward.condition import Condition, vectors
from pushforward.config import configurable
from pushforward.distributions import bounds_remain, without_bounds
from pushforward.errors import InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.metrics import Calibration, Estimate, calibrate
from pushforward.models import GenerativeModel, Trainable, conditional_sampler
from pushforward.sbi.coordinates import Coordinates
from pushforward.sbi.methods import inner_model
from pushforward.sbi.simulating import Pairs
from pushforward.training import Run

__all__ = ["SimulatorPosterior"]

_ROUND = 4096
"""Candidates that are drawn at once in the place of rejected ones, about."""

_LEAST = 1e-4
"""The share of candidates inside of the prior's support, below which drawing is given up."""

_JUDGED = 10_000
"""Draws for the share inside of the support."""

_OWN = ("prior", "unbounded", "sampling")
"""Options of `for_data` that are not of the model inside."""


@configurable
class SimulatorPosterior(GenerativeModel, Trainable):
    r"""`p(theta | y)` by a conditional model: draws and densities for any observation.

    The model is of the `coordinates` `z` of a parameter. Candidates outside of the support of the
    prior are rejected, and the density is divided by the share `A(y)` that is not. None have to be
    looked for where the coordinates have taken away the bounds, or a prior says by
    `unconstrained = None` that it has no bounds; of any other prior its `log_prob` is asked:

        log p(theta | y) = log q(z | y) + log |det dz/dtheta| - log A(y)   inside,  -inf outside.

    Made by `NPE`, `NPSE` and `FMPE`, or trained by `pf.fit` on `Data(theta, c=y)` as any model is.
    An observation is its context `c`, a vector; `posterior(y)` is the posterior given one or
    several of them as a `models.Posterior`.

    Args:
        model: of the coordinates, with the features of an observation as its context.
        prior: of the parameters, whose support the posterior keeps to; `None` for one without
            bounds of which nothing else is known.
        observed: how many numbers an observation has.
        unbounded: learn parameters with bounded support as vectors without bounds, by the
            `unconstrained` of the prior.
        sampling: options of every `model.sample`, such as a number of steps.
        event_shape: the number of parameters, if known before training.

    >>> import pushforward as pf
    >>> from pushforward.distributions import Box
    >>> theta = Box([0.0], [1.0]).sample(200, seed=0)
    >>> data = pf.data.Data(theta, c=theta.square())
    >>> model = SimulatorPosterior.for_data(data, prior=Box([0.0], [1.0]))
    >>> run = pf.fit(model, data, steps=3, progress=False)
    >>> model.posterior(torch.tensor([0.25])).sample(4, seed=0).shape
    torch.Size([4, 1])
    """

    run: Run | None = None
    """How it was trained, if by `NPE`, `NPSE` or `FMPE`."""

    def __init__(
        self,
        model: Any,
        prior: Any = None,
        observed: int = 1,
        unbounded: bool = True,
        sampling: dict[str, Any] | None = None,
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(model.event_shape if event_shape is None else event_shape)
        self.model, self.prior, self.sampling = model, prior, dict(sampling or {})
        # What training asks of a family is answered by the model inside.
        self.draws_noise, self.learning_rate = model.draws_noise, model.learning_rate
        self.loss_meaning = model.loss_meaning
        free = without_bounds(prior) if unbounded else None
        (parameters,) = model.event_shape
        self.coordinates = Coordinates(parameters, observed, free)
        self.condition = Condition(context_size=checks.whole("observed", observed))
        self._ready()

    def __repr__(self) -> str:
        (size,), name = self.event_shape, type(self.model).__name__
        told = f"{size} parameters given {self.context_size} numbers"
        return f"SimulatorPosterior(of {told}, by a {name})"

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """A posterior for pairs: the parameters are the data, the observations its contexts.

        Args:
            data: a `pushforward.data.Data`.
            labels: must be true: without observations there is no posterior.
            options: `method`, one of `npe` (the default), `npse`, `fmpe`; `prior`, `unbounded` and
                `sampling` of the class; `kind` of a flow, `width` and `depth` of the network of the
                other two, and `model`, options of the model inside.

        Raises `InputError` for data without observations, or options that there are not.
        """
        if not labels or data.context_size is None or len(data.event_shape) != 1:
            raise InputError(
                f"a posterior is learned from vectors of parameters with an observation each, a "
                f"vector too: name the columns of the observation by given=, or give "
                f"Data(theta, c=y), not {data.words}"
            )
        own = {key: options.pop(key) for key in _OWN if key in options}
        _require_support(own.get("prior"), data.x)
        inner = inner_model(data.event_shape[0], 2 * data.context_size, **options)
        return cls(inner, observed=data.context_size, **own)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Those of the model inside, with contexts."""
        return Capabilities(True, self.model.capabilities.log_prob, True)

    @property
    def bounded(self) -> bool:
        """Whether candidates may lie outside of the prior's support."""
        known = self.prior is not None and bounds_remain(self.prior)
        return known and self.coordinates.unconstrained is None

    def understood(self, method: str, /, **options: Any) -> dict[str, Any]:
        """Those options that a method takes, or that of the model inside, which gets the rest."""
        return super().understood(method, **options) | self.model.understood(method, **options)

    # -- learning -------------------------------------------------------------------------------

    def fit_units(self, x: Any, source: Any = None) -> None:
        """Nothing: `coordinates` have the units. The shape of the parameters is looked at."""
        self.known_units(x)

    @torch.no_grad()
    def prepare(self, x: Tensor, c: Any = None, *, generator: torch.Generator) -> None:
        """Fit the coordinates. Raises `InputError` for parameters outside of the prior's support,
        or that never vary."""
        x, y = self.inward(x), self.observations(c, len(x))
        _require_support(self.prior, x)
        self.coordinates.fit(x, y)
        z, _ = self.coordinates.inward(x, y)
        self.model.prepare(z, self.coordinates.features(y), generator=generator)

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """That of the model inside, of the coordinates, `(B,)`."""
        y = self.observations(c, len(x))
        z, _ = self.coordinates.inward(self.inward(x), y)
        features = self.coordinates.features(y)
        found: Tensor = self.model.loss(z, features, generator=generator, rows=rows)
        return found

    # -- draws and densities --------------------------------------------------------------------

    def observations(self, c: Any, n: int) -> Tensor:
        """The observations of `n` states, `(n, k)`, as numbers of the model.

        Raises `InputError` for another shape, or values that are not finite.
        """
        self.condition.required(c, n, self.device)  # refuses what is none
        # As they are: standardized, levels near zero would have lost their digits.
        found = vectors(c, n, self.coordinates.positive.numel(), self.device).to(self.dtype)
        if not bool(found.isfinite().all()):
            raise InputError("the observation holds NaN or infinity, which no posterior is given")
        return found

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        seed: int | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Any = None,
        **options: Any,
    ) -> Tensor:
        """`n` draws of the posterior, `(n, d)`.

        Args:
            n: how many.
            c: the observation `(k,)` of all, or one for each draw `(n, k)`.
            seed: of all draws.
            batch_size: states that go through the network at once.
            rows: a part of them only, as one of several processes draws.
            progress: called with the finished steps and all.
            options: of the `sample` of the model inside.

        Raises `InputError` for observations of another shape, or if of many candidates hardly any
        lies inside of the prior's support: the model has leaked.
        """
        y = self.observations(c, checks.whole("n", n))
        seed = fresh_seed(seed)
        options = {**self.sampling, **options, "batch_size": batch_size}
        if not self.bounded:
            return self._candidates(y, seed, rows=rows, progress=progress, **options)
        x = self._candidates(y, seed, progress=progress, **options)
        left = (~self._inside(x)).nonzero()[:, 0]
        tried = 1
        while len(left):
            # The first of some candidates that is inside.
            each = math.ceil(_ROUND / len(left))
            again = y[left].repeat_interleave(each, 0)
            drawn = self._candidates(again, derived_seed(seed, tried), **options)
            fine = self._inside(drawn).view(-1, each)
            found = fine.any(1)
            first = fine.double().argmax(1)
            x[left[found]] = drawn.view(-1, each, x.shape[1])[found, first[found]]
            left, tried = left[~found], tried + each
            if len(left) and tried > 10 / _LEAST:
                raise _leaked(int(fine.sum()), fine.numel())
        return x[rows]

    @torch.no_grad()
    def log_prob(self, x: Tensor, c: Any = None, *, seed: int = 0, **options: Any) -> LogProb:
        """The log-density of parameters `(m, d)`, at one observation or one for each.

        `options` are those of the `log_prob` of the model inside. Where candidates are rejected,
        the share that is not is estimated from 10,000 draws for each observation, and its error is
        part of `stderr`.
        """
        x = self.inward(x)
        y = self.observations(c, len(x))
        inside = self._inside(x)
        value = torch.full((len(x),), -math.inf, device=x.device)
        stderr = torch.zeros_like(value)
        if not bool(inside.any()):
            return LogProb(value, stderr, "exact", nfe=0)
        z, log_det = self.coordinates.inward(x[inside], y[inside])
        own = self.model.log_prob(
            z, self.coordinates.features(y[inside]),
            **self.model.understood("log_prob", seed=seed), **options,
        )  # fmt: skip
        value[inside] = own.value + log_det
        stderr[inside] = own.stderr
        if self.bounded:
            different, which = y.unique(dim=0, return_inverse=True)
            shares = [self._share(row[None], _JUDGED, seed) for row in different]
            share = torch.tensor([s.value for s in shares], device=x.device)[which]
            error = torch.tensor([s.stderr for s in shares], device=x.device)[which] / share
            value, stderr = value - share.log(), torch.hypot(stderr, error)
        return LogProb(value, stderr, own.kind, own.nfe, shared=self.bounded)

    def acceptance(self, y: Any, *, n: int = _JUDGED, seed: int = 0) -> Estimate:
        """The share of the model's draws that lie inside of the prior's support, at an observation.

        One if the coordinates have no bounds. Raises `InputError` for several observations, or if
        none of the draws is inside.
        """
        row = self.observations(y, 1)
        return self._share(row, n, seed) if self.bounded else Estimate(1.0, 0.0, n)

    def sampler(self, y: Any, draws: int, seed: int) -> Tensor:
        """Draws `(draws, m, d)` for observations `(m, k)`: what the checks of `metrics` take."""
        return conditional_sampler(self)(y, draws, seed)

    def calibrate(self, pairs: Pairs, *, draws: int = 99, **options: Any) -> Calibration:
        """The checks of `metrics.calibrate` on pairs that the posterior has not been trained on.

        `options` are its own. The density of the posterior is used where it is exact and cheap.
        """
        if self.model.capabilities.log_prob == "exact" and not self.bounded:
            options.setdefault("log_prob", lambda theta, y: self.log_prob(theta, y).value)
        given = (pairs.theta, pairs.y.flatten(1))
        return calibrate(self.sampler, given, draws=draws, **options)

    # -- inside ---------------------------------------------------------------------------------

    def _inside(self, x: Tensor) -> Tensor:
        """Which parameters lie in the support of the prior, `(m,)`."""
        if self.prior is None:
            return torch.ones(len(x), dtype=torch.bool, device=x.device)
        found: Tensor = self.prior.log_prob(x) > -math.inf
        return found

    def _candidates(
        self, y: Tensor, seed: int, *, rows: slice = slice(None), **options: Any
    ) -> Tensor:
        """A draw of the model at each observation, `(m, d)`."""
        features = self.coordinates.features(y)
        z = self.model.sample(len(y), features, seed=seed, rows=rows, **options)
        return self.coordinates.outward(z, y[rows])

    @torch.no_grad()
    def _share(self, row: Tensor, n: int, seed: int) -> Estimate:
        """The share of `n` candidates that are inside, at one observation."""
        drawn = self._candidates(row.expand(n, -1), derived_seed(seed, 1), **self.sampling)
        share = float(self._inside(drawn).double().mean())
        if share == 0:
            raise _leaked(0, n)
        return Estimate(share, math.sqrt(share * (1 - share) / n), n)


def _require_support(prior: Any, theta: Tensor) -> None:
    """Raise `InputError` for parameters that a prior has not made, or of which it is none."""
    if prior is None:
        return
    try:
        density = prior.log_prob(theta)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"the prior is not one of {theta.shape[1]} parameters: {type(prior).__name__} says "
            f"{error}"
        ) from None
    outside = int((density == -math.inf).sum())
    if outside:
        raise InputError(f"{outside} of {len(theta)} parameters lie outside of the prior's support")


def _leaked(found: int, tried: int) -> InputError:
    return InputError(
        f"{found} of {tried:,} draws lie inside of the prior's support: the model has leaked out "
        "of it at this observation; learn without bounds (unbounded=True), simulate more, or see "
        "whether the prior could have made the observation"
    )
