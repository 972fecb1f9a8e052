from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pushforward as pf
from pushforward.data import Column, Data, Schema, load
from pushforward.data.columns import Wanted
from pushforward.data.matching import code_of, matched
from pushforward.errors import InputError

LIKE = Schema.of("a", "b", label="kind", classes=("ant", "bee", "cow"))


def table(folder: Path, text: str, name: str = "other.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "a,b,kind\n1,10,bee\n2,20,cow\n",
        "b,kind,a\n10,bee,1\n20,cow,2\n",
        "id,b,word,a,kind\n7,10,x,1,bee\n9,20,y,2,cow\n",
    ],
)
def test_columns_are_found_by_name_and_labels_by_value(tmp_path: Path, text: str) -> None:
    data = load(table(tmp_path, text), like=LIKE)
    assert data.x.tolist() == [[1.0, 10.0], [2.0, 20.0]]
    assert data.c is not None
    assert data.c.tolist() == [1, 2]
    assert data.schema == LIKE
    assert len(data.notes) == ("id" in text)
    if "id" in text:
        assert "left out 'id', 'word'" in data.notes[0]


def test_a_parquet_file_and_a_frame_match_by_name_too(tmp_path: Path) -> None:
    import pandas

    frame = pandas.DataFrame({"b": [10.0, 20.0], "kind": ["cow", "bee"], "a": [1, 2]})
    frame.to_parquet(tmp_path / "other.parquet")
    for source in (frame, tmp_path / "other.parquet"):
        data = load(source, like=LIKE)
        assert data.x.tolist() == [[1.0, 10.0], [2.0, 20.0]]
        assert data.c is not None
        assert data.c.tolist() == [2, 1]


def test_labels_may_be_missing(tmp_path: Path) -> None:
    data = load(table(tmp_path, "b,a\n10,1\n20,2\n"), like=LIKE)
    assert (data.c, data.classes, data.columns) == (None, (), ("a", "b"))
    assert load(table(tmp_path, "b,a,kind\n1,1,ant\n2,2,ant\n"), like=LIKE, label=False).c is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,foo\n1,2\n2,3\n", r"no column 'b', which the model was trained on; it has 'a', 'foo'"),
        ("a,b,b\n1,2,3\n2,3,4\n", "several columns called 'b'"),
        ("a,b,kind\n1,2,yak\n2,3,ant\n", "'yak' is none of the classes .* ant, bee, cow"),
        ("1,2,3,4\n2,3,4,5\n", "4 columns to match by position with 'a', 'b'"),
    ],
)
def test_what_does_not_match_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(table(tmp_path, text), like=LIKE)


def test_columns_without_names_are_matched_by_position_and_that_is_said(tmp_path: Path) -> None:
    data = load(table(tmp_path, "1,10\n2,20\n"), like=LIKE)
    assert data.x.tolist() == [[1.0, 10.0], [2.0, 20.0]]
    assert "by position, as it has no names" in data.notes[0]
    assert data.columns == ("a", "b")
    array = load(np.array([[1.0, 10.0], [2.0, 20.0]]), like=LIKE)
    assert "by position" in array.notes[0]
    with pytest.raises(InputError, match=r"shape \(3,\), where 2 columns"):
        load(np.eye(3), like=LIKE)
    bare = load(table(tmp_path, "x,y\n1,10\n2,20\n"), like=load(np.eye(2)))
    assert "as the data of the model have no names" in bare.notes[0]
    with pytest.raises(InputError, match=r"shape \(2,\), where \(3,\)"):
        load(table(tmp_path, "x,y\n1,10\n2,20\n"), like=load(np.eye(3)))


def test_a_headerless_run_matches_a_headerless_file(tmp_path: Path) -> None:
    first = load(table(tmp_path, "1,10,u\n2,20,v\n"), label="2")
    again = load(table(tmp_path, "3,30,v\n4,40,v\n"), like=first)
    assert again.c is not None
    assert (again.c.tolist(), again.notes) == ([1, 1], ())


def test_loaded_data_are_put_in_order() -> None:
    x = torch.tensor([[10.0, 1.0], [20.0, 2.0]])
    data = Data(x, torch.tensor([1, 0]), schema=Schema.of("b", "a", classes=("bee", "cow")))
    found = load(data, like=LIKE)
    assert found.x.tolist() == [[1.0, 10.0], [2.0, 20.0]]
    assert found.c is not None
    assert found.c.tolist() == [2, 1]


def test_archives_keep_their_labels_under_their_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.eye(3), year=np.array([2019, 2021, 2021]))
    data = load(tmp_path / "a.npz", label="year", key="x")
    assert (data.schema.label, data.classes) == ("year", (2019, 2021))
    np.savez(tmp_path / "b.npz", x=np.eye(3), year=np.array([2021, 2021, 2021]))
    again = load(tmp_path / "b.npz", like=data)
    assert again.c is not None
    assert again.c.tolist() == [1, 1, 1]
    np.savez(tmp_path / "c.npz", x=np.eye(3))
    assert load(tmp_path / "c.npz", like=data).c is None


def test_spelled_columns_keep_their_codes() -> None:
    def data(levels: tuple, words: tuple, x: list) -> Data:
        column = Column("smokes", "object", levels, words)
        return Data(torch.tensor(x), schema=Schema((Column("age"), column)))

    like = data((0.0, 1.0), ("no", "yes"), [[1.0, 0.0], [2.0, 1.0]]).schema
    other = data((0.0,), ("yes",), [[3.0, 0.0], [4.0, 0.0]])
    assert matched(other, Wanted(like)).x.tolist() == [[3.0, 1.0], [4.0, 1.0]]
    with pytest.raises(InputError, match="column 'smokes': 'maybe' is none of no, yes"):
        matched(data((0.0,), ("maybe",), [[3.0, 0.0]]), Wanted(like))
    numbers = Data(torch.tensor([[0.0, 2.0], [0.0, 2.0]]), schema=Schema.of("age", "smokes"))
    with pytest.raises(InputError, match="column 'smokes': 2 is none of no, yes"):
        matched(numbers, Wanted(like))


@pytest.mark.parametrize(
    ("value", "classes", "code"),
    [
        ("2", (1, 2), 1),
        ("2.0", (1, 2), 1),
        (2.0, (1, 2), 1),
        (7, ("7", "b"), 0),
        ("True", (False, True), 1),
        ("01", (1, 2), None),
        ("0", (1, 2), None),
        ("b", ("a", "b"), 1),
    ],
)
def test_codes_of_values(value: object, classes: tuple, code: int | None) -> None:
    assert code_of(value, classes) == code


def test_columns_are_chosen_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="both choose the columns"):
        load(table(tmp_path, "a,b\n1,2\n2,3\n"), like=LIKE, columns=["a"])


def test_what_was_read_like_other_data_is_read_again(tmp_path: Path) -> None:
    data = load(table(tmp_path, "id,b,a,kind\n7,10,1,bee\n9,20,2,bee\n"), like=LIKE)
    assert data.origin is not None
    again = load(**data.origin)
    assert (again.x.tolist(), again.columns) == (data.x.tolist(), data.columns)


def test_fit_matches_the_source_by_name() -> None:
    n = 40
    x = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    target = Data(x, schema=Schema.of("a", "b"))
    seen = []
    for source in (
        Data(x + torch.tensor([5.0, 50.0]), schema=Schema.of("a", "b")),
        Data((x + torch.tensor([5.0, 50.0])).flip(1), schema=Schema.of("b", "a")),
    ):
        run = pf.fit(_flow(), target, source=source, steps=2, batch_size=8, seed=0, progress=False)
        seen.append(torch.cat([p.flatten() for p in run.model.parameters()]))
    assert torch.equal(*seen)
    other = Data(x, schema=Schema.of("a", "c"))
    with pytest.raises(InputError, match="no column 'b'"):
        pf.fit(_flow(), target, source=other, steps=2, progress=False)


def _flow() -> pf.FlowMatching:
    torch.manual_seed(0)
    return pf.FlowMatching(pf.nn.MLP(2, width=8))
