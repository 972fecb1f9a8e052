r"""Expectations under a model, `E f(x)`, with their errors.

By independent samples; by antithetic pairs, `(f(g(z)) + f(g(-z))) / 2`, where samples are a
function of normal noise: the odd part of `f(g(z))` cancels; or by scrambled Sobol points in the
place of noise (Owen 1997), in sixteen independent scramblings, whose means tell the error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import fresh_seed
from pushforward._row_noise import derived_seed
from pushforward.checks import one_of, whole
from pushforward.errors import InputError
from pushforward.importance import pareto_shape
from pushforward.models.model import GenerativeModel, parts_of
from pushforward.models.noise_mapping import noise_map

__all__ = ["Expectation", "expectation"]

_PART = 4096
_SCRAMBLINGS = 16
_STUDENT = 1.09
"""Two errors of a mean of 16, each so much wider, cover as often as two of a normal mean: the
quantile of Student's distribution of 15 freedoms at 97.7 %, halved."""

_HEAVIEST = 0.7
_MOST_SOBOL = 21_201


@dataclass(frozen=True)
class Expectation:
    """A mean under a model.

    Args:
        value: the mean, shaped like `f` of one state.
        stderr: its standard error.
        n: how many states it is the mean of.
        converged: whether value and error can be trusted, for each entry: the largest deviations
            from the mean are not those of a distribution whose variance may be infinite (Pareto
            k-hat below 0.7, Vehtari et al. 2024), and there are ten states at least.

    >>> print(Expectation(torch.tensor(1.234), torch.tensor(0.011), 500, torch.tensor(True)))
    1.234 ± 0.011 (500 states)
    """

    value: Tensor
    stderr: Tensor
    n: int
    converged: Tensor

    def __str__(self) -> str:
        cells = []
        each = zip(
            self.value.flatten().tolist(), self.stderr.flatten().tolist(),
            self.converged.flatten().tolist(), strict=True,
        )  # fmt: skip
        for value, stderr, fine in each:
            digits = max(1 - math.floor(math.log10(stderr)), 0) if 0 < stderr < math.inf else 4
            text = f"{value:.{digits}f} ± {stderr:.{digits}f}"
            cells.append(text if fine else f"{text} NOT CONVERGED")
        listed = cells[0] if self.value.ndim == 0 else f"[{', '.join(cells)}]"
        return f"{listed} ({self.n:,} states)"


def expectation(
    model: GenerativeModel,
    f: Callable[[Any], Tensor],
    n: int,
    c: Any = None,
    *,
    draws: str = "independent",
    seed: int | None = None,
    batch_size: int | None = None,
    **options: Any,
) -> Expectation:
    """The mean of `f` over samples of a model: see `GenerativeModel.expect`."""
    whole("n", n, least=2)
    one_of("draws", draws, ("independent", "antithetic", "sobol"))
    seed = fresh_seed(seed)
    with torch.no_grad():
        if draws == "independent":
            parts = parts_of(n, min(n, batch_size or _PART))
            values = torch.cat(
                [_of(f, model.sample(n, c, seed=seed, rows=part, **options)) for part in parts]
            )
            return _result(values, values)
        if options:
            raise InputError(f"draws={draws!r} takes no {', '.join(options)}: there is no sampler")
        carried = noise_map(model, c)

        def of_noise(z: Tensor) -> Tensor:
            return torch.cat([_of(f, carried(part)) for part in z.split(batch_size or _PART)])

        if draws == "antithetic":
            if n < 4:
                raise InputError(f"n={n}: an error takes two pairs, four states")
            generator = torch.Generator().manual_seed(seed)
            z = torch.randn(n // 2, carried.size, generator=generator, dtype=torch.float64)
            pair = of_noise(z), of_noise(-z)
            return _result((pair[0] + pair[1]) / 2, torch.cat(pair))
        sets = [of_noise(_sobol(carried.size, n, seed, k)) for k in range(_SCRAMBLINGS)]
    found = _result(torch.stack([part.mean(0) for part in sets]), torch.cat(sets))
    return replace(found, stderr=_STUDENT * found.stderr)


def _sobol(size: int, n: int, seed: int, k: int) -> Tensor:
    """Normal quantiles of scrambled Sobol points `(m, size)`, `m` the power of two that fits."""
    if size > _MOST_SOBOL:
        raise InputError(f"Sobol points have {_MOST_SOBOL} numbers at most, not {size}")
    if n < 2 * _SCRAMBLINGS:
        raise InputError(f"n={n}: {_SCRAMBLINGS} scramblings take two states each or more")
    engine = torch.quasirandom.SobolEngine(
        size, scramble=True, seed=derived_seed(seed, k) % (1 << 31)
    )
    u = engine.draw(2 ** int(math.log2(n / _SCRAMBLINGS)), dtype=torch.float64)
    # Points lie on a lattice that has zero: half a cell away from the ends.
    return torch.special.ndtri(u.clamp(2.0**-31, 1 - 2.0**-31))


def _of(f: Callable[[Any], Tensor], x: Any) -> Tensor:
    found, rows = f(x), state.rows(x)
    if not isinstance(found, Tensor) or found.ndim == 0 or len(found) != rows:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"f returns a tensor with a row for each of {rows} states, not {shape}")
    return found.detach().cpu().double()


def _result(independent: Tensor, values: Tensor) -> Expectation:
    """From independent terms `(m, ...)`, whose mean it is, and the values of all states."""
    if not bool(values.isfinite().all()):
        bad = int((~values.reshape(len(values), -1).isfinite().all(1)).sum())
        raise InputError(f"f is not finite at {bad} of {len(values)} states: it has no mean")
    mean = independent.mean(0)
    stderr = independent.std(0) / math.sqrt(len(independent))
    off = (values - values.mean(0)).abs()
    constant = off.amax(0) <= 1e-12 * values.abs().amax(0)
    # Equal values have no tail, and their logarithms no meaning.
    shape = pareto_shape(torch.where(constant, torch.ones_like(off), off).log())
    return Expectation(mean, stderr, len(values), constant | (shape < _HEAVIEST))
