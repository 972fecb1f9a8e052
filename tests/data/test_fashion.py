"""Fashion-MNIST, and files that are fetched: where they are found, checked, kept, and missed."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.data import fashion, fetching, load
from pushforward.data.fetching import cache_folder
from pushforward.errors import InputError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def test_the_two_parts(mirror: Path) -> None:
    train, test = load("fashion-mnist"), load("fashion-mnist-test")
    assert (train.x.shape, test.x.shape) == ((40, 1, 28, 28), (20, 1, 28, 28))
    assert (train.kind, train.levels, train.value_range) == ("image", 256, (0, 255))
    assert train.c is not None
    assert train.c.tolist() == [i % 10 for i in range(40)]
    assert train.classes == fashion.CLASSES
    assert train.classes[9] == "Ankle boot"
    raw = gzip.decompress((mirror / f"{IMAGES}.gz").read_bytes())
    assert train.x.flatten().tolist() == list(raw[16:])
    assert train.fingerprint != test.fingerprint
    assert load(**train.origin).fingerprint == train.fingerprint
    named = load("fashion-mnist", name="clothes", label=False)
    assert (named.name, named.c, named.classes) == ("clothes", None, ())
    assert torch.equal(named.x, train.x)


def test_the_names_of_classes_survive_a_part_without_some(mirror: Path) -> None:
    data = load("fashion-mnist")
    assert data.take(torch.tensor([0, 1])).classes == fashion.CLASSES


def test_options_that_mean_nothing(mirror: Path) -> None:
    with pytest.raises(InputError, match="n=10 means nothing for the built-in fashion-mnist"):
        load("fashion-mnist", n=10)
    with pytest.raises(InputError, match="label is True or False"):
        load("fashion-mnist", label="kind")
    with pytest.raises(InputError, match=r"did you mean 'fashion-mnist'"):
        load("fashion_mnist")


def test_what_was_downloaded_stays(mirror: Path, tmp_path: Path) -> None:
    first = load("fashion-mnist")
    kept = tmp_path / "cache" / "fashion-mnist"
    assert sorted(path.name for path in kept.iterdir()) == [f"{IMAGES}.gz", f"{LABELS}.gz"]
    for path in mirror.iterdir():
        path.unlink()
    assert load("fashion-mnist").fingerprint == first.fingerprint


@pytest.mark.parametrize("packed", [True, False])
def test_files_of_the_system_come_first(mirror: Path, tmp_path: Path, packed: bool) -> None:
    system = tmp_path / "system"
    system.mkdir()
    for path in mirror.glob("train*"):
        content = path.read_bytes()
        # Packed in another way, the content has the same checksum.
        content = gzip.decompress(content)
        if packed:
            (system / path.name).write_bytes(gzip.compress(content, 1))
        else:
            (system / path.stem).write_bytes(content)
        path.unlink()
    assert len(load("fashion-mnist")) == 40
    assert not (tmp_path / "cache").exists()


def test_a_second_address_is_tried(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing, wrong = (tmp_path / "nothing").as_uri(), tmp_path / "wrong"
    wrong.mkdir()
    for path in mirror.iterdir():
        (wrong / path.name).write_text("<html>Please log in</html>")
    addresses = (f"{nothing}/", f"{wrong.as_uri()}/", *fashion.MIRRORS)
    monkeypatch.setattr(fashion, "MIRRORS", addresses)
    assert len(load("fashion-mnist")) == 40


def test_without_a_network_the_error_says_what_to_do(mirror: Path, tmp_path: Path) -> None:
    (mirror / f"{IMAGES}.gz").unlink()
    with pytest.raises(InputError) as caught:
        load("fashion-mnist")
    message = str(caught.value)
    for part in (
        f"{mirror.as_uri()}/{IMAGES}.gz",
        "cannot be reached (",
        str(tmp_path / "cache" / "fashion-mnist"),
        "install the Debian package dataset-fashion-mnist",
    ):
        assert part in message


def test_an_unknown_host(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Names under .invalid exist nowhere (RFC 2606); a machine without a network knows none.
    monkeypatch.setattr(fashion, "MIRRORS", ("http://pushforward.invalid/",))
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    with pytest.raises(InputError, match=r"http://pushforward\.invalid/train.* cannot be reached"):
        load("fashion-mnist")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda packed: gzip.compress(gzip.decompress(packed)[:-1] + b"!"),
            r"sha256 .*\.\.\., not",
        ),
        (lambda packed: gzip.compress(gzip.decompress(packed) + b"!"), "damaged or another file"),
        (lambda packed: packed[:-20], "damaged or was not packed by gzip"),
        (lambda packed: b"<html>", "damaged or was not packed by gzip"),
        (lambda packed: packed[:30] + bytes(200) + packed[230:], "damaged or was not packed"),
    ],
)
def test_a_damaged_download_is_not_kept(mirror: Path, tmp_path: Path, spoil, message: str) -> None:
    path = mirror / f"{IMAGES}.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=message):
        load("fashion-mnist")
    assert not (tmp_path / "cache").exists()


def test_a_damaged_file_in_the_cache_is_named(mirror: Path, tmp_path: Path) -> None:
    kept = tmp_path / "cache" / "fashion-mnist"
    kept.mkdir(parents=True)
    (kept / IMAGES).write_bytes(b"something else")
    with pytest.raises(InputError, match=rf"{kept / IMAGES} is damaged or another file.*remove it"):
        load("fashion-mnist")


def test_a_cache_that_cannot_be_written(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PUSHFORWARD_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        InputError, match=r"cannot be written .* another folder in PUSHFORWARD_CACHE"
    ):
        load("fashion-mnist")


def test_a_disk_that_fills_up_leaves_nothing_behind(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching.os, "replace", full)
    with pytest.raises(InputError, match="No space left"):
        load("fashion-mnist")
    assert list((tmp_path / "cache" / "fashion-mnist").iterdir()) == []


def test_the_place_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("PUSHFORWARD_CACHE", "")
    assert cache_folder() == Path("/home/ada/.cache/pushforward")
    monkeypatch.setenv("PUSHFORWARD_CACHE", "~/elsewhere")
    assert cache_folder() == Path("/home/ada/elsewhere")


def test_the_sizes_are_those_of_the_layout() -> None:
    for part, n in (("train", 60_000), ("t10k", 10_000)):
        assert fashion.FILES[f"{part}-images-idx3-ubyte"][0] == 16 + n * 28 * 28
        assert fashion.FILES[f"{part}-labels-idx1-ubyte"][0] == 8 + n
    assert len({sha256 for _, sha256 in fashion.FILES.values()}) == 4
    assert all(len(bytes.fromhex(sha256)) == 32 for _, sha256 in fashion.FILES.values())
    assert np.unique(fashion.CLASSES).size == 10
