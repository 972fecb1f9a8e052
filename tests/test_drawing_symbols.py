"""Symbols drawn from logits: rare ones keep their chance, which single precision takes away."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward import Transport, _random, processes, samplers, spaces
from pushforward._random import drawn_from_logits, fine_normal, fine_uniform, most_probable, resolve
from pushforward.errors import InputError

RARE = 2**18
"""Symbols of chance 2^-24 each, together 2^-6, behind one of all the rest."""

SHARE = RARE * 2.0**-24


def _logits() -> torch.Tensor:
    logits = torch.full((RARE + 1,), -24 * math.log(2), dtype=torch.float64)
    logits[0] = math.log1p(-SHARE)
    return logits


def _entropy(share: float, symbols: float) -> float:
    """Of a source in nats that goes to so many equally rare symbols with some chance."""
    return -(1 - share) * math.log1p(-share) - share * math.log(share / symbols)


def test_a_rare_symbol_has_its_own_place_among_the_numbers(monkeypatch) -> None:
    u = 1 - SHARE * torch.linspace(1, 0, 34, dtype=torch.float64)[1:-1]
    monkeypatch.setattr(_random, "fine_uniform", lambda *shape, **options: u[None])
    found = drawn_from_logits(_logits().expand(1, len(u), -1))[0]
    exact = 1 + ((u - (1 - SHARE)) * 2.0**24).floor().long()
    assert (found - exact).abs().max() <= 1
    # Cumulative weights and numbers in single precision know one place in many only.
    edges = _logits().float().softmax(-1).cumsum(-1)
    coarse = torch.searchsorted(edges, u.float(), right=True)
    assert (coarse - exact).abs().max() > 100


def _gumbel_single(n: int, generator: torch.Generator) -> torch.Tensor:
    """Whether the Gumbel trick in single precision draws a rare symbol, `(n,)`.

    Of equally rare symbols the one with the largest of `RARE` numbers of 24 bits is the first, so
    that one number stands for all of them, in law.
    """
    v = torch.rand(n, generator=generator, dtype=torch.float64)
    largest = ((v.log() / RARE).exp() * 2.0**24).floor() * 2.0**-24
    own = torch.rand(n, generator=generator, dtype=torch.float32)
    rare, common = (
        -torch.log(-torch.log(k.float().clamp_min(torch.finfo(torch.float32).tiny)))
        for k in (largest, own)
    )
    logits = _logits().float()
    return rare + logits[1] > common + logits[0]


def test_the_entropy_of_a_known_source_is_kept_and_single_precision_lowers_it() -> None:
    n = 400_000
    generator = resolve(seed=0)
    error = 4 * math.sqrt(SHARE / n)
    truth = _entropy(SHARE, RARE)

    fine = _random.categories(_logits().exp(), n, generator) > 0
    kept = float(fine.double().mean())
    assert kept == pytest.approx(SHARE, abs=error)
    slope = math.log(RARE) + math.log((1 - SHARE) / SHARE)
    assert _entropy(kept, RARE) == pytest.approx(truth, abs=slope * error)

    lost = float(_gumbel_single(n, generator).double().mean())
    # The law of the fault, in closed form.
    assert lost == pytest.approx(SHARE / math.expm1(1.0), abs=error)
    assert _entropy(lost, RARE) < truth - slope * error


def test_symbols_have_their_chances() -> None:
    p = torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.0, 0.01, 0.0, 0.99]], dtype=torch.float64)
    n = 100_000
    drawn = drawn_from_logits(p.log().expand(n, 2, 4), resolve(0, rows=n))
    for site in range(2):
        share = drawn[:, site].bincount(minlength=4).double() / n
        assert bool((share[p[site] == 0] == 0).all())
        spread = (p[site] * (1 - p[site]) / n).sqrt()
        assert bool(((share - p[site]).abs() <= 4 * spread).all())


def test_no_symbol_without_weight_is_drawn_at_the_very_end(monkeypatch) -> None:
    last = torch.tensor([1 - 2.0**-53], dtype=torch.float64)
    monkeypatch.setattr(_random, "fine_uniform", lambda *shape, **options: last)
    logits = torch.tensor([[0.1, 0.7, -0.3, -math.inf]])
    assert drawn_from_logits(logits).item() == 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_are_no_logits_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match="not finite"):
        drawn_from_logits(torch.full((2, 3), bad))
    with pytest.raises(InputError, match="not finite"):
        most_probable(torch.full((2, 3), bad))
    process = processes.Masking(spaces.Tokens(3))
    coldest = samplers.ConfidenceOrder(temperature=0)
    transport = Transport(lambda x, t, c=None: torch.full((*x.shape, 3), bad), process)
    with pytest.raises(InputError, match="not finite"):
        samplers.run(coldest, transport, torch.full((2, 4), 3), [1.0, 0.0], seed=0)
    assert drawn_from_logits(torch.zeros(0, 3)).shape == (0,)


def test_two_coarse_numbers_make_a_fine_one(monkeypatch) -> None:
    monkeypatch.setattr(_random, "has_double", lambda device: False)
    u = fine_uniform((50_000,), resolve(0, rows=50_000))
    assert u.dtype == torch.float64
    assert bool(((u * 2.0**24) % 1 > 0).any())
    assert float(u.mean()) == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / 50_000))
    assert 0 <= float(u.min()) <= float(u.max()) < 1


def test_fine_normal_numbers_are_normal_without_doubles(monkeypatch) -> None:
    monkeypatch.setattr(_random, "has_double", lambda device: False)
    x = fine_normal((100_000,), resolve(0, rows=100_000))
    assert x.dtype == torch.float64
    share = (torch.special.ndtr(x) * 20).floor().long().bincount(minlength=20) / len(x)
    assert bool(((share - 0.05).abs() < 4 * (0.05 * 0.95 / len(x)) ** 0.5).all())
