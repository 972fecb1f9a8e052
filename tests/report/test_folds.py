"""Cross-validation: no row is judged by a model that has seen it."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.errors import CapabilityError, InputError
from pushforward.models import KernelDensity, ProbabilisticPCA
from pushforward.report import cross_validate
from pushforward.report.beside_mixture import uneven
from pushforward.training import Settings

ALL = Settings(holdout=0.0)


def rows(n: int) -> pf.data.Data:
    return pf.data.load(torch.randn(n, 2, generator=torch.Generator().manual_seed(0)))


def test_every_row_is_judged_by_the_others() -> None:
    """By a kernel density that is written out; the number of folds need not part the rows."""
    data = rows(23)
    settings = Settings(holdout=0.0, standardize=False)
    found = cross_validate(lambda part: KernelDensity(0.5), data, settings, folds=5, seed=1)
    assert sorted(found.fold.bincount().tolist()) == [4, 4, 5, 5, 5]
    for k in range(5):
        others = pf.distributions.GaussianMixture(data.x[found.fold != k], 0.25)
        exact = others.log_prob(data.x[found.fold == k]).double()
        assert torch.allclose(found.log_prob[found.fold == k], exact, atol=1e-5)
    assert found.nll.value == pytest.approx(-float(found.log_prob.mean()))
    assert "in 5 folds" in str(found)


def test_two_models_are_compared_row_by_row() -> None:
    data = rows(40)
    wide, narrow, other = (
        cross_validate(lambda part, h=h: KernelDensity(h), data, ALL, folds=4, seed=seed)
        for h, seed in ((0.5, 0), (0.05, 0), (0.5, 1))
    )
    gap = narrow.above(wide)
    assert gap.value > 3 * gap.stderr > 0
    with pytest.raises(InputError, match="same folds"):
        wide.above(other)


def test_what_cannot_be_cross_validated() -> None:
    for folds in (1, 6):
        with pytest.raises(InputError, match="folds"):
            cross_validate(lambda part: ProbabilisticPCA(), rows(10), ALL, folds=folds)
    with pytest.raises(CapabilityError, match="no normalized densities"):
        cross_validate(lambda part: pf.GAN.for_data(part), rows(10), ALL, folds=2)


def test_what_makes_a_mixture_another_measure_is_said() -> None:
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(40) % 2
    plain, given = pf.data.load(x), pf.data.load((x, labels))
    assert uneven(pf.Diffusion.for_data(plain), plain) == []
    (note,) = uneven(pf.Diffusion.for_data(given), given)
    # Two classes as often as each other: log 2.
    assert "given the labels" in note
    assert "up to 0.69 nats" in note
    assert uneven(pf.NormalizingFlow.for_data(given, labels=False), given) == []
    still = pf.data.load(torch.cat([x, torch.full((40, 2), 412.5)], 1))
    (note,) = uneven(pf.Diffusion.for_data(still), still)
    assert note.startswith("2 columns never change")
    assert uneven(ProbabilisticPCA(), still) == []
