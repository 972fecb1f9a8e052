"""The settings of a training run, checked before anything starts."""

from __future__ import annotations

import dataclasses
import math
import operator
from dataclasses import dataclass
from typing import Any, Literal, SupportsIndex

from pushforward.errors import InputError

__all__ = ["Settings"]

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

_FREE = ("steps", "validate_every", "checkpoint_every", "log_every")
"""What may change when a run is resumed; the rest decides what is computed."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        steps: optimizer steps.
        batch_size: data points per optimizer step, over all processes and micro-batches.
        lr: the peak learning rate of AdamW.
        schedule: `cosine` decays to zero over `steps`, `constant` stays.
        warmup: steps over which the learning rate rises linearly.
        weight_decay: of AdamW.
        ema: decay of the averaged weights, which are the ones that sample; 0 switches it off.
        clip: the largest gradient norm; 0 switches it off.
        accumulate: micro-batches per optimizer step, for batches that do not fit in memory.
        precision: `32-true`, `bf16-mixed`, or `16-mixed` for older GPUs.
        holdout: the fraction of the data kept for validation and evaluation.
        validate_every: steps between validations; 0 for a twentieth of `steps`.
        checkpoint_every: steps between checkpoints; 0 for a tenth of `steps`.
        log_every: steps between lines of `metrics.jsonl`; 0 for a two-hundredth of `steps`.
        standardize: shift and scale the data inside the model.
        seed: of the split, the order of the data and all noise.

    Numbers may be written as text, as YAML reads `1e-3`. Raises `InputError` naming the first
    setting out of range.

    >>> Settings(steps=100).validate_every
    5
    >>> Settings(lr=-1.0)
    Traceback (most recent call last):
    ...
    pushforward.errors.InputError: lr must be positive, not -1.0
    """

    steps: int = 10_000
    batch_size: int = 128
    lr: float = 1e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: int = 100
    weight_decay: float = 0.0
    ema: float = 0.999
    clip: float = 1.0
    accumulate: int = 1
    precision: Precision = "32-true"
    holdout: float = 0.1
    validate_every: int = 0
    checkpoint_every: int = 0
    log_every: int = 0
    standardize: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            plain = _PLAIN.get(str(field.type))
            if plain is not None:
                value = plain(field.name, getattr(self, field.name))
                object.__setattr__(self, field.name, value)
        for name in ("steps", "batch_size", "accumulate"):
            self._check(name, getattr(self, name) >= 1, "must be at least 1")
        self._check("lr", self.lr > 0, "must be positive")
        for name in ("warmup", "weight_decay", "clip"):
            self._check(name, getattr(self, name) >= 0, "must not be negative")
        self._check("ema", 0 <= self.ema < 1, "must lie in [0, 1)")
        self._check("holdout", 0 <= self.holdout < 1, "must lie in [0, 1)")
        self._check("schedule", self.schedule in ("cosine", "constant"), "is cosine or constant")
        self._check(
            "precision",
            self.precision in ("32-true", "bf16-mixed", "16-mixed"),
            "is 32-true, bf16-mixed or 16-mixed",
        )
        self._check(
            "batch_size",
            self.batch_size % self.accumulate == 0,
            f"must be a multiple of accumulate={self.accumulate}",
        )
        # Rates that follow from the length of the run.
        for name, parts in (("validate_every", 20), ("checkpoint_every", 10), ("log_every", 200)):
            value = getattr(self, name)
            self._check(name, value >= 0, "must not be negative")
            if value == 0:
                object.__setattr__(self, name, max(1, self.steps // parts))

    def describe(self) -> dict[str, Any]:
        """The settings as plain values."""
        return dataclasses.asdict(self)

    def differences(self, saved: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Settings that change what is computed, where they differ from a saved run's.

        `steps` may change, and how often something is written is free.

        >>> Settings(lr=1e-3).differences(Settings(lr=1e-2, steps=5).describe())
        {'lr': (0.01, 0.001)}
        """
        # A setting that is younger than the saved run had its default there.
        before = {f.name: f.default for f in dataclasses.fields(self)} | saved
        now = self.describe()
        return {k: (before[k], now[k]) for k in now if k not in _FREE and before[k] != now[k]}

    def rate(self, step: int) -> float:
        """The learning rate of optimizer step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "constant":
            return self.lr * rise
        return self.lr * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def _check(self, name: str, good: bool, rule: str) -> None:
        if not good:
            raise InputError(f"{name} {rule}, not {getattr(self, name)}")


def _whole(name: str, value: Any) -> int:
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        return operator.index(value)
    number = _number(name, value)
    if number != int(number):
        raise InputError(f"{name} is a whole number, not {value!r}")
    return int(number)


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} is a number, not {value!r}") from None
    if not math.isfinite(number):
        raise InputError(f"{name} is a finite number, not {value!r}")
    return number


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} is true or false, not {value!r}")
    return value


_PLAIN = {"int": _whole, "float": _number, "bool": _truth}
