"""The run folder: what may be written where, and what it says about the run."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward._files import write_text
from pushforward._records import read_json, read_sealed, read_sealed_json, sealed, sealed_json
from pushforward.errors import InputError
from pushforward.models.format_versions import check_format_versions
from pushforward.models.sealed_folder import (
    CONFIG,
    MANIFEST,
    WEIGHTS,
    check_layout,
    read_config,
    verified,
    versions,
)
from pushforward.training.lock import LOCK, Lock
from pushforward.training.settings import Settings
from pushforward.training.trackers import JsonLines, read_history

__all__ = ["RunFolder", "read_manifest"]


RECIPE = "recipe.yaml"
"""What the command line keeps beside the run, written before it begins."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the manifest of a saved model or a run says; nothing if there is none.

    That of a run has its own checksum, that of a model is in `config.yaml`. Raises `InputError` if
    it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return {}
    if (folder / WEIGHTS).is_file():
        return read_json(verified(folder, MANIFEST, read_config(folder)["files"]))
    return read_sealed_json(path)


class RunFolder:
    """`config.yaml`, `manifest.json` and `metrics.jsonl` of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Lock | None = None

    @contextmanager
    def writer(self) -> Iterator[None]:
        """Be the only one that writes here. Raises `InputError` if another process is."""
        with Lock(self.path) as self._lock:
            yield
        self._lock = None

    def require_in_place(self) -> None:
        """Raise `FileNotFoundError` if the folder is no longer where it was when it was locked."""
        if self._lock is not None and not self._lock.in_place():
            raise FileNotFoundError(
                errno.ENOENT, "the run folder was moved or deleted", str(self.path)
            )

    @property
    def metrics(self) -> Path:
        """The log, one JSON object per line."""
        return self.path / "metrics.jsonl"

    def check(self, description: dict[str, Any], settings: Settings, resume: bool) -> None:
        """Raise `InputError` unless this run may write here; nothing is written yet.

        A new run needs a folder that is empty or missing, a resumed one its own.
        """
        if not self._in_use():
            return
        if not resume:
            raise InputError(
                f"{self.path} is not empty: give another folder, or resume=True to go on"
            )
        saved = self._read_config()
        check_layout(self.path)
        for part, use in (
            ("data", "trained on other data"),
            ("source", "begun from another source"),
        ):
            before, now = saved.get(part, {}), description.get(part, {})
            if before.get("fingerprint") != now.get("fingerprint"):
                held = (
                    f"{before.get('name')}, {before.get('n')} points from {before.get('source')}"
                    if before
                    else "noise"
                )
                raise InputError(f"{self.path} was {use}: {held}")
        check_format_versions(saved["model"], self.path)
        if saved["model"] != description["model"]:
            raise InputError(f"{self.path} holds another model: see {self.path}/config.yaml")
        changed = settings.differences(saved["training"])
        if changed:
            listed = ", ".join(f"{name} {a} -> {b}" for name, (a, b) in changed.items())
            raise InputError(f"a resumed run keeps its settings, but {listed}")

    def data(self) -> dict[str, Any]:
        """What the data of the run that is here were; nothing if none is."""
        if not (self.path / CONFIG).is_file():
            return {}
        known: dict[str, Any] = self._read_config()["data"]
        return known

    def as_begun(self, settings: Settings) -> Settings:
        """Settings with the length, batches and learning rate of the run here, where they are open.

        A budget was counted out when it began.
        """
        if not (self.path / CONFIG).is_file():
            return settings
        saved = self._read_config()["training"]
        if settings.budget is not None:
            warnings.warn(
                f"budget={settings.budget:g} seconds are for a run that begins: this one goes on "
                f"to its {saved['steps']} steps. Give steps= for another length",
                stacklevel=4,
            )
        names = ("steps", "batch_size", "lr")
        kept = {name: saved[name] for name in names if getattr(settings, name) is None}
        return dataclasses.replace(settings, **{"budget": None, **kept})

    def warn_of_new_length(self, settings: Settings, step: int) -> None:
        """Warn if a run that goes on at a step has another length, which its schedule follows.

        A cosine that had come down to a low rate rises again: the warning has both rates.
        """
        if not self._in_use():
            return
        before = self._read_config()["training"]["steps"]
        if before == settings.steps or settings.schedule != "cosine":
            return
        was = dataclasses.replace(settings, steps=before).rate(min(max(step - 1, 0), before))
        now = settings.rate(step)
        jump = f"jumps from {was:.2g} to {now:.2g}" if now > was else f"goes on at {now:.2g}"
        warnings.warn(
            f"steps {before} -> {settings.steps}: the cosine schedule follows the new length, so "
            f"the learning rate {jump} at step {step} (the peak is {settings.peak:.2g}). This is "
            "not the run that it would have been from the start: what was annealed is stirred up "
            "again, and settles towards the new end. For a run that can be extended at one rate, "
            "begin with schedule='constant'",
            stacklevel=4,
        )

    def begin(self, description: dict[str, Any], step: int) -> list[dict[str, Any]]:
        """Write the configuration, cut the log at a step, and return what is left of it.

        Raises `InputError` if the folder cannot be written.
        """
        history = read_history(self.metrics, step)
        for rest in self.path.glob(".*.partial"):
            # Of a write that was killed: nobody else writes here now.
            if rest.is_file():
                rest.unlink()
        try:
            write_text(self.path / CONFIG, sealed(description))
            write_text(self.metrics, "".join(json.dumps(line) + "\n" for line in history))
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}") from None
        return history

    def identity(self, resume: bool) -> str:
        """What no other run is called: made anew, or that of the run that goes on."""
        if resume and self._in_use():
            return str(self._read_config()["run"])
        return secrets.token_hex(8)

    def log(self) -> JsonLines:
        """Where the numbers go, as long as the folder is in its place."""
        return _Log(self)

    def write_manifest(self, entries: dict[str, Any]) -> None:
        """What a stranger needs to know: versions, data, how far the run came."""
        self.require_in_place()
        write_text(self.path / MANIFEST, sealed_json(versions() | entries))

    def _in_use(self) -> bool:
        """Whether anything lies here but a recipe and what an early kill left half written."""
        if not self.path.exists():
            return False
        return any(
            name not in (RECIPE, LOCK) and not name.endswith(".partial")
            for name in os.listdir(self.path)
        )

    def _read_config(self) -> dict[str, Any]:
        """The configuration of the run that is here. Raises `InputError` if there is none."""
        path = self.path / CONFIG
        if not path.exists():
            raise InputError(
                f"{self.path} is not empty and holds no run to resume: give another folder"
            )
        saved = read_sealed(path)
        for part in ("data", "model", "training"):
            if not isinstance(saved.get(part), dict):
                raise InputError(f"{path} is not that of a run: it has no {part}")
        if not isinstance(saved.get("run"), str):
            raise InputError(f"{path} does not say which run it is of: train anew elsewhere")
        return saved


class _Log(JsonLines):
    """The log of a folder, which must not be written on if the folder is gone."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(folder.metrics)
        self._folder = folder

    def log(self, step: int, metrics: dict[str, Any]) -> None:
        """Append a line. Raises `FileNotFoundError` if the folder is no longer in its place."""
        self._folder.require_in_place()
        super().log(step, metrics)
