"""Frequencies of kinds: the distance, its error, and sites that belong to one state."""

from __future__ import annotations

import pytest
import torch

from pushforward.errors import InputError
from pushforward.metrics import total_variation


def _drawn(p: list[float], n: int, seed: int) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.multinomial(torch.tensor(p), n, replacement=True, generator=g)


def test_the_distance_of_known_frequencies() -> None:
    x, y = _drawn([0.5, 0.3, 0.2], 20_000, 0), _drawn([0.2, 0.3, 0.5], 20_000, 1)
    found = total_variation(x, y)
    assert found.value == pytest.approx(0.3, abs=4 * found.stderr)
    assert total_variation(x, x).value == 0
    assert total_variation(x, y + 10).value == 1


def test_the_error_is_that_of_repetition() -> None:
    p, q = [0.6, 0.1, 0.3], [0.2, 0.5, 0.3]
    found = [total_variation(_drawn(p, 200, k), _drawn(q, 200, 1000 + k)) for k in range(300)]
    spread = torch.tensor([f.value for f in found]).std()
    error = torch.tensor([f.stderr for f in found]).mean()
    assert float(error) == pytest.approx(float(spread), rel=0.15)


def test_sites_of_one_state_are_no_independent_draws() -> None:
    """Rows whose ten sites are all alike: ten times the symbols, no more known."""
    x, y = _drawn([0.7, 0.3], 300, 0), _drawn([0.4, 0.6], 300, 1)
    alone = total_variation(x, y)
    together = total_variation(x[:, None].expand(-1, 10), y[:, None].expand(-1, 10))
    assert together.value == pytest.approx(alone.value)
    assert together.stderr == pytest.approx(alone.stderr)


def test_refused() -> None:
    with pytest.raises(InputError, match="kinds are integers"):
        total_variation(torch.zeros(3), torch.zeros(3))
    with pytest.raises(InputError, match="at least 2"):
        total_variation(torch.zeros(1, dtype=torch.long), torch.zeros(3, dtype=torch.long))
