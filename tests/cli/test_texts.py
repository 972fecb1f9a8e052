"""Pictures of texts from the command line: one text, several, a file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pushforward as pf
from pushforward.data.caption_files import read_captions

TEXT = "a red square above a green circle"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    """A run of a few steps on small pictures with captions."""
    data = pf.data.load("scenes", n=60, size=8)
    encoder = pf.nn.TextEncoder(**vars(data.vocabulary), width=8, depth=1, heads=2)
    net = pf.nn.UNet(3, width=8, multipliers=(1, 1), blocks=1, encoder=encoder)
    out = tmp_path_factory.mktemp("runs") / "scenes"
    # Steps so large that texts leave a trace of 1/255 at once.
    fast = {"lr": 0.03, "warmup": 0, "ema": 0.0, "progress": False, "device": "cpu"}
    pf.fit(pf.Diffusion(net), data, steps=20, batch_size=8, out=out, **fast)
    return out


def test_a_text_is_drawn_with_its_caption(call, scenes: Path, tmp_path: Path) -> None:
    from PIL import Image

    sizes = {}
    for name, words in (("plain", ()), ("told", ("--text", TEXT, "--guidance", 3))):
        out = tmp_path / f"{name}.png"
        found = call("sample", scenes, "--out", out, "-n", 4, "--steps", 3, *words)
        assert found.code == 0, found.err
        with Image.open(out) as picture:
            sizes[name] = picture.size
    # Room for the captions.
    assert sizes["told"][1] / sizes["told"][0] > 1.05 > sizes["plain"][1] / sizes["plain"][0]


def test_guidance_and_texts_change_what_is_drawn(call, scenes: Path, tmp_path: Path) -> None:
    def drawn(name: str, *words: object) -> np.ndarray:
        out = tmp_path / f"{name}.npz"
        found = call("sample", scenes, "--out", out, "-n", 2, "--steps", 3, *words)
        assert found.code == 0, found.err
        return np.load(out)["x"]

    told = drawn("told", "--text", TEXT)
    assert (told == drawn("again", "--text", TEXT)).all()
    assert (told != drawn("guided", "--text", TEXT, "--guidance", 8)).any()
    assert (told != drawn("other", "--text", "a yellow triangle", "--guidance", 1)).any()
    guided = ("--text", TEXT, "--guidance", 8, "--guidance-interval")
    assert (drawn("always", "--text", TEXT, "--guidance", 8) == drawn("all", *guided, "0,1")).all()
    assert (told == drawn("never", *guided, "1e-9,2e-9")).all()


def test_a_file_has_a_text_in_each_line(call, scenes: Path, tmp_path: Path) -> None:
    texts = ["a red square", "a blue circle left of a large red triangle", "a green circle"]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n\n")
    out = tmp_path / "pictures"
    found = call("sample", scenes, "--out", out, "--texts", tmp_path / "texts.txt", "--steps", 3)
    assert found.code == 0, found.err
    assert read_captions(out, sorted(out.glob("*.png"))) == texts
    # What was drawn is data to learn from again.
    assert pf.data.load(out).captions == texts


def test_several_texts_take_turns(call, scenes: Path, tmp_path: Path) -> None:
    words = ["--text", "a red square", "--text", "a blue circle", "-n", 3, "--steps", 3]
    assert call("sample", scenes, "--out", tmp_path / "p", *words).code == 0
    found = read_captions(tmp_path / "p", sorted((tmp_path / "p").glob("*.png")))
    assert found == ["a red square", "a blue circle", "a red square"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--text", "a purple square"), "'purple' in 'a purple square' is none of the words"),
        (("--text", "a red square", "--texts", "x.txt"), "give one of them"),
        (("--texts", "missing.txt"), "is no file"),
        (("--text", TEXT, "--guidance-interval", "0,1"), "give --guidance too"),
        (("--text", TEXT, "--guidance", "3", "--guidance-interval", "0"), "two times"),
        (("--text", TEXT, "--guidance", "3", "--guidance-interval", "a,b"), "give a number"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    call, scenes: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    out = tmp_path / "x.npz"
    found = call("sample", scenes, "--out", out, "--steps", 3, *words)
    assert found.code == 2
    assert message in found.err
    assert not out.exists()


def test_a_model_of_labels_reads_no_texts(call, trained: Path, tmp_path: Path) -> None:
    found = call("sample", trained, "--out", tmp_path / "x.npz", "--text", TEXT)
    assert found.code == 2
    assert "reads no texts: train it on data with captions" in found.err


@pytest.mark.parametrize("family", ["vae", "flow", "kde"])
def test_captions_are_not_left_aside(call, tmp_path: Path, family: str) -> None:
    out = tmp_path / "run"
    words = ("data.n=40", "data.size=8", "--model", family, "--steps", 1, "--out", out)
    found = call("--quiet", "train", "scenes", *words)
    assert found.code == 2
    assert "reads no texts" in found.err
    assert "--label false" in found.err
    assert not (out / "manifest.json").exists()


def test_pictures_without_their_captions(call, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("data.n=40", "data.size=8", "--label", "false", "--model", "ppca", "--out", out)
    assert call("--quiet", "train", "scenes", *words).code == 0


def test_reports_have_captions(call, scenes: Path) -> None:
    from pushforward.report import glance, write

    model = pf.load(scenes)
    data = pf.data.load("scenes", n=60, size=8)
    seen = glance(scenes, model, data)
    assert data.vocabulary is not None
    drawn = data.vocabulary.decode(seen.drawn.labels)
    assert set(drawn) <= set(data.captions or [])
    assert write(scenes, model, data, seen=seen).is_file()
    assert "texts of 16 words" in repr(model)
