"""What pictures are called by, and what they say that they do not show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import pushforward as pf
from pushforward.report import painters, save_picture, write
from pushforward.report.charts import line_chart
from pushforward.report.painters import Kinds, painter_of
from pushforward.report.pictures import Look
from pushforward.spaces import Euclidean
from pushforward.spaces.views import Curves, Histogram, Images


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of what is drawn."""
    kept: list[Any] = []
    picture = painters._picture

    def keep(canvas: Any, small: bool, note: str = "") -> Any:
        kept.append(canvas.axes[0])
        return picture(canvas, small, note)

    monkeypatch.setattr(painters, "_picture", keep)
    return kept


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_axes_have_the_names_of_the_columns(drawn: list[Any]) -> None:
    Look(Euclidean(), normal(50, 2), ("height", "mass")).picture(normal(50, 2))
    assert (drawn[0].get_xlabel(), drawn[0].get_ylabel()) == ("height", "mass")
    Look(Euclidean(), normal(50, 1), ("age",)).picture(normal(50, 1))
    assert drawn[1].get_xlabel() == "age"
    x = normal(500, 7) * torch.tensor([1.0, 9.0, 0.1, 1.0, 1.0, 1.0, 1.0])
    # Units do not matter, correlations do.
    x[:, 2] -= 0.1 * x[:, 0]
    Look(Euclidean(), x, ("a", "mass", *"cdefg")).picture(x)
    assert drawn[2].get_xlabel() in (f"first principal component ({p})" for p in ("c, −a", "a, −c"))
    Look(Euclidean(), normal(50, 2)).picture(normal(50, 2))
    assert drawn[3].get_xlabel() == "x0"


def test_classes_have_their_names_in_the_legend(drawn: list[Any]) -> None:
    x, codes = normal(60, 2), torch.arange(60) % 2
    look = Look(Euclidean(), x)
    look.picture(x, kinds=Kinds(codes, ("ant", "bee")))
    assert [text.get_text() for text in drawn[0].get_legend().get_texts()] == ["ant", "bee"]
    sizes = [len(cloud.get_offsets()) for cloud in drawn[0].collections]
    assert sizes == [30, 30]
    look.picture(x, kinds=Kinds(codes, tuple(map(str, range(50)))))
    assert drawn[1].get_legend() is None


def test_points_outside_the_window_are_counted(drawn: list[Any]) -> None:
    x = normal(400, 2)
    y = x.clone()
    y[:7] = 40.0
    y[7] = torch.nan
    look = Look(Euclidean(), x.clamp(-2, 2))
    y[8:] = y[8:].clamp(-2, 2)
    look.picture(y)
    assert drawn[0].get_title(loc="right") == "8 of 400 points outside"
    assert look.missing(y) == "8 of 400 points outside"
    assert look.missing(y[8:]) == ""


def test_values_outside_the_bins_and_bars_that_are_cut() -> None:
    painter = painter_of(Histogram(normal(1000).clamp(-2, 2)))
    assert painter.missing(Histogram(normal(1000).clamp(-2, 2)), 1000) == ""
    values = torch.cat([normal(998).clamp(-2, 2), torch.tensor([50.0, torch.nan])])
    assert painter.missing(Histogram(values), 1000) == "2 of 1,000 values outside"
    assert "a bar of" in painter.missing(Histogram(torch.zeros(100)), 100)


def test_curves_and_pixels_beyond_the_scale() -> None:
    painter = painter_of(Curves(normal(50, 20).clamp(-1, 1)))
    lines = normal(50, 20).clamp(-1, 1)
    lines[3, 4] = 9.0
    assert painter.missing(Curves(lines), 60) == "1 of 50 curves leave the picture"
    pixels = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    painter = painter_of(Images(pixels))
    assert painter.missing(Images(pixels), 10) == ""
    bright = pixels.clone()
    bright[:, :, 0] = 3.0
    assert painter.missing(Images(bright), 10) == "12.5% of the pixels beyond the scale"


def test_more_states_than_a_picture_has_room_for(tmp_path: Path) -> None:
    said = save_picture(tmp_path / "x.png", torch.zeros(4000, 2), space=Euclidean())
    assert said == "3,000 of 4,000 drawn"


def test_a_chart_tells_what_it_cuts() -> None:
    line = [(float(k), 1.0 + k % 2) for k in range(300)]
    assert "above" not in line_chart({"loss": line}, "step", "loss")
    assert "1 of 300 above, up to 900" in line_chart({"loss": [(0, 900.0), *line[1:]]}, "step", "")


def test_the_page_says_how_many_are_shown(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    rows = [f"{a:.3f},{b:.3f},{'ab'[k % 2]}" for k, (a, b) in enumerate(normal(90, 2).tolist())]
    table.write_text("\n".join(["height,width,kind", *rows]) + "\n")
    data = pf.data.load(table, label="kind")
    model = pf.models.KernelDensity(0.3)
    with pytest.warns(UserWarning, match="takes no labels"):
        pf.fit(model, data, out=tmp_path / "run", progress=False)
    far = 100 + normal(50, 2)
    text = write(tmp_path / "run", model, data, samples=far).read_text(encoding="utf-8")
    assert "50 samples of the model; 50 of 50 points outside" in text
    assert "50 of 90 data" in text
    assert "times as far from the data as other data are" in text
