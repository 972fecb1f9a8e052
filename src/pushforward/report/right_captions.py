"""The share of pictures of scenes that show what their captions say, as a row of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from pushforward.data import Data, matches_captions
from pushforward.data.scene_data import VOCABULARY
from pushforward.metrics import Estimate, Row

__all__ = ["right_captions"]

_MOST = 2000  # pictures, of which the parser reads some 2,000 a second


def right_captions(pictures: Any, told: Any, test: Data) -> Row | None:
    """The share of pictures that are right, beside that of real ones; `None` for other data.

    Scenes alone can be read: their captions have the words of `data.captions.WORDS`, which
    `data.matches_captions` holds against the shapes that it finds.

    Args:
        pictures: drawn, `(N, 3, H, H)`.
        told: the numbers of the words of each, `(N, words)`; `None` without captions.
        test: real pictures with captions.

    >>> import pushforward as pf
    >>> data = pf.data.load("scenes", n=20)
    >>> row = right_captions(data.x, data.c.roll(1, 0), data)
    >>> row.value < 0.5, row.floor
    (True, 1.0)
    """
    if told is None or test.vocabulary != VOCABULARY or not isinstance(pictures, Tensor):
        return None
    found = _share(pictures, VOCABULARY.decode(told[:_MOST]))
    floor = _share(test.x, VOCABULARY.decode(test.c[:_MOST]))
    note = "share of pictures that show what was asked for, and nothing else"
    return Row(
        "right captions", found.value, found.stderr, floor.value, floor.stderr, "higher", note
    )


def _share(pictures: Tensor, captions: Sequence[str]) -> Estimate:
    right = matches_captions(pictures[: len(captions)], captions)
    n, k = len(right), int(right.sum())
    # Laplace's rule keeps the error above zero where all or none are right.
    share = (k + 1) / (n + 2)
    return Estimate(k / n, math.sqrt(share * (1 - share) / n), n)
