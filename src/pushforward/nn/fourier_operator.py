"""Fourier neural operators: networks from functions to functions, on any grid of a domain."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.checks import layers, whole
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.nn.conditioning import Conditioning

__all__ = ["FourierOperator", "SpectralConvolution"]


class SpectralConvolution(nn.Module):
    r"""A convolution with a learned kernel of few Fourier modes: `sum_k R_k h_k exp(i w_k x)`.

    Coefficients are means over the domain (the `forward` norm of the transform) of waves about its
    own places, so that they are those of the function, whatever the grid. An axis whose ends do not
    meet is padded with its own reflection, of which the waves are cosines: what is transformed is
    continuous at both ends. As the modes are few, products with them cost less than an FFT.

    Args:
        width: features of each point, in and out.
        modes: the number of frequencies on each axis that are not negative, of the padded domain.
        periodic: which of the axes have ends that meet.
    """

    def __init__(self, width: int, modes: int, periodic: Sequence[bool]) -> None:
        super().__init__()
        self.modes, self.periodic = modes, tuple(periodic)
        sizes = (*(2 * modes - 1 for _ in self.periodic[1:]), modes)
        self.weight = nn.Parameter(torch.randn(*sizes, width, width, 2) / width)

    def forward(self, h: Tensor) -> Tensor:
        """The result at the points of features `(B, width, *sizes)`."""
        weight = torch.view_as_complex(self.weight)
        out, backward = h.to(weight.dtype), []
        for k, (size, turns) in enumerate(zip(h.shape[2:], self.periodic, strict=True)):
            last = k == len(self.periodic) - 1
            kept = min(self.modes, (size + 1) // 2 if turns else size)
            numbers = torch.arange(0 if last else 1 - kept, kept, device=h.device)
            weight = weight.index_select(k, numbers if last else numbers + self.modes - 1)
            place = (torch.arange(size, device=h.device) + 0.5) / size
            turn = (2 if turns else 1) * math.pi * numbers * place.unsqueeze(-1)
            wave = torch.polar(torch.ones_like(turn), turn).to(weight.dtype)
            forward = wave.conj() if turns else wave.real.to(weight.dtype)
            # Of real values, frequencies of the last axis stand for their negative ones too.
            twice = (1 + (numbers > 0)).to(weight.dtype) if last else 1
            backward.append((wave * twice).mT)
            # The modes of each axis go last in turn: after all axes they are in order again.
            out = out.movedim(2, -1) @ (forward / size)
        out = torch.einsum("bi...,...io->bo...", out, weight)
        for waves in backward:
            out = out.movedim(2, -1) @ waves
        return out.real


class _Block(nn.Module):
    """`h + V act(scale (S norm(h) + W norm(h)) + shift)`, with a spectral convolution `S`."""

    def __init__(self, width: int, modes: int, periodic: tuple[bool, ...]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.far = SpectralConvolution(width, modes, periodic)
        self.near, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.modulation = nn.Linear(width, 2 * width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        normed = self.norm(h.movedim(1, -1))
        far = self.far(normed.movedim(-1, 1)).movedim(1, -1)
        scale, shift = self.modulation(told).chunk(2, -1)
        between = [len(told), *(1 for _ in h.shape[2:]), -1]
        inner = (1 + scale.reshape(between)) * (far + self.near(normed)) + shift.reshape(between)
        return h + self.out(nn.functional.silu(inner)).movedim(-1, 1)


@configurable
class FourierOperator(nn.Module):
    r"""A Fourier neural operator (Li et al. 2021) that knows time, and label or context.

    States are functions `(B, C, *sizes)` of one to three coordinates. All layers act on the
    function and not on its grid: on a finer grid of the same domain the same network makes the same
    function, up to what the pointwise nonlinearities alias. Each point also sees where it is, as a
    fraction of the domain. The result is that of the layers and, exactly, a multiple of the state
    for each channel: noise has more frequencies than there are modes.

    A missing value, NaN, is seen as zero together with an indicator, and so are given ones.

    Args:
        channels: of a state.
        periodic: for each axis, whether its ends meet; as many as there are axes.
        width: features of each point.
        modes: frequencies on each axis; by default 16, 8 or 4 for one, two or three axes.
        depth: layers.
        num_classes: the number of labels for conditional models.
        context: the length of a context vector in their place.
        out_channels: of the result; those of a state by default.
        masked: whether values may be missing.
        given: whether it is told which values of a state are data (`models.FunctionDiffusion`).

    Raises `InputError` for sizes below one, other numbers of axes, or states of another shape.

    >>> net = FourierOperator(1, width=8, depth=1)
    >>> net(torch.zeros(2, 1, 10), torch.rand(2)).shape, net(torch.zeros(2, 1, 40), 0.5).shape
    (torch.Size([2, 1, 10]), torch.Size([2, 1, 40]))
    """

    shares_time = True
    any_grid = True
    """Takes states on any grid of the domain."""

    def __init__(
        self,
        channels: int,
        periodic: Sequence[bool] = (False,),
        width: int = 32,
        modes: int | None = None,
        depth: int = 4,
        num_classes: int | None = None,
        context: int | None = None,
        out_channels: int | None = None,
        masked: bool = False,
        given: bool = False,
    ) -> None:
        super().__init__()
        self.periodic = tuple(map(bool, periodic))
        if not 1 <= len(self.periodic) <= 3:
            raise InputError(f"functions have one to three axes, not {len(self.periodic)}")
        modes = {1: 16, 2: 8, 3: 4}[len(self.periodic)] if modes is None else modes
        self.channels = whole("channels", channels)
        self.masked, self.given = bool(masked), bool(given)
        self.out_channels = (
            channels if out_channels is None else whole("out_channels", out_channels)
        )
        self.num_classes, self.context_size = num_classes, context
        width = whole("width", width)
        self.conditioning = Conditioning(width, num_classes, context)
        places = sum(2 if turns else 1 for turns in self.periodic)
        seen = self.channels * (1 + self.masked + self.given) + places
        self.first = nn.Linear(seen, width)
        self.blocks = nn.ModuleList(
            _Block(width, whole("modes", modes), self.periodic)
            for _ in range(layers("depth", depth))
        )
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, self.out_channels)
        self.skip = nn.Linear(width, self.out_channels)
        for layer in (self.last, self.skip):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        x: Tensor,
        t: Tensor | float,
        c: Tensor | None = None,
        known: Tensor | None = None,
    ) -> Tensor:
        """The result `(B, out_channels, *sizes)` at states, times `(B,)` or `()`, and labels;
        `known` are booleans shaped like states, none of them set by default."""
        if x.ndim != len(self.periodic) + 2 or x.shape[1] != self.channels:
            raise InputError(
                f"states have shape (B, {self.channels}, *sizes) with {len(self.periodic)} axes, "
                f"not {tuple(x.shape)}"
            )
        parts, there = [x], None
        if self.masked:
            there = ~x.isnan()
            x = torch.where(there, x, 0.0)
            parts = [x, there.to(x.dtype)]
        if self.given:
            parts.append(torch.zeros_like(x) if known is None else known.to(x))
        parts += [place.expand(len(x), 1, *x.shape[2:]) for place in self._places(x)]
        told = self.conditioning(torch.as_tensor(t).to(x), c, len(x))
        h = self.first(torch.cat(parts, 1).movedim(1, -1)).movedim(-1, 1)
        for block in self.blocks:
            h = block(h, nn.functional.silu(told))
        out: Tensor = self.last(self.norm(h.movedim(1, -1))).movedim(-1, 1)
        if self.out_channels == self.channels:
            out = out + self.skip(told).reshape(len(told), -1, *(1 for _ in x.shape[2:])) * x
        return out

    def _places(self, x: Tensor) -> list[Tensor]:
        """Where the centers of the cells are: -1 to 1 on an axis, or on a circle."""
        found = []
        for k, (size, turns) in enumerate(zip(x.shape[2:], self.periodic, strict=True)):
            place = (torch.arange(size, dtype=x.dtype, device=x.device) + 0.5) / size
            place = place.reshape(-1, *(1 for _ in x.shape[k + 3 :]))
            angle = 2 * math.pi * place
            found += [angle.sin(), angle.cos()] if turns else [2 * place - 1]
        return found
