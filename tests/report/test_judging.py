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


def test_pictures_of_captions_are_read() -> None:
    data = pf.data.load("scenes", n=120)
    train, test = data.split(0.5)
    space = Euclidean()
    wrong = test.c.clone()
    wrong[:15] = wrong[15:30]
    for told, share in ((test.c, 1.0), (wrong, 0.75)):
        row = evaluated(space, test.x, test, train, told=told)["right captions"]
        assert row.value == pytest.approx(share, abs=0.02)
        assert row.floor == 1.0
        assert row.better == "higher"
        assert 0 < row.stderr < 0.07
    blank = evaluated(space, 255 + 0 * test.x, test, train, told=test.c)
    assert blank["right captions"].value == 0
    rows = evaluated(space, test.x, test, train).rows
    assert all(row.name != "right captions" for row in rows)
