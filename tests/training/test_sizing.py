"""How long runs are without a word: by the data, or by a budget of time."""

from __future__ import annotations

import json

import pytest
import torch
import yaml

import pushforward as pf
from pushforward import registry
from pushforward.errors import InputError
from pushforward.training import Settings, budget, fitting
from pushforward.training.sizing import sized, training_rows

FAMILIES = sorted(registry.names("models"))


def data(rows: int) -> torch.Tensor:
    return torch.randn(rows, 2, generator=torch.Generator().manual_seed(0))


def model() -> pf.Diffusion:
    torch.manual_seed(0)
    return pf.Diffusion(pf.nn.MLP(2, width=8))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_ten_thousand_steps_for_ten_thousand_rows(name: str) -> None:
    family = registry.find("models", name)
    for rows in (10_000, 200_000):
        found = sized(Settings(), family, rows)
        assert (found.steps, found.batch_size) == (1 if family.closed_form else 10_000, 128)


@pytest.mark.parametrize("name", FAMILIES)
def test_more_rows_are_never_given_fewer_steps(name: str) -> None:
    family = registry.find("models", name)
    found = [sized(Settings(), family, rows) for rows in (2, 20, 50, 200, 1000, 5000, 10_000)]
    steps = [settings.length for settings in found]
    assert steps == sorted(steps)
    assert family.closed_form or steps[0] >= 200


def test_what_is_given_is_kept_and_what_is_open_is_not_used() -> None:
    found = sized(Settings(steps=7, batch_size=3), pf.NormalizingFlow, 50)
    assert (found.steps, found.batch_size) == (7, 3)
    assert sized(Settings(accumulate=10), pf.NormalizingFlow, 50).batch_size == 40
    for name in ("length", "batch", "peak"):
        with pytest.raises(InputError, match="not chosen yet"):
            getattr(Settings(), name)
    # What follows from the length follows from the one that is chosen.
    assert sized(Settings(holdout=0.0), pf.Diffusion, 500).validate_every == 5000 // 20


def test_batches_of_texts_are_counted_in_symbols(tmp_path) -> None:
    found = [sized(Settings(), pf.Diffusion, 10_000, k).batch_size for k in (1, 32, 33, 256, 10**6)]
    assert found == [128, 128, 124, 16, 8]
    assert sized(Settings(accumulate=5), pf.Diffusion, 10_000, 256).batch_size == 15
    assert sized(Settings(batch_size=64), pf.Diffusion, 10_000, 256).batch_size == 64
    book = tmp_path / "book.txt"
    book.write_text("all work and no play. " * 300)
    texts = pf.data.load(str(book), window=256)
    size = texts.schema.alphabet.size
    net = pf.nn.TokenTransformer(size, width=8, depth=1, heads=2)
    process = pf.processes.Masking(pf.spaces.Tokens(size))
    model = pf.Diffusion.for_data(texts, process=process, net=net)
    run = pf.fit(model, texts, steps=1, warmup=0, out=tmp_path / "run", progress=False)
    assert texts.symbols == 256
    assert yaml.safe_load((run.path / "config.yaml").read_text())["training"]["batch_size"] == 16


def test_the_learning_rate_is_that_of_the_family_unless_it_is_given(tmp_path) -> None:
    assert sized(Settings(), pf.Diffusion, 500).lr == 1e-3
    assert sized(Settings(), pf.GAN, 500).lr == pf.GAN.learning_rate == 2e-3
    assert sized(Settings(lr=5e-4), pf.GAN, 500).lr == 5e-4
    game = pf.GAN.for_data(pf.data.load(data(60)), width=8)
    settings = {"batch_size": 8, "warmup": 0, "schedule": "constant", "progress": False}
    run = pf.fit(game, data(60), steps=2, out=tmp_path / "run", **settings)
    assert run.history[-1]["lr"] == 2e-3
    # A run that goes on keeps the one that it began with, whatever the family takes by now.
    game.learning_rate = 7e-3
    run = pf.fit(game, data(60), steps=4, resume=True, out=tmp_path / "run", **settings)
    assert run.history[-1]["lr"] == 2e-3


@pytest.mark.parametrize("rows", [2, 3, 50, 51, 999])
def test_rows_are_counted_as_they_are_parted(rows: int) -> None:
    train, _ = pf.data.load(data(rows)).split(0.1)
    assert training_rows(Settings(), rows) == len(train)


def test_a_run_that_goes_on_keeps_what_was_chosen(tmp_path) -> None:
    pf.fit(model(), data(60), steps=4, batch_size=8, out=tmp_path / "run", progress=False)
    run = pf.fit(model(), data(60), out=tmp_path / "run", resume=True, progress=False)
    assert run.step == 4
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["training"]
    assert (saved["steps"], saved["batch_size"]) == (4, 8)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("90", 90), (7, 7)],
)
def test_a_time_is_seconds_or_text(text, seconds: float) -> None:
    assert Settings(budget=text).budget == seconds


@pytest.mark.parametrize("text", ["5 minutes", "m5", "", "5m3", "-1s", 0, "0s"])
def test_what_is_no_time(text) -> None:
    with pytest.raises(InputError, match="budget is a"):
        Settings(budget=text)


def test_a_budget_is_a_length_of_its_own() -> None:
    with pytest.raises(InputError, match="give one of them"):
        Settings(steps=5, budget="5m")
    # Of defaults and changes, what is changed counts.
    run = pf.fit(model(), data(40), settings=Settings(budget="1h"), steps=2, progress=False)
    assert run.step == 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second with every step."""
    now = [0.0]
    step = fitting.Loop.optimize

    def timed(self, k: int):
        now[0] += 1.0
        return step(self, k)

    monkeypatch.setattr(fitting.Loop, "optimize", timed)
    monkeypatch.setattr(budget.time, "monotonic", lambda: now[0])


def test_a_budget_is_kept_and_can_be_repeated(clock: None, tmp_path) -> None:
    """The schedule ends with the last step, and the same number of steps is the same run."""
    with pytest.warns(UserWarning, match="enough for 32 steps, fewer than the 100"):
        run = pf.fit(model(), data(60), budget=40, patience=0, out=tmp_path / "run", progress=False)
    # Eight steps of rehearsal come off.
    assert (run.status, run.step) == ("finished", 32)
    saved = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["training"]
    assert (saved["steps"], saved["budget"]) == (32, None)
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["budget"] == 40
    assert run.history[-1]["lr"] == Settings(steps=32, lr=1e-3).rate(31)
    again = pf.fit(model(), data(60), steps=32, patience=0, progress=False)
    weights = zip(run.model.parameters(), again.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in weights)


def test_a_budget_must_reach_the_first_step(clock: None) -> None:
    with pytest.raises(InputError, match="spent before the first step"):
        pf.fit(model(), data(60), budget=5, progress=False)
