"""From a model and a measurement to a posterior: which method, which noise, which context."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pushforward import registry
from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import (
    Columns,
    ExactConstraint,
    GaussianNoise,
    LinearOperator,
    Measurement,
    Noise,
    Operator,
    Selection,
)
from pushforward.models.amortized_posterior import AmortizedPosterior
from pushforward.models.guided_posterior import GuidedPosterior
from pushforward.models.noise_level import estimated_level
from pushforward.models.posterior import Exactness, Posterior

__all__ = ["noise_of", "posterior_of"]


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
    """See `GenerativeModel.posterior`."""
    if operator is None:
        if noise is not None or method is not None:
            raise InputError("noise= and method= need operator=, what was measured of a state")
        if c is not None or options:
            raise InputError("without operator= y is the context itself: leave c= out")
        return _amortized(model, y)
    if not isinstance(operator, Operator):
        raise InputError(
            "operator is one of pushforward.inverse, such as inverse.Downsample(2), not "
            f"{operator!r}"
        )
    units, shape = model.known_units(), model.event_shape
    if not all(isinstance(size, int) for size in shape):
        raise CapabilityError("posteriors are for states that are one tensor of real numbers")
    operator = _named(operator, model)
    y = _measured(y, operator, shape, model)
    if isinstance(noise, str) and noise == "estimated":
        level = estimated_level(model, y, operator, c=c, guidance=guidance)
        noise = GaussianNoise(level.value)
    noise = noise_of(noise)
    measurement = Measurement.of(y, operator, noise, shape, units)
    denoiser = model.denoiser(c, len(y) if measurement.batched else 1, guidance=guidance)
    chosen = _default(operator, noise) if method is None else method
    guide, exactness = _guide(chosen, options)
    return GuidedPosterior(model, denoiser, measurement, guide, exactness)


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


def _named(operator: Operator, model: Any) -> Operator:
    """Columns by number, where the model knows their names."""
    if not isinstance(operator, Columns) or not any(isinstance(c, str) for c in operator.columns):
        return operator
    schema = (model.learned_from or {}).get("schema") or {}
    return operator.resolved([str(column["name"]) for column in schema.get("columns", ())])


def _measured(y: Any, operator: Operator, shape: tuple[int, ...], model: Any) -> Tensor:
    """A measurement as a tensor; of a selection, whole states stand for what is selected of them.

    In the precision of the model, or in double where its data need that.
    """
    dtype = torch.float64 if model.precise else model.dtype
    try:
        found = torch.as_tensor(y).to(model.device, dtype)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"a measurement y is a tensor of numbers, not {y!r}") from None
    observed = operator.observed_shape(shape)
    if not isinstance(operator, Selection) or observed in (found.shape, found.shape[1:]):
        return found
    if found.shape == shape:
        return operator(found.unsqueeze(0))[0]
    return operator(found) if found.shape[1:] == shape else found


def _default(operator: Operator, noise: Noise) -> str:
    """The short name of the method that takes an operator and a noise, and does best."""
    linear = isinstance(operator, LinearOperator)
    if isinstance(noise, ExactConstraint):
        if not linear:
            raise CapabilityError(
                f"{type(operator).__name__} is not linear, and no method meets such a constraint "
                "exactly: give a little noise"
            )
        return "projection"
    return "mmps" if linear and isinstance(noise, GaussianNoise) else "dps"


def _guide(
    method: str | Callable[..., Any], options: Mapping[str, Any]
) -> tuple[Callable[..., Any], Exactness]:
    """What makes a guided prediction, and how exact it is."""
    found = registry.find("posteriors", method) if isinstance(method, str) else method
    if not callable(found):
        raise InputError(
            f"a method is one of {', '.join(registry.names('posteriors'))}, or a function of "
            f"(model, process, measurement), not {method!r}"
        )
    taken = inspect.signature(found).parameters
    own = [name for name in taken if name not in ("model", "process", "measurement")]
    for name in options:
        if name not in own:
            raise InputError(
                f"{getattr(found, '__name__', method)} has no option {name!r}: it has "
                f"{', '.join(own) or 'none'}"
            )

    def guide(model: Any, process: Any, measurement: Measurement) -> Any:
        parts = {"model": model, "process": process, "measurement": measurement}
        return found(**{k: v for k, v in parts.items() if k in taken}, **options)

    reason = getattr(found, "exactness", "a method of your own")
    return guide, Exactness("approximate", str(reason))
