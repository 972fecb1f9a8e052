"""Rows in the place of data, for a model that learns from a density that it holds."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from pushforward.data import Data, Schema
from pushforward.errors import InputError
from pushforward.training.settings import Settings

__all__ = ["WITHOUT", "without_data"]

_ROWS = 1024
WITHOUT = "a density"
"""Where data come from that are none."""


def without_data(model: Any, data: Any, settings: Settings) -> tuple[Any, Settings]:
    """Zeros of which only the number counts, and settings that hold nothing out.

    What a model that needs data is given stays as it is. Raises `InputError` for one that gets
    none, and for data of a model that learns from its density alone.
    """
    kind = type(model).__name__
    if not model.learns_without_data:
        if data is None:
            raise InputError(
                f"a {kind} learns from data, and got none: models.LearnedSampler learns from a "
                "density"
            )
        return data, settings
    ours = isinstance(data, Data) and data.source == WITHOUT
    if not ours and data is not None and data is not model.target:
        raise InputError(
            f"this {kind} learns from the density of {model.target.name} alone, not from data: "
            "fit(model, None)"
        )
    if not ours:
        data = Data(
            torch.zeros(_ROWS, *model.target.event_shape), name=model.target.name, source=WITHOUT,
            schema=Schema.of(*model.target.names),
        )  # fmt: skip
    return data, dataclasses.replace(settings, holdout=0.0, standardize=False)
