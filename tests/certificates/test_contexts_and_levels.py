"""Certificates of what conditional models draw, and intervals for the level of the score error."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import Transport, schedules
from pushforward.analytic import AnalyticMixture
from pushforward.certificates import GivenLaw, certify
from pushforward.distributions import GaussianMixture
from pushforward.errors import InputError
from pushforward.processes import Gaussian

DOUBLE = torch.float64
PROCESS = Gaussian(schedules.OU(horizon=4.0))
OPTIONS = {"steps": 20, "stop": 0.05, "denoise": False}
SLOPE, NOISE = 1.5, 0.4


def _mixture(means: list[float], std: float) -> GaussianMixture:
    return GaussianMixture(torch.tensor(means, dtype=DOUBLE)[:, None], std**2)


BY_LABEL = [_mixture([-2.0, -1.0], 0.2), _mixture([1.5], 0.6)]


def _wrong(good, score_error) -> Transport:
    """Exact predictions given `c`, but for an error of the score that depends on it."""

    def model(x: Tensor, t, c=None) -> Tensor:
        k = PROCESS.schedule.at(t)
        return good(x, t, c) + k.sigma**2 / k.alpha * score_error(c)[:, None]

    return Transport(model, PROCESS)


def _of_label(x: Tensor, t, c: Tensor) -> Tensor:
    each = torch.stack([AnalyticMixture(law).model(PROCESS)(x, t) for law in BY_LABEL])
    return each[c, torch.arange(len(x))]


def _labeled(n: int, seed: int) -> tuple[Tensor, Tensor]:
    c = (torch.rand(n, generator=torch.Generator().manual_seed(seed)) < 0.3).long()
    each = torch.stack([law.sample(n, seed=seed + k) for k, law in enumerate(BY_LABEL)])
    return each[c, torch.arange(n)], c


def test_rows_with_labels_of_their_own_are_the_mean_of_the_labels() -> None:
    x, c = _labeled(700, 0)
    model = _wrong(_of_label, lambda c: torch.tensor([0.0, 0.5], dtype=DOUBLE)[c])
    whole = certify(model, x, c=c, law=BY_LABEL, **OPTIONS)
    value = 0.0
    for k, law in enumerate(BY_LABEL):
        part = certify(model, x[c == k], c=c[c == k], law=BY_LABEL, **OPTIONS)
        told = Transport(
            lambda x, t, c=None, k=k: model.model(x, t, torch.full((len(x),), k)), PROCESS
        )
        alone = certify(told, x[c == k], law=law, **OPTIONS)
        assert abs(part.bound - alone.bound) < 4 * part.stderr + 1e-9
        value += float((c == k).double().mean()) * part.bound
        # The exact given law of a label is that of the label.
        if k == 0:
            assert abs(part.terms["score error"].value) < 1e-12
    assert abs(whole.bound - value) < 4 * whole.stderr
    assert any("the mean over them" in text for text in whole.assumptions)
    # Without the laws it is an upper bound, and the interval holds the truth.
    drawn = certify(model, x, c=c, **OPTIONS)
    true = whole.terms["score error"].value
    low, high = drawn.terms["score error"].interval
    assert low < true < high
    assert low > 0.3 * true


def _pairs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    c, noise = torch.randn(2, n, 1, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)
    return SLOPE * c + NOISE * noise, c


def _regression(x: Tensor, t, c: Tensor) -> Tensor:
    k = PROCESS.schedule.at(t)
    gain = k.alpha * NOISE**2 / (k.alpha**2 * NOISE**2 + k.sigma**2)
    return SLOPE * c + gain * (x - k.alpha * SLOPE * c)


JOINT = GaussianMixture(
    torch.zeros(1, 2, dtype=DOUBLE),
    torch.tensor([[[SLOPE**2 + NOISE**2, SLOPE], [SLOPE, 1.0]]], dtype=DOUBLE),
)


def test_rows_with_contexts_of_their_own() -> None:
    x, c = _pairs(500, 0)
    exact = certify(Transport(_regression, PROCESS), x, c=c, law=JOINT, **OPTIONS)
    assert abs(exact.terms["score error"].value) < 1e-12
    # Given the context the data are normal, whatever their mean.
    alone = GaussianMixture(torch.zeros(1, 1, dtype=DOUBLE), NOISE**2)
    process = Transport(AnalyticMixture(alone).model(PROCESS), PROCESS)
    normal = certify(process, alone.sample(50, seed=0), law=alone, **OPTIONS)
    found = exact.terms["discretization"]
    expected = normal.terms["discretization"].value
    assert abs(found.value - expected) < 4 * found.stderr + 1e-9
    # All rows differ: without the law nothing bounds their spread, unless their noise is stated.
    wrong = _wrong(_regression, lambda c: 0.3 * c[:, 0])
    true = certify(wrong, x, c=c, law=JOINT, **OPTIONS)
    loss = certify(wrong, x, c=c, **OPTIONS)
    assert loss.bound > true.bound + 0.05
    assert "no two rows were told the same" in loss.warnings[0]
    stated = certify(wrong, x, c=c, noise=NOISE, **OPTIONS)
    assert stated.terms["score error"].kind == stated.terms["discretization"].kind == "assumed"
    assert any("noise of standard deviation 0.4" in text for text in stated.assumptions)
    assert abs(stated.bound - true.bound) < 4 * stated.stderr
    assert stated.terms["discretization"].value == pytest.approx(expected, rel=1e-5)
    # Less noise than there is leaves an upper bound.
    less = certify(wrong, x, c=c, noise=0.5 * NOISE, **OPTIONS)
    assert true.bound < less.bound < loss.bound


@pytest.mark.parametrize("name", ["ddpm", "relative-score", "exponential"])
def test_noise_that_is_stated_is_the_truth_where_all_is_noise(name: str) -> None:
    # Data that are nothing but noise: what is assumed is their law, for each scheme.
    law = GaussianMixture(torch.zeros(1, 2, dtype=DOUBLE), NOISE**2)
    good = AnalyticMixture(law).model(PROCESS)
    model = Transport(lambda x, t, c=None: 0.7 * good(x, t), PROCESS)
    x = law.sample(300, seed=0)
    c = torch.arange(300)
    exact = certify(model, x, sampler=name, law=law, **OPTIONS)
    stated = certify(model, x, sampler=name, c=c, noise=NOISE, **OPTIONS)
    for term in ("score error", "discretization"):
        gap = stated.terms[term].value - exact.terms[term].value
        assert abs(gap) < 4 * (stated.terms[term].stderr + exact.terms[term].stderr) + 1e-6
    one_each = certify(model, x, sampler=name, c=c, noise=[NOISE, NOISE], **OPTIONS)
    assert one_each.bound == pytest.approx(stated.bound, rel=1e-9)


def test_a_law_of_states_and_contexts_is_conditioned() -> None:
    means = torch.tensor([[-1.0, 0.5, 0.0], [1.0, 0.0, 1.0]], dtype=DOUBLE)
    root = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=DOUBLE)
    joint = GaussianMixture(
        means, root @ root.mT + 0.2 * torch.eye(3), torch.tensor([0.3, 0.7]).double()
    )
    c, x = torch.tensor([[0.7]], dtype=DOUBLE), torch.tensor([[0.2, -0.4]], dtype=DOUBLE)
    law = GivenLaw.of_joint(joint, c)
    # The same by next to exact measurements of the context.
    given = joint.posterior(torch.tensor([[0.0, 0.0, 1.0]], dtype=DOUBLE), c[0], 1e-9)
    own = GaussianMixture(given.means[:, :2], given.component_covariances[:, :2, :2], given.weights)
    for sigma in (0.2, 1.0):
        expected = own.posterior_mean(x, 0.8, sigma)
        assert torch.allclose(law.posterior_mean(x, 0.8, sigma), expected, rtol=1e-6)
        spread = own.posterior_covariance(x, 0.8, sigma).diagonal(dim1=-2, dim2=-1).sum()
        assert float(law.spread(x, x, 0.8, sigma)) == pytest.approx(float(spread), rel=1e-6)


def test_an_interval_holds_the_level_from_both_sides() -> None:
    data = GaussianMixture(
        torch.tensor([[-2.0], [1.5]], dtype=DOUBLE), torch.tensor([0.09, 0.25], dtype=DOUBLE)
    )
    good = AnalyticMixture(data).model(PROCESS)
    for seed, shift in ((0, 0.0), (1, 0.2), (2, 0.4)):
        model = _wrong(lambda x, t, c: good(x, t), lambda c, s=shift: c.double() * 0 + s)
        alone = Transport(lambda x, t, c=None, m=model: m.model(x, t, torch.zeros(len(x))), PROCESS)
        x = data.sample(400, seed=seed)
        true = certify(alone, x, law=data, **OPTIONS).terms["score error"].value
        found = certify(alone, x, **OPTIONS).terms["score error"]
        low, high = found.interval
        assert low <= true <= high
        assert low > 0.5 * true if shift else low < 0.01
        assert f"95% in [{low:.3g}, {high:.3g}]" in str(found)
    # Another model that is better is a guess as good as any: the level is nearly known.
    exact = Transport(good, PROCESS)
    told = certify(alone, x, against=exact, **OPTIONS)
    assert told.terms["score error"].interval[0] > low
    # Of what other schemes freeze the error is no square, and there is none.
    other = certify(alone, x, sampler="exponential", **OPTIONS)
    assert other.terms["score error"].interval is None


def test_models_are_told_row_by_row() -> None:
    model = pf.Diffusion(pf.nn.MLP(1, width=8, depth=1, num_classes=2))
    x, c = _labeled(200, 3)
    x = x.float()
    model.fit_units(x)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5, generator=generator)
    joint = certify(model, x, c=c, steps=6)
    # In another order, and with some rows chosen at random, it is the same model.
    order = torch.randperm(200, generator=generator)
    again = certify(model, x[order], c=c[order], steps=6, seed=1)
    assert abs(joint.bound - again.bound) < 4 * math.hypot(joint.stderr, again.stderr)
    shuffled = certify(model, x, c=c[order], steps=6)
    assert shuffled.terms["score error"].value != joint.terms["score error"].value
    assert certify(model, x, c=c, steps=6, rows=100).rows == 100


def test_terms_in_total_variation_are_a_looser_bound_together() -> None:
    data = _mixture([-1.0, 1.0], 0.4)
    exact = Transport(AnalyticMixture(data).model(PROCESS), PROCESS)
    found = certify(exact, data.sample(200, seed=0), law=data, **OPTIONS)
    parts = found.in_total_variation
    assert set(parts) == {"prior mismatch", "score error", "discretization"}
    assert sum(parts.values()) >= found.total_variation
    assert found.to_dict()["in_total_variation"] == parts


def test_what_does_not_fit_is_refused() -> None:
    x, c = _pairs(60, 0)
    transport = Transport(_regression, PROCESS)
    with pytest.raises(InputError, match="one for each of 60 rows, not 59"):
        certify(transport, x, c=c[1:])
    with pytest.raises(InputError, match="state and context"):
        GivenLaw.of_joint(GaussianMixture(torch.zeros(1, 1).double(), 1.0), c)
    with pytest.raises(InputError, match="one of 1 numbers"):
        certify(transport, x, c=c, law=GaussianMixture(torch.zeros(1, 1).double(), 1.0))
    with pytest.raises(InputError, match="noise is one number, or one for each of 1"):
        certify(transport, x, c=c, noise=[0.1, 0.2])
    with pytest.raises(InputError, match="2 laws are for labels below 2"):
        GivenLaw.of_labels(BY_LABEL, torch.tensor([0, 2]))
