"""Films of varying length grow at either end: a frame is a point whose first mark is its place.

A spot moves across the picture at a speed of its own, for 3 to 8 frames, which a film may begin at
any place of ten. On the way to noise a film loses its first or its last frame, by a fair coin, and
what is left is noised; back from nothing, frames are born at either end, one at a time. So places
never have gaps, whatever the network says. What it has to learn is how long films are, and that a
spot moves evenly.

    python examples/frames_as_sets.py
    python examples/frames_as_sets.py --smoke
"""

from __future__ import annotations

import sys

import torch

import pushforward as pf
from pushforward.processes import JumpDiffusion, Trimming
from pushforward.spaces import MarkedPoints, PointCloud

SMOKE = "--smoke" in sys.argv
FILMS, STEPS, DRAWN = (200, 5, 50) if SMOKE else (5000, 1500, 1000)
LONGEST, PLACES = 8, 10

generator = torch.Generator().manual_seed(0)
length = torch.randint(3, LONGEST + 1, (FILMS, 1), generator=generator)
begin = (torch.rand(FILMS, 1, generator=generator) * (PLACES + 1 - length)).long()
frame = torch.arange(LONGEST).expand(FILMS, -1)
speed = 0.2 + 0.6 * torch.rand(FILMS, 1, generator=generator)
mask = frame < length
spot = speed * (frame - (length - 1) / 2)
films = MarkedPoints(
    (spot * mask).unsqueeze(-1), mask, ((begin + frame) * mask).unsqueeze(-1)
)  # fmt: skip

space = PointCloud(kinds=(PLACES,))
data = pf.data.load(films, space=space, name="films")
process = JumpDiffusion(thinning=Trimming(), space=space)
model = pf.Diffusion.for_data(data, process=process)
pf.fit(model, data, steps=STEPS, batch_size=128, seed=0)
drawn = model.sample(DRAWN, steps=10 if SMOKE else 50, seed=0)

print("length   data  samples")
for n in range(LONGEST + 1):
    shares = [float((x.number == n).double().mean()) for x in (films, drawn)]
    print(f"{n:6} {shares[0]:6.3f}   {shares[1]:6.3f}")
for name, x in (("data", films), ("samples", drawn)):
    place = x.kinds[..., 0].masked_fill(~x.mask, PLACES)
    order = place.argsort(-1)
    there = x.mask.sum(-1, keepdim=True) > torch.arange(1, LONGEST)
    gap = place.gather(1, order).diff(dim=1)[there]
    step = x.x[..., 0].gather(1, order).diff(dim=1)
    # A spot that moves evenly makes steps of one size: beside the spread between films.
    several = there.sum(1) >= 2
    mean = (step * there).sum(1) / there.sum(1).clamp_min(1)
    uneven = ((step - mean.unsqueeze(1)) * there).square().sum(1) / there.sum(1).clamp_min(1)
    print(
        f"{name:8} places apart {gap.min()} to {gap.max()}, steps {mean[several].mean():.3f} "
        f"± {mean[several].std():.3f} between films, ± {uneven[several].mean().sqrt():.3f} in one"
    )
