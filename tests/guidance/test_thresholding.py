"""Predictions within the range of the data, each state by itself."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import InputError
from pushforward.guidance import DynamicThreshold, StaticThreshold


def same(x, t, c=None):
    return x if c is None else x + c


def normal(*shape: int) -> torch.Tensor:
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_static_is_a_clip_to_the_range() -> None:
    x = normal(5, 3, 4)
    assert torch.equal(StaticThreshold(same)(x, 0.5), x.clamp(-1, 1))
    low, high = torch.full((3, 4), -0.5), torch.linspace(0.1, 2, 12).view(3, 4)
    found = StaticThreshold(same, low, high)(x, 0.5)
    assert torch.equal(found, x.clamp(low, high))


def test_dynamic_is_what_imagen_publishes() -> None:
    """Its three lines: the percentile of each image, at least one; clip; divide."""
    x = normal(6, 3, 8, 8)
    x[3:] *= 0.2
    s = torch.quantile(x.abs().flatten(1), 0.9, dim=1).clamp(min=1).view(-1, 1, 1, 1)
    assert float(s[0]) > 1
    assert float(s[5]) == 1
    found = DynamicThreshold(same, 0.9)(x, 0.5)
    assert torch.allclose(found, x.clamp(-s, s) / s)
    # In other units it is the same.
    shift, scale = torch.tensor(0.3), torch.tensor(2.5)
    moved = DynamicThreshold(same, 0.9, shift - scale, shift + scale)(shift + scale * x, 0.5)
    assert torch.allclose(moved, shift + scale * found, atol=1e-6)


@pytest.mark.parametrize("kind", [StaticThreshold, DynamicThreshold])
def test_a_state_is_answered_the_same_in_any_batch(kind) -> None:
    x = normal(40, 10)
    whole = kind(same)(x, 0.5)
    assert torch.equal(whole[7:8], kind(same)(x[7:8], 0.5))
    assert torch.equal(kind(same)(x[:0], 0.5), x[:0])
    assert torch.equal(kind(same)(x, 0.5, 1.0), kind(same)(x + 1, 0.5))
    assert float(whole.abs().max()) <= 1
    assert kind(same)(x.half(), 0.5).dtype == torch.half


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match="to a larger high, not"):
        StaticThreshold(same, 1.0, -1.0)
    with pytest.raises(InputError, match="at most 1, not 99"):
        DynamicThreshold(same, 99.5)
