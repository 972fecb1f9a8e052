"""Tables in a report: all pairs of a few columns in one unit, and each column in its own."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from PIL import Image
from tests.data.test_mixed_tables import people

from pushforward.data import load
from pushforward.report import marginals as page
from pushforward.report import pair_plots
from pushforward.report.marginals import marginals, marginals_picture
from pushforward.report.painters import Kinds
from pushforward.report.pictures import Look
from pushforward.report.table_judging import columns_shown
from pushforward.spaces import Euclidean

NAMES = ("length", "price", "doors")


def _table(n: int = 200) -> torch.Tensor:
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0))
    x[:, 1] *= 5000
    x[:, 2] = (2 * x[:, 2]).round().clamp(-1, 2)
    return x


@pytest.fixture
def canvases(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures of pair plots, as they are drawn."""
    kept: list[Any] = []
    framed = pair_plots.framed

    def keep(canvas: Any, *notes: str) -> Any:
        kept.append((canvas, notes))
        return framed(canvas, *notes)

    monkeypatch.setattr(pair_plots, "framed", keep)
    return kept


def test_pairs_of_columns_are_in_one_unit_and_colored(canvases: list[Any]) -> None:
    x, codes = _table(), torch.arange(200) % 2
    x[0, 1] = 1e9
    look = Look(Euclidean(), x[1:], NAMES)
    look.picture(x, kinds=Kinds(codes, ("ant", "bee")))
    canvas, notes = canvases[0]
    panels = [axes for axes in canvas.axes if axes.axison]
    assert len(panels) == 6
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in panels]
    assert labels == [
        ("", ""),
        ("", "price"),
        ("", ""),
        ("length", "doors"),
        ("price", ""),
        ("doors", ""),
    ]
    standard = (x - x[1:].mean(0)) / x[1:].std(0, correction=0)
    ants, bees = panels[3].collections
    for dots, code in ((ants, 0), (bees, 1)):
        found = torch.as_tensor(dots.get_offsets().data, dtype=torch.float32)
        expected = standard[codes == code][:, [0, 2]]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert [text.get_text() for text in canvas.axes[2].get_legend().get_texts()] == ["ant", "bee"]
    outside = int((standard.abs() > 4).any(1).sum())
    assert notes == ("in standard deviations of the data", f"{outside} of 200 points outside")
    assert look.layout == "pair wide"
    # A frame of a strip is one small picture.
    assert Image.open(io.BytesIO(look.frame(x))).size == (273, 273)
    assert len(canvases) == 1


def test_many_columns_or_none_with_names_are_no_pairs(canvases: list[Any]) -> None:
    for names, width in (((), 3), (tuple("abcdefg"), 7)):
        x = torch.randn(50, width, generator=torch.Generator().manual_seed(0))
        Look(Euclidean(), x, names).picture(x)
    assert canvases == []


def test_each_column_has_its_shares_under_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    panels: list[Any] = []
    draw = page._panel

    def keep(panel: Any, known: Any, drawn: Any) -> None:
        draw(panel, known, drawn)
        panels.append(panel)

    monkeypatch.setattr(page, "_panel", keep)
    x = _table()
    samples = x.clone()
    samples[:50, 2] = 1.9  # nearest to 2
    samples[0] = torch.nan
    assert marginals_picture(NAMES, x, samples)[1:4] == b"PNG"
    assert [panel.get_xlabel() for panel in panels] == list(NAMES)
    known, drawn = panels[2].containers
    shares = [float((x[:, 2] == v).double().mean()) for v in (-1, 0, 1, 2)]
    assert [bar.get_height() for bar in known] == pytest.approx(shares)
    last = float((samples[1:, 2] > 1.5).double().mean())
    assert drawn[3].get_height() == pytest.approx(last)
    assert drawn[3].get_x() + drawn[3].get_width() / 2 == pytest.approx(2)
    low, high = panels[1].get_xlim()
    assert low < -5000
    assert high > 5000


def test_words_and_dates_stand_below_their_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    panels: list[Any] = []
    spell = page._spell
    monkeypatch.setattr(page, "_spell", lambda panel, t: (spell(panel, t), panels.append(panel)))
    rows = people(60)
    rows["city"][:6] = 6 * [""]
    data = load(rows, kinds="auto")
    names, known, drawn, ticks = columns_shown(data, data.x)
    table = dict(zip(names, known.mT, strict=True))
    missing = 100 * sum(cell == "" for cell in rows["age"]) / 60
    assert f"age, {missing:.0f} % missing, drawn {missing:.0f} %" in table
    assert int((table["city"] == 3).sum()) == 6
    marginals_picture(names, known, drawn, ticks)
    said = {
        panel.get_xlabel(): [text.get_text() for text in panel.get_xticklabels()]
        for panel in panels
    }
    assert said["city"] == ["Bonn", "Oslo, N", "Rome", "missing"]
    assert said["member"] == ["no", "yes"]
    assert [date[-5:] for date in said["joined"]] == [".2020", ".2022"]


def test_only_tables_have_a_section_of_columns() -> None:
    x = _table()
    assert marginals((), x, x) == ""
    html = marginals(NAMES, x, x)
    assert "Columns" in html
    assert "data:image/png;base64," in html
    many = torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    assert "first 24 of 30 columns" in marginals([f"c{k}" for k in range(30)], many, many)
