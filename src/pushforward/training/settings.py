"""The settings of a training run, checked before anything starts."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal

from pushforward import checks
from pushforward.errors import InputError

__all__ = ["Settings", "merged"]

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

_FREE = ("steps", "validate_every", "checkpoint_every", "log_every", "patience", "budget")
"""What may change when a run is resumed; the rest decides what is computed."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Args:
        steps: optimizer steps; by default as many as data of that size need (`sized`).
        batch_size: data points per optimizer step, over all processes and micro-batches; by default
            as `sized` has it.
        budget: train for a time, in place of `steps`: seconds, or text such as `30s`, `5m`, `2h`.
            The steps that fit in are counted out by a rehearsal before the first, so that the
            schedule ends with them; a run that goes on, or a recipe of it, has their number.
        lr: the peak learning rate of AdamW; by default that of the family, `learning_rate` of
            `Trainable`.
        schedule: `cosine` decays to zero over `steps`, `constant` stays.
        warmup: steps over which the learning rate rises linearly.
        weight_decay: of AdamW.
        ema: decay of the averaged weights, which are the ones that sample; 0 switches it off.
        clip: the largest gradient norm; 0 switches it off.
        accumulate: micro-batches per optimizer step, for batches that do not fit in memory.
        precision: `32-true`, `bf16-mixed`, or `16-mixed` for older GPUs.
        holdout: the fraction of the data kept for validation and evaluation.
        validate_every: steps between validations; 0 for a twentieth of `steps`. Before the first
            of these there are more, at a half of it, a quarter and so on, down to ten steps: small
            data are learned soon.
        patience: training stops when so many validations in a row are clearly worse than the best,
            by the standard error of the difference on the same rows; 0 never stops it. Only where
            the loss measures the quality of the model.
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
    pushforward.errors.InputError: lr is a positive finite number, not -1.0
    """

    steps: int | None = None
    batch_size: int | None = None
    budget: float | str | None = None
    lr: float | None = None
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: int = 100
    weight_decay: float = 0.0
    ema: float = 0.999
    clip: float = 1.0
    accumulate: int = 1
    precision: Precision = "32-true"
    holdout: float = 0.1
    validate_every: int = 0
    patience: int = 5
    checkpoint_every: int = 0
    log_every: int = 0
    standardize: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check = _CHECKS[field.name]
            value = _plain(getattr(self, field.name), str(field.type).startswith("int"))
            if value is not None or field.default is not None:
                value = check(field.name, value)
            object.__setattr__(self, field.name, value)
        if self.steps is not None and self.budget is not None:
            raise InputError(
                f"steps={self.steps} and budget={self.budget:g} seconds: a run has one length, "
                "give one of them"
            )
        if self.batch_size is not None and self.batch_size % self.accumulate:
            raise InputError(
                f"batch_size is a multiple of accumulate={self.accumulate}, not {self.batch_size}"
            )
        if self.steps is None:
            return
        # Rates that follow from the length of the run.
        for name, parts in (("validate_every", 20), ("checkpoint_every", 10), ("log_every", 200)):
            if getattr(self, name) == 0:
                object.__setattr__(self, name, max(1, self.steps // parts))

    @property
    def length(self) -> int:
        """The optimizer steps. Raises `InputError` where they are still to be chosen (`sized`)."""
        if self.steps is None:
            raise InputError("steps are not chosen yet: training.sized does it for some data")
        return self.steps

    @property
    def batch(self) -> int:
        """The data points of a step. Raises `InputError` where they are still to be chosen."""
        if self.batch_size is None:
            raise InputError("batch_size is not chosen yet: training.sized does it for some data")
        return self.batch_size

    @property
    def peak(self) -> float:
        """The peak learning rate. Raises `InputError` where it is still to be chosen (`sized`)."""
        if self.lr is None:
            raise InputError("lr is not chosen yet: training.sized does it for some data")
        return self.lr

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

    def validates(self, step: int) -> bool:
        """Whether validation is due after so many steps.

        >>> settings = Settings(steps=2000)
        >>> [step for step in range(1, 301) if settings.validates(step)]
        [12, 25, 50, 100, 200, 300]
        """
        every = self.validate_every
        early = 10 <= step < every and step == every >> (every // step).bit_length() - 1
        return early or step % every == 0 or step == self.length

    def rate(self, step: int) -> float:
        """The learning rate of optimizer step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "constant":
            return self.peak * rise
        return self.peak * rise * 0.5 * (1 + math.cos(math.pi * step / self.length))


def _plain(value: Any, whole: bool) -> Any:
    """Text as the number that it spells, and whole floats as integers: YAML reads 1e3 as text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def merged(settings: Settings | None, changes: dict[str, Any]) -> Settings:
    """The settings with changes by name; a length that is given takes the place of the other kind.

    Raises `InputError` for a name that is none.
    """
    names = [f.name for f in dataclasses.fields(Settings)]
    for name in changes:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise InputError(f"there is no setting {name!r}{hint}: choose from {', '.join(names)}")
    for name, other in (("steps", "budget"), ("budget", "steps")):
        if changes.get(name) is not None:
            changes = {other: None, **changes}
    return dataclasses.replace(settings, **changes) if settings else Settings(**changes)


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(name: str, value: Any) -> float:
    """A time in seconds, a number or text with units. Raises `InputError` for anything else.

    >>> seconds("budget", "1h30m"), seconds("budget", "45s"), seconds("budget", 10)
    (5400.0, 45.0, 10.0)
    """
    if not isinstance(value, str):
        return checks.positive(name, value)
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)([smh])", value.strip())
    if "".join(number + unit for number, unit in parts) != value.strip() or not parts:
        raise InputError(f"{name} is a time such as 30s, 5m, 2h or 1h30m, not {value!r}")
    return checks.positive(name, sum(float(number) * _UNITS[unit] for number, unit in parts))


def _seed(name: str, value: Any) -> int:
    return checks.seed(name, checks.whole(name, value, least=0))


_COUNT = partial(checks.whole, least=0)
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "steps": checks.whole,
    "batch_size": checks.whole,
    "budget": seconds,
    "lr": checks.positive,
    "schedule": partial(checks.one_of, choices=("cosine", "constant")),
    "warmup": _COUNT,
    "weight_decay": partial(checks.number, least=0),
    "ema": checks.fraction,
    "clip": partial(checks.number, least=0),
    "accumulate": checks.whole,
    "precision": partial(checks.one_of, choices=("32-true", "bf16-mixed", "16-mixed")),
    "holdout": checks.fraction,
    "validate_every": _COUNT,
    "patience": _COUNT,
    "checkpoint_every": _COUNT,
    "log_every": _COUNT,
    "standardize": checks.flag,
    "seed": _seed,
}
