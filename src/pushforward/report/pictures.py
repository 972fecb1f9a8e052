"""Pictures of states: grids of images, clouds of points, as PNG bytes."""

from __future__ import annotations

import base64
import io
import math
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pushforward._extras import require
from pushforward.errors import InputError

__all__ = ["Look", "data_uri", "image_grid", "save_picture", "scatter", "side_by_side"]


class Look:
    """How states of one kind are shown, learned from data so that all pictures share a scale.

    Images show their value range, vectors of more than two entries their two leading principal
    components.
    """

    def __init__(self, reference: Tensor) -> None:
        self.images = _is_image(reference)
        flat = reference.flatten(1).double()
        if self.images:
            # Rare extremes would wash all pictures out.
            self.low, self.high = (float(q) for q in _quantiles(flat, (0.001, 0.999)))
            self.high = max(self.high, self.low + 1e-6)
            return
        self.mean = flat.mean(0)
        dim = flat.shape[1]
        self.axes = torch.eye(dim, 2, dtype=torch.float64)
        self.names = ("x0", "x1") if dim == 2 else ("x0", "")
        if dim > 2:
            _, _, vectors = torch.linalg.svd(flat[:5000] - self.mean, full_matrices=False)
            self.axes = vectors[:2].mT
            self.names = ("first principal component", "second principal component")
        shown = self.project(reference)
        low, high = _quantiles(shown, (0.002, 0.998), dim=0)
        margin = 0.15 * (high - low).clamp_min(1e-6)
        self.window = (low - margin).tolist(), (high + margin).tolist()

    def project(self, x: Tensor) -> Tensor:
        """The plane in which vectors are shown, `(B, 2)`."""
        return (x.flatten(1).double().cpu() - self.mean.cpu()) @ self.axes + self.mean @ self.axes

    def picture(self, x: Tensor, count: int = 64, columns: int | None = None) -> bytes:
        """A PNG of up to `count` images, or of up to 3000 points."""
        if self.images:
            return image_grid(x[:count], self.low, self.high, columns)
        return scatter(self.project(x[:3000]), self.window, self.names)


def image_grid(x: Tensor, low: float, high: float, columns: int | None = None) -> bytes:
    """A PNG of images `(n, C, H, W)` side by side, magnified with sharp pixels.

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
    sheet = torch.ones(channels, rows * (height + gap) + gap, columns * (width + gap) + gap)
    for k in range(n):
        top, left = (k // columns) * (height + gap) + gap, (k % columns) * (width + gap) + gap
        sheet[:, top : top + height, left : left + width] = levels[k]
    pixels = (255 * sheet).round().byte().permute(1, 2, 0).squeeze(-1).numpy()
    picture = image.fromarray(pixels)
    scale = max(1, round(720 / max(picture.size)))
    picture = picture.resize([s * scale for s in picture.size], image.Resampling.NEAREST)
    return _png(picture)


def scatter(
    points: Tensor, window: tuple[list[float], list[float]], names: tuple[str, str] = ("", "")
) -> bytes:
    """A PNG of points `(n, 2)` in a window given by its lower and upper corner."""
    figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    canvas = figure.Figure(figsize=(4.2, 4.2), dpi=130, layout="constrained")
    axes = canvas.subplots()
    axes.scatter(*points.mT.tolist(), s=4, alpha=0.35, linewidths=0, color="#2a5caa")
    (left, bottom), (right, top) = window
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel=names[0], ylabel=names[1])
    axes.spines[["top", "right"]].set_visible(False)
    stream = io.BytesIO()
    canvas.savefig(stream, format="png")
    return stream.getvalue()


def side_by_side(pictures: dict[str, bytes], columns: int = 4) -> bytes:
    """One PNG of several, each under its name."""
    figure = require("matplotlib.figure", extra="plots", purpose="draw pictures")
    image = require("PIL.Image", extra="plots", purpose="draw pictures")
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    canvas = figure.Figure(figsize=(3 * columns, 3.2 * rows), dpi=150, layout="constrained")
    panels = canvas.subplots(rows, columns, squeeze=False).flatten()
    for panel in panels:
        panel.set_axis_off()
    for panel, (name, png) in zip(panels, pictures.items(), strict=False):
        panel.set_title(name, fontsize=10)
        panel.imshow(image.open(io.BytesIO(png)).convert("RGB"), interpolation="antialiased")
    stream = io.BytesIO()
    canvas.savefig(stream, format="png")
    return stream.getvalue()


def save_picture(path: Path, x: Tensor, reference: Tensor | None = None) -> None:
    """Write a PNG of states `(n, *event)`, on the scale of `reference` if given.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_picture(Path(folder) / "x.png", torch.zeros(4, 1, 8, 8))
    ...     (Path(folder) / "x.png").read_bytes()[1:4]
    b'PNG'
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(Look(x if reference is None else reference).picture(x))
    os.replace(partial, path)


def data_uri(png: bytes) -> str:
    """A PNG as an address that needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _png(picture: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return stream.getvalue()


def _is_image(x: Tensor) -> bool:
    return x.ndim == 4 and x.shape[1] in (1, 3)


def _quantiles(x: Tensor, q: tuple[float, ...], dim: int | None = None) -> Tensor:
    # torch.quantile refuses more than 16 million values.
    values = x if dim is not None else x.flatten()[:: max(1, x.numel() // 1_000_000)]
    return torch.quantile(values, torch.tensor(q, dtype=values.dtype), dim=dim)
