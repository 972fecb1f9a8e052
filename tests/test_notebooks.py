"""What a notebook shows: a bar that moves, and objects that say what they are in a line."""

from __future__ import annotations

import base64
import io
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image

import pushforward as pf
from pushforward.metrics.evaluation import Evaluation, Row
from pushforward.training import Run
from pushforward.training.progress import Progress, in_notebook


class Cell:
    """The output of a cell that stands in for that of a kernel."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    def display(self, content: Any, *, display_id: bool) -> Cell:
        assert display_id
        self.shown.append(content)
        return self

    def update(self, content: Any) -> None:
        self.shown.append(content)


def _start(monkeypatch: pytest.MonkeyPatch, shell: Any) -> Cell:
    """As if Python were run by this shell of IPython."""
    cell, ipython, displays = Cell(), ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: shell  # type: ignore[attr-defined]
    displays.display = cell.display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    return cell


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["none", "terminal"])
def test_a_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch, shell: Any) -> None:
    _start(monkeypatch, shell)
    assert not in_notebook()


def test_a_notebook_has_a_bar_that_is_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = _start(monkeypatch, SimpleNamespace(kernel=object()))
    with Progress("training <x>", 40) as progress:
        progress(20, note="loss 1")
        progress(40, note="loss 0.5")
    first, last = cell.shown[0], cell.shown[-1]
    assert "<progress value='0' max='40'></progress>" in first._repr_html_()
    assert (
        "training &lt;x&gt; <progress value='40' max='40'></progress> 40/40" in last._repr_html_()
    )
    assert last._repr_html_().endswith("loss 0.5")
    assert repr(last).startswith("training <x>: 40/40, ")
    assert capsys.readouterr() == ("", "")


def test_a_run_shows_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = _start(monkeypatch, SimpleNamespace(kernel=object()))
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    run = pf.fit(pf.Diffusion(pf.nn.MLP(2, width=8)), x, steps=2, batch_size=8, progress=True)
    assert "2/2" in repr(cell.shown[-1])
    assert repr(run).startswith("Run(finished at step 2, best validation loss")


def test_objects_are_one_line() -> None:
    data = pf.data.load([[0.0, 1.0], [2.0, 3.0]], label=[0, 1], name="pair")
    assert repr(data) == "pair: 2 vectors of 2, 2 classes"
    net = pf.nn.MLP(2, width=8, num_classes=3)
    size = sum(parameter.numel() for parameter in net.parameters())
    said = f"{size:,} parameters, 3 classes, log_prob ode)"
    assert repr(pf.Diffusion(net)) == f"Diffusion({said}"
    assert repr(pf.Diffusion(net, event_shape=2)) == f"Diffusion(states of shape (2,), {said}"
    found = pf.LogProb(torch.tensor([-1.5]), torch.tensor([0.25]), "estimated", nfe=100)
    assert repr(found) == "LogProb(estimated): -1.5000 ± 0.2500 nats, nfe 100"


def test_an_evaluation_is_a_table() -> None:
    row = Row("NLL <x>", 1.5, 0.25, unit="nats", note="lower & better")
    found = Evaluation((row,), ("Too few.",), 100, 100, 100, 900, seed=0)
    assert repr(found) == str(found)
    html = found._repr_html_()
    for part in ("NLL &lt;x&gt;", "lower &amp; better", "<th", "100 samples", "⚠ Too few."):
        assert part in html
    assert html.count("<tr>") == 2


@pytest.mark.parametrize("name", ["KernelDensity", "GaussianMixtureModel", "ProbabilisticPCA"])
def test_closed_forms_stand_beside_the_others(name: str) -> None:
    assert getattr(pf, name) is getattr(pf.models, name)
    assert name in dir(pf)


def _embedded(html: str) -> bytes:
    """The picture in some HTML, which refers to nothing outside."""
    (found,) = re.findall(r"src='data:image/[a-z+]+;base64,([^']*)'", html)
    assert "http" not in html
    return base64.b64decode(found)


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


PETS = pf.data.Schema.of("height", "weight", "age", label="kind", classes=("cat", "dog"))


@pytest.mark.parametrize(
    ("data", "size", "said"),
    [
        (pf.data.Data(_normal(2000, 2), name="<plane>"), (546, 546), "1,000 of 2,000 rows"),
        (
            pf.data.Data(_normal(90, 3), torch.arange(90) % 2, schema=PETS),
            (495, 495),
            "90 vectors of 3, 2 classes",
        ),
        (pf.data.Data(_normal(40, 1)), (546, 546), "40 vectors of 1"),
        (
            pf.data.Data(_normal(30, 3, 300, 200), kind="image"),
            (608, 858),
            "25 of 30 rows",
        ),
    ],
    ids=["plane", "table", "numbers", "photos"],
)
def test_data_are_a_picture(data: Any, size: tuple[int, int], said: str) -> None:
    before = torch.get_rng_state()
    html = data._repr_html_()
    assert torch.equal(torch.get_rng_state(), before)
    picture = Image.open(io.BytesIO(_embedded(html)))
    assert picture.size == size
    # More than paper.
    assert len(picture.convert("RGB").getcolors(1 << 20) or [()] * 9) > 2
    assert said in html
    assert "<plane>" not in html
    assert len(html) < 600_000


def test_classes_have_colors_in_a_notebook() -> None:
    x, c = _normal(60, 2), torch.arange(60) % 2
    one, two = (_embedded(pf.data.Data(x, labels)._repr_html_() or "") for labels in (None, c))
    assert one != two


@pytest.mark.parametrize(
    "data",
    [
        pf.data.Data(torch.arange(6).reshape(3, 2)),
        pf.data.Data((_normal(3, 2), _normal(3, 1))),
        pf.data.Data(_normal(2, 10_001)),
    ],
    ids=["tokens", "parts", "wide"],
)
def test_what_has_no_picture_is_a_line(data: Any) -> None:
    assert data._repr_html_() is None


@pytest.mark.parametrize("missing", ["matplotlib.figure", "PIL.Image"])
def test_without_the_packages_data_are_a_line(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert pf.data.Data(_normal(5, 2))._repr_html_() is None


def test_a_run_is_its_loss() -> None:
    history = [{"step": k, "loss": 1 / k} for k in range(1, 9)] + [{"step": 8, "val_loss": 0.5}]
    best = {"step": 8, "val_loss": 0.5}
    html = Run(None, history, best, Path("runs/<a>"), "interrupted", 8)._repr_html_()
    assert html is not None
    assert "interrupted at step 8, best validation loss 0.5 at step 8, in runs/&lt;a&gt;" in html
    chart = ElementTree.fromstring(_embedded(html))
    svg = "{http://www.w3.org/2000/svg}"
    assert [line.get("class") for line in chart.iter(f"{svg}polyline")] == ["line s0", "line s1"]
    assert {"training loss", "validation loss"} <= {text.text for text in chart.iter(f"{svg}text")}
    style = chart.findtext(f"{svg}style")
    assert style is not None
    assert ".s1{stroke:" in style
    assert Run(None, [], None, None, "failed", 0)._repr_html_() == "<p>failed at step 0</p>"


def test_a_model_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pf.data.Data(_normal(90, 3), torch.arange(90) % 2, schema=PETS)
    model = pf.Diffusion(pf.nn.MLP(3, width=8, num_classes=2))
    pf.fit(model, data, steps=2, batch_size=8, progress=False)
    for name in ("sample", "log_prob", "forward"):
        monkeypatch.setattr(type(model), name, None, raising=False)
    html = model._repr_html_()
    assert html is not None
    table = ElementTree.fromstring(html)
    assert table.findtext("caption") == "Diffusion"
    rows = {row.findtext("th"): row.findtext("td") or "" for row in table.iter("tr")}
    assert rows["states"] == "of shape (3,)"
    assert re.fullmatch(r"[0-9,]+ in float32 on cpu", rows["parameters"])
    assert rows["labels"] == "cat (45), dog (45)"
    assert rows["learned from"] == "columns height, weight, age"
    assert rows["weights"].startswith("those of the last step, 2")
    assert rows["can"] == "sample, log_prob (ode), guidance, trajectory, variational_bound"


def test_a_model_says_of_pictures_and_contexts_what_it_knows() -> None:
    model = pf.Diffusion(pf.nn.MLP(4, width=8, context=3))
    model.learned_from = {
        "event_shape": [1, 2, 2], "kind": "image", "levels": 17, "origin": {"source": "<a>.npz"}
    }  # fmt: skip
    html = model._repr_html_()
    assert html is not None
    rows = {r.findtext("th"): r.findtext("td") for r in ElementTree.fromstring(html).iter("tr")}
    assert rows["contexts"] == "of 3"
    assert rows["learned from"] == "<a>.npz, images of 1 x 2 x 2, 17 levels"
