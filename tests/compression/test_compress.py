"""Compression from the command line: exact, at the model's rate, and careful with bad files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward import compression
from pushforward.cli import main
from pushforward.errors import CapabilityError, InputError


def _call(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main(["--quiet", *(str(word) for word in words)])
    return int(end.value.code or 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """An autoencoder of the digits, trained for a moment."""
    torch.manual_seed(0)
    data = pf.data.load("digits", label=False)
    model = pf.VAE.for_data(data, labels=False, decoder="logistic", latent=4, width=32, depth=2)
    out = tmp_path_factory.mktemp("vae") / "digits"
    pf.fit(model, data, steps=400, batch_size=128, lr=3e-3, out=out, progress=False)
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


def test_the_commands_restore_arrays_and_refuse_other_models(run: Path, tmp_path: Path) -> None:
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
    packed.write_bytes(packed.read_bytes()[:-3])
    assert _call("decompress", run, packed, "-o", tmp_path / "no.npy") == 2
    assert not (tmp_path / "no.npy").exists()


def test_pictures_come_back_with_their_names(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = torch.randint(0, 256, (12, 4, 4), dtype=torch.uint8, generator=generator).numpy()
    for k in range(12):
        Image.fromarray(pixels[k]).save(folder / f"p{k}.png")
    run = tmp_path / "run"
    options = ["options.decoder=logistic", "options.latent=2", "options.width=8"]
    words = ["--family", "vae", "--steps", 3, "--batch-size", 4, "--out", run, *options]
    assert _call("train", folder, *words) == 0
    files = sorted(folder.glob("*.png"))[:5]
    assert _call("compress", run, *files, "-o", tmp_path / "x.pf") == 0
    assert _call("decompress", run, tmp_path / "x.pf", "-o", tmp_path / "back") == 0
    for file in files:
        with Image.open(file) as one, Image.open(tmp_path / "back" / file.name) as two:
            assert np.array_equal(np.array(one), np.array(two))


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
        compression.compress(pf.families.KernelDensity(event_shape=(2,)), torch.zeros(2, 2))
