"""Compression from the command line: exact, at the model's rate, and careful with bad files."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward import compression
from pushforward.cli import main
from pushforward.errors import CapabilityError, InputError, MissingExtraError


def _call(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["--quiet", *(str(word) for word in words)])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """An autoencoder of the digits, trained for a moment."""
    torch.manual_seed(0)
    data = pf.data.load("digits", label=False)
    model = pf.VAE.for_data(data, labels=False, decoder="logistic", latent=16, width=16)
    out = tmp_path_factory.mktemp("vae") / "digits"
    pf.fit(model, data, steps=120, batch_size=128, lr=3e-3, out=out, progress=False)
    return out


def test_the_rate_is_the_bound_within_two_percent(run: Path) -> None:
    model = pf.load(run)
    _, test = pf.data.load("digits", label=False).split(0.1, seed=0)
    archive = compression.compress(model, test.x)
    rate = 32 * len(archive.words) / test.x.numel()
    with torch.no_grad():
        draws = [model.elbo(test.x, generator=torch.Generator().manual_seed(k)) for k in range(20)]
    bound = -torch.stack([draw.value for draw in draws]).mean()
    bits = float(bound) / (64 * math.log(2))
    assert rate == pytest.approx(bits, rel=0.02)
    again = compression.decompress(model, archive)
    assert torch.equal(again.x, test.x)


def test_the_commands_restore_arrays_and_refuse_other_files(
    run: Path, tmp_path: Path, capsys
) -> None:
    x = pf.data.load("digits", label=False).x[:20]
    np.save(tmp_path / "x.npy", x.numpy())
    packed = tmp_path / "x.pf"
    assert _call("compress", run, tmp_path / "x.npy", "-o", packed) == 0
    assert packed.stat().st_size < x.numel() * math.log2(17) / 8
    assert _call("decompress", run, packed, "-o", tmp_path / "back.npy") == 0
    assert np.array_equal(np.load(tmp_path / "back.npy"), x.numpy())
    other = pf.load(run)
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    with pytest.raises(InputError, match="made by another model"):
        compression.decompress(other, compression.read(packed))
    capsys.readouterr()
    whole = packed.read_bytes()
    packed.write_bytes(whole[:30] + bytes([whole[30] ^ 1]) + whole[31:])
    assert _call("decompress", run, packed, "-o", tmp_path / "no.npy") == 2
    assert "damaged or cut off" in capsys.readouterr().err
    packed.write_bytes(whole[:-3])
    assert _call("decompress", run, packed, "-o", tmp_path / "no.npy") == 2
    assert not (tmp_path / "no.npy").exists()


def test_draws_and_all_estimates_have_their_options(run: Path, tmp_path: Path, capsys) -> None:
    draws = {}
    for way in ("--seed=0", "--mean"):
        out = tmp_path / f"{way}.npz"
        assert _call("sample", run, "-n", 20, way, "--out", out) == 0
        draws[way] = np.load(out)["x"]
    model = pf.load(run)
    assert np.array_equal(draws["--seed=0"], model.sample(20, seed=0).numpy())
    # Files hold the levels of the data, whatever was asked for.
    means = model.sample(20, mean=True, seed=0).round().clamp(0, 16)
    assert np.array_equal(draws["--mean"], means.numpy())
    for method, kind in (
        ("bound", "bound"),
        ("importance", "estimated"),
        ("annealed", "estimated"),
    ):
        capsys.readouterr()
        words = ["--method", method, "--samples", 4, "--steps", 3, "--json"]
        assert _call("logprob", run, "digits", "-n", 3, *words) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["kind"], found["n"]) == (kind, 3)


def test_pictures_come_back_with_their_names(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = torch.randint(0, 256, (12, 4, 4), dtype=torch.uint8, generator=generator).numpy()
    for k in range(12):
        Image.fromarray(pixels[k]).save(folder / f"p{k}.png")
    run = tmp_path / "run"
    options = ["model.decoder=logistic", "model.latent=2", "model.width=8"]
    words = ["--model", "vae", "--steps", 3, "--batch-size", 4, "--out", run, *options]
    assert _call("train", folder, *words) == 0
    files = sorted(folder.glob("*.png"))[:5]
    assert _call("compress", run, *files, "-o", tmp_path / "x.pf") == 0
    assert _call("decompress", run, tmp_path / "x.pf", "-o", tmp_path / "back") == 0
    for file in files:
        with Image.open(file) as one, Image.open(tmp_path / "back" / file.name) as two:
            assert np.array_equal(np.array(one), np.array(two))
    # A folder, with subfolders, comes back as one.
    sorted_by_hand = tmp_path / "sorted"
    for k, file in enumerate(files):
        target = sorted_by_hand / "ab"[k % 2] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    assert _call("compress", run, sorted_by_hand, "-o", tmp_path / "new" / "y.pf") == 0
    assert _call("decompress", run, tmp_path / "new" / "y.pf", "-o", tmp_path / "again") == 0
    names = [file.relative_to(sorted_by_hand) for file in sorted_by_hand.rglob("*.png")]
    assert len(names) == 5
    for name in names:
        with Image.open(sorted_by_hand / name) as one, Image.open(tmp_path / "again" / name) as two:
            assert np.array_equal(np.array(one), np.array(two))


def test_arrays_come_back_in_the_type_that_they_had(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (12, 4, 4), dtype=torch.uint8, generator=generator).numpy()
    np.save(tmp_path / "x.npy", pixels)
    words = ["--model", "vae", "--steps", 3, "--batch-size", 4, "--out", tmp_path / "run"]
    options = ["model.decoder=logistic", "model.latent=2", "model.width=8"]
    assert _call("train", tmp_path / "x.npy", *words, *options) == 0
    assert _call("compress", tmp_path / "run", tmp_path / "x.npy", "-o", tmp_path / "x.pf") == 0
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "mine.txt").write_text("precious")
    for out in ("back.npy", "pictures", "old"):
        code = _call("decompress", tmp_path / "run", tmp_path / "x.pf", "-o", tmp_path / out)
        assert code == (2 if out == "old" else 0)
    found = np.load(tmp_path / "back.npy")
    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels)
    files = sorted((tmp_path / "pictures").iterdir())
    for file, expected in zip(files, pixels, strict=True):
        with Image.open(file) as picture:
            assert np.array_equal(np.array(picture), expected)
    assert [file.name for file in (tmp_path / "old").iterdir()] == ["mine.txt"]


def test_a_missing_library_is_named_with_its_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    code = pf.VAE.for_data(
        pf.data.Data(torch.zeros(4, 3), levels=2, value_range=(0.0, 1.0)), width=4
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'pushforward\[compress\]'"):
        compression.compress(code, torch.zeros(1, 3))


def test_what_cannot_be_coded_says_why(run: Path) -> None:
    model = pf.load(run)
    with pytest.raises(InputError, match="none of the 17 levels"):
        compression.compress(model, torch.full((2, 1, 8, 8), 0.5))
    with pytest.raises(InputError, match="64 values, such as nan, are none of the 17 levels"):
        compression.compress(model, torch.full((1, 1, 8, 8), math.nan))
    with pytest.raises(InputError, match="no states"):
        compression.compress(model, torch.zeros(0, 1, 8, 8))
    with pytest.raises(InputError, match=r"not \(1, 4, 4\)"):
        compression.compress(model, torch.zeros(2, 1, 4, 4))
    with pytest.raises(CapabilityError, match="decoder of levels"):
        compression.compress(pf.models.KernelDensity(event_shape=(2,)), torch.zeros(2, 2))
