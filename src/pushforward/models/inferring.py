"""From a model and a measurement to a posterior: which method, which noise, which context."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import registry
from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import (
    ExactConstraint,
    GaussianNoise,
    LinearOperator,
    Measurement,
    Noise,
    Operator,
)
from pushforward.models.amortized_posterior import AmortizedPosterior
from pushforward.models.as_measured import as_measured
from pushforward.models.guided_posterior import GuidedPosterior
from pushforward.models.likelihood_posterior import LikelihoodPosterior
from pushforward.models.noise_level import estimated_level
from pushforward.models.posterior import Exactness, Posterior
from pushforward.models.sampled_posterior import AnnealedPosterior, RepaintedPosterior
from pushforward.models.twisted_posterior import TwistedPosterior
from pushforward.models.whitened import WhiteCoordinates, in_white
from pushforward.samplers import DAPS, RePaint, TwistedSMC

__all__ = ["noise_of", "posterior_of"]

_FEW = 8
"""Measured numbers for which `MMPS` solves its system exactly."""

_SMC = tuple(field.name for field in dataclasses.fields(TwistedSMC))


def posterior_of(
    model: Any,
    y: Any,
    operator: Operator | None,
    noise: Any,
    method: str | Callable[..., Any] | None,
    c: Any,
    guidance: float,
    options: Mapping[str, Any],
) -> Posterior:
    """The posterior of a model given a measurement; `model.posterior` calls it.

    Args:
        model: the prior, a model with a `denoiser`; or one that was trained on pairs.
        y: `(*observed)`, or a batch `(m, *observed)`; of a selection also whole states.
        operator: what was measured of a state, in data units; `None` if `y` is the context of the
            model.
        noise: the standard deviation of Gaussian noise in the units of `y`, `"exact"` for none,
            `"estimated"` for a level that `estimated_level` finds, or one of `pushforward.inverse`.
        method: a short name of `posteriors` or a function of `(model, process, measurement)` that
            returns a guided model. By default `mmps` for up to 8 numbers with Gaussian noise, and
            for more `pigdm` if the operator is linear; `projection` for a linear one without noise;
            else `dps`. `tds` weighs the draws of any of them, its `twist`, so that they are exact
            for many `particles`; it is what `--exact` is on the command line.
        c: a context of the model beside the measurement, one for all or one each.
        guidance: classifier-free guidance towards it.
        options: of the method.

    Raises `CapabilityError` for models, operators and noise that the method cannot take,
    `InputError` for what does not fit.

    >>> import pushforward as pf
    >>> from pushforward import inverse
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=16), event_shape=(2,))
    >>> post = model.posterior([0.3], operator=inverse.Columns(0), noise=0.1)
    >>> post.sample(3, seed=0, steps=10).shape, post.exactness.level
    (torch.Size([3, 2]), 'approximate')
    """
    if operator is None:
        if noise is not None or method is not None:
            raise InputError("noise= and method= need operator=, what was measured of a state")
        if c is not None or options:
            raise InputError("without operator= y is the context itself: leave c= out")
        return _amortized(model, y)
    y, operator = as_measured(model, y, operator)
    if "exact" in options:
        raise InputError(
            "exact draws are those of method='tds', here without exact=: with twist='mmps', or "
            "another method, for its guidance, and particles="
        )
    level = None
    if isinstance(noise, str) and noise == "estimated":
        level = estimated_level(model, y, operator, c=c, guidance=guidance)
        noise = GaussianNoise(level.value)
    noise = noise_of(noise)
    model = in_white(model)
    if isinstance(model, WhiteCoordinates):
        measurement = model.measurement(y, operator, noise)
    else:
        measurement = Measurement.of(y, operator, noise, model.event_shape, model.known_units())
    denoiser = model.denoiser(c, len(y) if measurement.batched else 1, guidance=guidance)
    chosen = _default(measurement) if method is None else method
    kind = registry.find("posteriors", chosen) if isinstance(chosen, str) else chosen
    post: LikelihoodPosterior
    if kind is TwistedSMC:
        own = {name: options[name] for name in _SMC if name in options}
        rest = {name: value for name, value in options.items() if name not in (*_SMC, "twist")}
        found = _guide(_guiding(options.get("twist") or _default(measurement)), rest)
        post = TwistedPosterior(
            model, denoiser, measurement, found.guide, found.name, found.cost, TwistedSMC(**own)
        )
    elif kind is DAPS:
        _refuse_others("daps", options, [field.name for field in dataclasses.fields(DAPS)])
        post = AnnealedPosterior(model, denoiser, measurement, DAPS(**options))
    elif kind is RePaint:
        known = [field.name for field in dataclasses.fields(RePaint)][2:]
        _refuse_others("repaint", options, known)
        post = RepaintedPosterior(model, denoiser, measurement, **options)
    else:
        found = _guide(chosen, options)
        post = GuidedPosterior(
            model, denoiser, measurement, found.guide, found.exactness, found.name, found.cost
        )
    post.noise_level = level
    return post


def _guiding(twist: str | Callable[..., Any]) -> str | Callable[..., Any]:
    """A twist. Raises `InputError` for a method that guides no prediction."""
    kind = registry.find("posteriors", twist) if isinstance(twist, str) else twist
    if kind in (TwistedSMC, DAPS, RePaint):
        raise InputError(
            f"the twist of tds is a method that guides a prediction, such as mmps, not {twist!r}"
        )
    return twist


def noise_of(noise: Any) -> Noise:
    """A noise model, the level of Gaussian noise, or a short name of a noise without a level.

    Raises `InputError` for anything else.
    """
    if noise is None:
        raise InputError(
            "give noise=, the deviation of Gaussian noise in the units of y, 'exact' where there "
            "is none, 'estimated', or one of pushforward.inverse, such as PoissonNoise()"
        )
    if isinstance(noise, Noise | str):
        found: Noise = registry.resolve("noises", noise)
        return found
    return GaussianNoise(noise)


def _amortized(model: Any, y: Any) -> Posterior:
    """The posterior of a conditional model, with `y` for its context."""
    found = y if isinstance(y, tuple) else torch.as_tensor(y)
    one = model.condition.context_size is not None
    if isinstance(found, Tensor):
        # A vector is one context, a label a number.
        batched = found.ndim > (1 if one or found.is_floating_point() else 0)
    else:
        batched = True
    return AmortizedPosterior(model, found, batched=batched)


def _default(measurement: Measurement) -> str:
    """The short name of the method that takes an operator and a noise, and does best."""
    operator, noise = measurement.operator, measurement.noise
    linear = isinstance(operator, LinearOperator)
    if isinstance(noise, ExactConstraint):
        if not linear:
            raise CapabilityError(
                f"{type(operator).__name__} is not linear, and no method meets such a constraint "
                "exactly: give a little noise"
            )
        return "projection"
    if not isinstance(noise, GaussianNoise):
        return "dps"
    # Beyond this the system of mmps is iterated: many derivatives a step, and of little noise more
    # are needed than anyone waits for.
    if math.prod(measurement.observed_shape) <= _FEW:
        return "mmps"
    return "pigdm" if linear else "dps"


class _Guide(NamedTuple):
    """What makes a guided prediction, how exact it is, what it is called, and what it costs."""

    guide: Callable[..., Any]
    exactness: Exactness
    name: str
    cost: str


def _guide(method: str | Callable[..., Any], options: Mapping[str, Any]) -> _Guide:
    """The guided prediction of a short name, or of a function."""
    found = registry.find("posteriors", method) if isinstance(method, str) else method
    if not callable(found):
        raise InputError(
            f"a method is one of {', '.join(registry.names('posteriors'))}, or a function of "
            f"(model, process, measurement), not {method!r}"
        )
    taken = inspect.signature(found).parameters
    own = [name for name in taken if name not in ("model", "process", "measurement")]
    name = method if isinstance(method, str) else getattr(found, "__name__", str(method))
    _refuse_others(getattr(found, "__name__", name), options, own)

    def guide(model: Any, process: Any, measurement: Measurement) -> Any:
        parts = {"model": model, "process": process, "measurement": measurement}
        return found(**{k: v for k, v in parts.items() if k in taken}, **options)

    reason = getattr(found, "exactness", "a method of your own")
    cost = getattr(found, "cost", "what a method of your own costs")
    return _Guide(guide, Exactness("approximate", str(reason)), name, str(cost))


def _refuse_others(name: str, options: Mapping[str, Any], known: list[str]) -> None:
    """Raise `InputError` for an option that a method does not have."""
    for option, value in options.items():
        if option not in known:
            raise InputError(
                f"{name} has no option {option!r}: it has {', '.join(known) or 'none'}"
            )
        if isinstance(value, Tensor) and value.ndim:
            raise InputError(
                f"{option} is one number for all draws, which may go through the network in parts, "
                f"not a tensor of shape {tuple(value.shape)}"
            )
