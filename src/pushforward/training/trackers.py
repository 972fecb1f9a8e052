"""Where the numbers of a run go."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Protocol

from pushforward import checks
from pushforward._extras import require
from pushforward._records import parse_json
from pushforward._regular import require_file
from pushforward.errors import InputError

__all__ = ["JsonLines", "TensorBoard", "Tracker", "read_history"]


_LONGEST = 1 << 16
"""Bytes of a line of the log."""


class Tracker(Protocol):
    """Anything that takes numbers step by step."""

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Record the metrics of one step."""

    def close(self) -> None:
        """Write what is left and let go of files."""


class JsonLines:
    """One JSON object per line, appended and flushed at once.

    A number that is not finite becomes `null`, which JSON has and NaN it has not.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tracker = JsonLines(Path(folder) / "metrics.jsonl")
    ...     tracker.log(1, {"loss": 0.5})
    ...     tracker.close()
    ...     read_history(Path(folder) / "metrics.jsonl")
    [{'step': 1, 'loss': 0.5}]
    """

    def __init__(self, path: Path) -> None:
        require_file(path)
        self._file = path.open("a", encoding="utf-8")

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Append a line."""
        finite = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in metrics.items()
        }
        self._file.write(json.dumps({"step": step, **finite}, allow_nan=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """TensorBoard event files; needs the extra `tensorboard`.

    The folder is made with the first numbers, so that it may lie inside the run folder. Raises
    `MissingExtraError` with its installation if the package is missing.
    """

    def __init__(self, folder: Path | str) -> None:
        require("tensorboard", extra="tensorboard", purpose="write TensorBoard files")
        self._folder = folder
        self._writer: Any = None

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Add each number as a scalar."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # After a resume, events past the step that was gone back to are dropped by the reader.
            self._writer = SummaryWriter(str(self._folder), purge_step=step)
        for name, value in metrics.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the event file."""
        if self._writer is not None:
            self._writer.close()


def read_history(path: Path, up_to: int | None = None) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl` up to a step; a last line cut short by a crash is left out.

    Raises `InputError` for any other line that no run has written.
    """
    require_file(path)
    if not path.is_file():
        return []
    history: list[dict[str, Any]] = []
    fault: InputError | None = None
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST), b""), 1):
            if fault is not None:
                raise fault
            try:
                entry = _entry(line, f"line {number} of {path}")
            except InputError as error:
                # Of the last line, it says only that the run was cut short.
                fault = error
                continue
            if up_to is None or entry["step"] <= up_to:
                history.append(entry)
    return history


def _entry(line: bytes, name: str) -> dict[str, Any]:
    """One line of the log: its step, and numbers by name."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not text in UTF-8: remove it from the log") from None
    entry = parse_json(text, name)
    if not isinstance(entry, dict):
        raise InputError(f"{name} is not an object: remove it from the log")
    checks.whole(f"{name}: step", entry.get("step"), least=0)
    for key, value in entry.items():
        if value is not None and not isinstance(value, int | float | str):
            raise InputError(f"{name}: {key} is no number: remove it from the log")
    return entry
