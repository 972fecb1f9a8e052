"""Discrete flow matching between sets of sequences, beside exact laws."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

import pushforward as pf
from pushforward import Transport, processes, samplers, spaces
from pushforward.errors import CapabilityError, InputError

K = 3
PATH = processes.TokenPath(spaces.Tokens(K))
STATES = torch.cartesian_prod(torch.arange(K), torch.arange(K))
# A coupling of sequences of two tokens: p(x_0, x_1), far from independent.
JOINT = torch.rand(9, 9, generator=torch.Generator().manual_seed(0)).double().pow(3)
JOINT[:, :3] = 0.0
JOINT = JOINT / JOINT.sum()


def _at(t: float) -> torch.Tensor:
    """The chance of each state at a time and each pair, `(9, 9, 9)`, the state first."""
    data, source = STATES[:, None], STATES[None]
    chance = torch.ones(9, 9, 9, dtype=torch.float64)
    for site in range(2):
        x = STATES[:, site].view(-1, 1, 1)
        chance = chance * (
            (1 - t) * (x == data[..., site]).double() + t * (x == source[..., site]).double()
        )
    return chance * JOINT


def _model(x: torch.Tensor, t: float, c=None) -> torch.Tensor:
    """The exact prediction, `(B, 2, K)`."""
    joint = _at(t)[K * x[:, 0] + x[:, 1]].sum(-1)
    posterior = joint / joint.sum(-1, keepdim=True)
    symbols = torch.nn.functional.one_hot(STATES, K).double()
    return torch.einsum("bs,snk->bnk", posterior, symbols).log()


def test_the_law_of_the_source_becomes_that_of_the_data_whatever_the_coupling() -> None:
    n, start = 20_000, 0.999
    pairs = torch.multinomial(JOINT.flatten(), n, True, generator=torch.Generator().manual_seed(0))
    z = STATES[pairs // 9], STATES[pairs % 9]
    x = PATH.sample(z, start, torch.Generator().manual_seed(1))
    times = torch.linspace(start, 0.0, 101).double().tolist()
    found = samplers.run(samplers.Ancestral(), Transport(_model, PATH), x, times, seed=0)
    share = (K * found[:, 0] + found[:, 1]).bincount(minlength=9).double() / n
    data, source = JOINT.sum(1), JOINT.sum(0)
    assert float((share - data).abs().sum() / 2) < 0.02
    assert float((source - data).abs().sum() / 2) > 0.2


def test_steps_have_an_error_of_first_order() -> None:
    errors = []
    for steps in (40, 80, 160):
        law = _at(0.9).sum((1, 2))
        for t, s in pairwise(torch.linspace(0.9, 0.1, steps + 1).double().tolist()):
            chance = (t - s) / t
            stay = torch.nn.functional.one_hot(STATES, K).double()
            each = (1 - chance) * stay + chance * _model(STATES, t).exp()
            law = law @ (each[:, 0].unsqueeze(-1) * each[:, 1].unsqueeze(-2)).flatten(1)
        errors.append(float((law - _at(0.1).sum((1, 2))).abs().sum() / 2))
    assert math.log2(errors[-2] / errors[-1]) == pytest.approx(1.0, abs=0.1)


def test_its_dynamics_run_one_way() -> None:
    x = STATES
    jump = PATH.dynamics(_model(x, 0.5), x, 0.5)
    assert torch.allclose(jump.restore.rate, torch.full((9, 2), 2.0).double())
    with pytest.raises(CapabilityError, match="the two sets exchanged"):
        jump.advance(x, 0.1, 0.0, torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="towards the data"):
        PATH.bridge(_model(x, 0.5), x, 0.5, 0.6)


def test_flow_matching_learns_between_two_sets_of_sequences() -> None:
    source = torch.tensor([[0, 0, 1, 1]]).repeat(256, 1)
    source[::2] = 1 - source[::2]
    data = 2 - source
    for coupling in ("independent", "ot"):
        model = pf.FlowMatching.for_data(pf.data.Data(data), path=PATH, coupling=coupling)
        pf.fit(model, data, source=source, steps=150, batch_size=64)
        found = model.forward(source[:200], steps=20, seed=0)
        kinds = {tuple(row) for row in data.tolist()}
        valid = sum(tuple(row) in kinds for row in found.tolist()) / 200
        assert valid > 0.8, coupling
        assert model.capabilities.log_prob == "none"
        if coupling == "ot":
            # Near pairs: (1, 1) of the source at the sites where the data have it too.
            kept = ((found == 1) == (source[:200] == 1)).double().mean()
            assert float(kept) > 0.8
