"""A flow simulated into a store, a frame now and then; killed at any moment, it can go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward import __version__, checks
from pushforward._files import replacing
from pushforward.errors import InputError
from pushforward.fluids.budgets import FluidState, fluid_state
from pushforward.fluids.simulator import FluidSimulator
from pushforward.fluids.store import FrameStore
from pushforward.training.interrupts import Interrupts
from pushforward.training.lock import Lock
from pushforward.training.newest_checkpoint import NewestCheckpoint
from pushforward.training.progress import Progress

__all__ = ["record_fluid"]

_PIECE = 200
"""Steps between two looks at whether to end."""

_SAVED = 20 * _PIECE
"""Steps without a frame after which there is a checkpoint."""


def record_fluid(
    fluid: FluidSimulator,
    out: str | Path,
    frames: int,
    *,
    every: float = 1.0,
    spinup: float = 200.0,
    resume: bool = False,
    part: int = 50,
    progress: bool = True,
    callback: Callable[[int], Any] | None = None,
) -> FluidState:
    """Simulate a flow from rest, and write vorticity and supersaturation, `(time, y, x)`.

    Beside the store lies, until it is whole, a folder `OUT.partial` with checkpoints. Frames are in
    single precision.

    Args:
        fluid: the flow.
        out: a Zarr store (`.zarr`), a NetCDF file (`.nc`) or arrays (`.npz`), which is not there.
        frames: how many.
        every: the time between frames, a multiple of the step; frames a few units apart are far
            from independent, as eddies last about ten.
        spinup: the time before the first frame; the energy forgets the rest it began from as
            `exp(-2 mu t)`.
        resume: go on from what lies beside the store, if anything does, to the same bytes.
        part: frames from one checkpoint to the next.
        progress: show how far it is, in steps, those before the first frame among them.
        callback: called now and then with the number of frames that there are.

    Returns what the budgets are made of, `(frames,)`. Raises `InputError` for a place that is
    taken, numbers out of range, and a folder of another simulation; `MissingExtraError` for a
    missing package; `SamplingError` for a flow that is no longer finite; `KeyboardInterrupt` when
    what there is has been saved.
    """
    place, store = Path(out), FrameStore(Path(out))
    checks.whole("frames", frames)
    checks.whole("part", part)
    between = _steps("every", checks.positive("every", every), fluid.step)
    before = _steps("spinup", checks.number("spinup", spinup, least=0), fluid.step)
    numbers = {
        "n": fluid.grid.n, "step": fluid.step, "seed": fluid.seed, "every": every,
        "spinup": spinup, "dtype": str(fluid.grid.dtype), **asdict(fluid.flow),
    }  # fmt: skip
    folder = NewestCheckpoint(place.with_name(f"{place.name}.partial"), numbers | {"part": part})
    folder.check(resume)
    with ExitStack() as stack:
        stack.enter_context(Lock(folder.path))
        at = _begun(fluid, folder)
        # In steps: the time before the first frame is work like any other.
        last = before + (frames - 1) * between
        bar = stack.enter_context(Progress("fluid", last, done=at.step, show=progress))
        asked = stack.enter_context(Interrupts())
        while (done := len(at.states)) < frames:
            # In pieces, so that nobody waits long for an end.
            steps = min(before + done * between - at.step, _PIECE)
            at.y = fluid.advance(at.y, at.step, steps)
            at.step += steps
            whole = at.step == before + done * between
            if whole:
                at.kept.append(fluid.fields(at.y).float().cpu())
                at.states.append([float(v) for v in fluid_state(at.y, fluid.flow, fluid.grid)])
                done += 1
            due = done % part == 0 or done == frames if whole else at.step % _SAVED == 0
            if due or asked.requested:
                _save(folder, at)
            stage = f"frame {done} of {frames}" if at.step >= before else "before the first frame"
            bar(at.step, note=f"time {at.step * fluid.step:.4g}, {stage}")
            if callback is not None:
                callback(done)
            if asked.requested and done < frames:
                raise KeyboardInterrupt
        times = (before + np.arange(frames) * between) * fluid.step
        waves = fluid.context.float().cpu().numpy() if fluid.flow.context_amplitude else None
        axis = fluid.grid.axis.double().cpu().numpy()
        store.write(_parts(folder.path, frames), times, axis, waves, _attributes(numbers))
        shutil.rmtree(folder.path)
    return FluidState(*torch.tensor(at.states, dtype=torch.float64).T)


@dataclass
class _Standing:
    """Spectra and the steps they have taken, the budgets of all frames, and frames not saved."""

    y: Tensor
    step: int
    states: list[list[float]]
    kept: list[Tensor] = field(default_factory=list)


def _begun(fluid: FluidSimulator, folder: NewestCheckpoint) -> _Standing:
    """Where the folder stands, or rest."""
    kept = folder.restore()
    if kept is None:
        return _Standing(fluid.rest(), 0, [])
    y = torch.view_as_complex(kept["y"]).to(fluid.grid.device)
    return _Standing(y, int(kept["step"]), kept["states"].tolist())


def _save(folder: NewestCheckpoint, at: _Standing) -> None:
    """Write frames that are new, and then the checkpoint that counts them."""
    if at.kept:
        first = len(at.states) - len(at.kept)
        with replacing(folder.path / f"frames-{first:08d}.safetensors") as partial:
            safetensors.torch.save_file({"frames": torch.stack(at.kept)}, partial)
        at.kept = []
    states = torch.tensor(at.states, dtype=torch.float64).reshape(-1, len(FluidState._fields))
    tensors = {"y": torch.view_as_real(at.y).cpu().clone(), "step": torch.tensor(at.step)}
    folder.save(at.step, tensors | {"states": states}, finished=False)


def _parts(folder: Path, frames: int) -> Iterator[dict[str, NDArray[Any]]]:
    """The frames that were saved, part by part."""
    count = 0
    for file in sorted(folder.glob("frames-*.safetensors")):
        found = safetensors.torch.load_file(file)["frames"].numpy()
        # A part that a killed run wrote and did not count was written again, perhaps shorter.
        found = found[max(0, count - int(file.stem.split("-")[1])) :]
        count += len(found)
        yield {name: found[:, k] for k, name in enumerate(FluidSimulator.names)}
    if count != frames:
        raise InputError(f"{folder} has {count} of {frames} frames: remove it, and begin anew")


def _attributes(numbers: dict[str, Any]) -> dict[str, Any]:
    """What the store says of its making, in plain values."""
    flat = {**numbers, **{f"forcing_{k}": v for k, v in numbers["forcing"].items()}}
    del flat["forcing"]
    title = "Two-dimensional turbulence with moisture"
    return {"title": title, "source": f"pushforward {__version__}", "Conventions": "CF-1.8", **flat}


def _steps(name: str, time: float, step: float) -> int:
    """A time in steps. Raises `InputError` if it is no multiple."""
    found = round(time / step)
    if abs(found * step - time) > 1e-6 * max(step, time) or (found == 0 and time > 0):
        raise InputError(f"{name} is a multiple of the time step {step:g}, not {time:g}")
    return found
