"""How long a run is, its batches and its learning rate: by the data and the family, unless told."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from pushforward.parallel import world_size
from pushforward.training.settings import Settings

__all__ = ["sized", "training_rows"]

_STEPS = 10_000
_BATCH = 128
_SYMBOLS, _FEWEST = 4096, 8
"""Symbols of a batch, at the most, unless it has fewer rows than these."""

_ENOUGH = 2000
"""Rows from which a loss with fresh noise is worth all of the steps."""

_PASSES = 150
"""Over data that the loss takes as they are; the best weights come at half of it."""

_LEAST = 200
"""Steps in which weights get anywhere at all: a few times the warm-up."""


def training_rows(settings: Settings, rows: int) -> int:
    """How many of some rows are trained on, as `Data.split` parts them.

    >>> training_rows(Settings(holdout=0.1), 50), training_rows(Settings(holdout=0.0), 50)
    (45, 50)
    """
    if not settings.holdout:
        return rows
    return rows - min(max(round(settings.holdout * rows), 1), rows - 1)


def sized(settings: Settings, family: Any, rows: int, symbols: int = 1) -> Settings:
    r"""The settings, with `steps`, `batch_size` and `lr` chosen where they are `None`.

    With `n` of the `rows` to train on, those that are not held out:

    * A loss that draws noise or times for every row (`family.draws_noise`: diffusion, matching,
      VAE) teaches something new when it comes to a row again, and overfits slowly:
      `10,000 min(1, sqrt(n / 2000))` steps of 128 rows, each as often as it takes.
    * A loss that does not (the likelihood of a flow) has seen all there is in 40 to 80 passes,
      whatever `n`, and gets worse from there on: at most 10,000 steps, and at most 150 passes, in
      the middle of which the learning rate is still high. Batches are not larger than the data: a
      row that comes twice in one adds nothing.
    * Where the loss does not measure quality (GAN, energies), validation cannot stop a run that is
      too long, nor tell one that is too short: 10,000 steps of 128.

    All come to 10,000 steps of 128 on some 10,000 rows and above, and to no fewer than 200. A batch
    is a multiple of `accumulate` and of the number of processes. Each of the `symbols` of a row of
    text is predicted by itself and costs as much as a row of another kind, so that a batch has
    4,096 of them at the most: 32 windows of 128.

    A budget leaves `steps` open: they are counted out once the time of a step is known. The
    learning rate is that of the family, `learning_rate`.

    >>> from pushforward.models import Diffusion, NormalizingFlow
    >>> for rows in (50, 1000, 100_000):
    ...     for family in (Diffusion, NormalizingFlow):
    ...         chosen = sized(Settings(holdout=0.0), family, rows)
    ...         print(rows, family.__name__, chosen.steps, chosen.batch_size)
    50 Diffusion 1581 128
    50 NormalizingFlow 200 50
    1000 Diffusion 7071 128
    1000 NormalizingFlow 1172 128
    100000 Diffusion 10000 128
    100000 NormalizingFlow 10000 128
    >>> [sized(Settings(), Diffusion, 1000, symbols).batch_size for symbols in (8, 128, 4096)]
    [128, 32, 8]
    """
    n = training_rows(settings, rows)
    bare = family.loss_measures_quality and not family.draws_noise
    batch = settings.batch_size
    if batch is None:
        part = settings.accumulate * world_size()
        most = min(_BATCH, max(_FEWEST, _SYMBOLS // symbols))
        most = min(most, n) if bare else most
        batch = max(most // part, 1) * part
    steps = settings.steps
    if steps is None and settings.budget is None:
        if family.closed_form:
            steps = 1
        elif bare:
            steps = min(_STEPS, max(_LEAST, math.ceil(_PASSES * n / batch)))
        elif family.loss_measures_quality:
            steps = round(_STEPS * min(1.0, math.sqrt(n / _ENOUGH)))
            steps = max(_LEAST, steps)
        else:
            steps = _STEPS
    rate = family.learning_rate if settings.lr is None else settings.lr
    return dataclasses.replace(settings, steps=steps, batch_size=batch, lr=rate)
