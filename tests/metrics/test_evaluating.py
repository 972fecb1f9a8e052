"""All metrics at once: what each kind of bad sample sets off, and nothing for good ones."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.data import load
from pushforward.errors import InputError
from pushforward.estimates import LogProb
from pushforward.metrics import evaluate

N = 600


def law(n: int, seed: int) -> torch.Tensor:
    """Four clusters in units that differ by a factor of a thousand."""
    g = torch.Generator().manual_seed(seed)
    corners = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0], [8.0, 8.0]])
    x = corners[torch.randint(4, (n,), generator=g)] + torch.randn(n, 2, generator=g)
    return x * torch.tensor([1.0, 1000.0]) + 50


TRAIN, TEST, GOOD = law(2 * N, 0), law(N, 1), law(N, 2)


@pytest.fixture(scope="module")
def good():
    return evaluate(GOOD, TEST, TRAIN)


def test_good_samples_reach_the_floor_without_warnings(good) -> None:
    assert good.warnings == ()
    assert all(abs(row.excess) < 3.5 for row in good.rows)
    assert [row.name for row in good.rows] == [
        "sliced W2",
        "MMD²",
        "energy distance",
        "classifier accuracy",
        "precision",
        "recall",
        "intrinsic dimension",
        "memorization",
        "near copies",
    ]
    assert (good.points, good.samples, good.test, good.train) == (N, N, N, 2 * N)


def test_distances_are_in_training_standard_deviations(good) -> None:
    stretched = torch.tensor([1e-2, 1e2])
    again = evaluate(GOOD * stretched, TEST * stretched, TRAIN * stretched)
    for row, other in zip(good.rows, again.rows, strict=True):
        if row.name != "classifier accuracy":
            assert other.value == pytest.approx(row.value, abs=2e-3)


def test_a_shift_is_measured_in_training_standard_deviations() -> None:
    moved = GOOD + torch.tensor([2.0, 0.0]) * TRAIN.std(0)
    result = evaluate(moved, TEST, TRAIN)
    row = result["sliced W2"]
    assert row.value == pytest.approx(2 / math.sqrt(2), abs=4 * row.stderr)
    assert result["energy distance"].excess > 5
    assert "tells samples from real data" in " ".join(result.warnings)
    assert "unlike any data" in " ".join(result.warnings)


def test_a_missing_cluster_is_named_as_missing_data() -> None:
    kept = law(3 * N, 5)
    kept = kept[kept[:, 0] < 54][:N]
    result = evaluate(kept, TEST, TRAIN)
    assert result["recall"].value == pytest.approx(0.5, abs=0.1)
    assert "some kinds of data are missing" in " ".join(result.warnings)


def test_known_modes_are_counted() -> None:
    data = load("8gaussians", n=1500)
    assert data.modes is not None
    train, test = data.split(0.3, seed=0)
    kept = train.x[(train.x - data.modes.centers[2]).norm(dim=1) > 1.2]
    result = evaluate(kept, test.x, train.x, modes=train.modes)
    assert (result["modes found"].value, result["modes found"].floor) == (7, 8)
    row = result["near a mode"]
    # Three standard deviations in the plane: 1 - exp(-9 / 2).
    assert row.value == pytest.approx(1 - math.exp(-4.5), abs=4 * row.stderr)
    assert row.better == "higher"


def test_points_anywhere_find_no_modes() -> None:
    """A thousand even points come near half of the 25 modes, each with a point or two."""
    data = load("25gaussians", n=2000)
    assert data.modes is not None
    train, test = data.split(0.5, seed=0)
    even = 9 * torch.rand(1000, 2, generator=torch.Generator().manual_seed(0)) - 4.5
    result = evaluate(even, test.x, train.x, modes=data.modes)
    row = result["modes found"]
    assert (row.value, row.floor) == (0, 25)
    assert row.note == "of 25, with 10 samples or more: half the mode's weight"
    assert result["near a mode"].value < 0.05


def test_copies_of_training_data_are_named() -> None:
    mixed = torch.cat([TRAIN[:200], GOOD[200:]])
    result = evaluate(mixed, TEST, TRAIN)
    assert result["near copies"].value == pytest.approx(1 / 3, abs=0.05)
    assert "copying training data" in result.warnings[0]
    assert result["memorization"].excess > 3


def test_collapse_leaks_and_ranges_are_named() -> None:
    collapsed = torch.cat([GOOD[:1].expand(100, 2), GOOD[100:]])
    leaked = torch.cat([TRAIN[:30], TEST[30:]])
    result = evaluate(collapsed, leaked, TRAIN, value_range=(45, 70))
    words = " ".join(result.warnings)
    assert "100 of 600 samples are exact copies of another sample" in words
    assert "30 of 600 held-out rows are exact copies of training rows" in words
    assert "outside 45..70" in words


def test_a_split_that_is_not_random_is_named() -> None:
    result = evaluate(GOOD, TEST + 2 * TRAIN.std(0), TRAIN)
    assert "the split is not random" in " ".join(result.warnings)


def test_small_sets_say_so_and_have_no_tail() -> None:
    result = evaluate(GOOD, TEST[:60], TRAIN)
    assert "Only 60 points" in result.warnings[-1]
    assert "near copies" not in [row.name for row in result.rows]


def test_points_are_capped_and_seeded() -> None:
    few = evaluate(GOOD, TEST, TRAIN, max_points=150, seed=4)
    assert few.points == 150
    assert few == evaluate(GOOD, TEST, TRAIN, max_points=150, seed=4)
    assert few != evaluate(GOOD, TEST, TRAIN, max_points=150, seed=5)


def test_training_sets_no_larger_than_the_test_set() -> None:
    result = evaluate(GOOD[:120], TEST[:120], TRAIN[:120])
    assert result.points == 120
    assert abs(result["memorization"].floor - 0.5) < 4 * result["memorization"].floor_stderr


def test_likelihood_rows() -> None:
    images = torch.randint(17, (200, 1, 4, 4), generator=torch.Generator().manual_seed(0)).float()
    value = torch.full((100,), -16 * math.log(17.0))
    value[0] += 8
    log_prob = LogProb(value, torch.zeros(100), "ode", 1, error=torch.full((100,), 0.5))
    sets = images[:50], images[100:], images[50:150]
    result = evaluate(*sets, log_prob=log_prob, levels=17, value_range=(0, 16))
    assert result["NLL"].value == pytest.approx(16 * math.log(17) - 0.08, rel=1e-5)
    assert result["NLL"].floor is None
    bits = (16 * math.log(17) - 0.08) / 16 / math.log(2)
    assert result["bits per dimension"].value == pytest.approx(bits, rel=1e-5)
    assert "discretization error of 0.5 nats" in " ".join(result.warnings)
    assert "bits per dimension" not in str(evaluate(*sets, log_prob=log_prob))


def test_progress_counts_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    evaluate(GOOD[:50], TEST[:50], TRAIN, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 14) for i in range(1, 15)]


def test_refused() -> None:
    broken = GOOD.clone()
    broken[:7] = torch.nan
    with pytest.raises(InputError, match="7 of 600 rows of samples hold NaN"):
        evaluate(broken, TEST, TRAIN)
    with pytest.raises(InputError, match=r"samples \(2,\), test \(1,\), train \(2,\)"):
        evaluate(GOOD, TEST[:, :1], TRAIN)
    with pytest.raises(InputError, match="test has 19 points; at least 20"):
        evaluate(GOOD, TEST[:19], TRAIN)
    with pytest.raises(InputError, match="max_points=5"):
        evaluate(GOOD, TEST, TRAIN, max_points=5)
    with pytest.raises(InputError, match="belong together"):
        evaluate(GOOD, TEST, TRAIN, levels=17)
    many = LogProb(torch.zeros(N + 1), torch.zeros(N + 1), "exact", 1)
    with pytest.raises(InputError, match="601 log-probabilities for 600"):
        evaluate(GOOD, TEST, TRAIN, log_prob=many)


def test_samples_far_outside_are_named() -> None:
    diverged = GOOD.clone()
    diverged[:3] = 1e9
    found = [w for w in evaluate(diverged, TEST, TRAIN).warnings if "as far out" in w]
    assert len(found) == 1
    assert found[0].startswith(f"3 of {N} samples")


def test_equal_states_are_no_collapse_where_the_data_have_as_many() -> None:
    """Among 1000 draws of 4096 words about 250 are equal by chance, among 360 about 30."""
    generator = torch.Generator().manual_seed(0)
    samples, test, train = (
        torch.randint(0, 4, (n, 6), generator=generator).float() for n in (1000, 360, 360)
    )
    fair = " ".join(evaluate(samples, test, train).warnings)
    assert "copies of another sample" not in fair
    samples[:400] = samples[0]
    assert "copies of another sample" in " ".join(evaluate(samples, test, train).warnings)
