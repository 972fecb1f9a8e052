"""Models made for data that say their space are on it, in Python as on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward.processes import Gaussian
from pushforward.spaces import Functions, Tokens


@pytest.fixture
def curves(tmp_path: Path) -> pf.data.Data:
    path = tmp_path / "curves.csv"
    rows = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    lines = [",".join(f"{k / 5:g}" for k in range(6))]
    lines += [",".join(f"{value:.4f}" for value in row) for row in rows.tolist()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = pf.data.load(path, space="functions")
    assert torch.equal(data.x, pf.data.load(path, kind="functions").x)
    return data


@pytest.mark.parametrize("family", [pf.Diffusion, pf.FlowMatching, pf.SchrodingerBridge])
def test_functions_have_noise_with_a_limit(curves: pf.data.Data, family: type) -> None:
    model = family.for_data(curves)
    assert isinstance(model.space, Functions)
    assert not model.space.white


def test_texts_are_tokens(tmp_path: Path) -> None:
    data = pf.data.load("markov-letters", n=10)
    assert pf.Diffusion.for_data(data).space == Tokens(27)


def test_what_is_said_counts(curves: pf.data.Data) -> None:
    model = pf.Diffusion.for_data(curves, process=Gaussian())
    assert model.process == Gaussian()
