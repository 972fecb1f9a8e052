"""Samples and data are judged alike: by the values that files hold."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import pushforward as pf
from pushforward.data.schema import Column, Schema
from pushforward.report.judging import evaluated
from pushforward.spaces import Euclidean


def test_samples_are_judged_as_they_are_written() -> None:
    """Between whole numbers a classifier tells any sample; rounded ones are judged by the rest."""
    generator = torch.Generator().manual_seed(0)
    x = torch.poisson(torch.full((600, 2), 2.0), generator=generator)
    column = Column("a", "int64", tuple(map(float, x.unique().tolist())))
    schema = Schema((column, dataclasses.replace(column, name="b")))
    data = pf.data.Data(x, schema=schema)
    train, test = data.split(0.3)
    samples = torch.poisson(torch.full((200, 2), 2.0), generator=generator)
    samples = samples + 0.8 * (torch.rand(200, 2, generator=generator) - 0.5)
    apart = evaluated(Euclidean(), samples, test.take(torch.arange(180)), train, seed=0)
    assert apart["memorization"].value == pytest.approx(apart["memorization"].floor, abs=0.1)
    raw = dataclasses.replace(test, schema=Schema.of("a", "b"))
    told = evaluated(Euclidean(), samples, raw, train, seed=0)
    assert abs(told["memorization"].value - told["memorization"].floor) > 0.2
