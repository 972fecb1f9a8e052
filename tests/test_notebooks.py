"""What a notebook shows: a bar that moves, and objects that say what they are in a line."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.metrics.evaluation import Evaluation, Row
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
