"""Pictures of calibration: a panel for each test, the fault in words."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pushforward import metrics, report


def _calibration(scale: float, d: int = 2) -> metrics.Calibration:
    g = torch.Generator().manual_seed(1)
    theta = torch.randn(150, d, generator=g)
    y = theta + torch.randn(150, d, generator=g)

    def sampler(y: Tensor, n: int, seed: int) -> Tensor:
        noise = torch.randn(n, *y.shape, generator=torch.Generator().manual_seed(seed))
        return y / 2 + scale * 0.5**0.5 * noise

    return metrics.calibrate(
        sampler, (theta, y), draws=19, log_prob=lambda t, y: -(t - y / 2).square().sum(-1)
    )


def _reds(picture: Image.Image) -> int:
    pixels = torch.tensor(np.asarray(picture)).int().flatten(0, 1)
    return int(((pixels - torch.tensor([179, 55, 47])).abs().sum(1) < 30).sum())


def test_curves_outside_of_their_bands_are_red() -> None:
    right, wrong = (
        Image.open(io.BytesIO(report.calibration_picture(_calibration(scale))))
        for scale in (1.0, 0.5)
    )
    assert _reds(right.convert("RGB")) == 0 < _reds(wrong.convert("RGB"))


def test_a_page_says_what_is_wrong() -> None:
    text = report.calibration_page(_calibration(0.5), "narrow <draws>")
    assert "narrow &lt;draws&gt;" in text
    assert "rejected by SBC" in text
    assert "the draws are too narrow" in text


def test_many_coordinates_fit_into_one_picture() -> None:
    small = Image.open(io.BytesIO(report.calibration_picture(_calibration(1.0, d=3))))
    large = Image.open(io.BytesIO(report.calibration_picture(_calibration(1.0, d=30))))
    # Four columns, three rows at most.
    assert large.width <= 4 * 2.9 * 110 + 1
    assert large.height <= 3 * 2.6 * 110 + 1
    assert small.width <= large.width


def test_a_notebook_shows_words_and_picture() -> None:
    html = _calibration(1.0)._repr_html_()
    assert html is not None
    assert "<pre>calibration over 150 pairs" in html
    assert "<img" in html
