"""What transforms are told beside the state: checked when they are called, alike for all kinds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pushforward.errors import InputError
from pushforward.nn import MaskedPerceptron, Perceptron
from pushforward.transforms import (
    ActNorm,
    Affine,
    Autoregressive,
    Composed,
    Continuous,
    CouplingLayer,
    Inverse,
    LULinear,
    Multiscale,
    Planar,
    Radial,
    Residual,
    Transform,
    TransformCondition,
)
from pushforward.transforms.residual import Contraction

DIM = 4


def _coupling(**told: int) -> Transform:
    return CouplingLayer(Perceptron(2, 4, 8, **told), Affine(), [True, False] * 2)


def _autoregressive(**told: int) -> Transform:
    return Autoregressive(MaskedPerceptron(DIM, 2, 8, **told), Affine())


MADE: dict[str, Callable[..., Transform]] = {
    "coupling": _coupling,
    "autoregressive": _autoregressive,
    "continuous": lambda **told: Continuous(Perceptron(DIM + 1, DIM, 8, **told), 4),
    "composed": lambda **told: Composed([ActNorm(DIM), _coupling(**told), LULinear(DIM)]),
    "partly": lambda **told: Composed([_coupling(**told), _coupling()]),
    "inverse": lambda **told: Inverse(_autoregressive(**told)),
}

WITHOUT: dict[str, Callable[[], Transform]] = {
    **MADE,
    "linear": lambda: LULinear(DIM),
    "normalization": lambda: ActNorm(DIM),
    "planar": lambda: Planar(DIM),
    "radial": lambda: Radial(DIM),
    "residual": lambda: Residual(Contraction(DIM, 8)),
}


def _awake(transform: Transform) -> Transform:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return transform.double()


def _normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _ways(transform: Transform) -> list[Callable[..., object]]:
    return [transform.push, transform.inverse, transform, transform.prepare]


@torch.no_grad()
@pytest.mark.parametrize("name", MADE)
def test_one_context_for_all_is_that_context_for_each(name: str) -> None:
    transform = _awake(MADE[name](context=3))
    x, c = _normal(5, DIM), _normal(3, seed=1)
    for move in (transform.push, transform.inverse):
        each = move(x, c.expand(5, 3))
        for one in (c, c[None]):
            assert all(map(torch.equal, move(x, one), each))
        assert not torch.allclose(move(x, 2 * c)[0], each[0])


@torch.no_grad()
@pytest.mark.parametrize("name", MADE)
def test_one_label_for_all_is_that_label_for_each(name: str) -> None:
    transform = _awake(MADE[name](num_classes=3))
    x = _normal(5, DIM)
    for move in (transform.push, transform.inverse):
        each = move(x, torch.full((5,), 2))
        for one in (torch.tensor(2), torch.tensor([2])):
            assert all(map(torch.equal, move(x, one), each))
        assert not torch.allclose(move(x, torch.tensor(1))[0], each[0])


@pytest.mark.parametrize("name", MADE)
def test_a_condition_that_is_missing_or_of_another_shape_is_refused(name: str) -> None:
    x = _normal(5, DIM)
    for told, wanted in (({"context": 3}, "contexts of 3 numbers"), ({"num_classes": 3}, "3 lab")):
        for move in _ways(_awake(MADE[name](**told))):
            with pytest.raises(InputError, match=f"made for {wanted}.*give c="):
                move(x)
            for wrong in (_normal(5, 2), _normal(4, 3), _normal(5, 3, 1)):
                with pytest.raises(InputError, match=r"for all states, not"):
                    move(x, wrong)


@pytest.mark.parametrize("name", WITHOUT)
def test_a_condition_that_is_not_taken_is_refused(name: str) -> None:
    transform = _awake(WITHOUT[name]())
    for move in _ways(transform):
        with pytest.raises(InputError, match="made without labels or contexts"):
            move(_normal(5, DIM), _normal(5, 3))


def test_a_condition_at_every_scale_of_an_image() -> None:
    def level(channels: int, sides: int) -> Transform:
        half = channels * sides**2 // 2
        net = Perceptron(half, 2 * half, 8, context=2)
        return CouplingLayer(net, Affine(), [True, False] * half)

    flow = _awake(Multiscale((1, 4, 4), [level(4, 2), Composed([level(8, 1), ActNorm(8)])]))
    x, c = _normal(3, 1, 4, 4), _normal(2, seed=1)
    assert torch.equal(flow(x, c), flow(x, c.expand(3, 2)))
    assert not torch.allclose(flow(x, c), flow(x, -c))
    with pytest.raises(InputError, match="give c="):
        flow.inverse(x)


def test_parts_agree_on_what_they_take() -> None:
    with pytest.raises(InputError, match=r"not contexts of 2 numbers and contexts of 3 numbers"):
        Composed([_coupling(context=3), _coupling(context=2)])
    assert Composed([_coupling(), _coupling(context=3)]).condition == TransformCondition(
        context_size=3
    )


def test_a_network_that_says_nothing_is_handed_what_is_given() -> None:
    class Own(nn.Module):
        def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
            shift = x.new_zeros(len(x), 2) if c is None else c.expand(len(x), 2)
            return torch.stack([shift, 0 * shift], -1).flatten(1)

    layer = CouplingLayer(Own(), Affine(), [True, False] * 2)
    x, c = _normal(5, DIM), _normal(5, 2)
    assert torch.allclose(layer(x, c)[:, 1::2], x[:, 1::2] + c)
    mixed = Composed([linear := LULinear(DIM).double(), layer])
    assert torch.equal(mixed(x), linear(x))
    assert torch.allclose(mixed(x, c), layer(linear(x), c))


TURNED: dict[str, Callable[[], Transform]] = {
    "once": lambda: Inverse(Composed([LULinear(4), ActNorm(4), LULinear(4, seed=1), ActNorm(4)])),
    "twice": lambda: Inverse(Inverse(ActNorm(4))),
    "inside": lambda: Composed([Inverse(ActNorm(4)), LULinear(4)]),
    "around": lambda: Inverse(Composed([LULinear(4), Inverse(ActNorm(4))])),
}


@torch.no_grad()
@pytest.mark.parametrize("name", TURNED)
def test_a_normalization_starts_from_data_in_either_direction(name: str) -> None:
    transform = TURNED[name]().double()
    x = 3 + _normal(500, 4) @ _normal(4, 4, seed=1)
    made = transform.prepare(x)
    z = transform.inverse(x)[0]
    assert torch.allclose(made, z)
    assert torch.allclose(z.mean(0), torch.zeros(4, dtype=z.dtype), atol=1e-9)
    assert torch.allclose(z.std(0, correction=0), torch.ones(4, dtype=z.dtype), atol=1e-9)


@torch.no_grad()
def test_a_normalization_of_images_starts_turned_round() -> None:
    flow = Inverse(Multiscale((1, 4, 4), [ActNorm(4), ActNorm(8)])).double()
    x = 3 + 2 * _normal(500, 1, 4, 4)
    z = flow.prepare(x)
    assert torch.allclose(z, flow.inverse(x)[0])
    # The last level on this way is the largest, whose four channels are the pixels of a square.
    channels = torch.nn.functional.pixel_unshuffle(z, 2).transpose(0, 1).flatten(1)
    assert float(channels.mean(1).abs().max()) < 1e-9
    assert float((channels.std(1, correction=0) - 1).abs().max()) < 1e-9
