"""What the documentation says runs: every Python block of a page, in one namespace per page."""

from __future__ import annotations

import re
import shlex
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

import pushforward as pf
from pushforward import training
from pushforward.cli.app import app
from pushforward.sbi import estimation

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

# Training in the documentation is for readers with minutes to spend; the calls are what is tested.
STEPS = 3


def _blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """The fenced blocks of a page: the line each starts on and its text."""
    fence = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    text = page.read_text(encoding="utf-8")
    for match in fence.finditer(text):
        yield text.count("\n", 0, match.start(1)), match[1]


def _pages_with(language: str) -> list[Any]:
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if any(_blocks(page, language))
    ]


@pytest.fixture
def readers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages speak of, and short training."""
    rows = np.random.default_rng(0).normal(size=(200, 3))
    header = "length,width,weight"
    np.savetxt(tmp_path / "measurements.csv", rows, delimiter=",", header=header, comments="")
    lines = [
        f"{a:.3f},{b:.3f},{'setosa' if a > 0 else 'virginica'}" for a, b in rows[:, :2].tolist()
    ]
    (tmp_path / "flowers.csv").write_text("\n".join(["petal,sepal,species", *lines]) + "\n")
    (tmp_path / "station.csv").write_text(
        "when;depth;open\n;m;\n2024-02-28;1.250,5;yes\n2024-02-29;?;no\n2024-03-01;-999;no\n"
        "2024-03-02;3;no\n"
    )
    people = [
        f"{20 + k % 50},{'fm'[k % 2]},{'' if k % 9 else 1.5 * k},2024-01-{1 + k % 28:02d}"
        for k in range(200)
    ]
    (tmp_path / "people.csv").write_text("\n".join(["age,sex,income,joined", *people]) + "\n")
    words = ["ant", "bee", "spider", "wasp", "moth", "fly"]
    (tmp_path / "words.txt").write_text("\n".join(50 * words) + "\n")
    (tmp_path / "photos").mkdir()
    for k in range(8):
        pixels = np.random.default_rng(k).integers(0, 256, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{k}.png")

    fit = training.fit

    def short(model: Any, data: Any, *, steps: int = STEPS, **settings: Any) -> Any:
        return fit(model, data, steps=min(steps, STEPS), **settings)

    for place in (training, training.rectifying, estimation):
        monkeypatch.setattr(place, "fit", short)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", _pages_with("python"))
@pytest.mark.usefixtures("readers_folder")
def test_python_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Dataclasses look their module up by name.
    name = "pushforward_page_" + re.sub(r"\W", "_", str(page.relative_to(ROOT).with_suffix("")))
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    for line, code in _blocks(page, "python"):
        # Empty lines put the block where it stands, so that a traceback names the line.
        exec(compile("\n" * line + code, str(page), "exec"), module.__dict__)


def _commands() -> list[Any]:
    """Each line of the pages that runs `pushforward`."""
    found = {}
    for page in PAGES:
        for language in ("sh", "console", "text"):
            for first, block in _blocks(page, language):
                for number, line in enumerate(block.replace("\\\n", " ").splitlines(), first + 1):
                    command = line.partition("#")[0].removeprefix("$ ").strip()
                    if command.startswith("pushforward "):
                        found.setdefault(command, f"{page.relative_to(ROOT)}:{number}")
    return [pytest.param(command, id=where) for command, where in found.items()]


@pytest.fixture(scope="module")
def application() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("command", _commands())
def test_commands_exist_with_their_options(command: str, application: Any) -> None:
    words = shlex.split(command)[1:]
    options = {option for parameter in application.params for option in parameter.opts}
    if not words[0].startswith("-"):
        assert words[0] in application.commands
        chosen = application.commands[words[0]]
        if hasattr(chosen, "commands"):
            assert words[1] in chosen.commands
            chosen = chosen.commands[words[1]]
        options = {o for p in chosen.params for o in (*p.opts, *p.secondary_opts)}
    used = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert used <= options | {"--help"}


def test_every_public_name_has_a_page() -> None:
    pages = "\n".join(path.read_text() for path in (ROOT / "docs" / "api").glob("*.md"))
    documented = set(re.findall(r"^::: pushforward\.(\w+)", pages, re.MULTILINE))
    homes = {pf._HOMES.get(name, name) for name in pf.__all__}
    assert homes <= documented, f"no page in docs/api for {sorted(homes - documented)}"


def test_relative_links_lead_somewhere() -> None:
    """In the pages that the documentation's own build does not see."""
    for page in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
