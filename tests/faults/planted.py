"""Planted faults: every way to spoil a file, in every file that is read, at every use of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

from stage import REFUSED, TYPED, USES, Outcome, Stage, judged

__all__ = ["EXCHANGED", "SPOILERS", "Planted", "all_planted", "outcome"]

STEP = "checkpoints/step-00000006"
BEST = "checkpoints/step-00000002"
"""Of the run whose loss has risen since."""


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _flipped(part: float) -> Callable[[Path], None]:
    def change(content: bytes) -> bytes:
        at = min(len(content) - 1, int(part * len(content)))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return _changed(change)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _lost(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(os.devnull)


def _pipe(path: Path) -> None:
    """Nobody writes to it: who opens it waits."""
    path.unlink()
    os.mkfifo(path)


SPOILERS: dict[str, Callable[[Path], None]] = {
    "lost": _lost,
    "empty": _changed(lambda content: b""),
    "cut in half": _changed(lambda content: content[: len(content) // 2]),
    "without its last byte": _changed(lambda content: content[:-1]),
    "one byte too long": _changed(lambda content: content + b"\0"),
    "twice in a row": _changed(lambda content: content + content),
    "a bit flipped at the start": _flipped(0.0),
    "a bit flipped at a third": _flipped(1 / 3),
    "a bit flipped at two thirds": _flipped(2 / 3),
    "a bit flipped at the end": _flipped(1.0),
    "zeros": _changed(lambda content: bytes(len(content))),
    "another format": _changed(lambda content: b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "a list": _changed(lambda content: b"[1, 2, 3]"),
    "without end": _changed(lambda content: b"[" * 200_000),
    "an alias bomb": _changed(
        lambda content: (
            b"a: &a [x]\n"
            + b"".join(b"%c: &%c [*%c, *%c]\n" % (k, k, k - 1, k - 1) for k in range(98, 122))
        )
    ),
    "a folder": _folder,
    "a link to itself": _loop,
    "a link to nothing": _nothing,
    **({"a pipe": _pipe} if hasattr(os, "mkfifo") else {}),
}

_OF_A_RUN = (
    *("config.yaml", "manifest.json", "metrics.jsonl", "checkpoints/latest"),
    *(f"{STEP}/{name}" for name in ("config.yaml", "manifest.json", "training.json")),
    *(f"{STEP}/{name}.safetensors" for name in ("model", "ema", "training")),
)
_OF_THE_BEST = (
    "checkpoints/best",
    *(f"{BEST}/{name}" for name in ("config.yaml", "manifest.json", "training.json")),
    *(f"{BEST}/{name}.safetensors" for name in ("model", "ema", "training", "validation")),
)
_TABLES = tuple(f"x{suffix}" for suffix in TYPED)
_OF_A_MODEL = ("config.yaml", "manifest.json", "model.safetensors")


class Planted(NamedTuple):
    """A fault: what is spoiled, how, and what is done with it then."""

    target: str
    file: str
    spoiler: str
    use: str

    @property
    def is_verified(self) -> bool:
        """Whether the file is one of those that have a checksum."""
        return STEP in self.file or BEST in self.file or self.target == "saved"

    def __str__(self) -> str:
        return f"{self.file}: {self.spoiler}, then {self.use}"


def all_planted() -> Iterator[Planted]:
    """All of them, in a fixed order."""
    for spoiler in SPOILERS:
        for file in _OF_A_RUN:
            for use in ("sample", "resume", "verify"):
                yield Planted("run", f"run/{file}", spoiler, use)
        for file in (*_OF_THE_BEST, *([BEST] if spoiler == "lost" else [])):
            for use in ("sample", "resume", "verify"):
                yield Planted("run-rising", f"run-rising/{file}", spoiler, use)
        for file in _OF_A_MODEL:
            for use in ("sample", "verify"):
                yield Planted("saved", f"saved/{file}", spoiler, use)
        for file in ("x.csv", "x.csv.gz", "x.npz", "x.npy", "pictures/3.png", *_TABLES):
            target = file.partition("/")[0]
            yield Planted(target, file, spoiler, "load")
        yield Planted("x.pf", "x.pf", spoiler, "decompress")
        yield Planted("recipe.yaml", "recipe.yaml", spoiler, "recipe")
        if spoiler == "lost":
            # Of the same shape, from a run that differs in its seed alone.
            of_both = [("run", STEP), ("run-rising", BEST)]
            for (run, step), name in product(of_both, ("model", "ema", "training")):
                for use in ("sample", "resume", "verify"):
                    yield Planted(run, f"{run}/{step}/{name}.safetensors", EXCHANGED, use)


EXCHANGED = "that of another run"


def outcome(fault: Planted, stage: Stage, scratch: Path) -> Outcome:
    """Plant a fault in a copy of what it concerns, and judge the use of it."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in {fault.target, "vae"}:
        source = stage.root / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, scratch / name)
    use = USES[fault.use]
    # Without the fault it works, or nothing would be shown.
    reference = _reference(stage, fault)
    path = scratch / fault.file
    if fault.spoiler == EXCHANGED:
        shutil.copy2(stage.root / "other" / STEP / path.name, path)
    else:
        SPOILERS[fault.spoiler](path)
    free = fault.use in ("load", "recipe")
    found = judged(lambda: use(scratch, fault.target), None if free else reference)
    if fault.use == "verify" and found.right and found.verdict != REFUSED and fault.is_verified:
        return found._replace(verdict="not noticed by --verify")
    return found


_KNOWN: dict[tuple[Path, str, str], bytes] = {}


def _reference(stage: Stage, fault: Planted) -> bytes:
    """What the use gives without a fault."""
    key = stage.root, fault.target, fault.use
    if key not in _KNOWN:
        _KNOWN[key] = USES[fault.use](stage.root, fault.target)
    return _KNOWN[key]
