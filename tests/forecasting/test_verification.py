"""Scores by lead, on a world whose forecasts are known."""

from __future__ import annotations

import math

import pytest
import torch
from tests.forecasting.linear_waves import KEEP, ExactForecast

import pushforward as pf
from pushforward import forecasting
from pushforward.errors import InputError
from pushforward.forecasting import scores


@pytest.fixture(scope="module")
def parts(waves: pf.data.Data) -> tuple[pf.data.Data, pf.data.Data]:
    return waves.split(0.5)


def _expected(lead: int) -> float:
    """The CRPS of the exact law, `sigma / sqrt(pi)` of its standard deviation."""
    return math.sqrt((1 - KEEP ** (2 * lead)) / math.pi)


def _off(found: forecasting.Verification) -> list[float]:
    """How many standard errors the CRPS of each lead is from that of the exact law."""
    means = [found.scores["model"].mean("crps", lead, 0) for lead in range(3)]
    return [(m.value - _expected(k)) / m.stderr for k, m in enumerate(means, start=1)]


@pytest.mark.parametrize("members", [4, 16])
def test_exact_forecasts_score_what_their_law_does(parts, members: int) -> None:
    train, test = parts
    found = forecasting.verify(ExactForecast(3), test, train, members=members, starts=100)
    assert max(map(abs, _off(found))) < 4
    for lead in range(3):
        ratio = found.scores["model"].spread_skill(lead, 0)
        assert abs(ratio.value - 1) < 4 * ratio.stderr
        assert 0.9 < ratio.value < 1.1
    assert not any(note.startswith("members") for note in found.notes)
    for lead in range(3):
        assert found.flat[lead][0] > 1e-3
        for other in ("climatology", "persistence", "advected persistence"):
            assert found.skill(other, lead, 0).value > 3 * found.skill(other, lead, 0).stderr
    # |N(0, s^2)| of persistence has the mean s sqrt(2 / pi), with s^2 = 2 where all is moved.
    still = found.scores["persistence"].mean("crps", 0, 0)
    assert abs(still.value - 2 / math.sqrt(math.pi)) < 4 * still.stderr
    climate = found.scores["climatology"].mean("crps", 2, 0)
    assert abs(climate.value - 1 / math.sqrt(math.pi)) < 5 * climate.stderr


def test_the_estimator_that_divides_by_the_square_is_caught(
    parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the two sizes of an exact ensemble are for: `M^2` in the place of `M (M - 1)`."""

    def planted(ensemble: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        error, m = (ensemble.double() - truth).abs().mean(0), len(ensemble)
        return error - (m - 1) / m * (error - pf.metrics.fair_crps(ensemble, truth))

    monkeypatch.setattr(scores, "fair_crps", planted)
    train, test = parts
    off = _off(forecasting.verify(ExactForecast(3), test, train, members=4, starts=100))
    assert min(off) > 8


@pytest.mark.parametrize("width", [0.5, 2.0])
def test_a_wrong_spread_is_seen(parts, width: float) -> None:
    train, test = parts
    found = forecasting.verify(ExactForecast(3, width), test, train, members=8, starts=60)
    # The mean of M members is off by the noise of the truth and by 1 / M of theirs.
    expected = math.sqrt(width**2 * 9 / (8 + width**2))
    ratio = found.scores["model"].spread_skill(0, 0)
    assert abs(ratio.value - expected) < 4 * ratio.stderr
    assert found.flat[0][0] < 1e-4
    assert found.scores["model"].mean("crps", 0, 0).value > 1.03 * _expected(1)
    ranks = found.scores["model"].ranks
    assert ranks is not None
    ends = ranks[0][0].counts[[0, -1]].sum() / ranks[0][0].counts.sum()
    assert (ends > 2 / 9) == (width < 1)
    word = "too much alike" if width < 1 else "differ too much"
    assert any(word in note for note in found.notes)


def test_what_wins_is_said_and_plain_values_are_plain(parts) -> None:
    train, test = parts
    found = forecasting.verify(
        ExactForecast(3, 4.0), test, train, members=4, starts=40, beside={"good": ExactForecast(3)}
    )
    assert any(note.startswith("good is as good as the model or better") for note in found.notes)
    told = found.to_dict()
    assert len(told["rows"]) == 3
    assert told["rows"][0]["skill"]["good"]["value"] < 0
    assert "good" in str(found)
    with pytest.raises(InputError, match="wants 8 windows that are held out"):
        forecasting.verify(ExactForecast(3), test.take(torch.arange(5)), train)


def test_a_skill_is_a_ratio_of_means() -> None:
    own, other = torch.tensor([1.0, 1.0, 1.0, 5.0]), torch.tensor([1.0, 2.0, 4.0, 9.0])
    assert forecasting.skill(own, other).value == pytest.approx(1 - 8 / 16)


def test_longer_windows_are_rolled_out(parts) -> None:
    """A model of one lead, three times, scores as the exact law of three leads."""
    told = forecasting.with_leads(parts[0].schema, 1)
    past = torch.randn(400, 2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    drawn = forecasting.rolled_out(ExactForecast(1), past, told, 3, seed=0)
    left = drawn[:, 2, 0] - KEEP**3 * past[:, -1, 0].roll(3, -1)
    assert abs(float(left.var()) - (1 - KEEP**6)) < 0.03
    assert drawn.shape == (400, 3, 1, 8, 8)


def test_empty_wavenumbers_have_no_ratio() -> None:
    """Of fields of one wave with half the amplitude: log 4, whatever little is elsewhere."""
    x = torch.cos(2 * math.pi * 2 * torch.arange(12, dtype=torch.float64) / 12).expand(8, 12, 12)
    g = torch.Generator().manual_seed(0)
    noise = 1e-6 * torch.randn(2, 8, 12, 12, generator=g, dtype=torch.float64)
    truth = (x + noise[0])[:, None, None]
    found = forecasting.scored((x / 2 + 9 * noise[1])[None, :, None, None], truth, periodic=True)
    assert float(found.spectrum[0, 0]) == pytest.approx(math.log(4), abs=1e-3)
    assert found.energies.shape == (1, 1, 5)


def test_masked_cells_and_weights_count_as_they_should() -> None:
    g = torch.Generator().manual_seed(0)
    ensemble = torch.randn(6, 12, 1, 1, 4, 4, generator=g)
    truth = torch.randn(12, 1, 1, 4, 4, generator=g)
    present = torch.ones(1, 4, 4, dtype=torch.bool)
    present[:, 0] = False
    weights = torch.tensor([1.0, 1, 2, 4])[:, None].expand(4, 4)
    found = forecasting.scored(ensemble, truth, present=present, weights=weights)
    each = pf.metrics.fair_crps(ensemble[:, :, 0, 0], truth[:, 0, 0]).mean(2)
    expected = (each[:, 1:] * torch.tensor([1.0, 2, 4]) / 7).sum(1)
    assert torch.allclose(found.crps[:, 0, 0], expected)
    assert found.spectrum.isnan().all()
