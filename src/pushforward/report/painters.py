"""How each kind of view is drawn: one class a kind, fitted to reference data and used for all.

What is fitted, such as a window, axes and bins, is the same for all pictures, so that they compare.
A painter knows the views of `pushforward.spaces.views`, and no space.
"""

from __future__ import annotations

import io
import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.errors import InputError
from pushforward.report.captioned import captioned_grid
from pushforward.spaces.views import Curves, Histogram, Images, Scatter, Sequences, View

__all__ = [
    "BLUE",
    "MOST_KINDS",
    "PlanePainter",
    "Kinds",
    "Painter",
    "framed",
    "image_of",
    "image_grid",
    "numbers",
    "painter_of",
]

BLUE, _SOFT = "#2a5caa", "#5b6470"
_BANDED = 2000
"""Functions of which the band is."""
MOST_KINDS = 10
"""Kinds that have a color each."""

_BINS = 48
_INCHES, _DOTS = 4.2, 130
_RARE = 0.005


class Kinds(NamedTuple):
    """A kind for each state, `(n,)`, and their names; those of `captions` stand below pictures."""

    codes: Tensor
    names: tuple[str, ...]
    captions: bool = False


class Painter(ABC):
    """Draws views of one kind on the scale of the reference.

    `many` states are looked at on a page, `few` in a frame of a strip.
    """

    many: ClassVar[int] = 3000
    few: ClassVar[int] = 1500

    sharp: ClassVar[bool] = False
    """Made of pixels or cells whose edges must not be smoothed."""

    @abstractmethod
    def draw(
        self, view: Any, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """A picture (`PIL.Image`) of up to `count` states, told apart by `kinds` where that can be
        seen."""

    def missing(self, view: Any, count: int) -> str:
        """What of `count` states is not to be seen in their picture, in a few words."""
        return ""


class PlanePainter(Painter):
    """Points of a plane: the two coordinates, or the leading principal axes of the reference.

    Those are the axes of the correlations: coordinates may have units that do not compare.
    """

    def __init__(self, view: Scatter) -> None:
        points = numbers(view.points)
        dim = points.shape[1]
        self.mean, self.scale = points.mean(0), torch.ones(dim, dtype=torch.float64)
        self.axes = torch.eye(dim, 2, dtype=torch.float64)
        names = tuple(view.names) if len(view.names) == 2 else ("x0", "x1")
        self.names = tuple(f"{name}, {view.unit}" if view.unit else name for name in names)
        if dim > 2:
            spread = points.std(0, correction=0)
            self.scale = torch.where(spread > 0, spread, 1.0)
            white = (points[:5000] - self.mean) / self.scale
            _, _, vectors = torch.linalg.svd(white, full_matrices=False)
            axes = vectors[:2].mT
            # Upwards is more of what counts most.
            axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
            self.names = tuple(
                f"{place} principal component{_heaviest(axis, view.names)}"
                for place, axis in zip(("first", "second"), axes.mT, strict=True)
            )
            self.axes = axes / self.scale[:, None]
        # Components are counted from the mean, coordinates from zero.
        self._origin = self.mean @ self.axes if dim <= 2 else torch.zeros(2, dtype=torch.float64)
        if view.window is not None and dim == 2:
            low, high = (torch.tensor(corner, dtype=torch.float64) for corner in view.window)
            margin = 0.02 * (high - low)
        else:
            low, high = _quantiles(self._plane(points), (0.002, 0.998), dim=0)
            margin = 0.15 * (high - low).clamp_min(1e-6)
        self.low, self.high = (low - margin).tolist(), (high + margin).tolist()

    def _plane(self, points: Tensor) -> Tensor:
        return (points - self.mean) @ self.axes + self._origin

    def draw(
        self, view: Scatter, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """A dot for each point, colored by up to ten kinds."""
        canvas, axes = _canvas(small)
        points = self._plane(numbers(view.points[:count]))
        self._backdrop(axes, points)
        style = {"s": 2 if small else 4, "alpha": 0.35, "linewidths": 0}
        if kinds is None or len(kinds.names) > MOST_KINDS:
            axes.scatter(*points.mT.numpy(), color=BLUE, **style)
        else:
            for code, name in enumerate(kinds.names):
                some = points[kinds.codes[:count].cpu() == code]
                axes.scatter(*some.mT.numpy(), color=f"C{code}", label=name, **style)
            marks = axes.legend(fontsize=8, markerscale=3, loc="upper left").legend_handles
            for mark in marks:
                mark.set_alpha(1)
        (left, bottom), (right, top) = self.low, self.high
        axes.set(xlim=(left, right), ylim=(bottom, top))
        axes.set(xlabel=self.names[0], ylabel=self.names[1])
        if view.unit == "degrees":
            axes.set(**dict.fromkeys(("xticks", "yticks"), range(-180, 181, 60)))
        return _picture(canvas, small, self.missing(view, count))

    def _backdrop(self, axes: Any, points: Tensor) -> None:
        """What is drawn below the dots: nothing."""

    def missing(self, view: Scatter, count: int) -> str:
        """Points outside the window."""
        points = self._plane(numbers(view.points[:count]))
        inside = (points >= points.new_tensor(self.low)) & (points <= points.new_tensor(self.high))
        return _outside(~inside.all(1), "points outside")


class _Bars(Painter):
    """Numbers counted in bins of the reference, or one bar for each whole number."""

    def __init__(self, view: Histogram) -> None:
        values = numbers(view.values)
        self.name, self.whole = view.name or "x", view.whole
        if view.whole:
            # Room for a number on each side that data do not have; counts have none below zero.
            low, high = float(values.min()) - 1.5, float(values.max()) + 1.5
            low = -0.5 if low == -1.5 else low
            self.edges = torch.arange(low, high + 0.5, dtype=torch.float64)
        else:
            low, high = view.window or _quantiles(values, (0.002, 0.998)).tolist()
            margin = 0.0 if view.window else 0.15 * max(high - low, 1e-6)
            self.edges = torch.linspace(low - margin, high + margin, _BINS + 1, dtype=torch.float64)
        self.top = 1.35 * float(self._heights(values).max())

    def _heights(self, values: Tensor) -> Tensor:
        """The density in each bin; the share of each whole number."""
        counts = torch.histogram(values[values.isfinite()], self.edges).hist
        return counts / len(values) / self.edges.diff()

    def draw(
        self, view: Histogram, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """Bars. Shares fit in; densities that leave the picture are cut."""
        values = numbers(view.values)
        canvas, axes = _canvas(small)
        heights = self._heights(values)
        top = max(self.top, 1.05 * float(heights.max())) if self.whole else self.top
        if self.whole:
            axes.bar((self.edges[:-1] + 0.5).tolist(), heights.tolist(), 0.8, color=BLUE)
        else:
            axes.stairs(heights.numpy(), self.edges.numpy(), fill=True, color=BLUE)
        axes.set(xlim=(float(self.edges[0]), float(self.edges[-1])), ylim=(0, top))
        axes.set(xlabel=self.name, ylabel="share" if self.whole else "density")
        if self.whole:
            axes.xaxis.get_major_locator().set_params(integer=True)
        return _picture(canvas, small, self.missing(view, count))

    def missing(self, view: Histogram, count: int) -> str:
        """Numbers outside the bins, and a bar that is cut."""
        values = numbers(view.values)
        inside = (values >= self.edges[0]) & (values <= self.edges[-1])
        tallest = float(self._heights(values).max())
        cut = f"a bar of {tallest:.3g} is cut" if not self.whole and tallest > self.top else ""
        return ", ".join(filter(None, (_outside(~inside, "values outside"), cut)))


class _Lines(Painter):
    """Functions over their grid."""

    many, few = 60, 20

    def __init__(self, view: Curves) -> None:
        values = numbers(view.values)
        low, high = _quantiles(values[~values.isnan()], (0.002, 0.998)).tolist()
        margin = 0.15 * max(high - low, 1e-6)
        self.low, self.high, self.name = low - margin, high + margin, view.name

    def draw(
        self, view: Curves, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """A line for each function, and the band of the middle 90 % of all of them at each
        point."""
        canvas, axes = _canvas(small)
        whole = numbers(view.values)
        lines, known = whole[:count], view.places is not None
        place = torch.tensor(view.places) if known else torch.arange(float(lines.shape[1]))
        band = torch.nanquantile(whole[:_BANDED], torch.tensor([0.05, 0.5, 0.95]).to(whole), 0)
        axes.fill_between(place, band[0], band[2], color=_SOFT, alpha=0.25, linewidth=0)
        axes.plot(place, lines.mT.numpy(), color=BLUE, alpha=0.35, linewidth=0.6 if small else 1)
        axes.plot(place, band[1], color="black", linewidth=1)
        axes.set(xlim=(float(place[0]), float(place[-1])), ylim=(self.low, self.high))
        axes.set(xlabel=view.label, ylabel=self.name)
        if not known:
            axes.xaxis.get_major_locator().set_params(integer=True)
        return _picture(canvas, small, self.missing(view, count))

    def missing(self, view: Curves, count: int) -> str:
        """Functions that leave the picture somewhere."""
        lines = numbers(view.values[:count])
        inside = ((lines >= self.low) & (lines <= self.high) | lines.isnan()).all(1)
        return _outside(~inside, "curves leave the picture")


class _Cells(Painter):
    """Rows of symbols, a color each; what is no symbol, such as a mask, is left gray."""

    many, few = 32, 16

    def __init__(self, view: Sequences) -> None:
        self.symbols = view.symbols

    def draw(
        self, view: Sequences, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """A row for each state."""
        colors = require("matplotlib.colors", extra="plots", purpose="draw pictures")
        cmaps = require("matplotlib", extra="plots", purpose="draw pictures").colormaps
        found = [colors.to_rgba("#d8dbe0")]
        # Neighbors are told apart up to ten; more are a scale.
        map_ = cmaps["tab10"] if self.symbols <= 10 else cmaps["viridis"]
        steps = range(self.symbols)
        found += [map_(k if self.symbols <= 10 else k / max(self.symbols - 1, 1)) for k in steps]
        codes = view.codes[:count].cpu()
        known = (codes >= 0) & (codes < self.symbols)
        codes = torch.where(known, codes, -1)
        canvas, axes = _canvas(small)
        table = colors.ListedColormap(found)
        rows, sites = codes.shape
        edges = [k - 0.5 for k in range(sites + 1)], list(range(rows + 1))
        drawn = axes.pcolormesh(
            *edges, codes.flip(0).numpy(), cmap=table, vmin=-1.5, vmax=self.symbols - 0.5,
            edgecolors="white", linewidth=0.4 if sites <= 64 else 0.0,
        )  # fmt: skip
        axes.set(xlabel="site", yticks=[])
        axes.xaxis.get_major_locator().set_params(integer=True)
        if self.symbols <= 20 and not small:
            bar = canvas.colorbar(drawn, ax=axes, ticks=list(steps), fraction=0.05)
            bar.ax.set_ylim(-0.5, self.symbols - 0.5)
            bar.ax.set_title("symbol", fontsize=8)
        axes.spines[["left", "bottom"]].set_visible(False)
        return _picture(canvas, small)


class _Grid(Painter):
    """Images on one scale of gray or color."""

    many, few = 64, 9
    sharp = True

    def __init__(self, view: Images) -> None:
        # Rare extremes would wash all pictures out.
        low, high = _quantiles(numbers(view.pixels), (0.001, 0.999)).tolist()
        self.low, self.high = low, max(high, low + 1e-6)

    def draw(
        self, view: Images, count: int, *, small: bool = False, kinds: Kinds | None = None
    ) -> Any:
        """A grid of them, with captions below if they have some."""
        if kinds is not None and kinds.captions and not small:
            texts = [kinds.names[k] for k in kinds.codes[:count].tolist()]
            return captioned_grid(view.pixels[:count], texts, self.low, self.high)
        return image_grid(view.pixels[:count], self.low, self.high, 3 if small else None)

    def missing(self, view: Images, count: int) -> str:
        """Pixels far beyond the ends of the scale, which look like its ends."""
        pixels, margin = numbers(view.pixels[:count]), 0.05 * (self.high - self.low)
        beyond = ~((pixels >= self.low - margin) & (pixels <= self.high + margin))
        share = float(beyond.double().mean())
        return f"{share:.1%} of the pixels beyond the scale" if share > _RARE else ""


_PAINTERS: dict[type, Any] = {
    Scatter: PlanePainter,
    Histogram: _Bars,
    Curves: _Lines,
    Sequences: _Cells,
    Images: _Grid,
}


def painter_of(view: View) -> Painter:
    """What draws views of this kind, on the scale of this one."""
    found: Painter = _PAINTERS[type(view)](view)
    return found


def image_grid(x: Tensor, low: float, high: float, columns: int | None = None) -> Any:
    """Images `(n, C, H, W)` side by side, magnified with sharp pixels, as a `PIL.Image`.

    Gray images are drawn dark on light. Raises `InputError` unless there are 1 or 3 channels.
    """
    image = require("PIL.Image", extra="plots", purpose="draw pictures")
    n, channels, height, width = x.shape
    if channels not in (1, 3):
        raise InputError(f"pictures have 1 or 3 channels, not {channels}")
    columns = columns or math.ceil(math.sqrt(n))
    rows, gap = math.ceil(n / columns), max(1, height // 8)
    levels = ((x.detach().cpu().float() - low) / (high - low)).nan_to_num(0.5).clamp(0, 1)
    if channels == 1:
        levels = 1 - levels
    canvas = torch.ones(channels, rows * (height + gap) + gap, columns * (width + gap) + gap)
    for k in range(n):
        top, left = (k // columns) * (height + gap) + gap, (k % columns) * (width + gap) + gap
        canvas[:, top : top + height, left : left + width] = levels[k]
    pixels = (255 * canvas).round().byte().permute(1, 2, 0).squeeze(-1).numpy()
    picture = image.fromarray(pixels)
    scale = max(1, round(720 / max(picture.size)))
    return picture.resize([s * scale for s in picture.size], image.Resampling.NEAREST)


def _canvas(small: bool) -> tuple[Any, Any]:
    """An empty figure; a frame of a strip is small, and its axes go without saying."""
    figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    if small:
        canvas = figure.Figure(figsize=(_INCHES / 2, _INCHES / 2), dpi=_DOTS)
        return canvas, canvas.add_axes((0.02, 0.02, 0.96, 0.96))
    canvas = figure.Figure(figsize=(_INCHES, _INCHES), dpi=_DOTS, layout="constrained")
    axes = canvas.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return canvas, axes


def _outside(outside: Tensor, what: str) -> str:
    """How many there are, if any."""
    return f"{int(outside.sum()):,} of {len(outside):,} {what}" if bool(outside.any()) else ""


def _heaviest(axis: Tensor, names: tuple[str, ...]) -> str:
    """The columns that a principal axis is mostly along, in brackets; nothing without names."""
    order = axis.square().argsort(descending=True)[:3]
    heavy = [k for k in order.tolist() if float(axis[k]) ** 2 > 0.2] if names else []
    found = ", ".join(f"{'' if float(axis[k]) > 0 else '−'}{names[k]}" for k in heavy)
    return f" ({found})" if found else ""


def _picture(canvas: Any, small: bool, note: str = "") -> Any:
    if small:
        canvas.axes[0].set(xticks=[], yticks=[], xlabel="", ylabel="")
    else:
        # Room for a note is kept in all pictures, so that those beside each other have one frame.
        canvas.axes[0].set_title(note or " ", fontsize=8, color=_SOFT, loc="right")
    return image_of(canvas)


def framed(canvas: Any, *notes: str) -> Any:
    """A figure of many panels, with what to know of it above."""
    canvas.suptitle(", ".join(filter(None, notes)), fontsize=8, color=_SOFT, x=1.0, ha="right")
    return image_of(canvas)


def image_of(canvas: Any) -> Any:
    image = require("PIL.Image", extra="plots", purpose="draw pictures")
    stream = io.BytesIO()
    canvas.savefig(stream, format="png")
    return image.open(stream).convert("RGB")


def numbers(x: Tensor) -> Tensor:
    return x.detach().cpu().double()


def _quantiles(x: Tensor, q: tuple[float, ...], dim: int | None = None) -> Tensor:
    # torch.quantile refuses more than 16 million values.
    values = x if dim is not None else x.flatten()[:: max(1, x.numel() // 1_000_000)]
    return torch.quantile(values, torch.tensor(q, dtype=values.dtype), dim=dim)
