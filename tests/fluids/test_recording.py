"""Flows written to stores, and simulations that are killed and go on."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import netCDF4 as netcdf
import numpy as np
import pytest
import torch
import xarray

import pushforward as pf
from pushforward.errors import InputError, MissingExtraError
from pushforward.fluids import FluidSimulator, FluidState, MoistFlow, record_fluid
from pushforward.training.progress import Progress

SETTINGS = {"every": 0.2, "spinup": 1.0, "part": 3, "progress": False}


def _fluid(seed: int = 5, waves: int | None = None) -> FluidSimulator:
    return FluidSimulator(16, MoistFlow.published(16, waves), step=0.02, seed=seed)


def _direct(fluid: FluidSimulator, frames: int) -> torch.Tensor:
    """Frames without any store."""
    y, found = fluid.advance(fluid.rest(), 0, 50), []
    for k in range(frames):
        found.append(fluid.fields(y))
        y = fluid.advance(y, 50 + 10 * k, 10)
    return torch.stack(found).float()


@pytest.mark.parametrize("name", ["flow.zarr", "flow.nc", "flow.npz"])
def test_frames_are_those_of_the_simulator_with_coordinates_and_units(
    name: str, tmp_path: Path
) -> None:
    fluid = _fluid(waves=2)
    states = record_fluid(fluid, tmp_path / "sub" / name, 7, **SETTINGS)
    assert os.listdir(tmp_path / "sub") == [name]
    expected = _direct(_fluid(waves=2), 7).numpy()
    times = 1.0 + 0.2 * np.arange(7)
    assert isinstance(states, FluidState)
    squares = torch.from_numpy(expected[:, 0]).double().square().mean((1, 2)) / 2
    torch.testing.assert_close(states.enstrophy, squares, rtol=1e-5, atol=0)
    if name.endswith(".npz"):
        with np.load(tmp_path / "sub" / name) as file:
            found = {key: file[key] for key in file}
        assert np.array_equal(found["vorticity"], expected[:, 0])
        assert np.array_equal(found["supersaturation"], expected[:, 1])
        assert np.allclose(found["time"], times)
        assert np.allclose(found["axis"], fluid.grid.axis)
        assert found["context"].shape == (16, 16)
        return
    more = {"engine": "zarr", "consolidated": False} if name.endswith(".zarr") else {}
    with xarray.open_dataset(tmp_path / "sub" / name, **more) as found:
        assert set(found.data_vars) == {"vorticity", "supersaturation"}
        assert found["vorticity"].dims == ("time", "y", "x")
        assert found["vorticity"].dtype == np.float32
        assert found["supersaturation"].attrs["units"] == found["time"].attrs["units"] == "1"
        assert np.array_equal(found["vorticity"].values, expected[:, 0])
        assert np.array_equal(found["supersaturation"].values, expected[:, 1])
        assert np.allclose(found["time"], times)
        assert np.allclose(found["x"], fluid.grid.axis)
        assert np.allclose(found["context"], fluid.context, atol=1e-6)
        assert (found.attrs["n"], found.attrs["seed"]) == (16, 5)
        assert found.attrs["viscosity"] == pytest.approx(1e-4)


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    sys.path[:0] = [sys.argv[1]]
    import torch
    torch.set_num_threads(1)
    from test_recording import SETTINGS, _fluid
    from pushforward.fluids import record_fluid

    def kill(done):
        if done == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    record_fluid(_fluid(), sys.argv[2], 8, callback=kill, **SETTINGS)
    """
)


def test_killed_and_resumed_is_the_same(tmp_path: Path, forked: object) -> None:
    place = tmp_path / "flow.npz"
    done = forked.run("-c", KILLED, Path(__file__).parent, place)
    assert done.returncode == -9, done.stderr
    assert sorted(os.listdir(tmp_path)) == ["flow.npz.partial"]
    with pytest.raises(InputError, match="resume=True to go on"):
        record_fluid(_fluid(), place, 8, **SETTINGS)
    with pytest.raises(InputError, match="seed 5 -> 6"):
        record_fluid(_fluid(6), place, 8, resume=True, **SETTINGS)
    resumed = record_fluid(_fluid(), place, 8, resume=True, **SETTINGS)
    whole = record_fluid(_fluid(), tmp_path / "whole.npz", 8, **SETTINGS)
    assert place.read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert all(torch.equal(a, b) for a, b in zip(resumed, whole, strict=True))
    assert sorted(os.listdir(tmp_path)) == ["flow.npz", "whole.npz"]


def test_the_time_before_the_first_frame_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int, str]] = []

    class Bar(Progress):
        def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
            told.append((done, self.total, note))

    monkeypatch.setattr("pushforward.fluids.recording.Progress", Bar)
    monkeypatch.setattr("pushforward.fluids.recording._PIECE", 20)
    record_fluid(_fluid(), tmp_path / "flow.npz", 3, **SETTINGS)
    # Fifty steps of spin-up, and ten to each of two more frames.
    assert [done for done, _, _ in told] == [20, 40, 50, 60, 70]
    assert {total for _, total, _ in told} == {70}
    assert told[0][2] == "time 0.4, before the first frame"
    assert told[-1][2] == "time 1.4, frame 3 of 3"


@pytest.mark.parametrize("after", [0, 3, 4])
def test_what_breaks_off_goes_on(after: int, tmp_path: Path) -> None:
    """In the spin-up, right after a checkpoint, and between two."""

    def stop(done: int) -> None:
        if done >= after:
            raise MemoryError

    place = tmp_path / "flow.zarr"
    with pytest.raises(MemoryError):
        record_fluid(_fluid(), place, 6, callback=stop, **SETTINGS)
    assert not place.exists()
    record_fluid(_fluid(), place, 6, resume=True, **SETTINGS)
    with xarray.open_zarr(place, consolidated=False) as found:
        assert np.array_equal(found["vorticity"].values, _direct(_fluid(), 6).numpy()[:, 0])


def test_places_are_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"frames go to \.zarr, \.nc, \.npz"):
        record_fluid(_fluid(), tmp_path / "flow.csv", 2)
    (tmp_path / "there.npz").write_text("mine")
    with pytest.raises(InputError, match="there already"):
        record_fluid(_fluid(), tmp_path / "there.npz", 2)
    for name, value in (("every", 0.03), ("spinup", 0.015)):
        with pytest.raises(InputError, match=f"{name} is a multiple of the time step 0.02"):
            record_fluid(_fluid(), tmp_path / "flow.npz", 2, **{**SETTINGS, name: value})
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pushforward\[fields\]'"):
        record_fluid(_fluid(), tmp_path / "flow.zarr", 2)
    assert os.listdir(tmp_path) == ["there.npz"]


def test_what_is_written_is_read_as_fields_that_meet_at_their_ends(tmp_path: Path) -> None:
    record_fluid(_fluid(waves=2), tmp_path / "flow.zarr", 4, **SETTINGS)
    data = pf.data.load(tmp_path / "flow.zarr")
    assert data.event_shape == (2, 16, 16)
    assert "periodic=(True, True)" in str(pf.spaces.space_of(data))


def test_netcdf_files_are_plain(tmp_path: Path) -> None:
    record_fluid(_fluid(), tmp_path / "flow.nc", 2, **SETTINGS)
    with netcdf.Dataset(tmp_path / "flow.nc") as file:
        assert file.variables["vorticity"].dimensions == ("time", "y", "x")
        assert file.Conventions == "CF-1.8"
