"""What faults are planted in, what is then done with it, and how that is judged.

A *stage* is a folder with small files of every kind that `pushforward` reads. After a fault, each
use of it must either be refused with a message, or give exactly what it gave before. Of files of
data it cannot be asked which numbers are right: there, being read is as good.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

import pushforward as pf
from pushforward import compression
from pushforward.cli import main
from pushforward.cli.recipe import read as read_recipe
from pushforward.cli.refusals import told
from pushforward.errors import PushforwardError
from pushforward.models.saving import check

__all__ = ["LIMIT", "REFUSED", "TYPED", "USES", "Outcome", "Stage", "called", "judged"]

TYPED = (".jsonl", ".parquet", ".feather", ".xlsx")
"""Tables whose columns have types, and lines of JSON."""

LIMIT = 60
"""Seconds that a use of a small file may take, on a slow and busy machine."""

REFUSED, SAME, READ, WARNED = "refused", "as before", "read", "warned"


class Outcome(NamedTuple):
    """How a use ended: `verdict` is one of those above, or what is wrong."""

    verdict: str
    message: str
    seconds: float

    @property
    def right(self) -> bool:
        """Whether nothing was accepted silently, nothing broke, and nothing hung."""
        return self.verdict in (REFUSED, SAME, READ, WARNED)


class Stage:
    """The files, made with fixed seeds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        generator = torch.Generator().manual_seed(0)
        self.points = torch.randn(40, 2, generator=generator)
        for name, seed in (("run", 0), ("other", 1)):
            self.fit(root / name, seed=seed)
        # Steps that are too long: what validated best is neither the last nor the one before.
        self.fit(root / "run-rising", **RISING)
        self.model().save(root / "saved")
        levels = torch.randint(0, 4, (12, 1, 4, 4), generator=generator).float()
        data = pf.data.Data(levels, levels=4, value_range=(0.0, 3.0))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            vae = pf.VAE.for_data(data, decoder="logistic", latent=2, width=4).eval()
        vae.save(root / "vae")
        archive = compression.compress(vae, levels, [f"{k}.png" for k in range(12)])
        (root / "x.pf").write_bytes(archive.to_bytes())
        rows = [f"{a:.4f},{b:.4f},{'ab'[k % 2]}" for k, (a, b) in enumerate(self.points.tolist())]
        (root / "x.csv").write_text("\n".join(["height,width,kind", *rows]) + "\n")
        text = (root / "x.csv").read_bytes()
        (root / "x.csv.gz").write_bytes(gzip.compress(text, mtime=0))
        table = pf.data.load(str(root / "x.csv"), label="kind")
        for suffix in TYPED:
            to = root / f"x{suffix}"
            pf.data.write(
                to, table.x, space=pf.spaces.Euclidean(), schema=table.schema, labels=table.c
            )
        np.savez(root / "x.npz", x=self.points.numpy())
        np.save(root / "x.npy", self.points.numpy())
        (root / "pictures").mkdir()
        for k, picture in enumerate(levels.mul(60).byte().numpy()):
            Image.fromarray(picture[0]).save(root / f"pictures/{k}.png")
        (root / "recipe.yaml").write_text(RECIPE)

    @staticmethod
    def model() -> pf.Diffusion:
        """A model that is small, and the same every time."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return pf.Diffusion(pf.nn.MLP(2, width=4), event_shape=(2,))

    def fit(self, out: Path, **changes: Any) -> pf.training.Run:
        """Train for a moment, or go on."""
        settings = {"steps": 6, "batch_size": 8, "checkpoint_every": 2, "log_every": 1}
        settings |= {"validate_every": 6, "progress": False, **changes}
        return pf.fit(self.model(), self.points, out=out, **settings)


RECIPE = """data: {source: two_moons, n: 50}
model: {class: diffusion, process: {class: gaussian, schedule: {class: vp, beta_max: 10.0}}}
train: {steps: 5, lr: 1e-3, seed: 1}
"""


RISING: dict[str, Any] = {"steps": 10, "validate_every": 1, "lr": 30.0}


def _drawn(model: Any) -> bytes:
    return model.sample(2, steps=2, seed=0).numpy().tobytes()


def _sampled(root: Path, name: str) -> bytes:
    return _drawn(pf.load(root / name))


def _resumed(root: Path, name: str) -> bytes:
    stage = Stage.__new__(Stage)
    stage.points = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    changes = RISING if name.endswith("-rising") else {}
    return _drawn(stage.fit(root / name, resume=True, **changes).model)


def _unpacked(root: Path, name: str) -> bytes:
    found = compression.decompress(pf.load(root / "vae"), compression.read(root / name))
    return found.x.numpy().tobytes() + repr(found.names).encode()


def _loaded(root: Path, name: str) -> bytes:
    label = "kind" if name.endswith((".csv", ".gz", *TYPED)) else None
    return pf.data.load(str(root / name), label=label).fingerprint.encode()


def _prepared(root: Path, name: str) -> bytes:
    recipe = read_recipe(root / name, {})
    recipe.prepare()
    return recipe.to_yaml().encode()


USES: dict[str, Callable[[Path, str], bytes]] = {
    "sample": _sampled,
    "resume": _resumed,
    "verify": lambda root, name: repr(len(check(root / name))).encode(),
    "decompress": _unpacked,
    "load": _loaded,
    "recipe": _prepared,
}
"""What is done with a file or folder of a stage; the result as bytes."""


class _TooLong(BaseException):
    pass


@contextlib.contextmanager
def _within(seconds: int) -> Iterator[None]:
    """Break off what takes longer, where the system has alarms."""

    def ring(*_: object) -> None:
        raise _TooLong

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judged(act: Callable[[], bytes], reference: bytes | None) -> Outcome:
    """How an act ends. Without a reference, any result is right."""
    start = time.monotonic()
    try:
        with _within(LIMIT), warnings.catch_warnings(record=True) as told_of:
            warnings.simplefilter("always")
            found = act()
    except _TooLong:
        return Outcome(f"hangs: more than {LIMIT} s", "", time.monotonic() - start)
    except Exception as error:
        seconds = time.monotonic() - start
        if isinstance(error, PushforwardError) or told(error) is not None:
            return Outcome(REFUSED, str(error), seconds)
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return Outcome(f"traceback: {type(error).__name__} in {where}", str(error), seconds)
    seconds = time.monotonic() - start
    if reference is None:
        return Outcome(READ, "", seconds)
    if found == reference:
        return Outcome(SAME, "", seconds)
    for warning in map(str, (one.message for one in told_of)):
        if "cannot be used" in warning:
            return Outcome(WARNED, warning, seconds)
    return Outcome("accepted silently", "", seconds)


def called(words: list[str]) -> bytes:
    """The command line, in this process. Raises what a user would see as a traceback."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            main(words)
        except SystemExit as end:
            if end.code not in (None, 0, 2):
                raise RuntimeError(f"exit code {end.code}") from None
            if end.code == 2:
                raise pf.errors.InputError(err.getvalue()) from None
    return b""
