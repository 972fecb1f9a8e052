"""A model behind a Gaussian mixture of the same rows is told so, and only where both can be held
against each other."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch

import pushforward as pf
from pushforward.models import GaussianMixtureModel, KernelDensity
from pushforward.report import compare
from pushforward.report.beside_mixture import behind_mixture, incomparable, told_labels
from pushforward.report.judging import held_out_likelihood


def two_clusters(n: int, seed: int) -> pf.data.Data:
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 2, generator=g)
    x[:, 0] = 0.1 * x[:, 0] + torch.randint(0, 2, (n,), generator=g)
    return pf.data.load(x)


def one_normal(data: pf.data.Data, labels: bool = True) -> pf.NormalizingFlow:
    """A flow before its first step is the normal distribution in the units of the data."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = pf.NormalizingFlow.for_data(data, width=8, layers=1, labels=labels)
    model.fit_units(data.x)
    return model.eval()


def test_a_model_behind_is_told_by_how_much_row_by_row() -> None:
    train, test = two_clusters(400, 0), two_clusters(60, 1)
    model = one_normal(train)
    text = behind_mixture(model, train, test)
    assert text is not None
    mixture = pf.fit(GaussianMixtureModel(2), train, holdout=0.0, progress=False).model
    with torch.no_grad():
        gap = (mixture.log_prob(test.x).value - model.log_prob(test.x).value).double()
    value, error = map(float, re.findall(r"by ([\d.]+) ± ([\d.]+) nats", text)[0])
    assert value == pytest.approx(float(gap.mean()), abs=0.06)
    assert error == pytest.approx(float(gap.std()) / 60**0.5, rel=0.2)
    assert "over 60 held-out rows" in text
    found = held_out_likelihood(model, test, 60, 0)
    assert behind_mixture(model, train, test, found) == text


def test_nothing_is_said_of_a_model_that_is_not_behind() -> None:
    g = torch.Generator().manual_seed(0)
    train, test = (pf.data.load(torch.randn(n, 2, generator=g)) for n in (400, 60))
    assert behind_mixture(one_normal(train), train, test) is None
    # Nor of few rows, of models in closed form, and of those without a density.
    train, test = two_clusters(400, 0), two_clusters(60, 1)
    model = one_normal(train)
    assert behind_mixture(model, train, test.take(torch.arange(9))) is None
    wide = pf.fit(KernelDensity(3.0), train, progress=False).model
    assert behind_mixture(wide, train, test) is None
    assert behind_mixture(pf.GAN.for_data(train, width=8), train, test) is None


def test_a_comparison_says_what_cannot_be_held_against_each_other() -> None:
    train, test = two_clusters(300, 0), two_clusters(100, 1)
    found = compare({"flow": one_normal(train)}, train, test, n=100, points=100)
    assert any("worse than the Gaussian mixture in NLL" in text for text in found.warnings)
    # A column that never changes: the flow counts it, and the mixture does not.
    still, still_test = (
        pf.data.load(torch.cat([data.x, torch.full((len(data), 1), 4.0)], 1))
        for data in (train, test)
    )
    model = one_normal(still)
    assert behind_mixture(model, still, still_test) is None
    found = compare({"flow": model}, still, still_test, n=100, points=100)
    assert any(text.startswith("flow: 1 column never changes") for text in found.warnings)
    assert not any("NLL" in text for text in found.warnings)


def test_a_model_that_is_told_labels_does_not_win_by_them() -> None:
    """Labels that say everything: the law of each is narrow, and no label is asked for."""
    base, test = two_clusters(300, 0), two_clusters(100, 1)
    data, held = (
        dataclasses.replace(pf.data.load((part.x, (part.x[:, 0] > 0.5).long())))
        for part in (base, test)
    )
    model = one_normal(data)
    assert model.capabilities.conditional
    assert "0.69 nats" in str(told_labels(model, data))
    assert incomparable(model, data) is None
    found = compare({"flow": model}, data, held, n=100, points=100)
    (note,) = [text for text in found.warnings if "given the labels" in text]
    assert note.startswith("flow: ")
    assert "the baselines are not" in note
    # Behind in spite of them is behind.
    assert any("worse than the Gaussian mixture in NLL" in text for text in found.warnings)
    assert compare({"flow": model}, data, held, n=100, points=100, beside=False).warnings == tuple(
        text for text in found.warnings if "baseline" not in text and "worse than" not in text
    )
