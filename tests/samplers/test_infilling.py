"""Infilling draws the missing symbols from their exact distribution given the others."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward import samplers
from pushforward.analytic import AnalyticTokens
from pushforward.errors import CapabilityError, InputError
from pushforward.processes import BlockMasking, Masking
from pushforward.protocols import Transport
from pushforward.schedules import VP, Rectified
from pushforward.spaces import Tokens


def test_the_missing_symbols_have_the_conditional_distribution():
    problem, n = AnalyticTokens.random(3, 4, seed=0), 20_000
    process = Masking(Tokens(3))
    known, given = torch.tensor([2, 0, 0, 1]), torch.tensor([True, False, False, True])
    sampler = samplers.Infilling(known, given)
    x = samplers.run(
        sampler, Transport(problem.model(process), process), torch.full((n, 4), 3),
        torch.linspace(sampler.start(process), 0, 41).tolist(), seed=0,
    )  # fmt: skip
    assert torch.equal(x[:, [0, 3]], torch.tensor([[2, 1]]).expand(n, 2))
    exact = problem.data.probabilities[2, :, :, 1]
    exact = (exact / exact.sum()).flatten()
    found = torch.bincount(3 * x[:, 1] + x[:, 2], minlength=9) / n
    # Four standard errors, and what showing both in one step of forty costs.
    assert bool(((found - exact).abs() < 4 * (exact * (1 - exact) / n).sqrt() + 0.004).all())


@pytest.mark.parametrize("schedule", [Rectified(), VP()])
def test_the_start_is_where_as_much_is_hidden(schedule):
    process = Masking(Tokens(3), schedule)
    given = torch.tensor([True, True, True, False])
    t = samplers.Infilling(torch.zeros(4).long(), given).start(process)
    assert float(process.clock.values(t)[0]) == pytest.approx(0.75, abs=1e-6)


def test_a_model_keeps_what_is_given():
    net = pf.nn.TokenTransformer(5, width=8, depth=1, heads=2)
    model = pf.Diffusion(net, process=Masking(Tokens(5)), event_shape=(6,))
    known, given = torch.arange(6) % 5, torch.tensor([True, False] * 3)
    x = model.sample(7, sampler=samplers.Infilling(known, given), steps=5, seed=0, batch_size=3)
    assert torch.equal(x[:, ::2], known[::2].expand(7, 3))
    assert x.max() < 5


def test_what_is_excluded_does_not_come_and_the_rest_keeps_its_proportions():
    problem, n = AnalyticTokens.random(3, 2, seed=0), 20_000
    process = Masking(Tokens(3))
    excluded = torch.tensor([[False, True, False], [False, False, False]])
    known, given = torch.tensor([0, 1]), torch.tensor([False, True])
    sampler = samplers.Infilling(known, given, excluded=excluded)
    x = samplers.run(
        sampler, Transport(problem.model(process), process), torch.full((n, 2), 3),
        [sampler.start(process), 0.25, 0.0], seed=0,
    )  # fmt: skip
    exact = problem.data.probabilities[:, 1] * torch.tensor([1.0, 0.0, 1.0])
    exact = exact / exact.sum()
    found = torch.bincount(x[:, 0], minlength=3) / n
    assert bool(((found - exact).abs() <= 4 * (exact * (1 - exact) / n).sqrt()).all())


def test_what_cannot_be_filled_in_is_refused():
    known, given = torch.zeros(4).long(), torch.tensor([True, False, False, True])
    with pytest.raises(InputError, match="booleans of the shape"):
        samplers.Infilling(known, given[:3])
    sampler = samplers.Infilling(known, given)
    with pytest.raises(CapabilityError, match="process=masking"):
        sampler.plan(BlockMasking(Tokens(3)), [1.0, 0.0])
    with pytest.raises(InputError, match=r"\(5,\) symbols"):
        sampler.init(torch.zeros(2, 5).long())
