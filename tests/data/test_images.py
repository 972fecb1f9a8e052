from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from pushforward.data import load
from pushforward.errors import InputError, MissingExtraError


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four gray pictures of 7 rows and 5 columns."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(noise(7, 5, seed=i)).save(folder / f"{i}.png")
    return folder


def test_gray_pictures_keep_their_values(folder: Path) -> None:
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_text("not a picture")
    data = load(folder)
    assert (data.kind, data.levels, data.value_range) == ("image", 256, (0, 255))
    assert (data.name, data.c) == ("pictures", None)
    expected = np.stack([noise(7, 5, seed=i) for i in range(4)])[:, None]
    assert np.array_equal(data.x.numpy(), expected)


def test_one_color_picture_makes_all_rgb(folder: Path) -> None:
    Image.fromarray(noise(7, 5, 3, seed=9)).save(folder / "9.PNG")
    data = load(folder)
    assert data.event_shape == (3, 7, 5)
    assert np.array_equal(data.x[4].numpy(), noise(7, 5, 3, seed=9).transpose(2, 0, 1))
    assert np.array_equal(data.x[0].numpy(), np.repeat(noise(7, 5)[None], 3, 0))
    assert load(folder, channels=1).event_shape == (1, 7, 5)
    assert load(str(folder), channels=3).event_shape == (3, 7, 5)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("P", "png"), ("1", "png"), ("CMYK", "jpg"), ("L", "tif")]
)
def test_other_modes(tmp_path: Path, mode: str, suffix: str) -> None:
    for i in range(2):
        Image.fromarray(noise(6, 6, seed=i)).convert("RGB").convert(mode).save(
            tmp_path / f"{i}.{suffix}"
        )
    gray = mode in ("1", "L")
    assert load(tmp_path).event_shape == (1 if gray else 3, 6, 6)
    if mode == "1":
        assert set(load(tmp_path).x.unique().tolist()) == {0, 255}


def test_subfolders_are_classes(tmp_path: Path) -> None:
    for i, name in enumerate(["dog", "cat", "dog"]):
        (tmp_path / name).mkdir(exist_ok=True)
        Image.fromarray(noise(4, 4, seed=i)).save(tmp_path / name / f"{i}.png")
    (tmp_path / "__MACOSX").mkdir()
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert data.c is not None
    assert data.c.tolist() == [0, 1, 1]
    assert np.array_equal(data.x[0, 0].numpy(), noise(4, 4, seed=1))
    assert load(tmp_path, label=False).c is None
    with pytest.raises(InputError, match="names of its subfolders"):
        load(tmp_path, label="kind")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="class folder 'empty' has no pictures"):
        load(tmp_path)


def test_numbered_subfolders_keep_their_numbers(tmp_path: Path) -> None:
    for i, name in enumerate(["10", "2", "1"]):
        (tmp_path / name).mkdir()
        Image.fromarray(noise(4, 4, seed=i)).save(tmp_path / name / "a.png")
    data = load(tmp_path)
    assert data.c is not None
    assert [data.classes[k] for k in data.c.tolist()] == [1, 10, 2]


def test_another_size_is_named_with_the_way_out(folder: Path) -> None:
    Image.fromarray(noise(9, 6)).save(folder / "odd.png")
    with pytest.raises(
        InputError, match=r"odd\.png is 6 x 9 .*0\.png is 5 x 7: size=5 or size=\(7, 5\)"
    ):
        load(folder)
    assert load(folder, size=(7, 5)).event_shape == (1, 7, 5)
    assert load(folder, size=4).event_shape == (1, 4, 4)


def test_size_crops_the_middle(tmp_path: Path) -> None:
    stripes = np.zeros((8, 24), dtype=np.uint8)
    stripes[:, 8:16] = 200
    for i in range(2):
        Image.fromarray(stripes).save(tmp_path / f"{i}.png")
    assert (load(tmp_path, size=8).x == 200).all()
    assert load(tmp_path, size=(8, 24)).x[0, 0].tolist() == stripes.tolist()


def test_transparency(folder: Path) -> None:
    pixels = noise(7, 5, 4)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(folder / "opaque.png")
    data = load(folder)
    assert np.array_equal(data.x[4].numpy(), pixels[..., :3].transpose(2, 0, 1))
    pixels[0, 0, 3] = 0
    Image.fromarray(pixels).save(folder / "clear.png")
    with pytest.raises(InputError, match=r"clear\.png has transparent pixels: channels=3"):
        load(folder)
    data = load(folder, channels=3)
    assert data.x[4, :, 0, 0].tolist() == [255, 255, 255]
    assert data.x[4, :, 1, 1].tolist() == pixels[1, 1, :3].tolist()


def test_cameras_store_the_way_up(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    for i in range(2):
        Image.fromarray(noise(7, 5, seed=i)).save(tmp_path / f"{i}.png", exif=exif)
    data = load(tmp_path)
    assert data.event_shape == (1, 5, 7)
    assert np.array_equal(data.x[0, 0].numpy(), np.rot90(noise(7, 5), -1))


def test_pictures_that_cannot_be_read(folder: Path) -> None:
    good = (folder / "0.png").read_bytes()
    odd = folder / "odd.png"
    flipped = bytearray(good)
    flipped[60] ^= 0xFF
    for bad in (b"", b"not a picture", good[:40], good[:80], bytes(flipped)):
        odd.write_bytes(bad)
        with pytest.raises(InputError, match=r"odd\.png cannot be read as a picture"):
            load(folder)
    Image.fromarray(noise(7, 5).astype(np.uint16)).save(odd)
    with pytest.raises(InputError, match=r"odd\.png has more than 8 bits per channel"):
        load(folder)
    odd.unlink()
    frames = [Image.fromarray(noise(7, 5, seed=i)) for i in range(3)]
    frames[0].save(folder / "odd.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"odd\.gif holds 3 frames"):
        load(folder)


def test_folders_without_pictures(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="empty has no pictures"):
        load(empty)
    (empty / "x.csv").write_text("1\n2\n")
    with pytest.raises(InputError, match=r"to load the file in it, give .*x\.csv"):
        load(empty)
    deep = tmp_path / "deep" / "train" / "cat"
    deep.mkdir(parents=True)
    Image.fromarray(noise(4, 4)).save(deep / "a.png")
    with pytest.raises(InputError, match=r"one level down, for example .*train"):
        load(tmp_path / "deep")


def test_pictures_beside_class_folders(folder: Path) -> None:
    (folder / "cat").mkdir()
    Image.fromarray(noise(7, 5)).save(folder / "cat" / "a.png")
    with pytest.raises(InputError, match=r"both beside and inside .*0\.png, cat/a\.png"):
        load(folder)


def test_one_picture_is_no_data(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder"):
        load(folder / "0.png")


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": "8"}, {"size": (1, 2, 3)}, {"size": 2.5}, {"channels": 2}]
)
def test_options_that_do_not_fit(folder: Path, options: dict) -> None:
    with pytest.raises(InputError, match=r"size is|channels is"):
        load(folder, **options)


def png(pixels: np.ndarray, color: int) -> bytes:
    """A PNG of 16 bits a channel, `(H, W, C)`, which Pillow cannot write, of a color type."""

    def chunk(name: bytes, body: bytes) -> bytes:
        check = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)

    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("channels", "kind"), [(1, 0), (3, 2), (2, 4), (4, 6)])
def test_sixteen_bits_are_never_cut_to_eight(tmp_path: Path, channels: int, kind: int) -> None:
    """All values are below 256: their high bytes alone would be a folder of zeros."""
    for i in range(2):
        pixels = noise(4, 5, channels, seed=i).astype(np.uint16)
        (tmp_path / f"{i}.png").write_bytes(png(pixels, kind))
    with pytest.raises(InputError, match=r"0\.png has more than 8 bits per channel \(mode .*\.npy"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["deep.ppm", "deep.pgm", "plain.ppm", "deep.tif"])
def test_other_formats_of_sixteen_bits(tmp_path: Path, name: str) -> None:
    pixels = noise(4, 5, 3).astype(np.uint16)
    if name == "deep.tif":
        (tmp_path / name).write_bytes(tiff(pixels))
    elif name == "plain.ppm":
        (tmp_path / name).write_text("P3 5 4 65535 " + " ".join(map(str, pixels.flatten())))
    else:
        mark, channels = (b"P6", 3) if name.endswith("ppm") else (b"P5", 1)
        body = pixels[..., :channels].astype(">u2").tobytes()
        (tmp_path / name).write_bytes(mark + b" 5 4 65535\n" + body)
    with pytest.raises(InputError, match=rf"{name} has more than 8 bits per channel"):
        load(tmp_path)


def tiff(pixels: np.ndarray) -> bytes:
    """An uncompressed RGB TIFF of 16 bits a channel."""
    height, width, channels = pixels.shape
    tags = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 200), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 300), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, pixels.nbytes),
        (284, 3, 1, 1),
    ]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    head += b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", 0)
    body = head.ljust(200, b"\0") + struct.pack("<HHH", 16, 16, 16)
    return body.ljust(300, b"\0") + pixels.astype("<u2").tobytes()


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif(tmp_path: Path) -> None:
    for i in range(2):
        Image.fromarray(noise(16, 16, 3, seed=i)).save(tmp_path / f"{i}.avif", quality=100)
    data = load(tmp_path)
    assert data.event_shape == (3, 16, 16)
    expected = np.asarray(Image.open(tmp_path / "0.avif")).transpose(2, 0, 1)
    assert np.array_equal(data.x[0].numpy(), expected)
    raw = bytearray((tmp_path / "1.avif").read_bytes())
    # Ten bits a channel, as two boxes of the header say.
    raw[raw.index(b"av1C") + 6] |= 0x40
    depths = raw.index(b"pixi") + 9
    raw[depths : depths + 3] = bytes([10, 10, 10])
    (tmp_path / "1.avif").write_bytes(raw)
    with pytest.raises(InputError, match=r"1\.avif has more than 8 bits per channel"):
        load(tmp_path)


def test_jfif_is_jpeg(folder: Path) -> None:
    Image.fromarray(noise(7, 5)).save(folder / "4.jfif", format="JPEG")
    data = load(folder)
    assert (len(data), data.notes) == (5, ())


def test_heic(tmp_path: Path) -> None:
    import pillow_heif as heif

    for i in range(2):
        picture = heif.from_pillow(Image.fromarray(noise(16, 16, 3, seed=i)))
        picture.save(tmp_path / f"{i}.heic", quality=-1)
    expected = np.asarray(heif.open_heif(tmp_path / "0.heic").to_pillow()).transpose(2, 0, 1)
    assert np.array_equal(load(tmp_path).x[0].numpy(), expected)
    deep = noise(16, 16, 3).astype(np.uint16) * 257
    heif.from_bytes(mode="RGB;16", size=(16, 16), data=deep.tobytes()).save(tmp_path / "1.heic")
    with pytest.raises(InputError, match=r"1\.heic has more than 8 bits per channel .*10 bits"):
        load(tmp_path)


def test_heic_without_its_reader_is_no_silent_gap(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (folder / "4.HEIC").write_bytes(b"a picture of a phone")
    with pytest.raises(MissingExtraError, match=r"4\.HEIC.*pip install 'pushforward\[heic\]'"):
        load(folder)


def test_what_is_skipped_is_counted_and_named(folder: Path) -> None:
    (folder / "scan.jp2").write_bytes(b"")
    (folder / "notes.txt").write_text("")
    (folder / "more").mkdir()
    data = load(folder)
    note = "3 entries of the folder not read, as no pictures: notes.txt, scan.jp2, more/"
    assert data.notes == (note,)
    assert str(data) == f"pictures: 4 images of 1 x 7 x 5, 256 levels on 0..255; {note}"
    assert data.describe()["notes"] == [note]


def test_what_is_skipped_in_classes(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name / "raw").mkdir(parents=True)
        Image.fromarray(noise(4, 4)).save(tmp_path / name / "0.png")
    (tmp_path / "cat" / "notes.txt").write_text("")
    assert load(tmp_path).notes == (
        "3 entries of the folder not read, as no pictures: cat/notes.txt, cat/raw/, dog/raw/",
    )
