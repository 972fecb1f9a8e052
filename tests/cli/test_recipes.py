"""Every recipe that comes along makes its model and trains it; every family has one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

import pushforward as pf
from pushforward.cli.recipe import read
from pushforward.data import Data

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_every_family_has_a_recipe_of_its_name() -> None:
    found = {path.stem: yaml.safe_load(path.read_text()).get("family") for path in RECIPES}
    names = pf.registry.names("models")
    assert {name: found.get(name) for name in names} == {name: name for name in names}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_trains(path: Path, tmp_path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()
    assert any(f"--recipe recipes/{path.name}" in line for line in first)
    recipe = read(path, {}, ["train.steps=2", "train.batch_size=8", "device=cpu"])
    data = _few(recipe)
    torch.manual_seed(0)
    model = recipe.make_model(data)
    source = recipe.load_source()
    run = pf.fit(model, data, source=source, settings=recipe.train, out=tmp_path, progress=False)
    # What is fitted as a whole makes one step.
    assert run.status == "finished"
    assert run.step == (1 if model.closed_form else 2)
    assert type(model) is pf.registry.find("models", recipe.family)


def _few(recipe) -> Data:
    """The recipe's data, or pictures of its kind where it would have to be fetched."""
    if recipe.data == "fashion-mnist":
        generator = torch.Generator().manual_seed(0)
        x = torch.randint(0, 256, (400, 1, 28, 28), generator=generator) / 255
        return Data(x, c=torch.arange(400) % 10, kind="image")
    data = recipe.load_data()
    return data.take(torch.arange(min(400, len(data))))
