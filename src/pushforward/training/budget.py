"""A budget of time as a number of steps: a rehearsal on a copy of the model times one."""

from __future__ import annotations

import copy
import dataclasses
import time
import warnings

from pushforward.data import Data
from pushforward.errors import InputError
from pushforward.training.average import Average
from pushforward.training.engine import Engine
from pushforward.training.loop import Loop
from pushforward.training.objective import Objective
from pushforward.training.optimizing import make_optimizer
from pushforward.training.position import Position
from pushforward.training.settings import Settings
from pushforward.training.validation import Validation

__all__ = ["counted_out"]

_FIRST = 3
"""Steps that may still compile or allocate something."""

_ROUND = 5
_SHARE, _MOST = 0.02, 10.0
"""How long is rehearsed: a share of the budget, and at most so many seconds."""

_VALIDATIONS = 25
"""Of a run: twenty, and the early ones."""

_LONG = 10**9


def counted_out(
    settings: Settings,
    engine: Engine,
    held: Data | None,
    held_source: Data | None,
    spent: float,
) -> Settings:
    """Settings with as many `steps` as fit into what is left of their budget, and no budget.

    The steps of the rehearsal are made with a copy of the model and thrown away, so that the run is
    that of the same number of steps given from the start. It ends when its steps are made: on a
    machine that becomes busier it takes longer.

    Args:
        settings: with a budget.
        engine: of the model, before its first step.
        held, held_source: what it will be validated on.
        spent: seconds since the training was asked for.

    Raises `InputError` if nothing is left of the budget.
    """
    assert settings.budget is not None
    budget, start = float(settings.budget), time.monotonic()
    first, fabric = engine.objective, engine.fabric
    open_end = dataclasses.replace(settings, steps=_LONG, budget=None)
    model = copy.deepcopy(first.model)
    objective = Objective(model, first.data, first.device, first.origin)
    player = Engine(fabric, open_end, objective, make_optimizer(model, open_end))
    average = Average(model, settings.ema)
    loop = Loop(open_end, player, average, None, None, Position())
    try:
        for step in range(_FIRST):
            loss, _ = loop.optimize(step)
        float(loss)
        begun, step, enough = time.monotonic(), _FIRST, False
        while not enough:
            for _ in range(_ROUND):
                loss, _ = loop.optimize(step)
                step += 1
            float(loss)
            each = (time.monotonic() - begun) / (step - _FIRST)
            enough = time.monotonic() - begun >= min(_MOST, _SHARE * budget)
            if fabric.world_size > 1:
                each, enough = fabric.broadcast((each, enough))
    finally:
        loop.pairing.close()
    judged = 0.0
    if held is not None:
        begun = time.monotonic()
        Validation(objective, held, held_source, settings.batch, 0)(average.model)
        judged = time.monotonic() - begun
    left = budget - spent - (time.monotonic() - start)
    # As many validations as steps, where there are few steps.
    steps = int(
        max((left - _VALIDATIONS * judged) / each, min(left / (each + judged), _VALIDATIONS))
    )
    if fabric.world_size > 1:
        steps = fabric.broadcast(steps)
    if steps < 1:
        raise InputError(
            f"budget={budget:g} seconds are spent before the first step: preparing and rehearsing "
            f"took {budget - left:.1f}, and a step takes {each + judged:.2g}"
        )
    if steps < settings.warmup:
        warnings.warn(
            f"{budget:g} seconds are enough for {steps} steps, fewer than the {settings.warmup} in "
            "which the learning rate rises: the model will hardly have learned; give more time, or "
            "see what else this machine is doing",
            stacklevel=4,
        )
    return dataclasses.replace(settings, steps=steps, budget=None)
