"""Masking block by block, beside tables of sequences whose probabilities are known."""

from __future__ import annotations

import math
from itertools import combinations, product

import pytest
import torch

from pushforward import Diffusion, samplers
from pushforward.analytic import AnalyticTokens
from pushforward.errors import CapabilityError, InputError
from pushforward.nn import BlockTransformer
from pushforward.processes import BlockMasking, Masking, ProductProcess
from pushforward.protocols import Transport, matching_loss
from pushforward.spaces import Tokens

VOCABULARY, SITES = 3, 5


@pytest.fixture(scope="module")
def problem() -> AnalyticTokens:
    return AnalyticTokens.random(VOCABULARY, SITES, seed=0)


def _model(problem: AnalyticTokens, process: BlockMasking):
    """The exact prediction, of a state or of every block given the clean ones before it."""
    single = problem.model(Masking(process.space))

    def model(x, t, c=None):
        if not isinstance(x, tuple):
            return single(x, t)
        clean, noisy = x
        parts = []
        for first in range(0, SITES, process.block):
            own = slice(first, min(first + process.block, SITES))
            state = torch.full_like(clean, process.space.mask)
            state[:, :first], state[:, own] = clean[:, :first], noisy[:, own]
            parts.append(single(state, t)[:, own])
        return torch.cat(parts, 1)

    return model


def _patterns(size: int) -> list[tuple[tuple[int, ...], float]]:
    """What can be hidden in a block, with its chance."""
    return [
        (hidden, 1 / size / math.comb(size, count))
        for count in range(1, size + 1)
        for hidden in combinations(range(size), count)
    ]


def _enumerated(process: BlockMasking, model, z: torch.Tensor) -> torch.Tensor:
    """The expected loss of sequences, over all that can be hidden."""
    sizes = [min(process.block, SITES - first) for first in range(0, SITES, process.block)]
    expected = torch.zeros(len(z), dtype=torch.float64)
    for choice in product(*map(_patterns, sizes)):
        noisy = z.clone()
        for k, (hidden, _) in enumerate(choice):
            noisy[:, [k * process.block + site for site in hidden]] = process.space.mask
        x = (z, noisy)
        loss = process.loss(model(x, 0.0), z, x, 0.0)
        expected += math.prod(chance for _, chance in choice) * loss
    return expected


@pytest.mark.parametrize("block", [1, 2, 3, 5])
def test_the_loss_of_the_exact_model_is_the_negative_log_likelihood(problem, block):
    # All that can be hidden is enumerated; the exact bound of an exact model is tight for each
    # sequence, whatever the blocks, and the last one may be shorter.
    process = BlockMasking(Tokens(VOCABULARY), block)
    z = problem.data.states()[::17]
    expected = _enumerated(process, _model(problem, process), z)
    torch.testing.assert_close(expected, -problem.data.log_prob(z), rtol=0, atol=1e-9)


@pytest.mark.parametrize(("block", "sharpness"), [(1, 0.3), (2, 1.0), (2, 0.3), (3, 0.3)])
def test_the_bound_is_that_of_the_enumeration_and_its_error_covers(problem, block, sharpness):
    process, copies = BlockMasking(Tokens(VOCABULARY), block), 150
    exact = _model(problem, process)

    def model(x, t, c=None):
        return sharpness * exact(x, t)

    z = problem.data.states()[::60]
    expected = -_enumerated(process, model, z)
    many = z.repeat_interleave(copies, 0)
    found = samplers.block_evidence_bound(Transport(model, process), many, draws=16, seed=0)
    assert (found.kind, found.nfe) == ("bound", 16)
    each = found.value.unflatten(0, (-1, copies))
    error = each.std(1) / copies**0.5
    assert ((each.mean(1) - expected).abs() < 4 * error + 1e-9).all()
    claimed = found.stderr.square().unflatten(0, (-1, copies)).mean(1).sqrt()
    torch.testing.assert_close(claimed, each.std(1), rtol=0.25, atol=1e-9)
    truth = problem.data.log_prob(z)
    if sharpness == 1.0:
        torch.testing.assert_close(expected, truth, rtol=0, atol=1e-9)
    if block == 1:
        # Sites one after the other: no draw changes the value.
        assert float(found.stderr.max()) < 1e-12


def test_only_processes_of_blocks_have_the_bound_of_blocks(problem):
    plain, blocks = Masking(Tokens(VOCABULARY)), BlockMasking(Tokens(VOCABULARY))
    z = problem.data.states()[:2]
    with pytest.raises(CapabilityError, match="Masking is not asked for all blocks at once"):
        samplers.block_evidence_bound(Transport(problem.model(plain), plain), z)
    with pytest.raises(CapabilityError, match="block_evidence_bound"):
        samplers.evidence_bound(Transport(_model(problem, blocks), blocks), z, 1.0, 0.1)
    with pytest.raises(InputError, match="multiple of 16"):
        samplers.block_evidence_bound(Transport(_model(problem, blocks), blocks), z, draws=20)
    # It is no integral over a time that the factors of a product could share.
    assert "bound" in blocks.supports
    assert "bound" not in ProductProcess((blocks, plain)).supports


def test_a_model_of_blocks_has_the_bound(problem):
    net = BlockTransformer(VOCABULARY, block=2, width=8, depth=1, heads=2)
    with torch.no_grad():
        net.last.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    process = BlockMasking(Tokens(VOCABULARY), 2)
    model = Diffusion(net, process, event_shape=(SITES,))
    z = problem.data.states()[::40]
    model.fit_units(z)
    assert model.capabilities.log_prob == "bound"
    found = model.log_prob(z, draws=16, seed=0)
    # Symbols that do not depend on each other: all that is hidden costs the same on average.
    alone = torch.tensor([0.0, 1.0, 2.0]).log_softmax(0).double()
    assert ((found.value - alone[z].sum(1)).abs() < 4 * found.stderr + 1e-5).all()
    parts = model.log_prob(z, draws=16, seed=0, batch_size=3)
    torch.testing.assert_close(parts.value, found.value)
    assert "what each block costs" in str(model.about_density({}))
    with pytest.raises(InputError, match=r"leave out stop=0\.1"):
        model.log_prob(z, stop=0.1)


def test_every_number_of_hidden_symbols_comes_as_often_and_every_subset_of_it():
    process, n = BlockMasking(Tokens(4), 3), 30_000
    z = torch.zeros(n, 8, dtype=torch.long)
    clean, noisy = process.for_training(z, 0.5, torch.Generator().manual_seed(0))
    assert clean is z
    hidden = noisy == 4
    for first, size in ((0, 3), (3, 3), (6, 2)):
        own = hidden[:, first : first + size]
        for pattern, chance in _patterns(size):
            wanted = torch.zeros(size, dtype=torch.bool)
            wanted[list(pattern)] = True
            share = float((own == wanted).all(1).double().mean())
            assert abs(share - chance) < 4.5 * math.sqrt(chance * (1 - chance) / n)


def test_the_integral_over_the_time_is_the_same_bound(problem):
    process, n = BlockMasking(Tokens(VOCABULARY), 2), 50_000
    z = problem.data.sample(n, seed=0)
    t = (torch.arange(n) + 0.5) / n
    t = t[torch.randperm(n, generator=torch.Generator().manual_seed(1))]
    x_t = process.sample(z, t, torch.Generator().manual_seed(2))
    at_times = process.loss(_model(problem, process)(x_t, 0.0), z, x_t, t).double()
    entropy = -(problem.data.probabilities * problem.data.probabilities.log()).sum()
    error = float(at_times.std() / n**0.5)
    assert abs(float(at_times.mean() - entropy)) < 4 * error
    assert error < 0.05


def test_a_single_block_is_masking(problem):
    process, n = BlockMasking(Tokens(VOCABULARY), SITES), 30_000
    z, t = problem.data.sample(n, seed=3), (torch.arange(n) + 0.5) / n
    ours, plain = (
        matching_loss(_model(problem, process), kind, z, t, generator=torch.Generator()).double()
        for kind in (process, Masking(process.space))
    )
    error = math.sqrt(float(ours.var() + plain.var()) / n)
    assert abs(float(ours.mean() - plain.mean())) < 4 * error
    # Spread counts in the place of times leave less variance.
    assert ours.var() < plain.var()


def test_steps_within_the_blocks_draw_from_the_table(problem):
    process, n = BlockMasking(Tokens(VOCABULARY), 2), 4_000
    grid = torch.linspace(1, 0, 3 * 20 + 1).tolist()
    start = process.prior((SITES,)).sample(n, seed=0)
    x = samplers.run(
        samplers.Ancestral(), Transport(_model(problem, process), process), start, grid,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    place = (x * VOCABULARY ** torch.arange(SITES - 1, -1, -1)).sum(1)
    found = torch.bincount(place, minlength=VOCABULARY**SITES) / n
    exact = problem.data.probabilities.flatten()
    distance = 0.5 * float((found - exact).abs().sum())
    # The expected distance of as many exact draws, and what 1/20 of a block at once costs.
    floor = 0.5 * math.sqrt(2 / math.pi / n) * float((exact * (1 - exact)).sqrt().sum())
    assert distance < 1.15 * floor + 0.01


def test_blocks_are_hidden_from_the_last_to_the_first():
    process = BlockMasking(Tokens(3), 2)
    z = torch.zeros(2000, 6, dtype=torch.long)
    hidden = (process.sample(z, 0.5, torch.Generator().manual_seed(0)) == 3).float().mean(0)
    assert hidden[:2].sum() == 0
    assert hidden[4:].sum() == 2
    assert float(hidden[2:4].mean()) == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(4000))


def test_a_step_over_several_blocks_is_refused():
    process = BlockMasking(Tokens(3), 2)
    x = torch.full((1, 6), 3)
    with pytest.raises(InputError, match="at least 3 steps for 6 symbols in blocks of 2"):
        process.bridge(torch.zeros(1, 6, 3), x, 1.0, 0.5)
    with pytest.raises(InputError, match="towards the data"):
        process.bridge(torch.zeros(1, 6, 3), x, 0.2, 0.5)
    with pytest.raises(InputError, match="block"):
        BlockMasking(Tokens(3), 0)
