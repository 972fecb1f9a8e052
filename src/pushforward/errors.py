"""The errors that users meet: each message names the value at fault and the way out."""

from __future__ import annotations

from typing import Any

__all__ = [
    "CapabilityError",
    "ConvergenceError",
    "ConvergenceWarning",
    "InputError",
    "MissingExtraError",
    "PushforwardError",
    "SamplingError",
    "TrainingError",
]


class PushforwardError(Exception):
    """Base of every error that `pushforward` raises on purpose.

    The command line prints its message without a traceback.
    """


class InputError(PushforwardError, ValueError):
    """A value given by the user cannot be used; the message names it and what would work."""


class CapabilityError(PushforwardError):
    """What was asked for does not exist for this object; the message names what has it."""


class MissingExtraError(PushforwardError, ImportError):
    """An optional package is missing; the message is its one-line installation."""


class TrainingError(PushforwardError, RuntimeError):
    """Training cannot go on; what was saved before stays, and the run so far is in `run`."""

    def __init__(self, message: str, run: Any = None) -> None:
        super().__init__(message)
        self.run = run


class SamplingError(PushforwardError):
    """A sampler cannot go on; the message says where it stopped and what to change."""


class ConvergenceError(PushforwardError, ArithmeticError):
    """An iteration has spent its budget without a result; the message says where."""


class ConvergenceWarning(UserWarning):
    """A method ended before its result can be trusted; the message says what to change."""
