from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from pushforward import registry
from pushforward.data import Data, Finding, Schema, examine, load
from pushforward.errors import InputError


def normal(n: int, *event: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, *event, generator=torch.Generator().manual_seed(seed))


def find(data: Data, title: str, **options: object) -> Finding:
    """The only finding with this title."""
    found = [finding for finding in examine(data, **options) if title in finding.title]
    assert len(found) == 1, [str(finding) for finding in examine(data, **options)]
    return found[0]


# Fashion-MNIST cannot be told from its files in small, and QM9 is no vectors.
@pytest.mark.parametrize(
    "name", [name for name in registry.names("data") if not name.startswith(("fashion", "qm9"))]
)
def test_built_in_data_is_well(name: str) -> None:
    # Scenes are drawn one by one, ten thousand where every name is loaded.
    few = {"n": 2000} if name.startswith("scenes") else {}
    levels = [finding.level for finding in examine(load(name, **few))]
    # Pictures have borders that never vary, and scenes three rows for each of their numbers.
    expected = {"digits": ["info"], "scenes": ["warning", "info"]}
    assert levels == expected.get(name.removesuffix("-held-out"), [])


def test_ordinary_laws_raise_no_alarm() -> None:
    for seed in range(5):
        x = normal(1000, 5, seed=seed)
        for y in (x, (x / 2).exp(), 100 * x.sigmoid() + 40, x * torch.tensor([1.0, 2, 5, 10, 100])):
            assert examine(Data(y)) == ()


def test_non_finite_rows() -> None:
    x = normal(600, 2)
    x[7, 1] = torch.nan
    x[9, 0] = torch.inf
    finding = find(Data(x), "not finite")
    assert finding.level == "error"
    assert "2 of 600 rows" in finding.detail
    assert "row 7" in finding.detail
    assert find(Data(torch.full((3, 1), torch.nan)), "not finite").level == "error"


def test_gravest_first() -> None:
    x = normal(600, 2) * torch.tensor([1.0, 0.0])
    x[7, 0] = torch.nan
    levels = [finding.level for finding in examine(Data(x, dropped=1))]
    assert levels == ["error", "warning", "info"]


def test_rows_left_out() -> None:
    assert find(Data(normal(600, 2), dropped=1), "left out").level == "info"
    finding = find(Data(normal(600, 2), dropped=200), "left out")
    assert finding.level == "warning"
    assert "200 of 800 rows (25.0%)" in finding.detail


def test_equal_rows() -> None:
    assert find(Data(torch.ones(5, 2)), "Every row is the same").level == "error"


def test_few_rows() -> None:
    assert "10.0 rows per number" not in str(examine(Data(normal(1000, 100))))
    finding = find(Data(normal(999, 100)), "Few rows for their size")
    assert "999 rows of 100 numbers" in finding.detail
    assert "leaves 10 to measure" in find(Data(normal(100, 2)), "Few rows to judge by").detail
    assert examine(Data(normal(100, 2)), holdout=0.5) == ()


def test_constant_features() -> None:
    x = normal(600, 3)
    x[:, 1] = 4
    finding = find(Data(x, schema=Schema.of("a", "b", "c")), "1 of 3 features never changes")
    assert finding.level == "warning"
    assert finding.detail == "Constant: column 'b' = 4."
    image = normal(2000, 1, 4, 4)
    image[:, 0, 0, :2] = 0
    finding = find(Data(image, kind="image"), "2 of 16 features never change")
    assert finding.level == "info"
    assert "entry (0, 0, 1) = 0" in finding.detail


def test_row_numbers() -> None:
    x = normal(600, 2)
    x[:, 0] = 0.1 * torch.arange(600) + 3
    assert "feature 0 (step 0.1)" in find(Data(x), "counts the rows").detail
    assert examine(Data(x[torch.randperm(600, generator=torch.Generator().manual_seed(0))])) == ()


def test_offsets() -> None:
    seconds = 1.7e9 + 86_400 * normal(600, 1)
    finding = find(Data(seconds), "Offsets")
    assert "mean 1.70001e+09 and standard deviation 8.78e+04" in finding.detail
    assert "in steps of 2e+02" in finding.detail
    assert not any("Offsets" in f.title for f in examine(Data(normal(600, 1) + 100)))


def test_scales() -> None:
    x = normal(600, 2) * torch.tensor([1e-3, 50.0])
    finding = find(Data(x, schema=Schema.of("p", "q")), "different scale")
    assert finding.level == "info"
    ratio = float(x[:, 1].std() / x[:, 0].std())
    assert f"column 'q': {ratio:.2g} times as large" in finding.detail
    # Rows (C, H, W) share one scale, so there it matters.
    x = normal(2000, 2, 3, 3) * torch.tensor([1e-3, 50.0])[:, None, None]
    assert find(Data(x), "different scale").level == "warning"


def test_discrete_values() -> None:
    x = (normal(600, 4).clamp(-3, 3) * 2).round() / 4 + 1
    finding = find(Data(x), "Discrete")
    assert finding.detail == "All values lie on 13 equally spaced levels from -0.5 to 2.5."
    told = load(x, levels=13, value_range=(-0.5, 2.5))
    assert not any("Discrete" in f.title or "values" in f.title for f in examine(told))
    pictures = load("digits")
    bare = Data(pictures.x, kind="image")
    assert "levels=17, value_range=(0, 16)" in find(bare, "Discrete").advice


def test_eight_bit_fractions_are_found_discrete() -> None:
    x = (255 * normal(600, 1, 8, 8).sigmoid()).round() / 255
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 0, 1
    assert "levels=256, value_range=(0, 1)" in find(Data(x, kind="image"), "Discrete").advice


def test_features_of_few_values() -> None:
    x = normal(600, 3)
    x[:, 1] = (x[:, 1] > 0).float()
    x[:, 2] = x[:, 2].round()
    finding = find(Data(x, schema=Schema.of("a", "b", "target")), "few values")
    assert "2 of 3: column 'b' (2 values), column 'target'" in finding.detail
    assert (
        "label='target'"
        in find(Data(x, schema=Schema.of("a", "b", "target")), "may be a label").advice
    )


def test_one_value_very_often() -> None:
    rain = normal(600, 2)
    rain[:, 0] = rain[:, 0].clamp_min(0)
    share = float((rain[:, 0] == 0).float().mean())
    finding = find(Data(rain), "very often")
    assert f"feature 0 is 0 in {share:.0%} of the rows" in finding.detail


def test_outliers() -> None:
    x = normal(1000, 3)
    x[17, 1] = -999
    x[18, 1] = 500
    finding = find(Data(x, schema=Schema.of("a", "b", "c")), "Outliers")
    assert "2 of 1000 rows" in finding.detail
    assert "-999 in column 'b', row 17" in finding.detail
    cauchy = normal(2000, 1) / normal(2000, 1, seed=1)
    assert find(Data(cauchy), "Outliers").level == "warning"


def test_outliers_of_a_mostly_constant_feature() -> None:
    x = normal(2000, 2)
    x[:, 0] = 0
    x[:300, 0] = normal(300)
    x[5, 0] = 1e4
    assert "row 5" in find(Data(x), "Outliers").detail


def test_dependent_features() -> None:
    x = normal(600, 3)
    x = torch.cat([x, x[:, :1] + x[:, 1:2]], 1)
    finding = find(Data(x), "follow from others")
    assert "In 1 of 4 directions" in finding.detail
    assert sorted(finding.detail.split("involves ")[1].rstrip(".").split(", ")) == [
        "feature 0",
        "feature 1",
        "feature 3",
    ]
    shares = normal(600, 4).exp()
    shares /= shares.sum(-1, keepdim=True)
    assert "In 1 of 4" in find(Data(shares), "follow from others").detail


def test_repeated_rows_and_their_expected_leak() -> None:
    x = normal(1000, 2)
    assert examine(Data(x)) == ()
    x[500:600] = x[:100]
    finding = find(Data(x), "Repeated rows")
    assert finding.level == "warning"
    assert "100 of 1000 rows (10.0%)" in finding.detail
    assert "occurs 2 times" in finding.detail
    # 200 of the rows are in pairs; the twin of a held-out row is in training with chance 0.9.
    assert "18.0% of the held-out rows" in finding.detail
    assert "10.0% of the held-out" in find(Data(x), "Repeated rows", holdout=0.5).detail
    data, leaks = Data(x), []
    for seed in range(40):
        train, test = data.split(0.1, seed)
        known = {tuple(row) for row in train.x.tolist()}
        leaks.append(np.mean([tuple(row) in known for row in test.x.tolist()]))
    assert np.mean(leaks) == pytest.approx(0.18, abs=4.5 * np.std(leaks) / 40**0.5)
    x[500:596] = normal(96, 2, seed=5)
    assert find(Data(x), "Repeated rows").level == "info"


def test_leak_between_train_and_test() -> None:
    train = Data(normal(1000, 2))
    clean = Data(normal(100, 2, seed=1))
    assert examine(train, clean) == ()
    dirty = clean.x.clone()
    dirty[:25] = train.x[300:325]
    finding = find(train, "Test rows", test=Data(dirty))
    assert "25 of 100 test rows (25.0%)" in finding.detail
    with pytest.raises(InputError, match=r"\(2,\) and \(3,\)"):
        examine(train, Data(normal(5, 3)))


def test_zeros_of_both_signs_are_equal() -> None:
    x = normal(1000, 1)
    x[0], x[1] = 0.0, -0.0
    assert "1 of 1000 rows" in find(Data(x), "Repeated rows").detail


def test_classes() -> None:
    x = normal(1000, 2)
    even = torch.arange(1000) % 4
    assert examine(Data(x, even)) == ()
    rare = torch.zeros(1000, dtype=torch.int64)
    rare[:5] = 1
    finding = find(Data(x, rare, schema=Schema(classes=("ant", "bee"))), "Unbalanced")
    assert "'bee' (5), the commonest 'ant' (995): 199 times" in finding.detail
    assert find(Data(x, rare * 0), "One class only").level == "info"
    part = Data(x, even // 2, schema=Schema(classes=(5, 6, 7)))
    finding = find(part, "1 of 3 classes have no rows")
    assert "No label is 7 (0)." in finding.detail


def test_matrices_that_look_like_pictures() -> None:
    x = normal(1000, 8, 8)
    assert "kind='image'" in find(Data(x), "gray images").advice
    assert examine(load(x.numpy(), kind="image")) == ()


def test_holdout_is_a_fraction() -> None:
    with pytest.raises(InputError, match="fraction"):
        examine(Data(normal(5, 1)), holdout=1.0)


def test_large_data_is_examined_in_seconds() -> None:
    x = normal(20_000, 1, 28, 28)
    begin = time.perf_counter()
    assert examine(Data(x, kind="image")) == ()
    assert time.perf_counter() - begin < 10


def test_part_of_large_data_still_sees_every_extreme() -> None:
    x = normal(120_000, 100)
    x[77_777, 50] = 1e6
    x[:, 3] = 0
    x[5, 3] = 1
    titles = [finding.title for finding in examine(Data(x))]
    assert titles == [
        "Features of few values",
        "Outliers or heavy tails",
        "Features of very different scale",
    ]
    assert "feature 3 (2 values)" in find(Data(x), "few values").detail
    assert "row 77777" in find(Data(x), "Outliers").detail


def test_whole_numbers_have_no_density() -> None:
    g = torch.Generator().manual_seed(1)
    x = normal(300, 2)
    x[:, 0] = torch.randint(0, 90, (300,), generator=g).float()
    finding = find(Data(x, schema=Schema.of("age", "height")), "whole values")
    assert finding.detail == "1 of 2: column 'age' (0 to 89)."
    assert "rounded to the nearest one" in finding.advice
    assert "no probabilities" in finding.advice


def test_small_tables_of_few_values() -> None:
    """Three values in 40 rows are no quantity."""
    x = normal(40, 2)
    x[:, 1] = (torch.arange(40) % 3).float()
    titles = [finding.title for finding in examine(Data(x))]
    assert "Features of few values" in titles


def test_densities_of_a_few_rows_mean_nothing() -> None:
    assert "3 rows of 2" in find(Data(normal(3, 2)), "Too few rows for a density").detail
    assert "31 rows of 30" in find(Data(normal(31, 30)), "Too few rows for a density").detail
    assert not any("density" in f.title for f in examine(Data(normal(32, 30))))
    pictures = Data(normal(100, 1, 28, 28), kind="image")
    assert not any("density" in f.title for f in examine(pictures))


def test_a_code_for_missing_values_is_said_with_the_option_that_reads_it(tmp_path) -> None:
    path, rng = tmp_path / "codes.csv", np.random.default_rng(0)
    rows = [f"{rng.normal()},{rng.normal() if k % 9 else -999}" for k in range(200)]
    path.write_text("\n".join(["a,b", *rows]) + "\n")
    data = load(path)
    assert "missing=-999 reads -999 as a missing value" in find(data, "Outliers").advice
    assert load(path, missing=-999, drop_nonfinite=True).dropped == 23


def test_frames_that_windows_share_are_no_repeats() -> None:
    """Each lead of a direct forecast is the frame of several windows, which are parted by time."""
    xarray = pytest.importorskip("xarray")
    x = torch.randn(60, 4, 4, generator=torch.Generator().manual_seed(0)).numpy()
    store = xarray.Dataset({"u": (("time", "y", "x"), x)})
    titles = [found.title for found in examine(load(store, forecast="1:1-3"))]
    assert "Repeated rows" not in titles
