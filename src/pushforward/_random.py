"""Randomness: one generator per call, never global state, and noise that belongs to rows.

Two kinds of generators go through the library. A `torch.Generator` is a stream: what a batch draws
depends on how many numbers were drawn before, and so on the size of the batch. `RowNoise` is a
function of the seed, the row and the draw: a row gets the same noise in any batch. A call that is
given `seed=` draws from `RowNoise`. A loss of a part of a batch draws from `PartNoise`, a stream's
numbers for the whole batch, cut.
"""

from __future__ import annotations

import math
import os
from typing import Literal

import torch
from torch import Tensor

from pushforward import checks
from pushforward._part_noise import PartNoise
from pushforward._precision import has_double, in_double
from pushforward._row_noise import RowNoise, derived_seed
from pushforward._softmax import softmax
from pushforward.errors import InputError

__all__ = [
    "PartNoise",
    "ProbeDistribution",
    "RowNoise",
    "branch",
    "categories",
    "derived_seed",
    "drawn_from_logits",
    "even_rows",
    "fine_normal",
    "fine_uniform",
    "fork",
    "fresh_seed",
    "generator_or_global",
    "most_probable",
    "normal",
    "normal_like",
    "part_of",
    "probe_like",
    "resolve",
    "start_noise",
    "uniform",
    "uniform_like",
]

ProbeDistribution = Literal["rademacher", "gaussian"]


def resolve(
    seed: int | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
    *,
    rows: int | None = None,
) -> torch.Generator:
    """The generator that a call draws from: the one given, or a new one from `seed`.

    With the number of `rows` of the batch the new one is `RowNoise`. Without a seed it is seeded
    from the operating system's entropy. Raises `InputError` if both are given, the generator lives
    on another device type, or it is for another number of rows.

    >>> torch.rand(2, generator=resolve(seed=0))
    tensor([0.4963, 0.7682])
    """
    device = torch.device(device)
    if generator is not None:
        if seed is not None:
            raise InputError(f"give seed= or generator=, not both (seed={seed})")
        if generator.device.type != device.type:
            raise InputError(
                f"generator lives on {generator.device.type} but the state on {device.type}: "
                f"make it with torch.Generator('{device.type}')"
            )
        if rows is not None and isinstance(generator, RowNoise) and len(generator) != rows:
            raise InputError(f"the noise is that of {len(generator)} rows, the batch has {rows}")
        return generator
    if rows is not None:
        return RowNoise(fresh_seed(seed), slice(0, rows), device)
    fresh = torch.Generator(device)
    if seed is None:
        fresh.seed()
    else:
        fresh.manual_seed(checks.seed("seed", seed))
    return fresh


def fresh_seed(seed: int | None = None, generator: torch.Generator | None = None) -> int:
    """One seed for a whole call: the one given, one drawn from a generator, or a random one.

    What it seeds (`RowNoise`) then no longer depends on how the call divides its rows into batches.
    Raises `InputError` if both are given.

    >>> fresh_seed(3)
    3
    """
    if generator is None:
        return int.from_bytes(os.urandom(7)) if seed is None else checks.seed("seed", seed)
    if seed is not None:
        raise InputError(f"give seed= or generator=, not both (seed={seed})")
    if isinstance(generator, RowNoise):
        raise InputError("noise of rows has no seed to give away: pass it on, or its take(rows)")
    return int(torch.randint(1 << 62, (), generator=generator, device=generator.device))


def start_noise(seed: int, rows: slice, device: torch.device | str = "cpu") -> RowNoise:
    """Noise for the states that rows start from, independent of that of their steps.

    The steps draw from `RowNoise(seed, rows)`.

    >>> len(start_noise(0, slice(0, 3)))
    3
    """
    return RowNoise(derived_seed(seed, 1), rows, device)


def generator_or_global(generator: torch.Generator | None, device: torch.device) -> torch.Generator:
    """The generator that a loss draws from: the one given, or one that follows torch's global one.

    So a training loop of one's own is determined by `torch.manual_seed`.
    """
    if generator is not None:
        return generator
    seed = int(torch.randint(1 << 62, (), device=device))
    return torch.Generator(device).manual_seed(seed)


def part_of(
    x: Tensor, c: Tensor | None, generator: torch.Generator | None, rows: slice
) -> tuple[Tensor, Tensor | None, torch.Generator | None]:
    """A part of a batch: its states, its labels, and a generator of the noise that it has there.

    All is as it was if the part is the whole.

    >>> x, c, noise = part_of(torch.zeros(5, 2), None, resolve(seed=0), slice(2, 4))
    >>> torch.equal(normal_like(x, noise), torch.randn(5, 2, generator=resolve(seed=0))[2:4])
    True
    """
    if rows == slice(None):
        return x, c, generator
    noise = PartNoise(generator, len(x), rows, x.device)
    return x[rows], None if c is None else c[rows], noise


def branch(generator: torch.Generator, key: int) -> torch.Generator:
    """An independent generator for each key; key 0 goes on with the generator itself.

    What it draws follows from the key and from where the generator stands.

    >>> a, b = (branch(resolve(seed=0), key) for key in (1, 2))
    >>> torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
    False
    """
    if key == 0:
        return generator
    device = generator.device
    drawn = torch.randint(1 << 31, (), generator=generator, device=device)
    return torch.Generator(device).manual_seed(derived_seed(int(drawn), key))


def normal(
    shape: tuple[int, ...],
    generator: torch.Generator | None = None,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Standard normal numbers, on the device of the generator unless told otherwise.

    >>> normal((2, 3), resolve(0, rows=2)).shape
    torch.Size([2, 3])
    """
    return _drawn(shape, True, generator, dtype, device)


def uniform(
    shape: tuple[int, ...],
    generator: torch.Generator | None = None,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Uniform numbers on [0, 1), on the device of the generator unless told otherwise.

    >>> uniform((2, 3), resolve(0, rows=2)).shape
    torch.Size([2, 3])
    """
    return _drawn(shape, False, generator, dtype, device)


def normal_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Standard normal noise with the shape, dtype, device and memory layout of `x`.

    What is drawn depends on the values of the shape alone, not on the layout.

    >>> normal_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    noise = _drawn(x.shape, True, generator, x.dtype, x.device)
    return noise if x.is_contiguous() else torch.empty_like(x).copy_(noise)


def uniform_like(x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Uniform noise on [0, 1) with the shape, dtype, device and memory layout of `x`.

    >>> uniform_like(torch.zeros(2, 3)).shape
    torch.Size([2, 3])
    """
    noise = _drawn(x.shape, False, generator, x.dtype, x.device)
    return noise if x.is_contiguous() else torch.empty_like(x).copy_(noise)


def _drawn(
    shape: tuple[int, ...],
    normal: bool,
    generator: torch.Generator | None,
    dtype: torch.dtype | None,
    device: torch.device | str | None,
) -> Tensor:
    if isinstance(generator, RowNoise | PartNoise):
        return generator.draw(shape, normal, dtype or torch.get_default_dtype())
    if device is None and generator is not None:
        device = generator.device
    out = torch.empty(shape, dtype=dtype, device=device)
    return out.normal_(generator=generator) if normal else out.uniform_(generator=generator)


def categories(weights: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
    """`n` indices drawn with the chances of `weights` `(K,)`, which need not sum to one.

    >>> categories(torch.tensor([0.0, 1.0]), 3, resolve(0, rows=3))
    tensor([1, 1, 1])
    """
    edges = in_double(weights).cumsum(0)
    u = fine_uniform((n,), generator, device=weights.device)
    found = torch.searchsorted(edges, u * edges[-1], right=True)
    # Rounding may put the last number at the very end, behind a category of no weight.
    return found.clamp_max(int(weights.nonzero().max())).to(weights.device)


def fine_uniform(
    shape: tuple[int, ...],
    generator: torch.Generator | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Uniform numbers on [0, 1) of 53 bits, in double precision.

    Of 48 bits on the CPU where the device has no double precision, from two numbers of 24. Chances
    that are compared with numbers of 24 bits are wrong by up to `2^-24`, which takes rare events
    away.

    >>> fine_uniform((2,), resolve(0, rows=2)).dtype
    torch.float64
    """
    if has_double(device):
        return uniform(shape, generator, dtype=torch.float64, device=device)
    high, low = (
        uniform(shape, generator, dtype=torch.float32, device=device).cpu().double()
        for _ in range(2)
    )
    return high + low * 2.0**-24


def fine_normal(
    shape: tuple[int, ...],
    generator: torch.Generator | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Standard normal numbers in double precision.

    On the CPU where the device has none, by the transform of Box & Muller (1958) of `fine_uniform`.

    >>> fine_normal((2,), resolve(0, rows=2)).dtype
    torch.float64
    """
    if has_double(device):
        return normal(shape, generator, dtype=torch.float64, device=device)
    u, v = (fine_uniform(shape, generator, device=device) for _ in range(2))
    return (-2 * torch.log1p(-u)).sqrt() * torch.cos(2 * math.pi * v)


def drawn_from_logits(logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One symbol for each row of logits `(B, *sites, K)`, `(B, *sites)`.

    By the inverse of the cumulative weights in double precision: a symbol has its chance up to
    `2^-53`. The Gumbel trick in single precision gives one of chance `p` the chance
    `2^-24 / (exp(2^-24 / p) - 1)`, about `p - 2^-25`, and so takes the tail away.

    Raises `InputError` for rows that are no logits: not a number, plus infinity, or minus infinity
    throughout.

    >>> drawn_from_logits(torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]]))
    tensor([0, 1])
    """
    if not logits.numel():
        return torch.zeros(logits.shape[:-1], dtype=torch.long, device=logits.device)
    edges = softmax(in_double(logits)).cumsum(-1)
    total = edges[..., -1:].contiguous()
    _check_chances(total)
    u = fine_uniform(logits.shape[:-1], generator, device=logits.device).unsqueeze(-1)
    # Strictly below the end, so that no symbol without weight behind it is found.
    place = torch.minimum(u.to(edges) * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(edges, place, right=True).squeeze(-1).to(logits.device)


def most_probable(logits: Tensor) -> Tensor:
    """The symbol of largest logit of each row `(B, *sites, K)`, the first of equal ones.

    Raises `InputError` for rows that are no logits, as `drawn_from_logits`.

    >>> most_probable(torch.tensor([[0.0, 1.0]]))
    tensor([1])
    """
    _check_chances(torch.logsumexp(logits, -1))
    return logits.argmax(-1)


def _check_chances(total: Tensor) -> None:
    """Raise `InputError` for sums of chances that are not numbers."""
    if not bool(torch.isfinite(total).all()):
        raise InputError(
            "logits of symbols are not finite: the model has diverged, or has no answer for these "
            "states"
        )


def fork(
    generator: torch.Generator | None, rows: slice | Tensor | None = None, copies: int = 1
) -> torch.Generator | None:
    """A generator for draws of which a row may need more than others, another one at each call.

    It may be for some `rows` only. With `copies` it is for a batch in which each row stands so many
    times, next to each other. A plain generator is its own fork.

    >>> noise = resolve(0, rows=3)
    >>> uniform((6,), fork(noise, copies=2)).shape
    torch.Size([6])
    """
    if not isinstance(generator, RowNoise):
        return generator
    found = generator.fork(copies)
    return found if rows is None else found.take(rows)


def probe_like(
    x: Tensor,
    probes: int,
    generator: torch.Generator | None,
    distribution: ProbeDistribution = "rademacher",
) -> Tensor:
    """Probes with independent entries of unit variance, shape `(P, B, *event)`.

    `rademacher` entries are -1 or 1 with equal chance, which gives the least variance for the
    trace; `gaussian` ones are standard normal.

    >>> probe_like(torch.zeros(1, 4), 1, torch.Generator().manual_seed(0)).abs()
    tensor([[[1., 1., 1., 1.]]])
    """
    if isinstance(generator, PartNoise):
        # As a stream draws them for the whole batch.
        like = x.new_empty(generator.whole(x.shape))
        whole = probe_like(like, probes, generator.stream, distribution)
        return generator.cut(whole.transpose(0, 1)).transpose(0, 1)
    if isinstance(generator, RowNoise):
        # The rows come first, as their noise does.
        shape = (len(x), probes, *x.shape[1:])
        draw = normal if distribution == "gaussian" else uniform
        drawn = draw(shape, generator, dtype=x.dtype, device=x.device).transpose(0, 1).contiguous()
        return drawn if distribution == "gaussian" else torch.where(drawn < 0.5, -1.0, 1.0).to(x)
    if distribution == "gaussian":
        shape = (probes, *x.shape)
        return torch.randn(shape, generator=generator, device=x.device, dtype=x.dtype)
    signs = torch.randint(0, 2, (probes, *x.shape), generator=generator, device=x.device)
    return signs.to(x.dtype).mul_(2).sub_(1)


def even_rows(n: int, kept: int, generator: torch.Generator) -> Tensor:
    """`n` of `kept` row numbers in random order, `(n,)`, each as often as any other up to one.

    >>> even_rows(5, 2, resolve(seed=0)).bincount().sort().values
    tensor([2, 3])
    """
    device = generator.device
    passes = -(-n // kept) if kept else 0
    orders = [torch.randperm(kept, generator=generator, device=device) for _ in range(passes)]
    return torch.cat([torch.empty(0, dtype=torch.long, device=device), *orders])[:n]
