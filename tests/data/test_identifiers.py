from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward.data import Data, Schema, examine, load
from pushforward.errors import InputError


def table(folder: Path, header: str, columns: list) -> Path:
    path = folder / "table.csv"
    lines = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.mark.parametrize("header", [",a", '"",a', "Unnamed: 0,a", "__index_level_0__,a"])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [1, 2, 3, 4], [3, 0, 2, 1], [1, 7, 4, 900]])
def test_an_index_is_left_out_in_any_order(tmp_path: Path, header: str, order: list[int]) -> None:
    data = load(table(tmp_path, header, [order, [0.5, 1.5, 2.5, 3.5]]))
    assert (data.columns, data.event_shape) == (("a",), (1,))
    assert "an index of the rows" in str(data)


def test_an_index_beside_a_label_and_an_index_of_an_index(tmp_path: Path) -> None:
    rows = [[2, 0, 1], [1, 2, 0], [0.5, 1.5, 2.5], ["u", "v", "u"]]
    data = load(table(tmp_path, "Unnamed: 0.1,Unnamed: 0,a,k", rows), label="k")
    assert (data.columns, data.classes) == (("a",), ("u", "v"))
    joined = [[0, 1, 2, 0, 1], [0.5, 1.5, 2.5, 3.5, 4.5]]
    assert load(table(tmp_path, ",a", joined)).columns == ("a",)


def test_measurements_are_no_index(tmp_path: Path) -> None:
    x = [1.5, 2.5, 4.0, 0.5]
    for header, first in ((",a", x), (",a", [0, 1, 0, 0]), ("n,a", [0, 1, 2, 3])):
        assert load(table(tmp_path, header, [first, x])).event_shape == (2,)
    with pytest.raises(InputError, match="no column but one without a name"):
        load(table(tmp_path, ",k", [[0, 1, 2, 3], list("abab")]), label="k", header=True)


def findings(**columns: np.ndarray) -> str:
    x = torch.tensor(np.stack(list(columns.values()), -1), dtype=torch.float32)
    found = examine(Data(x, schema=Schema.of(*columns)))
    return "\n".join(f"{f.level}: {f.title} {f.detail}" for f in found)


def test_the_doctor_tells_what_numbers_the_rows() -> None:
    rng = np.random.default_rng(0)
    n = 600
    a = rng.normal(size=n)
    assert "numbers" not in findings(a=a, count=rng.poisson(50, n))
    shuffled = rng.permutation(n)
    said = findings(a=a, thing=shuffled)
    assert "warning: A feature numbers the rows" in said
    assert "column 'thing'" in said
    frame = Data(torch.tensor(np.stack([a, shuffled], -1)).float(), schema=Schema.of("a", "thing"))
    advice = [f.advice for f in examine(frame) if "numbers" in f.title]
    assert advice[0].endswith("leave it out with columns=['a'].")
    wide = rng.choice(10**6, n, replace=False)
    assert "column 'patient_id'" in findings(a=a, patient_id=wide)
    assert "numbers" not in findings(a=a, population=wide)
    dates = np.sort(rng.integers(44000, 44400, n))
    assert "warning: A feature looks like a date" in findings(a=a, day=dates)
    assert "looks like a date" in findings(a=a, visit_date=rng.permutation(dates))
    assert "date" not in findings(a=a, price=rng.permutation(dates))
    seconds = 1.6e9 + 64 * np.sort(rng.choice(10**5, n, replace=False))
    assert "looks like a date" in findings(a=a, t=seconds)
    digits = 20240001.0 + 100 * rng.integers(1, 13, n) + rng.integers(0, 28, n)
    assert "looks like a date" in findings(a=a, date=digits)
    said = findings(a=a, b=np.sort(a))
    assert "info: A feature only grows" in said
    assert "in the order of column 'b'" in said
    assert "in the order" not in findings(a=a, b=rng.normal(size=n))


def test_advice_to_leave_a_column_out_names_all_others(tmp_path: Path) -> None:
    n = 60
    x = np.random.default_rng(0).normal(size=n).round(3)
    file = table(tmp_path, "size (mm),rank", [x, range(100, 100 + n)])
    advice = next(f.advice for f in examine(load(file)) if f.title == "A feature counts the rows")
    assert advice.endswith("leave it out with columns=['size (mm)'].")
    assert load(file, columns=["size (mm)"]).event_shape == (1,)
    # An index without a name is not learned on the way out of another fault.
    days = [f"2024-01-{1 + k % 30:02}" for k in range(n)]
    file = table(tmp_path, ",a,b,day", [np.random.default_rng(1).permutation(n), x, -x, days])
    with pytest.raises(InputError, match=r"leave it out with columns=\['a', 'b'\]"):
        load(file)
    # Nor are names given that the command line would read in another way.
    file = table(tmp_path, "a[1],rank", [x, range(n)])
    advice = next(f.advice for f in examine(load(file)) if f.title == "A feature counts the rows")
    assert advice.endswith("choosing all others with the option columns=.")
