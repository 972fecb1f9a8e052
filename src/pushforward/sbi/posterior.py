"""A posterior of parameters given observations, learned once for all observations."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward import checks
from pushforward._random import derived_seed, fresh_seed
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.metrics import Calibration, Estimate, calibrate
from pushforward.models import GenerativeModel
from pushforward.protocols import Distribution
from pushforward.sbi.coordinates import Coordinates
from pushforward.sbi.simulating import Pairs
from pushforward.training import Run

__all__ = ["SimulatorPosterior"]

_ROUND = 4096
"""Candidates that are drawn at once where some are rejected, at most."""

_LEAST = 1e-4
"""The share of candidates inside of the prior's support, below which drawing is given up."""

_JUDGED = 10_000
"""Draws for the share inside of the support."""

_UNKNOWN = object()


class SimulatorPosterior:
    r"""`p(theta | y)` by a conditional model: draws and densities for any observation.

    The model is of the `coordinates` `z` of a parameter. Candidates outside of the support of the
    prior are rejected, and the density is divided by the share `A(y)` that is not. None have to be
    looked for where the coordinates have taken away the bounds, or a prior says by
    `unconstrained = None` that it has no bounds; of any other prior its `log_prob` is asked:

        log p(theta | y) = log q(z | y) + log |det dz/dtheta| - log A(y)   inside,  -inf outside.

    Made by `NPE`, `NPSE` and `FMPE`.

    Args:
        prior: of the parameters.
        coordinates: between parameters and what the model is of.
        model: of the coordinates, with the features of an observation as its context.
        run: how the model was trained.
        options: of every `model.sample`, such as a number of steps.
    """

    def __init__(
        self,
        prior: Distribution[Tensor],
        coordinates: Coordinates,
        model: GenerativeModel,
        run: Run | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.prior, self.coordinates, self.model, self.run = prior, coordinates, model, run
        self.options = dict(options or {})

    def __repr__(self) -> str:
        size, shape = len(self.coordinates.bias), self.coordinates.observed.shape
        name = type(self.model).__name__
        return f"SimulatorPosterior(of {size} parameters given {shape}, by a {name})"

    def sample(
        self, n: int, y: Any, *, seed: int | None = None, batch_size: int | None = None
    ) -> Tensor:
        """`n` draws of the posterior, `(n, d)`; of several observations `(n, m, d)`.

        Args:
            n: how many for each observation.
            y: one observation `(*shape)`, or several `(m, *shape)`.
            seed: of all draws. Those of an observation depend on the seed and on its place.
            batch_size: states that go through the network at once.

        Raises `InputError` for observations of another shape, or if of many candidates hardly any
        lies inside of the prior's support: the model has leaked.
        """
        checks.whole("n", n)
        many = self.coordinates.observed.rows(y)
        seed = fresh_seed(seed)
        if self._bounded:
            found = [
                self._accepted(n, row[None], derived_seed(seed, k), batch_size)
                for k, row in enumerate(many)
            ]
            drawn = torch.stack(found, 1)
        else:
            drawn = self._candidates(n, many, seed, batch_size)
        return (
            drawn[:, 0]
            if torch.as_tensor(y).ndim == len(self.coordinates.observed.shape)
            else drawn
        )

    @torch.no_grad()
    def log_prob(self, theta: Tensor, y: Any, *, seed: int = 0, **options: Any) -> LogProb:
        """The log-density of parameters `(m, d)`, at one observation or one for each.

        `options` are those of the model's own `log_prob`. Where candidates are rejected, the share
        that is not is estimated from 10,000 draws for each observation, and its error is part of
        `stderr`.
        """
        if theta.ndim != 2 or theta.shape[1] != len(self.coordinates.bias):
            raise InputError(
                f"parameters have shape (m, {len(self.coordinates.bias)}), not {tuple(theta.shape)}"
            )
        rows = self.coordinates.observed.rows(y)
        if len(rows) not in (1, len(theta)):
            raise InputError(f"one observation, or one for each of {len(theta)}, not {len(rows)}")
        many = rows.expand(len(theta), *rows.shape[1:])
        inside = self.prior.log_prob(theta) > -math.inf
        value = torch.full((len(theta),), -math.inf)
        stderr = torch.zeros(len(theta))
        if not bool(inside.any()):
            return LogProb(value, stderr, "exact", nfe=0)
        z, log_det = self.coordinates.inward(theta[inside], many[inside])
        own = self.model.log_prob(
            z, self.coordinates.observed(many[inside]),
            **self.model.understood("log_prob", seed=seed, **options),
        )  # fmt: skip
        value[inside] = own.value + log_det
        stderr[inside] = own.stderr
        if self._bounded:
            shares = [self.acceptance(row, seed=seed) for row in rows]
            share = torch.tensor([s.value for s in shares]).expand(len(theta))
            error = torch.tensor([s.stderr for s in shares]).expand(len(theta)) / share
            value, stderr = value - share.log(), torch.hypot(stderr, error)
        return LogProb(value, stderr, own.kind, own.nfe, shared=self._bounded)

    def acceptance(self, y: Any, *, n: int = _JUDGED, seed: int = 0) -> Estimate:
        """The share of the model's draws that lie inside of the prior's support, at an observation.

        One if the coordinates have no bounds. Raises `InputError` for several observations, or if
        none of the draws is inside.
        """
        if not self._bounded:
            return Estimate(1.0, 0.0, n)
        rows = self.coordinates.observed.rows(y)
        if len(rows) != 1:
            raise InputError(f"the share is that at one observation, not at {len(rows)}")
        drawn = self._candidates(n, rows, derived_seed(seed, 1), None)[:, 0]
        share = float((self.prior.log_prob(drawn) > -math.inf).double().mean())
        if share == 0:
            raise _leaked(0, n)
        return Estimate(share, math.sqrt(share * (1 - share) / n), n)

    def sampler(self, y: Any, draws: int, seed: int) -> Tensor:
        """Draws `(draws, m, d)` for a batch of observations: what `metrics.calibrate` takes."""
        rows = self.coordinates.observed.rows(y)
        return self.sample(draws, rows, seed=seed).reshape(draws, len(rows), -1)

    def calibrate(self, pairs: Pairs, *, draws: int = 99, **options: Any) -> Calibration:
        """The checks of `metrics.calibrate` on pairs that the posterior has not been trained on.

        `options` are its own. The density of the posterior is used where it is exact and cheap.
        """
        if self.model.capabilities.log_prob == "exact" and not self._bounded:
            options.setdefault("log_prob", lambda theta, y: self.log_prob(theta, y).value)
        return calibrate(self.sampler, (pairs.theta, pairs.y), draws=draws, **options)

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _bounded(self) -> bool:
        """Whether candidates may lie outside of the prior's support."""
        # A prior that does not say what its support is may have any.
        without_bounds = getattr(self.prior, "unconstrained", _UNKNOWN) is None
        return self.coordinates.unconstrained is None and not without_bounds

    def _candidates(self, n: int, rows: Tensor, seed: int, batch_size: int | None) -> Tensor:
        """Draws of the model, `(n, m, d)`; those of an observation are next to each other."""
        each = rows.repeat_interleave(n, 0)
        z = self.model.sample(
            len(each), self.coordinates.observed(each), seed=seed, batch_size=batch_size,
            **self.options,
        )  # fmt: skip
        return self.coordinates.outward(z, each).reshape(len(rows), n, -1).transpose(0, 1)

    def _accepted(self, n: int, row: Tensor, seed: int, batch_size: int | None) -> Tensor:
        """`n` draws inside of the support, of one observation, `(n, d)`."""
        kept: list[Tensor] = []
        found = tried = 0
        while found < n:
            share = (found + 1) / (tried + 1)
            size = min(_ROUND, max(16, math.ceil(1.2 * (n - found) / share)))
            drawn = self._candidates(size, row, derived_seed(seed, tried), batch_size)[:, 0]
            kept.append(drawn[self.prior.log_prob(drawn) > -math.inf])
            found, tried = found + len(kept[-1]), tried + size
            if tried > 10 / _LEAST and found < _LEAST * tried:
                raise _leaked(found, tried)
        return torch.cat(kept)[:n]


def _leaked(found: int, tried: int) -> InputError:
    return InputError(
        f"{found} of {tried:,} draws lie inside of the prior's support: the model has leaked out "
        "of it at this observation; learn without bounds (unbounded=True), simulate more, or see "
        "whether the prior could have made the observation"
    )
