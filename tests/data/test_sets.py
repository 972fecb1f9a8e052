"""Sets of points from long tables, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.errors import InputError
from pushforward.spaces import MarkedPoints, PointCloud

TABLE = """plot,x,y,species,age
b,0.25,0.5,oak,10
a,0.75,0.5,beech,20
b,0.5,0.125,beech,31
c,,,,
a,0.75,0.5,oak,7
a,0.0,1.0,oak,9
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "trees.csv").write_text(TABLE)
    return tmp_path / "trees.csv"


def _sets(x: MarkedPoints) -> list[set[tuple[float, ...]]]:
    """Each set as a set: its order means nothing."""
    return [
        {(*point, *kind) for point, kind in zip(row[m].tolist(), k[m].tolist(), strict=True)}
        for row, m, k in zip(x.x, x.mask, x.kinds, strict=True)
    ]


def test_the_rows_of_a_table_are_points(table: Path) -> None:
    data = pf.data.load(table, id="plot", space="points")
    assert isinstance(data.x, MarkedPoints)
    assert data.x.number.tolist() == [2, 3, 0]
    # In the order in which ids come; words in sorted order.
    assert _sets(data.x)[0] == {(0.25, 0.5, 10.0, 1), (0.5, 0.125, 31.0, 0)}
    assert _sets(data.x)[2] == set()
    assert pf.spaces.space_of(data) == PointCloud(kinds=(2,))
    assert "1 of 3 sets have no points" in data.notes
    # Equal places with other ages are two points.
    assert not any("another point" in note for note in data.notes)
    assert str(data).startswith("trees: 3 sets of up to 3 points (x, y, age) with species")


@pytest.mark.parametrize("name", ["back.csv", "back.parquet", "back.npz"])
def test_what_is_written_is_read_back(table: Path, tmp_path: Path, name: str) -> None:
    space = PointCloud(kinds=(2,))
    data = pf.data.load(table, id="plot", space=space)
    pf.data.write(tmp_path / name, data.x, space=space, schema=data.schema)
    if name.endswith(".npz"):
        again = pf.data.load(tmp_path / name, space=space).x
    else:
        again = pf.data.load(tmp_path / name, space=space, like=data.schema).x
    assert _sets(again) == _sets(data.x)
    if name == "back.csv":
        lines = (tmp_path / name).read_text().splitlines()
        assert lines[0] == "plot,x,y,species,age"
        assert "2,,,," in lines
        assert sum(line.endswith((",10", ",20", ",31", ",7", ",9")) for line in lines) == 5


def test_numbers_may_be_marks_and_sets_have_labels(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("id,time,channel,kind\n" + "".join(
        f"{k},{k / 8 + n},{n % 3},{'quiet' if k % 2 else 'loud'}\n"
        for k in range(6) for n in range(1 + k % 4)
    ))  # fmt: skip
    data = pf.data.load(path, id="id", marks="channel", label="kind")
    assert data.classes == ("loud", "quiet")
    assert data.c.tolist() == [0, 1, 0, 1, 0, 1]
    assert data.schema.sets.marks[0].words == ("0", "1", "2")
    own = pf.data.load(path, id="id", label="kind", space=PointCloud(), marks="channel")
    pf.data.write(
        tmp_path / "back.csv", own.x, space=PointCloud(kinds=(3,)), schema=own.schema, labels=own.c
    )
    lines = (tmp_path / "back.csv").read_text().splitlines()
    assert lines[0] == "id,time,channel,kind"
    times = [float(line.split(",")[1]) for line in lines[1:] if line.startswith("3,")]
    assert times == sorted(times)
    assert len(times) == 4


BAD = {
    "no id": (TABLE, {"id": "plots"}, r"no such column; did you mean 'plot'|no such column"),
    "gap": (TABLE.replace("0.25,0.5", ",0.5"), {}, r"row 1: column 'x' has no value .* set 'b'"),
    "infinite": (TABLE.replace("0.25", "inf"), {}, "row 1: 'inf' in column 'x' is no place"),
    "not a number": (TABLE.replace("0.25", "left"), {}, "row 1: 'left' in column 'x' is no number"),
    "both": (TABLE + "a,,,,\n", {}, "set 'a' has points, and a row without values"),
    "label": (TABLE, {"label": "species"}, "another point of the same set has"),
    "no places": ("id,kind\n1,a\n2,b\n", {"id": "id"}, "no column of numbers beside its ids"),
    "nothing": ("id,x\n1,\n2,\n", {"id": "id"}, "no column of numbers|no points"),
    "marks": (TABLE, {"marks": "specie"}, "no such column as 'specie'"),
    "option": (TABLE, {"window": 3}, "window= means nothing for sets"),
    "space": (TABLE, {"space": "sphere"}, "is no space of sets: take space=points"),
}


@pytest.mark.parametrize("name", BAD)
def test_tables_that_are_no_sets_are_refused(name: str, tmp_path: Path) -> None:
    text, options, message = BAD[name]
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        pf.data.load(tmp_path / "bad.csv", **{"id": "plot", **options})


def test_what_a_model_does_not_know_is_refused(table: Path, tmp_path: Path) -> None:
    data = pf.data.load(table, id="plot")
    path = tmp_path / "other.csv"
    path.write_text(TABLE.replace("a,0.75,0.5,beech", "a,0.75,0.5,birch"))
    with pytest.raises(InputError, match="row 2: the training data have no species 'birch'"):
        pf.data.load(path, like=data.schema)
    path.write_text(TABLE + "a,1,1,oak,3\n")
    with pytest.raises(InputError, match="set 'a' has 4 points, but the model knows sets of up to"):
        pf.data.load(path, like=data.schema)
    path.write_text("plot,x,y,age\na,1,2,3\n")
    with pytest.raises(InputError, match="no column 'species'"):
        pf.data.load(path, like=data.schema)


def test_points_that_coincide_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    path.write_text("id,x\n1,0.5\n1,0.5\n2,0.5\n")
    note = next(n for n in pf.data.load(path, id="id").notes if "another point" in n)
    assert note.startswith("1 of 3 points")
    assert torch.equal(
        pf.data.load(path, id="id", space=PointCloud()).x.number, torch.tensor([2, 1])
    )


def test_pictures_name_the_coordinates_of_a_point(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,north,east,kind\n1,0.5,1,a\n1,2,3,b\n2,1,1,a\n", encoding="utf-8")
    found = pf.data.load(path, id="id").schema
    assert found.axis_names == ("north", "east")
    assert found.table_names == ("id", "north", "east", "kind")
