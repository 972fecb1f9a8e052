"""Every recipe that comes along makes its model and trains it; every model has one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
import xarray

import pushforward as pf
from pushforward.cli.recipe import read
from pushforward.cli.specs import made_options
from pushforward.data import Alphabet, Column, Data, Schema
from pushforward.data.molecule_format import MoleculeFormat
from pushforward.distributions import Box
from pushforward.molecules import Molecule, packed

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
MEASURED = ("length", "width", "weight")
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))


def test_every_model_has_a_recipe_of_its_name() -> None:
    found = {path.stem: read(path, {}).model["class"] for path in RECIPES}
    names = pf.registry.names("models")
    assert {name: found.get(name) for name in names} == {name: name for name in names}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_loads_and_trains(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{k % 90},{k}" for k in range(150)]
    Path("earlier.csv").write_text("\n".join(["latitude,longitude", *rows]), encoding="utf-8")
    first = path.read_text(encoding="utf-8").splitlines()
    assert any(f"--recipe recipes/{path.name}" in line for line in first)
    recipe = read(path, {}, ["train.batch_size=8"])
    model, data, source = recipe.prepare(data=_few(recipe))
    recipe = read(path, {}, ["train.steps=2", "train.batch_size=8"])
    run = pf.fit(
        model, data, source=source, settings=recipe.train, out=tmp_path / "run", device="cpu",
        progress=False,
    )  # fmt: skip
    # What is fitted as a whole makes one step.
    assert run.status == "finished"
    assert run.step == (1 if model.closed_form else 2)
    assert type(model) is recipe.model_class()


def _few(recipe) -> Data | None:
    """The recipe's data, or pictures of its kind where it would have to be fetched."""
    if recipe.model_class().learns_without_data:
        return None
    if recipe.data["source"] == "fashion-mnist":
        generator = torch.Generator().manual_seed(0)
        x = torch.randint(0, 256, (400, 1, 28, 28), generator=generator) / 255
        return Data(x, c=torch.arange(400) % 10, kind="image")
    if recipe.data["source"] == "pairs.csv":
        theta = Box([0.0, 0.1], [2.0, 1.0]).sample(400, seed=0)
        columns = torch.cat([theta, theta.square()], 1).unbind(1)
        table = dict(zip(("amplitude", "width", "y1", "y2"), columns, strict=True))
        own = {name: column.numpy() for name, column in table.items()}
        return pf.data.load(**{**recipe.data, "source": own})
    if recipe.data["source"] == "curves.csv":
        curves = {f"t{k}": [f"{(k * n) % 7}" for n in range(100)] for k in range(8)}
        return pf.data.load(**{**recipe.data, "source": curves})
    if recipe.data["source"] == "people.csv":
        people = {"age": [f"{k % 60 + 18}" for k in range(400)], "sex": ["f", "m"] * 200}
        return pf.data.load(**{**recipe.data, "source": people})
    if recipe.data["source"] == "rain.zarr":
        rain = pf.fluids.Showers(8).frames(60).numpy()
        store = xarray.Dataset({"rain": (("time", "y", "x"), rain)}, {"time": range(60)})
        return pf.data.load(**{**recipe.data, "source": store})
    if recipe.data["source"] == "qm9":
        water = Molecule(("O", "H", "H"), [[0, 0, 0.1], [0, 0.8, -0.5], [0, -0.8, -0.5]])
        known = MoleculeFormat(("H", "O"))
        atoms = packed([water] * 50, known.elements)
        told = recipe.data.get("given", ())
        c = torch.ones(50, len(told)) if told else None
        given = tuple(map(Column, told))
        return Data(atoms, c, kind="state", schema=Schema(molecules=known, given=given))
    if recipe.data["source"] == "trees.csv":
        trees = {name: [f"{k % n}" for k in range(300)] for name, n in (("plot", 99), ("x", 7))}
        return pf.data.load(**{**recipe.data, "source": trees})
    if recipe.data["source"] == "clips.csv":
        clips = {"clip": [f"{k // 3}" for k in range(300)], "x": [f"{k % 7}" for k in range(300)]}
        clips["frame"] = [f"{k // 3 % 2 + k % 3}" for k in range(300)]
        return pf.data.load(**{**recipe.data, "source": clips})
    if recipe.data["source"] == "book.txt":
        alphabet = Alphabet(tuple("abcdefg"))
        x = torch.randint(0, 7, (50, 16), generator=torch.Generator().manual_seed(0))
        return Data(x, schema=Schema(alphabet=alphabet))
    if "space" in recipe.model:
        if recipe.model["space"] == "simplex":
            parts = 100 * Box([0.1] * 3, [0.3] * 3).sample(400, seed=0)
            parts[:, -1] = 100 - parts[:, :-1].sum(1)
            own = dict(zip(recipe.data["columns"], parts.mT.numpy(), strict=True))
            return pf.data.load(**{**recipe.data, "source": own}, space=pf.spaces.LogRatios())
        # Columns of small numbers are places and angles alike, and near a quaternion.
        own = dict.fromkeys(recipe.data["columns"], 10 * torch.arange(400.0).cos().numpy())
        space = pf.registry.find("spaces", recipe.model["space"])()
        return pf.data.load(**{**recipe.data, "source": own}, space=space, project=True)
    table = {name: torch.arange(400.0).add(k).cos().numpy() for k, name in enumerate(MEASURED)}
    own = {"source": table} if recipe.data["source"] == "measurements.csv" else {}
    few = {"n": 100} if "n" in recipe.data else {}
    data = pf.data.load(**{**recipe.data, **own, **few})
    return data.take(torch.arange(min(400, len(data))))


def test_a_network_is_told_the_sizes_of_the_data() -> None:
    path = next(path for path in RECIPES if path.stem == "fashion-mnist")
    recipe = read(path, {})
    net = recipe.prepare(data=_few(recipe)).model.predictor.net
    assert type(net) is pf.nn.UNet
    assert net.num_classes == 10


def test_overrides_reach_inside_of_names() -> None:
    short = ["model.process=masking", "model.process.space.vocabulary=3"]
    found = read(None, {"data": "x.csv"}, short).model
    assert found == {
        "class": "diffusion",
        "process": {"class": "masking", "space": {"vocabulary": 3}},
    }
    long = ["model.process.class=masking", "model.process.space={class: tokens, vocabulary: 3}"]
    made = [
        made_options(pf.Diffusion, {"process": read(None, {"data": "x"}, words).model["process"]})
        for words in (short, long)
    ]
    assert repr(made[0]) == repr(made[1])


def test_another_class_drops_the_options_of_the_first() -> None:
    path = next(path for path in RECIPES if path.stem == "diffusion")
    assert read(path, {"model.class": "flow"}).model == {"class": "flow"}
    assert read(path, {"model.class": "diffusion"}).model["predict"] == "v"


def test_places_and_written_arguments_are_read_too() -> None:
    spec = {"class": "processes.Gaussian", "args": {"schedule": {"class": "schedules.VP"}}}
    made = made_options(pf.Diffusion, {"process": spec})["process"]
    assert made == pf.processes.Gaussian(pf.schedules.VP())
    spec = {"class": "gaussian", "schedule": {"class": "vp", "beta_max": 10.0}}
    made = made_options(pf.Diffusion, {"process": spec})["process"]
    assert made.schedule.beta_max == 10.0


def _guide() -> list[tuple[str, list[str]]]:
    """What the guide shows of recipes: whole ones, and words after `pushforward train`."""
    text = GUIDE.read_text(encoding="utf-8")
    shown = [(block, []) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    for line in re.findall(r"^pushforward train (.*)$", text, re.MULTILINE):
        words = [word for word in shlex.split(line) if "=" in word]
        name = re.search(r"--model (\S+)", line)
        shown.append((f"data: x\nmodel: {name[1] if name else 'diffusion'}\n", words))
    return shown


def test_what_the_guide_shows_can_be_made(tmp_path: Path) -> None:
    shown = _guide()
    assert len(shown) > 6
    for text, words in shown:
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        recipe = read(path, {}, words)
        cls = recipe.model_class()
        options = {key: value for key, value in recipe.model.items() if key != "class"}
        assert cls.space_for(made_options(cls, options)) is not None
