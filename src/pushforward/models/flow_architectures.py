"""Flows that work, made from the shape of the data and a few numbers."""

from __future__ import annotations

import inspect
import math
from typing import Any

from pushforward import checks, registry
from pushforward.config import check_options
from pushforward.errors import CapabilityError
from pushforward.nn import MaskedPerceptron, Perceptron, suitable_frequencies
from pushforward.transforms import (
    ActNorm,
    Additive,
    Affine,
    Autoregressive,
    CircularSpline,
    Composed,
    Continuous,
    Contraction,
    CouplingLayer,
    Elementwise,
    Inverse,
    LULinear,
    Multiscale,
    Planar,
    Radial,
    Residual,
    Spline,
    Transform,
)

__all__ = [
    "additive_coupling",
    "affine_coupling",
    "build",
    "circular_spline",
    "continuous",
    "glow",
    "iaf",
    "maf",
    "planar",
    "radial",
    "residual",
    "spline_autoregressive",
    "spline_coupling",
]

Shape = tuple[int, ...]
Condition = dict[str, Any]


def build(kind: str, shape: Shape, sizes: Condition, options: dict[str, Any]) -> Transform:
    """The transform of a short name for events of a shape.

    Raises `InputError` for an unknown name, or options that the architecture does not have.
    """
    make = registry.find("flows", kind)
    known = [p for p in inspect.signature(make).parameters if p not in ("shape", "sizes")]
    check_options(options, known)
    found: Transform = make(shape, sizes, **options)
    return found


def coupling(
    shape: Shape, sizes: Condition, elementwise: Elementwise, layers: int, width: int, depth: int
) -> Transform:
    """Couplings that keep every second entry, then the others, then halves in turn.

    In few dimensions their networks see Fourier features of what is kept.

    Data of one entry have nothing to couple, and take an autoregressive transform.
    """
    size = math.prod(shape)
    if size == 1:
        return autoregressive(shape, sizes, elementwise, layers, width, depth)
    frequencies = suitable_frequencies(size)
    parts: list[Transform] = []
    for k in range(checks.layers("layers", layers)):
        # Every second, then halves, so that all pairs of entries meet.
        stays = [(i // max(1, size // 2) if k % 4 >= 2 else i) % 2 == k % 2 for i in range(size)]
        kept = sum(stays)
        out = (size - kept) * elementwise.parameters
        net = Perceptron(
            kept * elementwise.shown,
            out,
            width,
            depth,
            zero=True,
            activation="relu",
            frequencies=frequencies,
            # Without it the high frequencies make training rough; without them it slows it down.
            normalize=frequencies > 0,
            **sizes,
        )
        parts.append(CouplingLayer(net, elementwise, stays))
    return Composed(parts)


def autoregressive(
    shape: Shape, sizes: Condition, elementwise: Elementwise, layers: int, width: int, depth: int
) -> Transform:
    """Masked transforms, each in the reverse order of the one before."""
    size = math.prod(shape)
    parts: list[Transform] = []
    for k in range(checks.layers("layers", layers)):
        order = list(range(size))[:: -1 if k % 2 else 1]
        net = MaskedPerceptron(
            size, elementwise.parameters, width, depth, order, shown=elementwise.shown, **sizes
        )
        parts.append(Autoregressive(net, elementwise))
    return Composed(parts)


def spline_coupling(
    shape: Shape,
    sizes: Condition,
    layers: int = 4,
    width: int = 128,
    depth: int = 2,
    bins: int | None = None,
) -> Transform:
    if bins is None:
        # Modes far narrower than their distances take many bins; in many dimensions few do.
        bins = max(8, 64 // math.prod(shape))
    return coupling(shape, sizes, Spline(bins), layers, width, depth)


def affine_coupling(
    shape: Shape, sizes: Condition, layers: int = 8, width: int = 128, depth: int = 2
) -> Transform:
    return coupling(shape, sizes, Affine(), layers, width, depth)


def additive_coupling(
    shape: Shape, sizes: Condition, layers: int = 8, width: int = 128, depth: int = 2
) -> Transform:
    return coupling(shape, sizes, Additive(), layers, width, depth)


def circular_spline(
    shape: Shape, sizes: Condition, layers: int = 4, width: int = 128, depth: int = 2, bins: int = 8
) -> Transform:
    return autoregressive(shape, sizes, CircularSpline(bins), layers, width, depth)


def spline_autoregressive(
    shape: Shape, sizes: Condition, layers: int = 3, width: int = 128, depth: int = 2, bins: int = 8
) -> Transform:
    return autoregressive(shape, sizes, Spline(bins), layers, width, depth)


def maf(
    shape: Shape, sizes: Condition, layers: int = 5, width: int = 128, depth: int = 2
) -> Transform:
    return autoregressive(shape, sizes, Affine(), layers, width, depth)


def iaf(
    shape: Shape, sizes: Condition, layers: int = 5, width: int = 128, depth: int = 2
) -> Transform:
    return Inverse(autoregressive(shape, sizes, Affine(), layers, width, depth))


def glow(
    shape: Shape, sizes: Condition, layers: int = 6, width: int = 128, depth: int = 2, bins: int = 8
) -> Transform:
    """A learned mixing and normalization before each spline coupling; images at two scales."""
    if len(shape) == 3 and shape[1] % 4 == shape[2] % 4 == 0:
        channels, height, width_ = shape
        scales = [
            (4 * channels, height // 2, width_ // 2),
            (8 * channels, height // 4, width_ // 4),
        ]
        levels = [_steps(scale, sizes, (layers + 1) // 2, width, depth, bins) for scale in scales]
        return Multiscale(shape, levels)
    return _steps(shape, sizes, layers, width, depth, bins)


def _steps(
    shape: Shape, sizes: Condition, layers: int, width: int, depth: int, bins: int
) -> Transform:
    parts: list[Transform] = []
    for k in range(checks.layers("layers", layers)):
        parts += [
            coupling(shape, sizes, Spline(bins), 1, width, depth),
            LULinear(shape[0], seed=k),
        ]
    return Composed([*parts, ActNorm(shape[0])])


def planar(shape: Shape, sizes: Condition, layers: int = 16) -> Transform:
    _unconditional("planar", sizes)
    return Inverse(
        Composed([Planar(math.prod(shape)) for _ in range(checks.layers("layers", layers))])
    )


def radial(shape: Shape, sizes: Condition, layers: int = 16) -> Transform:
    _unconditional("radial", sizes)
    return Inverse(
        Composed([Radial(math.prod(shape)) for _ in range(checks.layers("layers", layers))])
    )


def residual(
    shape: Shape, sizes: Condition, layers: int = 8, width: int = 64, depth: int = 2
) -> Transform:
    _unconditional("residual", sizes)
    size = math.prod(shape)
    parts: list[Transform] = []
    for _ in range(checks.layers("layers", layers)):
        parts += [Residual(Contraction(size, width, depth)), ActNorm(shape[0])]
    return Composed(parts)


def continuous(
    shape: Shape, sizes: Condition, width: int = 64, depth: int = 3, steps: int = 8
) -> Transform:
    size = math.prod(shape)
    return Continuous(Perceptron(size + 1, size, width, depth, zero=True, **sizes), steps)


def _unconditional(kind: str, sizes: Condition) -> None:
    if any(sizes.values()):
        raise CapabilityError(
            f"a {kind} flow has no network that could take labels: labels=False, or another kind"
        )
