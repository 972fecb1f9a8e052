"""The run folder: what may be written where, and what it says about the run."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import yaml

from pushforward._files import write_text
from pushforward.errors import InputError
from pushforward.models.saving import versions
from pushforward.training.settings import Settings
from pushforward.training.trackers import read_history

__all__ = ["RunFolder"]


RECIPE = "recipe.yaml"
"""What the command line keeps beside the run, written before it begins."""


class RunFolder:
    """`config.yaml`, `manifest.json` and `metrics.jsonl` of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def metrics(self) -> Path:
        """The log, one JSON object per line."""
        return self.path / "metrics.jsonl"

    def check(self, description: dict[str, Any], settings: Settings, resume: bool) -> None:
        """Raise `InputError` unless this run may write here; nothing is written yet.

        A new run needs a folder that is empty or missing, a resumed one its own.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file: give a folder for the run")
        if not self._in_use():
            return
        if not resume:
            raise InputError(
                f"{self.path} is not empty: give another folder, or resume=True to go on"
            )
        saved = self._read_config()
        for part, use in (
            ("data", "trained on other data"),
            ("source", "begun from another source"),
        ):
            before, now = saved.get(part, {}), description.get(part, {})
            if before.get("fingerprint") != now.get("fingerprint"):
                held = (
                    f"{before['name']}, {before.get('n')} points from {before.get('source')}"
                    if before
                    else "noise"
                )
                raise InputError(f"{self.path} was {use}: {held}")
        if saved["model"] != description["model"]:
            raise InputError(f"{self.path} holds another model: see {self.path}/config.yaml")
        changed = settings.differences(saved["training"])
        if changed:
            listed = ", ".join(f"{name} {a} -> {b}" for name, (a, b) in changed.items())
            raise InputError(f"a resumed run keeps its settings, but {listed}")
        before = saved["training"]["steps"]
        if before != settings.steps and settings.schedule == "cosine":
            warnings.warn(
                f"steps {before} -> {settings.steps}: the cosine schedule follows the new length, "
                "so this is not the run that it would have been from the start",
                stacklevel=4,
            )

    def begin(self, description: dict[str, Any], step: int) -> list[dict[str, Any]]:
        """Write the configuration, cut the log at a step, and return what is left of it.

        Raises `InputError` if the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.path / "config.yaml", yaml.safe_dump(description, sort_keys=False))
        except OSError as error:
            raise InputError(f"{self.path} cannot be written: {error.strerror}") from None
        history = read_history(self.metrics, step)
        write_text(self.metrics, "".join(json.dumps(line) + "\n" for line in history))
        return history

    def write_manifest(self, entries: dict[str, Any]) -> None:
        """What a stranger needs to know: versions, data, how far the run came."""
        text = json.dumps(versions() | entries, indent=2) + "\n"
        write_text(self.path / "manifest.json", text)

    def _in_use(self) -> bool:
        """Whether anything lies here but a recipe and what an early kill left half written."""
        if not self.path.exists():
            return False
        names = (entry.name for entry in self.path.iterdir())
        return any(name != RECIPE and not name.endswith(".partial") for name in names)

    def _read_config(self) -> dict[str, Any]:
        try:
            saved = yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))
            if {"data", "model", "training"} <= saved.keys():
                return saved
        except (OSError, yaml.YAMLError, AttributeError):
            pass
        raise InputError(
            f"{self.path} is not empty and holds no run to resume: give another folder"
        )
