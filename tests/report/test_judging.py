"""Samples and data are judged alike: by the values that files hold."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import pushforward as pf
from pushforward.data.schema import Column, Schema
from pushforward.metrics import evaluate
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


def test_words_that_were_given_do_not_outweigh_numbers() -> None:
    """However many they are and however rare: in units of their deviations 40 words would be six
    times as far apart as numbers, and hide what is wrong with these."""
    g = torch.Generator().manual_seed(0)
    words = tuple(f"w{k:02}" for k in range(40))
    schema = Schema((Column("city", "str", tuple(map(float, range(40))), words), Column("x")))

    def rows(n: int) -> pf.data.Data:
        city = torch.randint(40, (n, 1), generator=g).float()
        x = torch.randn(n, 1, generator=g)
        return pf.data.condition_on(pf.data.Data(torch.cat([city, x], 1), schema=schema), "city")

    train, test, drawn = rows(600), rows(300), rows(300)
    right = evaluated(Euclidean(), drawn.x, test, train, told=drawn.c)["energy distance"]
    assert abs(right.excess) < 3
    wrong = evaluated(Euclidean(), drawn.x + 1, test, train, told=drawn.c)["energy distance"]
    plain = evaluate(drawn.x + 1, test.x, train.x)["energy distance"]
    assert wrong.excess > 5
    assert wrong.value > plain.value / 3
