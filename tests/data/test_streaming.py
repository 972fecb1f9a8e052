"""Training from a store that is not in memory: how many bytes of it there are at once."""

from __future__ import annotations

import threading
import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import xarray
from torch.utils._python_dispatch import TorchDispatchMode

import pushforward as pf
from pushforward.data.field_rows import FieldRows

ROW = 4 * 8 * 8
"""Bytes of a frame."""

ROWS, BATCH, BLOCK = 2000, 4, 16 * ROW
"""Of the store; of a step; and the bytes that are read at once."""

NETWORK = BATCH * 64 * ROW
"""Bytes of the widest layer of the network for one batch, of 64 channels: an eighth of the
store, and the same for any other."""


class _Largest(TorchDispatchMode):
    """The most bytes of any tensor that an operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for one in found if isinstance(found, tuple | list) else (found,):
            if type(one) is torch.Tensor:
                self.bytes = max(self.bytes, one.numel() * one.element_size())
        return found


@pytest.mark.parametrize("forecast", [None, "2:1"])
def test_training_holds_few_rows_of_a_store(
    forecast: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted where rows are read, while they live, and in every tensor that is made of them: a
    bound that does not depend on the machine."""
    monkeypatch.setattr("pushforward.data.stored.BLOCK", BLOCK)
    monkeypatch.setattr("pushforward.spaces.channel_units._NUMBERS", BLOCK // 4)
    lock, living, peak = threading.Lock(), [0], [0]
    usual = FieldRows.read

    def counted(self: FieldRows, numbers: Any, dtype: Any = None) -> Any:
        found = usual(self, numbers, dtype)
        with lock:
            living[0] += found.nbytes
            peak[0] = max(peak[0], living[0])

        def gone(size: int = found.nbytes) -> None:
            with lock:
                living[0] -= size

        weakref.finalize(found, gone)
        return found

    monkeypatch.setattr(FieldRows, "read", counted)
    u = np.random.default_rng(0).normal(size=(ROWS, 8, 8)).astype("f4")
    store = xarray.Dataset({"u": (("time", "y", "x"), u)}, {"time": np.arange(float(ROWS))})
    with _Largest() as largest:
        data = pf.data.load(store, forecast=forecast, lazy=True)
        kind: Any = pf.Diffusion if forecast is None else pf.models.PointMatching
        model = kind.for_data(data, net=partial(pf.nn.UNet, width=8, multipliers=(1,), blocks=1))
        pf.fit(model, data, steps=8, batch_size=BATCH, holdout=0.0, progress=False)
    # A block for the units; a batch of windows of three frames, and the next one meanwhile.
    assert 0 < peak[0] <= BLOCK + 2 * 3 * BATCH * ROW
    assert largest.bytes <= NETWORK
