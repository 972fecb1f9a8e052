"""The network for those who do not want to choose."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pushforward import config
from pushforward.data import load
from pushforward.errors import InputError
from pushforward.models import FlowMatching
from pushforward.nn import MLP, FourierFeatures, UNet, default_network
from pushforward.processes import Geodesic, ProductProcess
from pushforward.spaces import SO3, Product, Sphere, Torus


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((2,), MLP),
        ((64,), MLP),
        ((3, 2, 2), MLP),
        ((5, 16), MLP),
        ((1, 8, 8), UNet),
        ((3, 17, 9), UNet),
        ((1, 28, 28), UNet),
    ],
)
@pytest.mark.parametrize("num_classes", [None, 4])
def test_it_fits_the_data(shape: tuple[int, ...], kind: type, num_classes: int | None) -> None:
    net = default_network(shape, num_classes)
    assert type(net) is kind
    assert net.num_classes == num_classes
    x = torch.zeros(2, *shape)
    c = None if num_classes is None else torch.tensor([0, num_classes - 1])
    assert net(x, torch.rand(2), c).shape == x.shape


@pytest.mark.parametrize("shape", [(), (0,), (1, 0, 8)])
def test_events_without_entries_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="no network"):
        default_network(shape)


@pytest.mark.parametrize(
    ("shape", "out", "kind"),
    [
        ((2,), (5,), MLP),
        ((2,), (3, 4), MLP),
        ((5, 16), (7,), MLP),
        ((2, 8, 8), (4, 8, 8), UNet),
        ((1, 9, 17), (3, 9, 17), UNet),
        ((1, 8, 8), (1, 4, 4), MLP),
        ((1, 8, 8), (10,), MLP),
        ((1, 8, 8), (8, 8), MLP),
    ],
)
@pytest.mark.parametrize("context", [None, 3])
def test_outputs_of_another_shape(shape, out, kind: type, context: int | None) -> None:
    net = default_network(shape, context_size=context, out_shape=out)
    assert type(net) is kind
    assert net.context_size == context
    x, c = torch.zeros(2, *shape), None if context is None else torch.zeros(2, context)
    assert net(x, torch.rand(2), c).shape == (2, *out)
    again = config.build(config.describe(net))
    assert again(x, torch.rand(2), c).shape == (2, *out)


def test_every_entry_of_an_output_of_another_shape_sees_the_state() -> None:
    for shape, out in (((2,), (3, 4)), ((1, 8, 8), (3, 8, 8))):
        net = default_network(shape, out_shape=out)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.normal_(0, 0.1, generator=generator)
        x = torch.randn(1, *shape, generator=generator)
        moved = net(x, torch.rand(1)) - net(x + 1, torch.rand(1))
        assert bool((moved != 0).all())


def test_labels_or_a_context() -> None:
    with pytest.raises(InputError, match="not both"):
        default_network((2,), num_classes=3, context_size=2)
    with pytest.raises(InputError, match=r"no network for events of shape \(0,\)"):
        default_network((2,), out_shape=(0,))


@pytest.mark.parametrize(
    ("space", "shape", "frequencies"),
    [
        (SO3(), (3, 3), 4),  # nine numbers of three dimensions
        (Sphere(), (3,), 5),
        (Torus(), (5,), 2),  # sines and cosines of five angles
        (Product(SO3(), Sphere()), ((3, 3), (3,)), 2),
    ],
)
def test_fine_structure_is_looked_for_by_the_dimension_of_the_space(
    space: Any, shape: Any, frequencies: int
) -> None:
    parts = zip(space.factors, shape, strict=True) if isinstance(space, Product) else None
    generator = torch.Generator().manual_seed(0)
    if parts is None:
        x, path = space.uniform(8, shape, generator), Geodesic(space)
    else:
        x = tuple(part.uniform(8, own, generator) for part, own in parts)
        path = ProductProcess([Geodesic(part) for part in space.factors])
    model = FlowMatching.for_data(load(x, space=space), path=path)
    (found,) = [part for part in model.modules() if isinstance(part, FourierFeatures)]
    assert len(found.scales) == frequencies
