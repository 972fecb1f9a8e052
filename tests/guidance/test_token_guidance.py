"""Guidance and infilling of tokens, on tables whose conditional laws are known."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch

import pushforward as pf
from pushforward import Transport, processes, samplers, spaces
from pushforward.analytic import AnalyticTokens
from pushforward.distributions import Table
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance import ClassifierFree, TokenGuidance
from pushforward.models.infilling import infilled

K, SITES = 3, 3
WORLD = AnalyticTokens.random(K, SITES, seed=0)
PROCESS = processes.Masking(spaces.Tokens(K))
STATES = WORLD.data.states()
# p(y = 1 | x) of a label.
CHANCE = torch.rand(K**SITES, generator=torch.Generator().manual_seed(1)).double() * 0.9 + 0.05
TABLE = WORLD.data.probabilities.flatten()
TILTED = Table((TABLE * CHANCE / (TABLE @ CHANCE)).view(K, K, K))
FREE = WORLD.model(PROCESS)


def _log_prob(codes: torch.Tensor, t, c=None) -> torch.Tensor:
    """`log p(y = 1 | visible tokens)`, exact, also between one-hot codes."""
    seen = codes[..., :-1] + codes[..., -1:]
    agrees = torch.stack([seen[:, i, STATES[:, i]] for i in range(SITES)], -1).prod(-1).double()
    joint = agrees * TABLE
    return (joint @ CHANCE).log() - joint.sum(-1).log()


def _far(x: torch.Tensor, law: torch.Tensor) -> float:
    code = (x * torch.tensor([9, 3, 1])).sum(1)
    return float((code.bincount(minlength=27) / len(x) - law.flatten()).abs().sum() / 2)


def _drawn(model, n: int = 20_000) -> torch.Tensor:
    start = PROCESS.prior((SITES,)).sample(n)
    return samplers.run(
        samplers.FirstHitting(), Transport(model, PROCESS), start, [1.0, 0.0], seed=0
    )


def _law_in_random_order(model) -> torch.Tensor:
    """What showing one token after the other in a random order draws, exact."""
    law = torch.zeros(K**SITES, dtype=torch.float64)
    for order in permutations(range(SITES)):
        chance = torch.ones(K**SITES, dtype=torch.float64)
        x = torch.full_like(STATES, K)
        for site in order:
            logs = model(x, 0.5).log_softmax(-1)[:, site]
            chance *= logs.gather(1, STATES[:, site : site + 1])[:, 0].exp().double()
            x = x.clone()
            x[:, site] = STATES[:, site]
        law += chance / 6
    return law


def test_guidance_by_the_exact_predictor_is_the_conditional_model() -> None:
    guided = TokenGuidance(FREE, PROCESS, _log_prob)
    exact = AnalyticTokens(TILTED).model(PROCESS)
    x = torch.tensor([[3, 3, 3], [0, 3, 3], [2, 3, 1], [3, 1, 3]])
    hidden = x == K
    found, truth = guided(x, 0.5).softmax(-1), exact(x, 0.5).softmax(-1)
    assert torch.allclose(found[hidden], truth[hidden], atol=1e-6)
    assert torch.equal(guided(x, 0.5)[~hidden], FREE(x, 0.5)[~hidden])
    assert _far(_drawn(guided), TILTED.probabilities) < 0.02
    # The free model is further away than that.
    assert float((WORLD.data.probabilities - TILTED.probabilities).abs().sum() / 2) > 0.05


def test_stronger_guidance_is_of_another_law_than_the_tilted_one() -> None:
    strength = 3.0
    guided = TokenGuidance(FREE, PROCESS, _log_prob, strength)
    law = _law_in_random_order(guided)
    assert float(law.sum()) == pytest.approx(1.0)
    assert _far(_drawn(guided), law) < 0.02
    tilted = TABLE * CHANCE**strength
    gap = float((law - tilted / tilted.sum()).abs().sum() / 2)
    assert gap > 0.01


def test_first_order_changes_are_derivatives() -> None:
    x = torch.tensor([[3, 3, 0]])
    # Of a log-probability that is linear in the codes, they are exact.
    weight = torch.randn(SITES, K + 1, generator=torch.Generator().manual_seed(0))
    linear = lambda codes, t, c=None: (codes * weight).flatten(1).sum(1)  # noqa: E731
    each = [TokenGuidance(FREE, PROCESS, linear, 1.0, how)(x, 0.5) for how in ("all", "taylor")]
    assert torch.allclose(*(e.softmax(-1) for e in each), atol=1e-5)
    curved = [
        TokenGuidance(FREE, PROCESS, _log_prob, 1.0, how)(x, 0.5) for how in ("all", "taylor")
    ]
    assert not torch.allclose(*(e.softmax(-1)[:, :2] for e in curved), atol=1e-3)


def test_logits_guided_without_a_predictor_tilt_each_token() -> None:
    conditional = AnalyticTokens(TILTED).model(PROCESS)

    def model(x, t, c):
        free, own = FREE(x, t), conditional(x, t)
        return torch.where((c == 1).view(-1, 1, 1), own, free)

    strength = 2.0
    guided = ClassifierFree(model, strength)
    one = torch.ones(27, dtype=torch.long)
    x = STATES.clone()
    x[:, 0] = K
    found = guided(x, 0.5, one)[:, 0].softmax(-1)
    # One hidden token: p(x | rest) p(y | x)^strength, exactly.
    tilted = (TABLE * CHANCE**strength).view(K, K, K)
    exact = (tilted / tilted.sum(0))[:, STATES[:, 1], STATES[:, 2]].mT
    assert torch.allclose(found, exact, atol=1e-6)
    # Several: the law of random order, and not the tilted one.
    law = _law_in_random_order(lambda x, t: guided(x, t, torch.ones(len(x), dtype=torch.long)))
    gap = float((law - tilted.flatten() / tilted.sum()).abs().sum() / 2)
    assert gap > 0.001


def test_what_guidance_of_tokens_refuses() -> None:
    with pytest.raises(CapabilityError, match="takes Masking or Jumps, not BlockMasking"):
        TokenGuidance(FREE, processes.BlockMasking(spaces.Tokens(K)), _log_prob)
    with pytest.raises(InputError, match="strength"):
        TokenGuidance(FREE, PROCESS, _log_prob, -1.0)
    with pytest.raises(InputError, match="'taylor'"):
        TokenGuidance(FREE, PROCESS, _log_prob, 1.0, "some")
    with pytest.raises(InputError, match=r"has shape \(3,\)"):
        TokenGuidance(FREE, PROCESS, lambda codes, t, c: codes)(torch.full((1, 3), K), 0.5)
    flat = TokenGuidance(FREE, PROCESS, lambda codes, t, c: torch.zeros(1), 1.0, "taylor")
    with pytest.raises(CapabilityError, match="derivative"):
        flat(torch.full((1, 3), K), 0.5)


RULES = {
    "pinned": (samplers.Ancestral(), 60),
    "first-hitting": (samplers.FirstHitting(), 1),
    "remdm": (samplers.Remasking(0.3), 60),
    "gibbs": (samplers.GibbsCorrector(), 60),
}


@pytest.mark.parametrize("name", RULES)
def test_what_is_filled_in_has_the_conditional_law(name: str) -> None:
    rule, steps = RULES[name]
    n = 8000
    start = torch.tensor([[K, 1, K]]).expand(n, -1)
    times = torch.linspace(1, 0, steps + 1).tolist()
    found = samplers.run(samplers.Holding(rule), Transport(FREE, PROCESS), start, times, seed=0)
    assert bool((found[:, 1] == 1).all())
    law = WORLD.data.probabilities[:, 1]
    code = K * found[:, 0] + found[:, 2]
    far = float((code.bincount(minlength=9) / n - (law / law.sum()).flatten()).abs().sum() / 2)
    assert far < 0.025


class _Exact(torch.nn.Module):
    def forward(self, x, t, c=None):
        return FREE(x, t).float()


def test_a_model_fills_in_what_is_not_given() -> None:
    model = pf.Diffusion(_Exact(), PROCESS, event_shape=(SITES,))
    model.fit_units(STATES)
    given = torch.tensor([[0, -1, -1], [-1, 2, K], [-1, -1, -1], [1, 1, 1]])
    for sampler in ("pinned", "remdm", "gibbs", "confidence"):
        found = model.sample(4, given=given, sampler=sampler, steps=8, seed=0)
        known = (given >= 0) & (given < K)
        assert torch.equal(found[known], given[known]), sampler
        assert int(found.max()) < K
    alike = model.sample(5, given=[2, -1, 0], steps=8, seed=0)
    assert bool((alike[:, 0] == 2).all() and (alike[:, 2] == 0).all())
    parts = model.sample(4, given=given, steps=8, seed=3, batch_size=2)
    assert torch.equal(parts, model.sample(4, given=given, steps=8, seed=3))
    with pytest.raises(InputError, match="shape"):
        model.sample(4, given=[0, -1])
    with pytest.raises(InputError, match=r"lie in 0\.\.2"):
        model.sample(4, given=[0, -1, 7])
    blocks = processes.BlockMasking(spaces.Tokens(K))
    with pytest.raises(CapabilityError, match="not to one of BlockMasking"):
        infilled(blocks, samplers.Ancestral(), given, None, given)
    with pytest.raises(CapabilityError, match="train with process=masking"):
        samplers.Holding().plan(processes.Jumps(spaces.Tokens(K)), [1.0, 0.0])
