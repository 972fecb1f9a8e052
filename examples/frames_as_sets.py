"""Films of varying length are sets on a line: a frame is a point, its first coordinate the time.

A spot moves across the picture at a speed of its own, for 3 to 8 frames. Frames are deleted in any
order and born again where they are missing, at either end too. Afterwards frames are in order of
their times, and the question is whether these are one apart and the spot moves evenly.

    python examples/frames_as_sets.py
    python examples/frames_as_sets.py --smoke
"""

from __future__ import annotations

import sys

import torch

import pushforward as pf
from pushforward.spaces import PointCloud, Points

SMOKE = "--smoke" in sys.argv
FILMS, STEPS = (200, 5) if SMOKE else (5000, 1500)
LONGEST = 8

generator = torch.Generator().manual_seed(0)
length = torch.randint(3, LONGEST + 1, (FILMS, 1), generator=generator)
frame = torch.arange(LONGEST).expand(FILMS, -1)
# Times about the middle of a film: it has no beginning before it is whole.
time = frame - (length - 1) / 2
speed = 0.2 + 0.6 * torch.rand(FILMS, 1, generator=generator)
films = Points(torch.stack([time, speed * time], -1), frame < length)
films = films._replace(x=films.x * films.mask.unsqueeze(-1))

data = pf.data.load(films, space=PointCloud(), name="films")
model = pf.Diffusion.for_data(data, process=pf.processes.JumpDiffusion(space=PointCloud()))
pf.fit(model, data, steps=STEPS, batch_size=128, seed=0)
drawn = model.sample(100 if SMOKE else 1000, steps=50, seed=0)

print("length   data  samples")
for n in range(LONGEST + 1):
    shares = [float((x.number == n).double().mean()) for x in (films, drawn)]
    print(f"{n:6} {shares[0]:6.3f}   {shares[1]:6.3f}")
for name, x in (("data", films), ("samples", drawn)):
    order = x.x[..., 0].masked_fill(~x.mask, torch.inf).argsort(-1)
    place = x.x.gather(1, order.unsqueeze(-1).expand_as(x.x))
    both = x.mask.sum(-1, keepdim=True) > torch.arange(1, LONGEST)
    step = place.diff(dim=1)[both]
    print(f"{name:8} from frame to frame: {step[:, 0].mean():.3f} ± {step[:, 0].std():.3f}")
