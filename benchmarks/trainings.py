"""Training that is judged only if it came to its end."""

from __future__ import annotations

from typing import Any

import pushforward as pf

__all__ = ["fit"]


def fit(model: Any, data: Any, **options: Any) -> Any:
    """`pf.fit`, which returns when it is told to stop: half a training must not be judged as a
    whole one, so that this ends the program."""
    run = pf.fit(model, data, **options)
    if run.status != "finished":
        raise SystemExit(f"training was {run.status} at step {run.step}")
    return run
