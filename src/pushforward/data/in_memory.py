"""Data that are in memory: arrays, frames, dictionaries, pairs, items and data sets of others."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.data import IterableDataset

from pushforward import registry
from pushforward.data import formats
from pushforward.data.arrays import given_labels, read_array
from pushforward.data.column_dicts import read_dict
from pushforward.data.columns import listed
from pushforward.data.formats import refuse
from pushforward.data.frames import read_frame
from pushforward.data.items import is_items, is_pair, read_items
from pushforward.data.named_items import is_hub, is_records, is_splits, read_hub, read_records
from pushforward.data.raw import Raw
from pushforward.errors import InputError

__all__ = ["read_object"]


def read_object(source: Any, label: Any, given: dict[str, Any]) -> Raw:
    """What an object in memory holds. Raises `InputError` for what is no data."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(source, pandas.DataFrame):
        refuse(given, ("columns", "missing", "since", "given"), "a data frame")
        return read_frame(source, label, **given)
    what = type(source).__name__
    chosen = given.get("columns")
    if is_splits(source):
        raise InputError(
            f"{what} holds the splits {listed(list(map(str, source)))}: give one of them, such as "
            f"data[{next(iter(source))!r}]"
        )
    written = {option: given[option] for option in ("missing", "since", "given") if option in given}
    stream = isinstance(source, IterableDataset) or (
        is_hub(source) and not hasattr(source, "__len__")
    )
    # How many rows to read is asked of what may have no end.
    options = ("columns", *(("n",) if stream else ()), "missing", "since")
    if is_hub(source):
        refuse(given, options, f"a {what} of Hugging Face")
        return read_hub(source, label, chosen, given.get("n"), **written)
    if is_records(source):
        refuse(given, options, "a list of dictionaries")
        return read_records(source, "the list", label, chosen, **written)
    if isinstance(source, Mapping):
        return read_dict(source, label, given)
    if is_pair(source):
        return _read_pair(source, label, given)
    if is_items(source):
        refuse(given, options, f"a {what} in memory")
        return read_items(source, label, chosen, given.get("n"), **written)
    refuse(given, (), f"a {what} in memory")
    if source is None or (callable(source) and not hasattr(source, "__array__")):
        known = ", ".join(registry.names("data"))
        raise InputError(f"{source!r} is not data: give one of {known}, or {formats.readable()}")
    noun = "tensor" if isinstance(source, torch.Tensor) else "array"
    return read_array(source, label, f"the {noun}")


def _read_pair(pair: Any, label: Any, given: dict[str, Any]) -> Raw:
    """Data and their labels, which have a name if they are a column of a data frame."""
    x, y = pair
    raw = read_object(x, None, given)
    if label is False:
        return raw
    if label is not None:
        raise InputError(f"label={label!r}: (x, y) has labels in y; label=False leaves them out")
    labels = given_labels(y, "(x, y)")
    name = getattr(y, "name", None)
    return dataclasses.replace(
        raw, labels=labels, label=None if name is None else str(name), source="the pair"
    )
