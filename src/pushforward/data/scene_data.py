"""Pictures of random scenes with captions, as data to learn from."""

from __future__ import annotations

import torch

from pushforward import checks
from pushforward.data.captions import WORDS
from pushforward.data.dataset import Data
from pushforward.data.declared import require_room
from pushforward.data.scene_sampling import draw_scenes
from pushforward.data.scenes import render_scenes
from pushforward.data.schema import Schema
from pushforward.vocabulary import Vocabulary

__all__ = ["VOCABULARY", "read_scenes"]

VOCABULARY = Vocabulary(WORDS, 17)
"""All words of the grammar of captions, and the most of a caption."""


def read_scenes(
    n: int = 10_000,
    seed: int = 0,
    size: int = 32,
    *,
    labels: bool = True,
    held_out: bool = False,
) -> Data:
    """`n` scenes of one to three shapes, `(n, 3, size, size)`, 8-bit colors, with captions.

    Args:
        n: how many, at least two.
        seed: of all that is random: the same seed, the same pictures.
        size: pixels along a side, at least 8.
        labels: whether the captions are there.
        held_out: those that hold a composition of `scene_sampling.HELD_OUT`, which the others do
            not.

    Raises `InputError` for other numbers, or where there is no room for the pictures.

    >>> data = read_scenes(3, seed=1, size=16)
    >>> print(data)
    scenes: 3 images of 3 x 16 x 16, 256 levels on 0..255, captions of 16 words
    >>> data.captions[2]
    'a red square left of a small yellow circle'
    """
    checks.whole("n", n, least=2)
    checks.whole("size", size, least=8)
    seed = checks.seed("seed", seed)
    name = "scenes-held-out" if held_out else "scenes"
    require_room((n, 3, size, size), "float32", f"{name}(n={n}, size={size})")
    generator = torch.Generator().manual_seed(seed)
    scenes, captions = draw_scenes(n, generator, held_out=held_out)
    return Data(
        render_scenes(scenes, size),
        VOCABULARY.encode([str(caption) for caption in captions]) if labels else None,
        name=name,
        kind="image",
        levels=256,
        value_range=(0.0, 255.0),
        source=f"{name}(n={n}, seed={seed}, size={size})",
        schema=Schema(vocabulary=VOCABULARY) if labels else Schema(),
    )
