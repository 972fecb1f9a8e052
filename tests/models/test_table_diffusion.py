r"""Rows of one category and one number, where everything is known in closed form.

The category `c` has the chance `p_c`, the number given it is `N(m_c, s_c^2)`. The exact predictions
given `x_t`, with the category visible or masked and the number known or noised, make a network that
errs in nothing: what is left are the steps, the times of the bound, and chance.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward import nn as nets
from pushforward.errors import InputError
from pushforward.models import TableDiffusion, TableNetwork
from pushforward.processes import table_process
from pushforward.training import Settings

P = torch.tensor([0.2, 0.5, 0.3])
M = torch.tensor([-1.0, 0.2, 1.5])
S = torch.tensor([0.5, 0.3, 0.2])
MASK = 3


class Exact(nn.Module):
    """The predictions of the law, as the process reads them."""

    def __init__(self, p: Tensor = P) -> None:
        super().__init__()
        self.process, self.p = table_process(1, (3,)), p
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x: Any, t: Tensor, c: Any = None, known: Tensor | None = None) -> Any:
        number, symbol = x
        t = t.double().expand(len(number))
        alpha, sigma = (v[:, None] for v in self.process.factors[0].schedule.values(t))
        told = torch.zeros_like(number, dtype=torch.bool) if known is None else known.bool()
        y = number.double()
        a, s = torch.where(told, 1.0, alpha), torch.where(told, 0.0, sigma)
        variance = (a * S) ** 2 + s**2
        log = self.p.double().log() - (y - a * M) ** 2 / (2 * variance) - variance.log() / 2
        seen = symbol != MASK
        one = torch.nn.functional.one_hot(symbol.clamp(max=2)[:, 0], 3).double()
        weight = torch.where(seen, one, log.softmax(1))
        mean = M + a * S**2 / variance * (y - a * M)
        clean = torch.where(told, y, (weight * mean).sum(1, keepdim=True))
        v = (alpha * y - clean) / sigma
        return v.float(), log[:, None, :].float()


def model(p: Tensor = P) -> TableDiffusion:
    return TableDiffusion(Exact(p), table_process(1, (3,)), [[0, None], [None, 0]],
                          event_shape=((1,), (1,)))  # fmt: skip


def log_density(x: Tensor, c: Tensor) -> Tensor:
    x, c = x[:, 0].double(), c[:, 0]
    square = ((x - M[c]) / S[c]) ** 2
    return P[c].log() - square / 2 - S[c].log() - math.log(2 * math.pi) / 2


def rows(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    c = torch.multinomial(P, n, replacement=True, generator=g)
    return (M[c] + S[c] * torch.randn(n, generator=g))[:, None], c[:, None]


def check_law(x: Tensor, c: Tensor) -> None:
    """Frequencies, and mean and deviation within each category, against the truth."""
    n = len(x)
    for k in range(3):
        share, own = float((c == k).float().mean()), x[c == k]
        assert abs(share - P[k]) < 4 * math.sqrt(float(P[k] * (1 - P[k])) / n)
        assert abs(float(own.mean()) - M[k]) < 4 * float(S[k]) / math.sqrt(len(own))
        # The steps leave the deviation a per cent or two too small.
        assert abs(float(own.std()) / S[k] - 1) < 4 / math.sqrt(2 * len(own)) + 0.02


def test_draws_have_the_joint_law() -> None:
    check_law(*model().sample(8000, steps=150, seed=0))


def test_known_columns_give_the_conditional_laws() -> None:
    exact = model()
    x, c = rows(8000, 1)
    # Given the category: the number's own normal law, for categories as frequent as these.
    known = torch.zeros_like(x, dtype=torch.bool), torch.ones_like(c, dtype=torch.bool)
    drawn, kept = exact.infill((torch.zeros_like(x), c), known, steps=150, seed=0)
    assert torch.equal(kept, c)
    check_law(drawn, c)
    # Given the number: the category by Bayes' rule, whose mean chance the draws must have.
    known = torch.ones_like(x, dtype=torch.bool), torch.zeros_like(c, dtype=torch.bool)
    kept, drawn = exact.infill((x, torch.zeros_like(c)), known, steps=150, seed=0)
    assert torch.equal(kept, x)
    chance = (P.log() - ((x - M) / S) ** 2 / 2 - S.log()).softmax(1)
    for k in range(3):
        excess = ((drawn[:, 0] == k).float() - chance[:, k]).mean()
        assert abs(float(excess)) < 4 * math.sqrt(
            float((chance[:, k] * (1 - chance[:, k])).mean()) / 8000
        )


def test_barred_symbols_share_their_chance_out() -> None:
    x, c = rows(4000, 2)
    known = torch.ones_like(x, dtype=torch.bool), torch.zeros_like(c, dtype=torch.bool)
    barred = torch.tensor([[False, True, False]])
    _, drawn = model().infill((x, c), known, barred=barred, steps=20, seed=0)
    assert not bool((drawn == 1).any())
    chance = (P.log() - ((x - M) / S) ** 2 / 2 - S.log())[:, [0, 2]].softmax(1)
    excess = ((drawn[:, 0] == 2).float() - chance[:, 1]).mean()
    assert abs(float(excess)) < 4 * 0.5 / 4000**0.5


def test_the_bound_is_tight_for_exact_predictions() -> None:
    x, c = rows(1500, 3)
    found = model().log_prob((x, c), steps=128, seed=0)
    gap = found.value - log_density(x, c)
    assert found.kind == "bound"
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / 1500**0.5
    assert float(gap.std()) / 1500**0.5 < 0.02
    # The standard errors are on the safe side, and of the right size.
    assert 0.3 < float((gap / found.stderr).std()) < 1.3


def test_the_bound_of_wrong_predictions_is_lower_by_the_divergence() -> None:
    """A model that has the wrong frequencies, and the law else: its bound is its density."""
    wrong = torch.tensor([0.5, 0.2, 0.3])
    x, c = rows(1500, 4)
    found = model(wrong).log_prob((x, c), steps=128, seed=0)
    own = log_density(x, c) + (wrong / P).log()[c[:, 0]]
    gap = found.value - own
    assert abs(float(gap.mean())) < 4 * float(gap.std()) / 1500**0.5


def test_the_bound_of_a_row_is_the_same_in_any_batch() -> None:
    x, c = rows(7, 6)
    whole = model().log_prob((x, c), steps=4, seed=0).value
    few = model().log_prob((x[:3], c[:3]), steps=4, seed=0).value
    parts = model().log_prob((x, c), steps=4, seed=0, batch_size=2).value
    assert torch.allclose(few, whole[:3])
    assert torch.allclose(parts, whole)


def test_training_finds_the_law() -> None:
    x, c = rows(3000, 5)
    table = {"kind": ["abc"[k] for k in c[:, 0]], "x": [f"{v:.3f}" for v in x[:, 0]]}
    data = pf.data.load(table, kinds="auto")
    assert data.schema.mixed.names == ("kind", "x")
    inner = nets.MLP(6, width=128, depth=2, out=4)
    net = TableNetwork(table_process(1, (3,)).space, inner, ((1,), (1, 3)), 1)
    trained = TableDiffusion.for_data(data, net=net)
    settings = Settings(steps=600, batch_size=256, lr=3e-3, holdout=0.0, seed=0)
    trained = pf.fit(trained, data, settings=settings, progress=False).model
    drawn = data.schema.mixed.values(trained.sample(4000, steps=40, seed=0))
    for k, name in enumerate("abc"):
        own = drawn["x"][drawn["kind"] == name]
        assert abs(len(own) / 4000 - P[k]) < 0.04
        assert abs(own.mean() - M[k]) < 0.1
        assert abs(own.std() / S[k] - 1) < 0.2


def test_a_table_without_kinds_is_refused() -> None:
    data = pf.data.load([[0.0, 1.0], [2.0, 3.0]])
    with pytest.raises(InputError, match="load it with kinds='auto'"):
        TableDiffusion.for_data(data)


@pytest.mark.parametrize("table", [{"a": ["x", "y"] * 40}, {"b": ["1.5", "2.25", "7.0"] * 30}])
def test_symbols_alone_and_numbers_alone(table: dict[str, list[str]]) -> None:
    g = torch.Generator().manual_seed(0)
    if "b" in table:
        table = {"b": [f"{v:.6f}" for v in torch.randn(60, generator=g).tolist()]}
    data = pf.data.load(table, kinds="auto")
    assert isinstance(data.x, Tensor)
    made = TableDiffusion.for_data(data)
    x = made.sample(7, steps=5, seed=0)
    assert data.schema.mixed.cells(x).keys() == table.keys()
    assert made.log_prob(data.x, steps=4, seed=0).value.shape == (len(data),)
