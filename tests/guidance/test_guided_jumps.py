"""Guidance and given tokens where tokens jump, on tables whose conditional laws are known."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward import Transport, processes, samplers, spaces
from pushforward._random import resolve
from pushforward.analytic import AnalyticTokens
from pushforward.distributions import Table
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance import ClassifierFree, TemperedRates, TokenGuidance, given

K, SITES, DRAWN = 3, 2, 8_000
WORLD = AnalyticTokens.random(K, SITES, seed=3)
STATES, TABLE = WORLD.data.states(), WORLD.data.probabilities.flatten()
CHANCE = torch.tensor([0.9, 0.2, 0.1, 0.3, 0.9, 0.5, 0.1, 0.8, 0.4]).double()
RATES = ("uniform", "birth-death", processes.MatrixRates([[0, 2, 1], [1, 0, 0.5], [0.3, 3, 0]]))
LABELED = torch.ones(len(STATES), dtype=torch.long)


def _tilted(strength: float) -> torch.Tensor:
    weights = TABLE * CHANCE**strength
    return weights / weights.sum()


def _made(rates):
    process = processes.Jumps(spaces.Tokens(K), rates)
    own = AnalyticTokens(Table(_tilted(1.0).view(K, K))).model(process)
    free = WORLD.model(process)

    def model(x, t, c):
        return torch.where((c == 1).view(-1, 1, 1), own(x, t), free(x, t))

    def log_prob(codes, t, c=None):
        """`log p(y = 1 | x_t)`, exact: of all states the noised probabilities with and without."""
        noised = WORLD.noised(process, t).probabilities.flatten()
        joint = AnalyticTokens(Table(_tilted(1.0).view(K, K))).noised(process, t)
        value = (joint.probabilities.flatten() / noised).log() + (TABLE @ CHANCE).log()
        return value[codes[..., :-1].argmax(-1) @ torch.tensor([K, 1])]

    return process, model, free, own, log_prob


def _rates(process, pred, x, t):
    return process.chain.into(x) * process.ratios(pred, x, t)


@pytest.mark.parametrize("rates", RATES, ids=("uniform", "birth-death", "matrix"))
@pytest.mark.parametrize("t", [0.1, 0.7])
def test_rates_are_multiplied_by_the_quotient_of_the_predictor(rates, t) -> None:
    process, model, free, own, log_prob = _made(rates)
    for strength in (0.0, 1.0, 2.5):
        # R(x, y) (p(c | y) / p(c | x))^strength, by enumeration of the noised laws.
        law = WORLD.noised(process, t).probabilities
        label = (AnalyticTokens(Table(_tilted(1.0).view(K, K))).noised(process, t)).probabilities
        tempered = law * (label / law) ** strength
        x = STATES
        here = tempered[x[:, 0], x[:, 1]]
        there = torch.stack([tempered[:, x[:, 1]].mT, tempered[x[:, 0]]], 1)
        exact = process.chain.into(x) * there / here[:, None, None]
        by_predictor = TokenGuidance(free, process, log_prob, strength)(x, t)
        without = TemperedRates(model, process, strength)(x, t, LABELED)
        assert torch.allclose(_rates(process, by_predictor, x, t), exact, rtol=2e-5)
        assert torch.allclose(_rates(process, without, x, t), exact, rtol=2e-5)
    plain = process.ratios(own(STATES, t), STATES, t)
    one = TemperedRates(model, process, 1.0)(STATES, t, LABELED)
    assert torch.allclose(process.ratios(one, STATES, t), plain, rtol=1e-5)


def _drawn(process, model, rule, steps: int) -> torch.Tensor:
    x = process.prior((SITES,)).sample(DRAWN, seed=0)
    times = torch.linspace(0.999, 1e-3, steps + 1).tolist()
    with torch.no_grad():
        x = samplers.run(rule, Transport(model, process), x, times, seed=1)
    return process.finish(model(x, 1e-3), x, 1e-3, resolve(2))


def _far(x: torch.Tensor, law: torch.Tensor) -> float:
    code = x @ torch.tensor([K, 1])
    return float((code.bincount(minlength=K**SITES) / len(x) - law).abs().sum() / 2)


# The distance of as many exact draws has the mean .012 and does not pass .022.
FLOOR = 0.022
MENDED = samplers.GibbsCorrector(moves=4)


def test_corrected_rates_draw_the_tilted_law_at_any_strength() -> None:
    process, model, *_ = _made("uniform")
    strength, labels = 3.0, torch.ones(DRAWN, dtype=torch.long)
    law = _tilted(strength)
    tempered = given(TemperedRates(model, process, strength), labels)
    assert _far(_drawn(process, tempered, MENDED, 12), law) < FLOOR
    # Without moves the law is another one.
    assert _far(_drawn(process, tempered, samplers.Ancestral(), 24), law) > 1.3 * FLOOR


def test_one_token_tempered_by_its_logits_has_the_tilted_law() -> None:
    problem = AnalyticTokens(Table(TABLE[:K] / TABLE[:K].sum()))
    process, tilt = processes.Jumps(spaces.Tokens(K)), TABLE[:K] * CHANCE[:K]
    own = AnalyticTokens(Table(tilt / tilt.sum())).model(process)
    free, x, t = problem.model(process), torch.arange(K)[:, None], 0.6

    def model(x, t, c):
        return torch.where((c == 1).view(-1, 1, 1), own(x, t), free(x, t))

    found = ClassifierFree(model, 2.0)(x, t, torch.ones(K, dtype=torch.long))
    both = TABLE[:K] * CHANCE[:K] ** 2
    exact = AnalyticTokens(Table(both / both.sum())).model(process)(x, t)
    assert torch.allclose(found.softmax(-1), exact.softmax(-1), rtol=1e-10)


@pytest.mark.parametrize("rates", RATES[1:], ids=("birth-death", "matrix"))
def test_tokens_that_are_given_stay_and_the_others_are_drawn_given_them(rates) -> None:
    process, _, free, *_ = _made(rates)
    known = torch.tensor([-1, 2])
    law = WORLD.data.probabilities * torch.tensor([0.0, 0.0, 1.0])
    law = (law / law.sum()).flatten()
    told = lambda x, t, c=None: process.told(free(x, t), known.expand_as(x))  # noqa: E731
    x = _drawn(process, told, MENDED, 12)
    assert bool((x[:, 1] == 2).all())
    assert _far(x, law) < FLOOR
    infilling = samplers.Infilling(known.clamp(min=0), known >= 0, MENDED)
    start = process.prior((SITES,)).sample(DRAWN, seed=0)
    times = [*torch.linspace(infilling.start(process), 1e-3, 13).tolist(), 0.0]
    y = samplers.run(infilling, Transport(free, process), start, times, seed=5)
    assert bool((y[:, 1] == 2).all())
    assert _far(y, law) < FLOOR
    if rates == "birth-death":
        # Steps alone take what is given for no more than it shows.
        assert _far(_drawn(process, told, samplers.Ancestral(), 24), law) > 1.3 * FLOOR


class _Exact(torch.nn.Module):
    def __init__(self, process) -> None:
        super().__init__()
        self.free = WORLD.model(process)

    def forward(self, x, t, c=None):
        return self.free(x, t).float()


def test_a_model_of_jumps_fills_in_what_is_not_given() -> None:
    process = processes.Jumps(spaces.Tokens(K))
    model = pf.Diffusion(_Exact(process), process, event_shape=(SITES,))
    model.fit_units(STATES)
    told = torch.tensor([[0, -1], [-1, 2], [-1, -1], [1, 1]])
    for sampler in ("pinned", "tau-leap", "gibbs", "remdm"):
        found = model.sample(4, given=told, sampler=sampler, steps=8, seed=0)
        assert torch.equal(found[told >= 0], told[told >= 0]), sampler
        assert int(found.max()) < K
    parts = model.sample(4, given=told, steps=8, seed=3, batch_size=2)
    assert torch.equal(parts, model.sample(4, given=told, steps=8, seed=3))


def test_what_tempered_rates_refuse() -> None:
    process, model, *_ = _made("uniform")
    with pytest.raises(CapabilityError, match="under Jumps, not under Masking"):
        TemperedRates(model, processes.Masking(spaces.Tokens(K)))
    with pytest.raises(InputError, match="strength"):
        TemperedRates(model, process, -1.0)
