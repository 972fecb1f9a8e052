"""Handwritten digits: train a diffusion model, draw digits of each class, say how good they are.

python examples/digits.py            # five minutes on two cores
python examples/digits.py --smoke    # a few steps, to see that it runs
"""

from __future__ import annotations

import sys

import torch

import pushforward as pf

SMOKE = "--smoke" in sys.argv
STEPS = 3 if SMOKE else 1500
SAMPLES = 20 if SMOKE else 500

# 1797 pictures of 8 x 8 pixels, gray levels 0 to 16, with their labels.
data = pf.data.load("digits")
train, test = data.split(holdout=0.1, seed=0)

# The network is told the time and the label; a tenth of the labels is hidden in training, so that
# it also learns digits of no particular class, which guidance needs.
torch.manual_seed(0)
net = pf.nn.UNet(1, width=8 if SMOKE else 32, num_classes=10)
model = pf.Diffusion(net, pf.processes.Gaussian(pf.schedules.VP()), predict="v")

# The averaged weights end up in `model`; validation data is what `fit` would hold out by itself.
run = pf.fit(model, train, steps=STEPS, seed=0)
print(f"{run.status} after {run.step} steps, validation loss {run.best}")

# Two rows of each class, guided a little towards it.
labels = torch.arange(10).repeat(2)
x = model.sample(20, c=labels, guidance=1.5, steps=20, seed=0)
for row in x[:10, 0].round().int().clamp(0, 16).tolist()[3]:
    print("".join(" .:-=+*#%@"[min(9, value * 10 // 17)] * 2 for value in row))

# How good? Unguided samples with the labels of the held-out digits, against those digits; the
# floor is what as many training digits reach.
count = min(SAMPLES, len(test))
x = model.sample(count, c=test.c[:count], seed=1)
print(pf.evaluate(x, test.x[:count], train.x, seed=0))
