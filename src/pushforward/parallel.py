"""Several processes under `torchrun`: which one this is, its share, and the union of all shares.

Without `torchrun` there is one process, whose share is everything.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward.errors import InputError

__all__ = ["agree", "launch", "rank", "sample", "share", "world_size"]

_LAUNCHING = threading.Lock()
"""Fabric changes the class of data loaders while it is launched, and then changes it back: threads
that did so at one time would leave it changed, or fail."""


def rank() -> int:
    """The number of this process among all, from 0.

    >>> rank()
    0
    """
    return _environment("RANK", 0)


def world_size() -> int:
    """The number of processes on all machines.

    >>> world_size()
    1
    """
    return _environment("WORLD_SIZE", 1)


def share(n: int, rank: int, world_size: int) -> slice:
    """The rows of `n` that a process works on; sizes differ by one at most.

    Raises `InputError` unless `0 <= rank < world_size` and `n` is not negative.

    >>> [share(5, rank, 2) for rank in range(2)]
    [slice(0, 2, None), slice(2, 5, None)]
    """
    if n < 0 or not 0 <= rank < world_size:
        raise InputError(
            f"no share of {n} rows for process {rank} of {world_size}: need n >= 0 and "
            "0 <= rank < world_size"
        )
    return slice(n * rank // world_size, n * (rank + 1) // world_size)


def sample(
    model: Any,
    n: int,
    c: Any = None,
    *,
    device: str = "auto",
    progress: Any = None,
    **options: Any,
) -> Any:
    """Draw `n` states with all processes: each draws its share, each gets the union.

    Args:
        model: any model, with the same weights in all processes.
        n: how many in all.
        c: labels or contexts of all `n`, or one for all.
        device: `auto`, `cpu`, `cuda` or `mps`; the model stays there. Each process of a machine
            takes its own GPU.
        progress: as of `model.sample`, called in the first process only.
        options: as of `model.sample`; with the same `seed` everywhere the union is reproducible.

    Where noise belongs to rows, as in `Diffusion` and `FlowMatching`, the states are those of any
    number of processes; of other models they are independent between shares. Raises what
    `model.sample` raises.

    >>> import pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=16), event_shape=(2,))
    >>> sample(model, 5, steps=4, seed=0, device="cpu").shape
    torch.Size([5, 2])
    """
    if world_size() == 1:
        model.to(_device(device))
        shown = {} if progress is None else {"progress": progress}
        return model.sample(n, c, **shown, **options)
    fabric = launch(device)
    model.to(fabric.device)
    shares = [share(n, k, fabric.world_size) for k in range(fabric.world_size)]
    shown = {"progress": progress} if progress is not None and fabric.is_global_zero else {}
    mine = shares[fabric.global_rank]
    # Not every network takes batches of no rows: who has nothing to draw draws one and drops it.
    rows = slice(0, 1) if mine.start == mine.stop else mine
    own = model.sample(n, c, rows=rows, **shown, **options)
    return _union(state.take(own, slice(0, mine.stop - mine.start)), shares)


def _union(own: Any, shares: list[slice]) -> Any:
    """The states of all processes, from those of each."""
    sizes = [s.stop - s.start for s in shares]
    largest = max(sizes)

    def gathered(mine: Tensor) -> Tensor:
        # Processes exchange tensors of one size only, and not all of them truth values.
        sent = mine.to(torch.uint8) if mine.dtype == torch.bool else mine
        padded = sent.new_zeros(largest, *mine.shape[1:])
        padded[: len(mine)] = sent
        found = [torch.empty_like(padded) for _ in shares]
        torch.distributed.all_gather(found, padded)
        parts = [x[:size] for x, size in zip(found, sizes, strict=True)]
        return torch.cat(parts).to(mine.dtype)

    return state.map_leaves(gathered, own)


def launch(device: str = "auto", precision: Any = "32-true") -> Any:
    """Lightning Fabric on this process's device, joined with all processes of `torchrun`.

    Raises `InputError` for a device that is not there, or machines with different numbers of
    processes.
    """
    from lightning_fabric import Fabric

    kind = _device(device).type
    local, world = _environment("LOCAL_WORLD_SIZE", 1), world_size()
    if world % local:
        raise InputError(
            f"{world} processes cannot be {local} on each machine: give all machines the same "
            "--nproc-per-node"
        )
    found = torch.cuda.device_count() if kind == "cuda" else 1 if kind == "mps" else local
    if local > found:
        raise InputError(
            f"{local} processes on a machine where torch finds {found} {kind} devices: "
            f"torchrun --nproc-per-node {found}, or device cpu"
        )
    nodes = world // local
    fabric = Fabric(accelerator=kind, devices=local, num_nodes=nodes, precision=precision)
    joined = torch.distributed.is_available() and torch.distributed.is_initialized()
    logger = logging.getLogger("lightning_fabric")
    with _LAUNCHING:
        level = logger.level
        # Its greeting comes from every process.
        logger.setLevel(logging.WARNING)
        try:
            fabric.launch()
        finally:
            logger.setLevel(level)
    if fabric.world_size > 1 and not joined:
        # Threads that still serve the group when Python ends abort the process now and then.
        atexit.register(_leave)
    return fabric


def agree(fabric: Any, value: Any) -> bool:
    """Whether all processes have the same value; all come to the same answer."""
    if fabric.world_size == 1:
        return True
    same = fabric.broadcast(value) == value
    return fabric.strategy.reduce_boolean_decision(same)


def _leave() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _device(name: str) -> torch.device:
    """The kind of device, checked; `auto` is a GPU if there is one."""
    if name not in ("auto", "cpu", "cuda", "mps"):
        raise InputError(f"device is auto, cpu, cuda or mps, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' was asked for, but torch finds no CUDA device")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("device 'mps' was asked for, but torch finds no Apple GPU")
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _environment(name: str, alone: int) -> int:
    # Other launchers set some of the variables too: this one only comes from `torchrun`.
    return int(os.environ[name]) if "TORCHELASTIC_RUN_ID" in os.environ else alone
