"""The test of whether two samples differ: its level, its power, and what a comparison says."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from pushforward.data import Data, Schema
from pushforward.data.schema import Column
from pushforward.divergences import Divergence, compare_samples, permutation_test
from pushforward.divergences.comparison import _copies
from pushforward.errors import CapabilityError, InputError
from pushforward.report import compare_samples as compare_data
from pushforward.report import side_by_side


def rows(n: int, d: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def p_value(x: Tensor, y: Tensor, seed: int = 0) -> float:
    both = torch.cat([x, y])
    columns = [(column, False) for column in both.unbind(1)]
    return permutation_test(x, y, columns, permutations=99, seed=seed).p_value


def test_the_level_is_kept() -> None:
    """Heavy tails, ties and unequal sizes included: the p-value is no smaller than uniform."""
    found = []
    for seed in range(120):
        x = rows(24, 3, 2 * seed).pow(3)
        y = rows(36, 3, 2 * seed + 1).pow(3)
        found.append(p_value(x.round(decimals=0), y.round(decimals=0), seed))
    values = torch.tensor(found)
    # Binomial with 120 trials: three standard deviations about the level.
    assert 0 < int((values <= 0.05).sum()) <= 13
    assert 11 <= int((values <= 0.2).sum()) <= 37
    assert int((values <= 0.5).sum()) <= 76


def test_differences_of_many_kinds_are_seen() -> None:
    x = rows(150, 2, 0)
    shifted = rows(150, 2, 1) + torch.tensor([0.0, 0.6])
    wider = 1.6 * rows(150, 2, 2)
    coupled = rows(150, 2, 3)
    coupled[:, 1] = 0.8 * coupled[:, 0] + 0.6 * coupled[:, 1]
    assert p_value(x, shifted) <= 0.05
    assert p_value(x, wider) <= 0.05
    assert p_value(x, coupled) <= 0.05
    assert p_value(x, rows(150, 2, 4)) > 0.05


def test_the_shift_that_is_said_to_be_seen_is_seen() -> None:
    words = {"columns": ("a", "b", "c"), "permutations": 99, "max_points": 100}
    said = compare_samples(rows(30, 3, 0), rows(30, 3, 1), **words).seen  # type: ignore[arg-type]
    assert said is not None
    shift = torch.tensor([0.0, said, 0.0])
    seen = []
    for seed in range(40):
        x, y = rows(30, 3, 2 * seed) + shift, rows(30, 3, 2 * seed + 1)
        seen.append(p_value(x, y, seed) <= 0.05)
    # Four in five, less three standard deviations.
    assert sum(seen) >= 25


def test_kinds_are_tested_by_their_frequencies() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 3, (80, 1), generator=generator).double()
    y = torch.randint(0, 2, (80, 1), generator=generator).double()
    words = {"columns": ("kind",), "kinds": {0}, "permutations": 99}
    found = compare_samples(x, y, **words)  # type: ignore[arg-type]
    assert found.differ
    assert found.columns[0].size > 0.2
    assert found.columns[0].first is None
    assert found.seen is None
    # No density that neighbors could tell: the classifier's bound, on the same kinds.
    kl = found.distances["KL(x || y)"]
    assert isinstance(kl, Divergence)
    assert kl.method == "classifier"


def test_a_comparison_says_what_differs() -> None:
    x, y = rows(80, 3, 0), rows(60, 3, 1)
    y[:, 1] += 1.5
    found = compare_samples(
        100 * x, 100 * y, names=("old", "new"), columns=("a", "b", "c"), permutations=99
    )
    assert found.verdict.startswith("old and new differ (p = 0.0")
    assert "the most first: b" in found.verdict
    assert found.columns[0].size == pytest.approx(1.2, abs=0.3)
    assert found.columns[0].second == pytest.approx(150, abs=40)
    (name, w2) = next((n, d) for n, d in found.distances.items() if n == "W2")
    assert isinstance(w2, Divergence)
    assert w2.floor is not None
    assert w2.value > w2.floor
    text = str(found)
    assert name in text
    assert "mean of old" in text
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["differ"] is True
    assert plain["distances"]["W2"]["value"] == w2.value
    same = compare_samples(x, rows(60, 3, 2), columns=("a", "b", "c"), permutations=99)
    assert same.verdict.startswith("No difference that 80 and 60 rows can see (p = 0.")
    assert "four times out of five" in same.verdict


def test_what_is_in_how_columns_go_together_is_said_so() -> None:
    x, y = rows(200, 2, 0), rows(200, 2, 1)
    y[:, 1] = 0.9 * y[:, 0] + 0.43 * y[:, 1]
    found = compare_samples(x, y, columns=("a", "b"), permutations=99)
    assert found.differ
    assert "it is in how they go together" in found.verdict


def test_copies_are_told() -> None:
    x = rows(40, 2, 0)
    found = compare_samples(x, torch.cat([x[:30], rows(10, 2, 1)]), permutations=99)
    assert "30 of 40 rows of y are rows of x too" in found.notes[0]
    # No row is unseen that is in the other set: nothing held out to judge a classifier by.
    for name in ("KL(x || y)", "total variation", "chi-square, Neyman"):
        assert "most rows are in both" in found.distances[name]  # type: ignore[operator]
    # All of them too; and kinds are shared by chance.
    assert "40 of 40 rows of y" in _copies(x, x.flip(0), ("x", "y"))[0]
    assert not _copies(x.sign(), x.sign(), ("x", "y"))


def test_every_distance_has_an_error_and_a_floor() -> None:
    x, y = rows(40, 2, 0), rows(30, 2, 1) + 1
    found = compare_samples(x, y, columns=("a", "b"), permutations=99)
    assert len(found.distances) == 16
    for one in found.distances.values():
        assert isinstance(one, Divergence)
        assert one.floor is not None
        assert one.stderr > 0
        assert one.floor_divisions >= 5
    text = str(found)
    for name in ("squared Hellinger", "Jensen-Shannon", "chi-square, Pearson", "alpha, 1.5"):
        assert f"\n{name} " in text
    assert "classifier; a lower bound" in text
    assert "a spread is known from 5 to 35%" in text


def test_columns_that_do_not_vary_are_left_out_and_said() -> None:
    x, y, one = rows(40, 2, 0), rows(40, 2, 1) + 0.5, torch.ones(40, 1, dtype=torch.float64)
    words = {"permutations": 99, "columns": ("a", "b", "batch")}
    both = compare_samples(*(torch.cat([z, 3 * one], 1) for z in (x, y)), **words)  # type: ignore[arg-type]
    assert both.notes == ("the same in every row of both, and left out: 'batch'",)
    alone = compare_samples(x, y, columns=("a", "b"), permutations=99)
    assert both.distances == alone.distances
    assert both.test == alone.test
    apart = compare_samples(torch.cat([x, 3 * one], 1), torch.cat([y, 4 * one], 1), **words)  # type: ignore[arg-type]
    assert "'batch' has one value in x and another in y, 3 and 4" in apart.notes
    for name in ("KL(x || y)", "KL(y || x)"):
        kl = apart.distances[name]
        assert isinstance(kl, Divergence)
        assert kl.value == float("inf")
    json.dumps(apart.to_dict(), allow_nan=False)
    varying = compare_samples(torch.cat([x, 3 * one], 1), torch.cat([y, y[:, :1] ** 2], 1), **words)  # type: ignore[arg-type]
    assert "the same in every row of x only: 'batch'" in varying.notes
    with pytest.raises(InputError, match="nothing varies"):
        compare_samples(one, one, permutations=99)


def test_bad_input() -> None:
    x = rows(30, 2, 0)
    with pytest.raises(InputError, match="new has 5 rows; at least 24 are needed"):
        compare_samples(x, x[:5], names=("old", "new"))
    with pytest.raises(InputError, match=r"permutations=20: .* at least 99 are needed"):
        compare_samples(x, x, permutations=20)
    with pytest.raises(InputError, match="1 names for 2 columns"):
        compare_samples(x, x, columns=("a",))
    with pytest.raises(InputError, match="level"):
        compare_samples(x, x, level=2)


def table(x: Tensor, *names: str, **more: object) -> Data:
    return Data(x, schema=Schema.of(*names), **more)  # type: ignore[arg-type]


def test_columns_are_matched_by_name() -> None:
    x = rows(30, 3, 0).float()
    found = side_by_side(table(x, "a", "b", "c"), table(x[:, [2, 0]], "c", "a", name="other"))
    assert found.columns == ("a", "c")
    assert torch.equal(found.x, found.y)
    assert found.notes == ("only data has 'b', left out here",)
    with pytest.raises(InputError, match="no column in common: 'a' and 'b'"):
        side_by_side(table(x[:, :1], "a"), table(x[:, :1], "b"))
    with pytest.raises(InputError, match="3 columns and data 2, and data has no names"):
        side_by_side(table(x, "a", "b", "c"), Data(x[:, :2]))
    assert (
        side_by_side(table(x, "a", "b", "c"), Data(x)).notes[0].startswith("columns were matched")
    )


def test_words_and_labels_are_matched_by_what_they_say() -> None:
    numbers = torch.tensor([[0.0], [1.0], [1.0]])
    truths = (("no", "yes"), ("yes", "zz"))
    columns = [Column("fed", "bool", (0.0, 1.0), words) for words in truths]
    first, second = (
        Data(
            numbers,
            torch.tensor([0, 1, 1]),
            schema=Schema((column,), label="kind", classes=classes),
        )
        for column, classes in zip(columns, (("ant", "bee"), ("bee", "cat")), strict=True)
    )
    found = side_by_side(first, second)
    assert found.columns == ("fed", "kind")
    assert found.kinds == {0, 1}
    # no, yes, zz; ant, bee, cat.
    assert found.x.tolist() == [[0, 0], [1, 1], [1, 1]]
    assert found.y.tolist() == [[1, 1], [2, 2], [2, 2]]
    plain = Data(numbers, schema=Schema.of("fed"))
    with pytest.raises(InputError, match="'fed' holds words in one of both, such as 'no'"):
        side_by_side(first, plain)


def test_pictures_are_compared_without_columns() -> None:
    x = rows(30, 16, 0).float().reshape(30, 1, 4, 4)
    found = compare_data(
        Data(x, kind="image", name="a"), Data(x + 2, kind="image", name="b"), permutations=99
    )
    assert found.differ
    assert found.columns == ()
    with pytest.raises(InputError, match="give both one size"):
        side_by_side(Data(x, kind="image"), Data(x[..., :2], kind="image"))
    with pytest.raises(CapabilityError, match="give the features of its space"):
        side_by_side(Data(torch.zeros(30, 3).long(), kind="state"), Data(x, kind="image"))
