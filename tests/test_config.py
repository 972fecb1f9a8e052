"""Configurations: plain values there and back, and nothing that runs on the way."""

from __future__ import annotations

import sys
import types

import pytest
import yaml
from torch import nn

import pushforward as pf
from pushforward.config import amend, build, configurable, describe
from pushforward.errors import InputError


def test_what_is_described_is_plain_and_comes_back() -> None:
    model = pf.Diffusion(
        pf.nn.UNet(3, width=8), predict=pf.parametrizations.EDMPreconditioning(sigma_data=0.5)
    )
    spec = yaml.safe_load(yaml.safe_dump(describe(model)))
    again = build(spec)
    assert describe(again) == describe(model)
    assert again.predictor.reading.table == model.predictor.reading.table


@pytest.mark.parametrize(
    "spec",
    [
        {"class": "os.system", "args": {"command": "touch hacked"}},
        {"class": "os:system", "args": {"command": "touch hacked"}},
        {"class": "subprocess:Popen", "args": {"args": "touch hacked"}},
        {"class": "builtins.eval"},
        {"class": "models.saving.os.system"},
        {"class": "models.load", "args": {"path": "."}},
        {"class": "config.build"},
        {"class": "..os.system"},
        {"class": ""},
        {"class": 5},
    ],
)
def test_only_our_configurable_classes_are_made(spec, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        build(spec)
    assert list(tmp_path.iterdir()) == []


def test_classes_of_the_user_need_trust(monkeypatch) -> None:
    module = types.ModuleType("houses")

    @configurable
    class House(nn.Module):
        def __init__(self, rooms: int = 2) -> None:
            super().__init__()
            self.rooms = rooms

    House.__module__, House.__qualname__ = "houses", "House"
    module.House = House
    monkeypatch.setitem(sys.modules, "houses", module)
    spec = describe(House(rooms=3))
    assert spec == {"class": "houses:House", "args": {"rooms": 3}}
    with pytest.raises(InputError, match="trust"):
        build(spec)
    assert build(spec, trust=("houses",)).rooms == 3
    with pytest.raises(InputError):
        build({"class": "houses:sys"}, trust=("houses",))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"class": "schedules.VP", "args": {"beta": 1.0}}, "beta_min, beta_max"),
        ({"class": "schedules.VP", "arg": {}}, r"unknown keys \['arg'\]"),
        ({"class": "schedules.VQ"}, "VQ"),
        ({"class": "schedules.VP", "args": {"beta_max": -1.0}}, "beta_max"),
        ({"class": "nn.MLP", "args": {"event": [2], "width": "wide"}}, "width is a whole"),
    ],
)
def test_arguments_that_do_not_fit(spec, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(spec)


def test_what_cannot_be_written_down() -> None:
    class Own(nn.Module):
        def forward(self, x, t, c=None):
            return x

    model = pf.Diffusion(Own())
    spec = describe(model, unnamed=("net",))
    with pytest.raises(InputError, match=r"pass it to pushforward\.load as net="):
        build(spec)
    assert isinstance(build(spec, net=Own()).predictor.net, Own)
    with pytest.raises(InputError, match="Own"):
        describe(model)
    custom = pf.processes.Gaussian(pf.schedules.Custom(lambda t: 1 - t, lambda t: t))
    with pytest.raises(InputError, match="define it at the top of a module"):
        describe(custom)


def test_amended_arguments_are_described() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8))
    amend(model, event_shape=(2,))
    assert describe(model)["args"]["event_shape"] == [2]
