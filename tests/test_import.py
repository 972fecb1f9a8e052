"""Importing the package is cheap, and every name it promises is there."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import pushforward as pf


def _modules_after(code: str) -> set[str]:
    """What is loaded in a fresh interpreter after some code has run."""
    report = f"import sys\n{code}\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def _help(*command: str) -> str:
    arguments = [*command, "--help"]
    return f"""
sys.argv = ["pushforward", *{arguments!r}]
import runpy
try:
    runpy.run_module("pushforward", run_name="__main__")
except SystemExit as left:
    assert not left.code, left.code
"""


def test_the_package_does_not_load_torch() -> None:
    loaded = _modules_after("import pushforward; dir(pushforward); pushforward.__version__")
    assert not {"torch", "numpy", "pushforward.models"} & loaded


@pytest.mark.parametrize("command", ["", "train", "sample", "evaluate", "logprob", "info"])
def test_help_does_not_load_torch(command: str) -> None:
    loaded = _modules_after(_help(*command.split()))
    assert "pushforward.cli.app" in loaded
    assert not {"torch", "numpy", "lightning_fabric", "matplotlib"} & loaded


def test_a_name_is_loaded_when_it_is_used() -> None:
    assert "torch" in _modules_after("import pushforward; pushforward.schedules.VP()")


@pytest.mark.parametrize("name", pf.__all__)
def test_every_public_name_resolves(name: str) -> None:
    assert getattr(pf, name) is not None
    assert name in dir(pf)


def test_public_names_are_sorted_and_none_is_forgotten() -> None:
    assert pf.__all__ == sorted(pf.__all__)
    assert set(pf._HOMES) <= set(pf.__all__)


@pytest.mark.parametrize("package", ["models", "nn", "transforms"])
def test_a_package_imports_what_is_used_alone(package: str) -> None:
    module = importlib.import_module(f"pushforward.{package}")
    assert set(module._HOMES) == set(module.__all__) == set(dir(module))
    loaded = _modules_after(f"import pushforward; pushforward.{package}.__all__")
    assert "torch" not in loaded
    with pytest.raises(AttributeError, match=f"'pushforward.{package}' has no attribute 'Own'"):
        _ = module.Own


def test_one_family_does_not_load_the_others() -> None:
    loaded = _modules_after("import pushforward; pushforward.Diffusion")
    families = {"vae", "gan", "energy_model", "normalizing_flow", "score_model", "baselines"}
    assert "pushforward.models.diffusion" in loaded
    assert not {f"pushforward.models.{name}" for name in families} & loaded
    assert not {"pushforward.transforms.transform", "pushforward.nn.dit"} & loaded


@pytest.mark.parametrize("name", sorted(pf._HOMES))
def test_a_name_comes_from_where_its_home_exports_it(name: str) -> None:
    home = importlib.import_module(f"pushforward.{pf._HOMES[name]}")
    assert getattr(pf, name) is getattr(home, name)
    assert name in home.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Difusion'"):
        _ = pf.Difusion


@pytest.mark.parametrize("name", [n for n in pf.__all__ if n not in pf._HOMES])
def test_every_package_exports_what_it_says(name: str) -> None:
    module = importlib.import_module(f"pushforward.{name}")
    assert len(module.__all__) == len(set(module.__all__))
    for exported in module.__all__:
        assert hasattr(module, exported), f"pushforward.{name}.{exported}"
