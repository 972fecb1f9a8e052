"""Masked perceptrons: each output sees exactly the entries that it may see."""

from __future__ import annotations

import time
import warnings

import pytest
import torch
from torch import Tensor

from pushforward import config
from pushforward.errors import InputError
from pushforward.nn import MaskedPerceptron
from pushforward.transforms import Affine, Autoregressive

# Two chains that meet, and an entry alone; in no order of the indices.
GRAPH = [
    [0, 0, 0, 1, 0, 0],
    [1, 0, 0, 1, 0, 0],
    [0, 1, 0, 0, 1, 0],
    [0, 0, 0, 0, 0, 0],
    [0, 0, 0, 1, 0, 0],
    [0, 0, 0, 0, 0, 0],
]


def _awake(net: MaskedPerceptron) -> MaskedPerceptron:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return net.double()


def _normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _jacobian(net: MaskedPerceptron, features: int, c: Tensor | None = None) -> Tensor:
    """Whether any output of an entry, a row, moves with an entry, a column, at any of some states.

    Rectified units are silent at many: none is at all of them.
    """
    found = torch.zeros(features, features, dtype=torch.bool)
    for row in 3 * _normal(20, features):
        slopes = torch.autograd.functional.jacobian(lambda v: net(v[None], c)[0], row)
        found |= slopes.reshape(features, -1, features).abs().amax(1) > 0
    return found


def _after(features: int) -> Tensor:
    return torch.ones(features, features).tril(-1).bool()


@pytest.mark.parametrize("features", [1, 2, 7])
@pytest.mark.parametrize("depth", [1, 3])
def test_every_entry_sees_all_before_it_and_no_other(features: int, depth: int) -> None:
    for width in (max(1, features - 1), features + 5, 64):
        net = _awake(MaskedPerceptron(features, 2, width, depth))
        assert torch.equal(net.connections(), _after(features))
        if width == 64:
            assert torch.equal(_jacobian(net, features), _after(features))


@pytest.mark.parametrize(("features", "width"), [(784, 784), (784, 783), (2, 8), (3, 2)])
def test_no_dependency_is_lost_where_the_width_permits(features: int, width: int) -> None:
    assert torch.equal(MaskedPerceptron(features, 2, width).connections(), _after(features))


def test_a_narrow_network_loses_few_dependencies_and_says_so() -> None:
    with pytest.warns(UserWarning, match=r"width 128 has 99.\d% of the 306936 .*width=783 has all"):
        net = MaskedPerceptron(784, 1, 128)
    found = net.connections()
    assert not (found & ~_after(784)).any()
    # 655 missing sets in 129 gaps of 5 or 6: the least that 128 sets can miss.
    gaps = [655 // 129 + (k < 655 % 129) for k in range(129)]
    assert int(found.sum()) == 784 * 783 // 2 - sum(g * (g + 1) // 2 for g in gaps)
    with pytest.warns(UserWarning, match="width=2 has all"):
        one = MaskedPerceptron(3, 1, 1)
    assert one.connections().tolist() == [[False] * 3, [True, False, False], [True, False, False]]


@pytest.mark.parametrize("told", [{}, {"context": 2}, {"num_classes": 2}])
def test_any_adjacency_without_a_cycle(told: dict[str, int]) -> None:
    net = _awake(MaskedPerceptron(6, 3, 32, 2, adjacency=GRAPH, **told))
    allowed = torch.tensor(GRAPH).bool()
    assert torch.equal(net.connections(), allowed)
    c = None if not told else (_normal(1, 2) if "context" in told else torch.tensor([1]))
    assert torch.equal(_jacobian(net, 6, c), allowed)
    assert torch.equal(MaskedPerceptron(6, 3, 32, adjacency=allowed).connections(), allowed)


def test_random_adjacencies() -> None:
    generator = torch.Generator().manual_seed(0)
    for features in (1, 2, 9, 30):
        order = torch.randperm(features, generator=generator)
        table = torch.rand(features, features, generator=generator).lt(0.3).tril(-1)
        table = table[order][:, order]
        net = MaskedPerceptron(features, 2, 40, adjacency=table, shown=2)
        assert torch.equal(net.connections(), table)


def test_a_transform_of_an_adjacency() -> None:
    net = _awake(MaskedPerceptron(6, 2, 32, adjacency=GRAPH))
    flow = Autoregressive(net, Affine(), tolerance=1e-13)
    z = _normal(5, 6)
    x, up = flow.push(z)
    assert torch.allclose(flow.inverse(x)[0], z)
    inward = torch.autograd.functional.jacobian(lambda v: flow.inverse(v[None])[0][0], x[0])
    assert torch.equal(inward != 0, torch.tensor(GRAPH).bool() | torch.eye(6).bool())
    assert torch.allclose(torch.linalg.slogdet(inward).logabsdet, -up[0])
    # The longest way through the graph has four entries: so many passes, and one that sees it.
    assert flow.solve(z).passes <= 5


@torch.no_grad()
def test_the_first_entry_follows_a_context_along_a_curve() -> None:
    net = _awake(MaskedPerceptron(3, 1, 32, context=1))
    c = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    first = net(torch.zeros(9, 3, dtype=torch.float64), c)[:, 0]
    assert float(first.diff().diff().abs().max()) > 0.1


@torch.no_grad()
def test_one_context_for_all_is_that_for_each() -> None:
    x = _normal(5, 3)
    for told, c in (({"context": 2}, _normal(2)), ({"num_classes": 3}, torch.tensor(2))):
        net = _awake(MaskedPerceptron(3, 2, 16, **told))
        each = net(x, c.expand(5, *c.shape))
        assert torch.equal(net(x, c), each)
        assert torch.equal(net(x, c[None]), each)


def test_an_adjacency_is_written_down_and_read_back() -> None:
    for net in (
        MaskedPerceptron(6, 2, 8, adjacency=torch.tensor(GRAPH).bool()),
        MaskedPerceptron(4, 2, 8, order=[2, 0, 3, 1]),
    ):
        again = config.build(config.describe(net))
        assert torch.equal(again.connections(), net.connections())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": 0}, "features is a whole number"),
        ({"width": 2.5}, "width is a whole number"),
        ({"depth": 0}, "depth is a whole number"),
        ({"order": [0, 0]}, "a permutation, not"),
        ({"adjacency": [[0, 1], [1, 0]]}, r"a cycle among the entries \[0, 1\]"),
        ({"adjacency": [[0, 0], [0, 1]]}, r"a cycle among the entries \[1\]"),
        ({"adjacency": [[0, 0, 0]]}, r"shape \(2, 2\), not \(1, 3\)"),
        ({"adjacency": [[0, 0], [2, 0]]}, "true or false"),
        ({"adjacency": [[0, 0], [1]]}, "a table of booleans"),
        ({"adjacency": [[0, 0], [1, 0]], "order": [0, 1]}, "not both"),
    ],
)
def test_what_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MaskedPerceptron(**({"features": 2, "parameters": 1} | options))


def test_a_wide_network_is_made_quickly() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.process_time()
        MaskedPerceptron(3072, 2, 128)
        assert time.process_time() - start < 5
