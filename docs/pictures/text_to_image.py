"""The pictures of "Text to image in miniature": scenes with captions, and strengths of guidance.

python docs/pictures/text_to_image.py            # of the run in runs/scenes, half a minute
python docs/pictures/text_to_image.py --smoke    # of a model of a few steps, writes nothing
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

import pushforward as pf
from drawing import SMOKE
from pushforward.report.captioned import captioned_grid

PICTURES = Path(__file__).parents[1] / "assets" / "pictures"
STRENGTHS = (1.0, 2.0, 4.0, 8.0)
TEXTS = (
    "a green circle",
    "a large blue triangle",
    "a red square above a green circle",
    "a yellow circle left of a blue square",
    "a small red circle below a large yellow square",
    "a blue square right of a green triangle and above a red triangle",
    "a red square left of a blue circle",
    "a green triangle above a yellow square",
)


def trained() -> Any:
    """The model of the tutorial, or a small one of a few steps."""
    if not SMOKE:
        return pf.load("runs/scenes")
    data = pf.data.load("scenes", n=20, size=8)
    encoder = pf.nn.TextEncoder(**vars(data.vocabulary), width=8, depth=1, heads=2)
    model = pf.Diffusion(pf.nn.UNet(3, width=8, blocks=1, encoder=encoder))
    return pf.fit(model, data, steps=2, batch_size=8, progress=False, device="cpu").model


def save(name: str, picture: Any) -> None:
    """Write a PNG, unless all is small."""
    if SMOKE:
        print(f"{name}: {picture.size}")
        return
    path = PICTURES / f"{name}.png"
    picture.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


data = pf.data.load("scenes", n=16)
save("text-to-image-data", captioned_grid(data.x, data.captions or [], 0.0, 255.0, columns=8))
model, steps = trained(), 3 if SMOKE else 20
rows = [
    model.sample(len(TEXTS), list(TEXTS), guidance=strength, steps=steps, seed=3)
    for strength in STRENGTHS
]
texts = [text if row == len(rows) - 1 else "" for row in range(len(rows)) for text in TEXTS]
grid = captioned_grid(torch.cat(rows), texts, 0.0, 255.0, columns=len(TEXTS))
save("text-to-image-guidance", grid)
