"""The table of short names: every entry leads to what its axis is of, and users can add to it."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pushforward as pf
from pushforward import registry
from pushforward.errors import InputError
from pushforward.latent import Decoder, Encoder, Prior
from pushforward.models import GenerativeModel
from pushforward.schedules import OU, VP
from pushforward.targets import Target
from pushforward.transforms import Transform

ENTRIES = [(axis, name) for axis in registry.axes() for name in registry.names(axis)]

# The axes without a common class have a common method.
METHODS = {
    "discrepancies": ("generator_loss", "witness", "outputs"),
    "kernels": ("move", "target"),
    "predictions": ("__call__",),
    "regularizers": ("begin", "penalty"),
    "samplers": ("init", "step"),
    "score-matching": ("__call__", "sigmas"),
    "times": ("sample",),
    "weightings": ("__call__",),
}

# What cannot be made from its name alone.
CLASSES = {
    "covariances": object,
    "guidance": object,
    "models": GenerativeModel,
    "networks": torch.nn.Module,
    "posteriors": object,
    "processes": object,
    "spaces": object,
}

# Functions, and what they return.
MAKERS = {
    "decoders": Decoder,
    "encoders": Encoder,
    "flows": Transform,
    "priors": Prior,
    "targets": Target,
}


def _made(axis: str, name: str) -> object | None:
    """The object of a name, or `None` for a class that needs arguments."""
    try:
        inspect.signature(registry.find(axis, name)).bind()
    except TypeError:
        return None
    return registry.resolve(axis, name)


@pytest.mark.parametrize(("axis", "name"), ENTRIES)
def test_every_name_leads_to_what_its_axis_is_of(axis: str, name: str) -> None:
    found = registry.find(axis, name)
    if axis in registry.KINDS:
        kind = registry._load(registry.KINDS[axis])
        made = _made(axis, name)
        assert issubclass(found, kind) if made is None else isinstance(made, kind)
    elif axis in METHODS:
        made = registry.resolve(axis, name)
        assert all(hasattr(made, method) for method in METHODS[axis]), made
    elif axis in CLASSES:
        # A name may fix an argument of a class.
        assert issubclass(getattr(found, "func", found), CLASSES[axis])
    elif axis == "energy-training":
        assert isinstance(registry.resolve(axis, name), pf.energy_training.Training)
    elif axis in MAKERS:
        assert inspect.signature(found, eval_str=True).return_annotation is MAKERS[axis]
    else:
        assert axis == "data"
        taken = set(inspect.signature(found).parameters)
        ways = ({"n", "generator"}, {"n", "seed", "size"}, {"labels"}, {"part", "first"})
        assert any(way <= taken for way in ways)


def test_names_that_share_a_class_differ_in_what_they_fix() -> None:
    for axis in registry.KINDS.keys() | METHODS.keys() - {"kernels"}:
        made: dict[str, str] = {}
        for name in registry.names(axis):
            made.setdefault(repr(_made(axis, name) or registry.find(axis, name)), name)
        alike = {"samplers": {"pinned"}, "grids": {"exponential"}}.get(axis, set())
        assert set(registry.names(axis)) - set(made.values()) == alike, axis


def test_a_name_an_object_or_a_mistake() -> None:
    assert registry.resolve("schedules", "vp") == VP()
    own = OU()
    assert registry.resolve("schedules", own) is own
    for wrong, message in (
        ("vpp", "did you mean 'vp'"),
        (OU, r"make one, OU\(\)"),
        (5, "a schedule is an object of schedules, or one of the names vp, .*, not 5"),
        (None, "not None"),
    ):
        with pytest.raises(InputError, match=message):
            registry.resolve("schedules", wrong)
    with pytest.raises(InputError, match=r"no axis is called 'sampler'.*did you mean 'samplers'"):
        registry.names("sampler")
    with pytest.raises(InputError, match=r"'interpolant' cannot be made from its name alone"):
        registry.resolve("processes", "interpolant")


def test_what_is_added_is_found() -> None:
    registry.add("schedules", "own", OU)
    registry.add("schedules", "own", OU)  # a module may be imported again
    registry.add("schedules", "ready", short := VP(beta_max=10.0))
    registry.add("schedules", "partial", functools.partial(VP, beta_max=5.0))
    registry.add("schedules", "made", lambda: VP(beta_max=2.0))
    assert registry.names("schedules")[-4:] == ("own", "ready", "partial", "made")
    assert registry.resolve("schedules", "own") == OU()
    assert registry.resolve("schedules", "ready") is short
    assert registry.resolve("schedules", "partial") == VP(beta_max=5.0)
    assert registry.resolve("schedules", "made") == VP(beta_max=2.0)
    registry.add("data", "corners", lambda labels: [[0.0, 1.0], [1.0, 0.0]])
    assert pf.data.load("corners").x.shape == (2, 2)
    registry.add(
        "data", "noise", lambda n, generator: (torch.rand(n, 3, generator=generator), None)
    )
    assert pf.data.load("noise", n=7, seed=1).x.shape == (7, 3)
    for axis, name, target, message in (
        ("schedules", "vp", OU, "there is a schedule 'vp' already"),
        ("schedule", "mine", OU, "no axis is called 'schedule'"),
        ("schedules", "", OU, "a short name is a text"),
        ("schedules", "mine", "schedules.OU", "a class, a function or an object, not 'schedules"),
    ):
        with pytest.raises(InputError, match=message):
            registry.add(axis, name, target)


MODULE = """
import pushforward as pf

class Later(pf.Diffusion):
    pass

pf.registry.add("schedules", "vp-short", pf.schedules.VP(beta_max=10.0))
pf.registry.add("models", "later", Later)
"""


def test_a_trusted_module_adds_its_names_to_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "houses.py").write_text(MODULE)

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        code = f"from pushforward.cli import main; main({list(words)!r})"
        command = [sys.executable, "-P", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    shown = call("list", "schedules", "--trust", "houses")
    assert shown.stdout.strip().endswith(", vp-short"), shown.stderr
    assert "vp-short" not in call("list", "schedules").stdout
    missing = call("list", "--trust", "huoses")
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: there is no module 'huoses' to trust")


def test_trust_makes_names_known_to_recipes_and_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sheds.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    from pushforward.cli.recipe import read

    recipe = read(None, {"data": "two_moons", "model.process.schedule": "vp-short"})
    with pytest.raises(InputError, match="no schedule is called 'vp-short'"):
        recipe.prepare()
    model = recipe.prepare(trust=("sheds",)).model
    assert model.process.schedule == VP(beta_max=10.0)


def test_the_table_is_read_without_torch() -> None:
    code = (
        "import sys; from pushforward import registry; "
        "print(len(registry.axes()), registry.names('samplers')[0], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split()[1:] == ["euler", "False"], done.stderr
