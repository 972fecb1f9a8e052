"""The checkpoints of a run folder: where each is, and which weights a run is used with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pushforward import checks
from pushforward._records import read_json, read_sealed
from pushforward.errors import InputError
from pushforward.models.sealed_folder import CONFIG, WEIGHTS, read_config, verified

__all__ = [
    "CHECKPOINTS",
    "POSITION",
    "HeldWeights",
    "check_identity",
    "checkpoints_in",
    "choose",
    "require_best",
    "step_name",
    "step_of",
    "while_written",
]

Result = TypeVar("Result")

CHECKPOINTS = "checkpoints"
"""The folder of a run's checkpoints, each with its averaged weights."""

POSITION = "training.json"
"""Where the run stood, in each of them: the step that had validated best, among other things."""

_TRIES = 20

_STEP = re.compile(r"step-[0-9]{8,18}\Z")


@dataclass(frozen=True)
class HeldWeights:
    """Which averaged weights of a run a model holds.

    Args:
        kind: `best` by validation, `last`, or those of a step that was asked for.
        step: the optimizer steps behind them.
        of: the steps that the run has made.

    >>> print(HeldWeights("best", 1500, 10_000))
    those of step 1,500 of 10,000, which validated best
    >>> print(HeldWeights("last", 10_000, 10_000))
    those of the last step, 10,000
    """

    kind: Literal["best", "last", "step"]
    step: int
    of: int

    @property
    def caveat(self) -> str:
        """What to know of measures of them on the held-out rows, in a sentence; often nothing.

        >>> HeldWeights("best", 20, 40).caveat
        'They were chosen by the held-out rows, which flatters them a little here.'
        """
        if self.kind != "best":
            return ""
        # Measures of the rows that chose them are not those of rows that nobody has seen.
        return "They were chosen by the held-out rows, which flatters them a little here."

    def __str__(self) -> str:
        end = self.step == self.of
        where = f"the last step, {self.of:,}" if end else f"step {self.step:,} of {self.of:,}"
        return f"those of {where}" + (", which validated best" if self.kind == "best" else "")


def choose(path: Path, checkpoint: str | int | None = None) -> tuple[Path, HeldWeights | None]:
    """The folder of the weights that are asked for, and which of the run they are.

    By default those that validated best, if the run says which these are, and else the last, as
    where it says that these are as good but for chance. A saved model holds no others: then there
    is nothing to choose, and the second is `None`.

    Raises `InputError` if there are none such.
    """
    if (path / WEIGHTS).is_file():
        if checkpoint is not None:
            raise InputError(f"{path} is one model, and no run with a checkpoint {checkpoint!r}")
        return path, None
    if not path.exists():
        raise InputError(f"there is no folder {path}")
    if not (path / CHECKPOINTS).is_dir():
        raise InputError(f"{path} holds neither a saved model nor a run: it has no {WEIGHTS}")
    # Not by the pointers: they may be older, if the run was killed at the wrong moment.
    folders = {step_of(folder): folder for folder in checkpoints_in(path)}
    if not folders:
        raise InputError(f"{path} has no complete checkpoint yet")
    last = max(folders)
    if checkpoint == "last":
        return folders[last], HeldWeights("last", last, last)
    if checkpoint not in (None, "best"):
        step = _step(checkpoint)
        if step not in folders:
            known = ", ".join(map(str, folders))
            raise InputError(
                f"{path} has no checkpoint {checkpoint!r}: choose last, best, or one of the steps "
                f"{known}"
            )
        return folders[step], HeldWeights("step", step, last)
    best, as_good = _judged(folders[last])
    if checkpoint is None and as_good == last:
        return folders[last], HeldWeights("last", last, last)
    if best is None:
        if checkpoint == "best":
            raise InputError(
                f"{path} has no best checkpoint: nothing was held out, or the loss of its model "
                "does not measure its quality. Take the last one"
            )
        return folders[last], HeldWeights("last", last, last)
    require_best(path)
    return folders[best], HeldWeights("best", best, last)


def require_best(path: Path) -> None:
    """Raise `InputError` if the checkpoint of a run that validated best is lost.

    It may be so though the run is used with its last weights, which are as good.
    """
    folders = {step_of(folder): folder for folder in checkpoints_in(path)}
    best = _judged(folders[max(folders)])[0] if folders else None
    if best is not None and best not in folders:
        raise InputError(
            f"{path} validated best at step {best}, whose checkpoint is lost: take the last one, "
            "checkpoint='last'"
        )


def while_written(path: Path, act: Callable[[], Result]) -> Result:
    """What `act` reads of a run that may be training: it removes its older checkpoints meanwhile.

    Read again if it fails and there are other checkpoints than before, a few times at most.
    """
    for _ in range(_TRIES):
        before = checkpoints_in(path)
        try:
            return act()
        except (InputError, OSError):
            if checkpoints_in(path) == before:
                raise
    return act()


def _step(checkpoint: str | int | None) -> int | None:
    """The step that a number, its text or the name of a folder stands for."""
    if isinstance(checkpoint, bool):
        return None
    text = str(checkpoint)
    text = text.removeprefix("step-") if _STEP.match(text) else text
    return int(text) if text.isascii() and text.isdecimal() else None


def _judged(newest: Path) -> tuple[int | None, int]:
    """The step that had validated best when a checkpoint was written, and the latest as good as it.

    `None` and 0 where there is none.
    """
    found = read_config(newest)
    check_identity(newest, found)
    position = read_json(verified(newest, POSITION, found["files"]))
    best, where = position.get("best"), f"{newest / POSITION}"
    as_good: int = checks.whole(f"{where}: as_good", position.get("as_good", 0), least=0)
    if best is None:
        return None, as_good
    if not isinstance(best, dict):
        raise InputError(f"{where} is damaged: best is {best!r}")
    step: int = checks.whole(f"{where}: step", best.get("step"), least=0)
    return step, as_good


def check_identity(folder: Path, found: dict[str, Any]) -> None:
    """Raise `InputError` for a configuration that is not of the run and the step of its folder."""
    place = folder.resolve()
    run = place.parent.parent
    if "run" not in found:
        raise InputError(f"{folder} is no checkpoint of a run: another model lies in its place")
    if place.name != step_name(checks.whole(f"{folder}: step", found.get("step"), least=0)):
        raise InputError(f"{folder} is the checkpoint of step {found['step']}: it was renamed")
    if read_sealed(run / CONFIG).get("run") != found["run"]:
        raise InputError(f"{folder} is a checkpoint of another run than {run}")


def step_name(step: int) -> str:
    """The name of the folder of a step's checkpoint."""
    return f"step-{step:08d}"


def step_of(folder: Path) -> int:
    """The step in the name of a checkpoint's folder."""
    return int(folder.name.removeprefix("step-"))


def checkpoints_in(run: Path) -> list[Path]:
    """The complete checkpoints of a run folder, oldest first."""
    found = (folder for folder in (run / CHECKPOINTS).glob("step-*") if _STEP.match(folder.name))
    return sorted(found, key=step_of)
