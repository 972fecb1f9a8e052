"""The report: one file with all it needs, honest about what is missing, deaf to HTML in names."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward._records import read_sealed_json, sealed_json
from pushforward.errors import InputError
from pushforward.metrics import Evaluation, Row
from pushforward.report import save_picture, write
from pushforward.report.page import page, section, table, warnings_box
from pushforward.spaces import Euclidean

EVIL = "<script>alert('x')</script>"


class _Addresses(HTMLParser):
    """What a page would load, and the tags that it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.append(tag)
        self.loaded += [value for name, value in attributes if name in ("src", "href", "srcset")]


def _read(text: str) -> _Addresses:
    parser = _Addresses()
    parser.feed(text)
    return parser


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, pf.Diffusion, pf.data.Data]:
    generator = torch.Generator().manual_seed(0)
    data = pf.data.load(torch.randn(80, 2, generator=generator), name=EVIL)
    model = pf.Diffusion(pf.nn.MLP(2, width=8))
    out = tmp_path_factory.mktemp("runs") / "run & <co>"
    pf.fit(model, data, steps=6, batch_size=16, out=out, progress=False)
    return out, model, data


def test_one_file_with_all_it_needs(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushforward.report.writing._FRAMES", 7)
    folder, model, data = run
    path = write(folder, model, data)
    found = _read(path.read_text(encoding="utf-8"))
    # Two pictures, the density, seven frames of the way there, seven of the way back, denoised too.
    assert len(found.loaded) == 3 + 21
    assert all(address.startswith("data:image/png;base64,") for address in found.loaded)
    assert "link" not in found.tags
    assert (folder / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_names_cannot_become_html(run) -> None:
    folder, model, data = run
    row = Row(EVIL, 1.0, 0.1, 0.9, 0.1, note=EVIL, unit=EVIL)
    evaluation = Evaluation((row,), (EVIL,), 10, 10, 10, 10, seed=0)
    text = write(folder, model, data, evaluation=evaluation).read_text(encoding="utf-8")
    assert "script" not in _read(text).tags
    assert "run &amp; &lt;co&gt;" in text


def test_what_was_not_measured_is_said(run) -> None:
    folder, model, data = run
    text = write(folder, model, data).read_text(encoding="utf-8")
    assert "Nothing has been measured yet" in text
    evaluation = Evaluation((Row("NLL", 1.5, 0.25, unit="nats"),), ("beware",), 9, 9, 9, 9, seed=0)
    text = write(folder, model, data, evaluation=evaluation).read_text(encoding="utf-8")
    assert "Nothing has been measured yet" not in text
    assert "beware" in text
    assert "1.50 ± 0.25 nats" in text
    assert "–" in text  # no floor


def test_samples_that_are_not_finite_are_counted(run) -> None:
    folder, model, data = run
    samples = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    samples[3] = torch.nan
    text = write(folder, model, data, samples=samples).read_text(encoding="utf-8")
    assert "1 of 20 samples are not finite" in text


def test_a_run_that_did_not_finish_says_so(run) -> None:
    folder, model, data = run
    path = folder / "manifest.json"
    before, manifest = path.read_text(), read_sealed_json(path)
    for status, words in (("interrupted", "go on with --resume"), ("diverged", "diverged after")):
        path.write_text(sealed_json(manifest | {"status": status}))
        assert words in write(folder, model, data).read_text(encoding="utf-8")
    path.write_text(before)


def test_findings_and_manifest_that_are_damaged_are_named(run) -> None:
    folder, model, data = run
    write(folder, model, data, findings=["one row is odd"])
    manifest = (folder / "manifest.json").read_bytes()
    for name, damaged in (
        ("findings.json", b"\xff["),
        ("findings.json", b'{"a": 1}'),
        ("findings.json", b"[1]"),
        (
            "manifest.json",
            manifest.replace(b'"step": ', b'"step":  '),
        ),
    ):
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(damaged)
        with pytest.raises(InputError, match=name):
            write(folder, model, data)
        (folder / name).write_bytes(before)
    assert "one row is odd" in write(folder, model, data).read_text(encoding="utf-8")


def test_pieces() -> None:
    assert warnings_box([]) == ""
    assert "&lt;b&gt;" in warnings_box(["<b>"])
    assert "&lt;b&gt;" in section("<b>", "")
    assert "&lt;b&gt;" in table(["<b>"], [])
    assert page("<b>", ["x"]).startswith("<!doctype html>")


@pytest.mark.parametrize("shape", [(2,), (1,), (5,), (1, 8, 8), (3, 6, 6), (1, 7)])
def test_pictures_of_vectors_and_images(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = torch.rand(30, *shape, generator=torch.Generator().manual_seed(0))
    save_picture(tmp_path / "x.png", x, space=Euclidean())
    with Image.open(tmp_path / "x.png") as picture:
        colors = picture.convert("L").getextrema()
        assert min(picture.size) > 50
    assert colors[1] - colors[0] > 100
