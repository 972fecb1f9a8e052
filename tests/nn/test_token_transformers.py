"""Transformers of symbols: what a site can see, and that all blocks can be asked at once."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import InputError
from pushforward.nn import BlockTransformer, RotaryAttention, TokenTransformer
from pushforward.nn.rotary import angles


def _busy(net: torch.nn.Module) -> torch.nn.Module:
    """The network with weights that are nowhere zero."""
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return net.double()


def test_rotary_scores_depend_on_the_distance_alone():
    attention = RotaryAttention(8, 2).double()
    h = torch.randn(1, 5, 8, generator=torch.Generator().manual_seed(0)).double()
    near = attention(h, angles(torch.arange(5).double(), 4))
    far = attention(h, angles(torch.arange(5).double() + 1000, 4))
    torch.testing.assert_close(near, far, rtol=0, atol=1e-9)
    other = attention(h, angles(2 * torch.arange(5).double(), 4))
    assert (other - near).abs().max() > 1e-3


def test_every_site_of_a_token_transformer_sees_every_other_and_the_time():
    net = _busy(TokenTransformer(4, width=8, depth=2, heads=2))
    x, t = torch.tensor([[0, 1, 4, 2]]), torch.tensor([0.3]).double()
    before = net(x, t)
    for site in range(4):
        other = x.clone()
        other[0, site] = 3
        assert bool(((net(other, t) - before).abs().sum(-1) > 1e-6).all())
    assert (net(x, t + 0.5) - before).abs().max() > 1e-6
    torch.testing.assert_close(net(x, t[0]), before)


@pytest.mark.parametrize("grams", [1, 3])
def test_a_block_sees_itself_and_what_is_before_it(grams):
    net = _busy(BlockTransformer(4, block=2, width=8, depth=2, heads=2, grams=grams))
    x, t = torch.tensor([[0, 1, 4, 2, 3, 1, 0]]), torch.zeros(())
    before = net(x, t)
    for site in range(7):
        other = x.clone()
        other[0, site] = (x[0, site] + 1) % 4
        moved = (net(other, t) - before).abs().sum(-1)[0] > 1e-9
        assert moved.tolist() == [k // 2 >= site // 2 for k in range(7)]


@pytest.mark.parametrize(("length", "grams"), [(6, 1), (7, 1), (7, 3), (1, 3)])
def test_all_blocks_at_once_are_what_each_is_alone(length, grams):
    net = _busy(BlockTransformer(4, block=2, width=8, depth=3, heads=2, grams=grams))
    generator = torch.Generator().manual_seed(1)
    clean = torch.randint(0, 4, (3, length), generator=generator)
    noisy = torch.where(torch.rand(3, length, generator=generator) < 0.5, 4, clean)
    together = net((clean, noisy), torch.zeros(()))
    for block in range(-(-length // 2)):
        own = slice(2 * block, min(2 * block + 2, length))
        state = torch.full_like(clean, 4)
        state[:, : own.start], state[:, own] = clean[:, : own.start], noisy[:, own]
        torch.testing.assert_close(together[:, own], net(state, torch.zeros(()))[:, own])


def test_each_gram_has_a_vector_of_its_own():
    # An untrained layer is the identity, so that nothing but the tables tells the pairs apart.
    net = BlockTransformer(4, block=2, width=8, depth=1, heads=2, grams=2)
    torch.nn.init.zeros_(net.embedding.weight)
    torch.nn.init.normal_(net.last.weight)
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    found = net(pairs, torch.zeros(()))[:, 1]
    assert torch.cdist(found, found).add(torch.eye(25)).min() > 1e-3


def test_gradients_of_all_blocks_are_finite():
    net = _busy(BlockTransformer(4, block=2, width=8, depth=2, heads=2))
    clean = torch.tensor([[0, 1, 2, 3, 0]])
    net((clean, torch.full_like(clean, 4)), torch.zeros(())).square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters())


def test_sizes_and_states_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="twice the heads=4"):
        TokenTransformer(4, width=12, heads=4)
    net = TokenTransformer(4, width=8, depth=1, heads=2)
    with pytest.raises(InputError, match="integers"):
        net(torch.zeros(2, 3), torch.zeros(()))
    with pytest.raises(InputError, match="grams=9"):
        BlockTransformer(27, width=8, heads=2, grams=9)
    with pytest.raises(InputError, match="no labels"):
        BlockTransformer(4, width=8, depth=1, heads=2)(
            torch.zeros(1, 4).long(), torch.zeros(()), torch.zeros(1)
        )
