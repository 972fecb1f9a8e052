"""Bridges and translations of stores that stay where they are: killed, they go on to the same."""

from __future__ import annotations

import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward.data.stored import Stored
from pushforward.downscaling import refined
from pushforward.processes import Bridge
from pushforward.schrodinger import CouplingCache, OuterIterations

SETTINGS: dict[str, Any] = {"schedule": "constant", "batch_size": 4, "holdout": 0.0, "steps": 8,
                            "progress": False, "checkpoint_every": 2}  # fmt: skip


def stores(folder: Path) -> None:
    """Fine and coarse fields on a periodic square."""
    for name, n, rows in (("fine", 8, 12), ("coarse", 4, 10), ("later", 4, 6)):
        rng = np.random.default_rng(n + rows)
        at = 2 * np.pi * np.arange(n) / n
        axes = {k: (k, at, {"periodic": 1}) for k in ("y", "x")}
        u = rng.normal(size=(rows, n, n)).astype("f4")
        made = xarray.Dataset(
            {"u": (("time", "y", "x"), u, {"units": "m/s"})}, {"time": np.arange(rows), **axes}
        )
        made.to_netcdf(folder / f"{name}.nc")


def trained(folder: Path, out: str | None, *, resume: bool = False) -> pf.SchrodingerBridge:
    """A bridge between the two stores, of which no row is kept in memory."""
    fine = pf.data.load(folder / "fine.nc", lazy=True)
    coarse = refined(folder / "coarse.nc", fine.schema, lazy=True)
    assert type(fine.x) is type(coarse.x) is Stored
    torch.manual_seed(0)
    model = pf.SchrodingerBridge.for_data(
        fine, net=partial(pf.nn.UNet, width=8, blocks=1), steps=2,
        reference=Bridge(0.5, pf.spaces.space_of(fine)), iterations=OuterIterations(2, 4),
        cache=CouplingCache(rows=8),
    )  # fmt: skip
    pf.fit(model, fine, source=coarse, out=out and folder / out, resume=resume, **SETTINGS)
    return model


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    sys.path[:0] = [sys.argv[1]]
    import torch
    torch.set_num_threads(1)
    import pushforward as pf
    from pathlib import Path
    from test_downscaling_kills import trained

    usual = pf.SchrodingerBridge.on_step

    def kill(self, step, *rest):
        if step == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return usual(self, step, *rest)

    pf.SchrodingerBridge.on_step = kill
    trained(Path(sys.argv[2]), "killed")
    """
)

STRUCK = textwrap.dedent(
    """
    import os, signal, sys
    from pushforward.cli import main
    from pushforward.data import field_files

    # In the middle of writing: what is written aside has been begun.
    field_files.to_xarray = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    main(sys.argv[1:])
    """
)


def test_a_bridge_of_lazy_stores_that_was_killed_goes_on_to_the_same(
    tmp_path: Path, forked: Any, call: Any
) -> None:
    stores(tmp_path)
    done = forked.run("-c", KILLED, Path(__file__).parent, tmp_path)
    assert done.returncode == -9, done.stderr
    ours = trained(tmp_path, "killed", resume=True)
    theirs = trained(tmp_path, None)
    whole = theirs.state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in ours.state_dict().items())
    # What is translated while it is killed leaves nothing behind, and is the same afterwards.
    words = ["--quiet", "translate", tmp_path / "killed", tmp_path / "later.nc", "--out"]
    struck = forked.run("-c", STRUCK, *words, tmp_path / "new.nc")
    assert struck.returncode == -9, struck.stderr
    assert not (tmp_path / "new.nc").exists()
    found = call(*words, tmp_path / "new.nc")
    assert found.code == 0, found.err
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushforward.data.fields.IN_MEMORY", 1)
        lazy = call(*words, tmp_path / "lazy.nc")
        assert lazy.code == 0, lazy.err
        assert "stay in the store" in lazy.err
    with (
        xarray.open_dataset(tmp_path / "new.nc") as a,
        xarray.open_dataset(tmp_path / "lazy.nc") as b,
    ):
        assert np.array_equal(a.u.values, b.u.values)
        assert dict(a.sizes) == {"time": 6, "y": 8, "x": 8}
