"""Sets of points from long tables, and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data.set_lists import lists_of_sets
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
    "id": (TABLE.replace("a,0.0", ",0.0"), {}, "row 6: column 'plot' is empty"),
    "ids alone": ("plot\n1\n2\n", {}, "no column beside its ids"),
    "comma": ("plot;x\n1;0,5\n1;1,5\n", {}, "numbers such as '0,5': say decimal=','"),
    "told": (
        "plot,x,c\n1,2,3\n2,,\n",
        {"given": "c"},
        "no finite number, and column 'c' is given",
    ),
    "label of none": ("plot,x,c\n1,2,u\nb,,\n", {"label": "c"}, "set 'b': the label is missing"),
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


def test_arrays_with_lengths_are_sets(tmp_path: Path) -> None:
    """Points one after the other, with words as marks and numbers that each set is told."""
    x = np.array([[0.5, 1.0], [1.5, 2.0], [2.5, 3.0]])
    told = np.array([[2.0], [0.0], [1.0]])
    arrays = {"x": x, "lengths": np.array([2, 0, 1]), "kinds": np.array(["u", "v", "u"]), "c": told}
    np.savez(tmp_path / "lists.npz", **arrays)
    data = pf.data.load(tmp_path / "lists.npz", space="points")
    assert data.x.number.tolist() == [2, 0, 1]
    assert _sets(data.x)[0] == {(0.5, 1.0, 0), (1.5, 2.0, 1)}
    assert data.c is not None
    assert data.c.tolist() == told.tolist()
    assert data.schema.sets is not None
    assert [column.name for column in data.schema.sets.coordinates] == ["x1", "x2"]
    assert pf.data.load(**data.origin, space="points").fingerprint == data.fingerprint
    own = {"space": PointCloud(kinds=(2,)), "schema": data.schema}
    pf.data.write(tmp_path / "again.npz", data.x, **own, told={"c1": data.c[:, 0].numpy()})
    again = pf.data.load(tmp_path / "again.npz", space="points", like=data.schema)
    assert _sets(again.x) == _sets(data.x)
    assert again.c is not None
    assert torch.equal(again.c, data.c)
    with np.load(tmp_path / "again.npz") as written:
        assert written["marks"].tolist() == ["kind"]
        assert set(written["kinds"].flatten().tolist()) == {"u", "v"}
    # Another file of the same kind of points, in memory.
    few = {"x": x[:1], "lengths": np.array([1]), "kinds": np.array(["v"])}
    assert pf.data.load(few, space="points", like=data.schema).x.kinds.max() == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lengths": np.array([2, 2])}, r"add up to 4, but x has 3 points"),
        ({"lengths": np.array([3.0])}, "integers"),
        ({"lengths": np.array([4, -1])}, "integers"),
        ({"x": np.array([[0.0], [np.nan], [1.0]])}, "point 1 is at"),
        ({"x": np.zeros((3, 2, 2))}, "one after the other"),
        ({"kinds": np.array([0, 1])}, "whole numbers or words"),
        ({"x": np.zeros((0, 1)), "lengths": np.array([0, 0])}, "all of its sets are empty"),
        ({"c": np.zeros(5)}, "for each of 2 sets"),
    ],
)
def test_arrays_that_are_no_sets_are_refused(change: dict, told: str) -> None:
    arrays = {"x": np.zeros((3, 1)), "lengths": np.array([2, 1]), **change}
    with pytest.raises(InputError, match=told):
        pf.data.load(arrays, space="points")


def test_slots_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(0)
    x, mask = rng.random((9, 2, 1)), rng.random((9, 2)) < 0.6
    kinds = rng.integers(0, 3, (9, 2, 1))
    cloud, marked = PointCloud(), PointCloud(kinds=(3,))
    for arrays, space, told in (
        ({"x": x, "mask": np.ones((9, 3), bool)}, cloud, r"'mask': \(9, 3\)"),
        ({"x": x[..., 0], "mask": mask}, cloud, r"x \(N, slots, d\)"),
        ({"x": x, "mask": mask, "kinds": kinds[:, :1]}, marked, r"'kinds': \(9, 1, 1\)"),
        ({"x": x, "mask": mask, "kinds": 0 * kinds - 1}, marked, "but -1 was found"),
        # Left out they would be missed by nobody.
        ({"x": x, "mask": mask, "kinds": kinds}, cloud, r"space.kinds=\[3\], or the points one"),
    ):
        with pytest.raises(InputError, match=told):
            pf.data.load(arrays, space=space)


def test_kinds_that_are_true_or_false_come_back() -> None:
    arrays = {"x": np.arange(3.0), "lengths": np.array([2, 1]), "kinds": np.array([True, 0, 1]) > 0}
    data = pf.data.load(arrays, space="points")
    found = lists_of_sets(data.schema.sets, data.x)
    assert sorted(found["kinds"][:, 0].tolist()) == [0, 1, 1]


def test_arrays_of_other_points_than_the_models_are_refused() -> None:
    arrays = {"x": np.zeros((3, 1)), "lengths": np.array([2, 1]), "kinds": np.array([4, 7, 7])}
    known = pf.data.load(arrays, space="points").schema
    for change, told in (
        ({"lengths": np.array([3])}, "set 0 has 3 points, but the model knows sets of up to 2"),
        ({"kinds": np.array([4, 7, 8])}, "the training data have no kind '8'"),
        ({"x": np.zeros((3, 2))}, "points of 2 coordinates and 1 marks, but the model"),
    ):
        with pytest.raises(InputError, match=told):
            pf.data.load({**arrays, **change}, space="points", like=known)


def test_dates_of_events_are_days(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("id,when\na,2024-01-03\na,2024-01-01T12:00\nb,2024-01-02\n")
    with pytest.raises(InputError, match="holds dates: read them as days with since='2024-01-01'"):
        pf.data.load(path, id="id", space="points")
    data = pf.data.load(path, id="id", space="points", since="2024-01-01")
    assert sorted(data.x.x[data.x.mask].flatten().tolist()) == [0.5, 1.0, 2.0]
    # Another file is read from the same day.
    path.write_text("id,when\na,2024-01-05\n")
    assert pf.data.load(path, space="points", like=data.schema).x.x.flatten().max() == 4.0
