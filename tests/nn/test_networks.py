"""What every network promises: shapes, time, labels, gradients, a description."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pushforward import config, registry
from pushforward.errors import InputError
from pushforward.nn import MLP, AffineSkip, DiT, UNet

Make = Callable[..., nn.Module]

NETWORKS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "mlp": (lambda **k: MLP((3, 2), width=16, depth=3, **k), (3, 2)),
    "affine-skip": (lambda **k: AffineSkip(MLP((3, 2), width=16, **k), width=8), (3, 2)),
    "dit": (lambda **k: DiT(2, width=16, depth=2, heads=2, **k), (2, 9, 8)),
    "unet": (lambda **k: UNet(2, width=8, multipliers=(1, 2, 2), blocks=2, **k), (2, 9, 8)),
}


@pytest.fixture(params=NETWORKS)
def case(request: pytest.FixtureRequest) -> tuple[Make, tuple[int, ...]]:
    return NETWORKS[request.param]


def _awake(net: nn.Module) -> nn.Module:
    """The network with random weights everywhere; a new one puts out zeros whatever comes in."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return net.eval()


def _inputs(shape: tuple[int, ...], batch: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, *shape, generator=generator), torch.rand(batch, generator=generator)


def test_every_network_is_tested() -> None:
    # Those of symbols, of sets and of functions have files of their own.
    of_symbols = {"transformer", "block-transformer"}
    of_sets = {"set-transformer", "equivariant-sets"}
    of_functions = {"fourier-operator", "point-attention", "spherical-operator"}
    assert {*NETWORKS, *of_symbols, *of_sets, *of_functions} == {
        *registry.names("networks"),
        "affine-skip",
    }


def test_a_new_network_predicts_zero_in_the_shape_of_its_input(case) -> None:
    make, shape = case
    x, t = _inputs(shape)
    assert torch.equal(make()(x, t), torch.zeros_like(x))


def test_one_time_for_all_is_that_time_for_each(case) -> None:
    make, shape = case
    net = _awake(make(num_classes=3))
    x, _ = _inputs(shape)
    t, c = torch.tensor(0.3), torch.tensor([0, 1, 2, -1, 0])
    for labels in (None, c):
        each = net(x, torch.full((5,), 0.3), labels)
        # Other shapes of the same products are rounded otherwise.
        torch.testing.assert_close(net(x, t, labels), each, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(net(x, t.expand(5), labels), each, rtol=1e-3, atol=1e-4)


def test_rows_do_not_interact(case) -> None:
    make, shape = case
    net = _awake(make(num_classes=3))
    x, t = _inputs(shape)
    c = torch.tensor([0, 1, 2, -1, 0])
    alone = torch.cat([net(x[k : k + 1], t[k : k + 1], c[k : k + 1]) for k in range(5)])
    torch.testing.assert_close(net(x, t, c), alone, atol=1e-5, rtol=1e-4)


def test_one_label_or_context_for_all_is_that_for_each(case) -> None:
    make, shape = case
    x, t = _inputs(shape)
    for told, c in (({"num_classes": 3}, torch.tensor(2)), ({"context": 3}, torch.randn(3))):
        net = _awake(make(**told))
        each = net(x, t, c.expand(5, *c.shape))
        for one in (c, c[None]):
            torch.testing.assert_close(net(x, t, one), each, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(each, net(x, t), atol=1e-3)


def test_time_matters(case) -> None:
    make, shape = case
    net = _awake(make())
    x, t = _inputs(shape)
    # Nearby times are told apart as well: those of two neighboring steps of a long sampler.
    for other in (1 - t, t + 1e-3):
        change = (net(x, other) - net(x, t)).flatten(1).norm(dim=1)
        assert (change > 1e-4 * net(x, t).flatten(1).norm(dim=1)).all()


def test_labels_matter_and_minus_one_is_no_label(case) -> None:
    make, shape = case
    net = _awake(make(num_classes=3))
    x, t = _inputs(shape)
    outputs = [net(x, t, torch.full((5,), label)) for label in (-1, 0, 1, 2)]
    torch.testing.assert_close(net(x, t), outputs[0])
    for k in range(4):
        for m in range(k):
            assert (outputs[k] - outputs[m]).abs().max() > 1e-3
    mixed = net(x, t, torch.tensor([0, -1, 2, 1, -1]))
    expected = torch.stack([outputs[k][i] for i, k in enumerate([1, 0, 3, 2, 0])])
    torch.testing.assert_close(mixed, expected)


def test_gradients_reach_every_parameter(case) -> None:
    make, shape = case
    net = _awake(make(num_classes=3))
    x, t = _inputs(shape)
    net(x, t, torch.tensor([0, 1, 2, -1, 0])).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert (net.conditioning.label.weight.grad.abs().sum(1) > 0).all()


def test_a_description_rebuilds_the_network(case) -> None:
    make, shape = case
    net = _awake(make(num_classes=3))
    again = config.build(config.describe(net))
    again.load_state_dict(net.state_dict())
    x, t = _inputs(shape)
    c = torch.tensor([0, 1, 2, -1, 0])
    assert torch.equal(again.eval()(x, t, c), net(x, t, c))


def test_double_precision(case) -> None:
    make, shape = case
    net = _awake(make())
    x, t = _inputs(shape)
    exact = net.double()(x.double(), t.double())
    assert exact.dtype == torch.float64
    torch.testing.assert_close(net.float()(x, t).double(), exact, atol=1e-3, rtol=1e-3)


def test_states_of_another_shape_are_refused(case) -> None:
    make, shape = case
    net = make()
    with pytest.raises(InputError, match="shape"):
        net(torch.zeros(5, shape[0] + 1, *shape[1:]), torch.rand(5))
    with pytest.raises(InputError, match="shape"):
        net(torch.zeros(shape), torch.rand(()))


@pytest.mark.parametrize("shape", [(4,), (1,), (5, 1)])
def test_times_of_another_shape_are_refused(case, shape: tuple[int, ...]) -> None:
    make, event = case
    with pytest.raises(InputError, match=r"times have shape \(\) or \(5,\), not "):
        make()(_inputs(event)[0], torch.rand(shape))


@pytest.mark.parametrize(
    ("c", "message"),
    [
        (torch.tensor([0, 1, 2, 3, 0]), r"labels lie in 0\.\.2 \(or -1 for none\), not in 0\.\.3"),
        (torch.tensor([0, 1, 2, -2, 0]), r"labels lie in 0\.\.2 .* not in -2\.\.2"),
        (torch.tensor([0.0, 1, 2, 1, 0]), "labels are integers"),
        (torch.tensor([0, 1]), r"shape \(5,\), not torch.int64 of shape \(2,\)"),
        (torch.zeros(5, 1).long(), r"shape \(5,\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(case, c: Tensor, message: str) -> None:
    make, event = case
    with pytest.raises(InputError, match=message):
        make(num_classes=3)(*_inputs(event), c)


def test_labels_are_refused_where_none_are_taken(case) -> None:
    make, event = case
    with pytest.raises(InputError, match="num_classes"):
        make()(*_inputs(event), torch.zeros(5, dtype=torch.long))
    with pytest.raises(InputError, match="num_classes is a whole number"):
        make(num_classes=0)
