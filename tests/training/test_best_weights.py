"""The weights that validated best are the ones that are used, and training stops where it hurts."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import pushforward as pf
from pushforward._records import read_sealed_json
from pushforward.errors import InputError
from pushforward.models.checkpoints import HeldWeights
from pushforward.models.saving import check
from pushforward.training import Settings
from pushforward.training.judge import Judge, Rise, last_rise, overfitting
from pushforward.training.objective import Objective
from pushforward.training.position import Position
from pushforward.training.validation import Validation

DATA = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
ROWS = torch.linspace(-1, 1, 6).double()

FALLS_AND_RISES = (5.0, 4.0, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5)
"""Best at the third of eight validations, at step 6 of 16."""


def _model(kind: Any = pf.Diffusion) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind is pf.GAN:
            return pf.GAN.for_data(pf.data.load(DATA), width=8)
        return pf.Diffusion(pf.nn.MLP(2, width=8))


def _fit(out: Path | None = None, kind: Any = pf.Diffusion, **changes: Any) -> pf.training.Run:
    settings = {"steps": 16, "batch_size": 16, "validate_every": 2, "checkpoint_every": 2}
    settings |= {"schedule": "constant", "warmup": 0, "patience": 0, "progress": False}
    return pf.fit(_model(kind), DATA, out=out, **settings | changes)


@pytest.fixture
def script(monkeypatch) -> Any:
    """Let validation find the losses that a test says, one after the other."""

    def use(means: Sequence[float], spread: float = 0.0) -> None:
        left, generator = iter(means), torch.Generator().manual_seed(0)

        def losses(self: Validation, model: Any, tell: Any = None) -> torch.Tensor:
            mean = next(left)
            # Rows that go up and down against each other, about the mean.
            swings = torch.randn(6, generator=generator).double()
            return mean + ROWS + spread * (swings - swings.mean()) / swings.std()

        monkeypatch.setattr(Validation, "__call__", losses)

    return use


def _equal(a: Any, b: Any) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_fit_and_load_give_the_weights_that_validated_best(script, tmp_path: Path) -> None:
    script(FALLS_AND_RISES)
    run = _fit(tmp_path / "run")
    assert run.best == {"step": 6, "val_loss": 3.0}
    assert run.step == 16
    assert run.weights == run.model.holds == HeldWeights("best", 6, 16)
    assert "those of step 6 of 16, which validated best" in str(run)
    # Ten steps, and five checkpoints, have come since: it was not swept away with the others.
    loaded = pf.load(tmp_path / "run")
    assert loaded.holds == run.weights
    assert _equal(loaded, run.model)
    script(FALLS_AND_RISES[:3])
    assert _equal(_fit(steps=6).model, loaded)
    last = pf.load(tmp_path / "run", checkpoint="last")
    assert last.holds == HeldWeights("last", 16, 16)
    assert not _equal(last, loaded)
    assert _equal(pf.load(tmp_path / "run", checkpoint=16), last)
    assert _equal(pf.load(tmp_path / "run", checkpoint="6"), loaded)
    assert pf.load(tmp_path / "run", checkpoint="best").holds == run.weights
    with pytest.raises(InputError, match=r"no checkpoint 8: choose last, best, .* 6, 14, 16"):
        pf.load(tmp_path / "run", checkpoint=8)


def test_nothing_need_be_written_for_that(script) -> None:
    script(FALLS_AND_RISES)
    run = _fit()
    script(FALLS_AND_RISES[:3])
    assert _equal(run.model, _fit(steps=6).model)


@pytest.mark.parametrize("changes", [{"kind": pf.GAN}, {"holdout": 0.0}], ids=["game", "all rows"])
def test_the_last_weights_stay_where_nothing_is_judged(script, tmp_path: Path, changes) -> None:
    script(FALLS_AND_RISES)
    run = _fit(tmp_path / "run", patience=1, **changes)
    assert (run.step, run.best, run.stopped_early) == (16, None, False)
    assert run.weights == HeldWeights("last", 16, 16)
    assert pf.load(tmp_path / "run").holds == run.weights
    with pytest.raises(InputError, match="no best checkpoint: nothing was held out, or the loss"):
        pf.load(tmp_path / "run", checkpoint="best")


def test_training_stops_where_validation_has_been_rising(script, tmp_path: Path) -> None:
    script(FALLS_AND_RISES)
    run = _fit(tmp_path / "run", patience=3)
    assert (run.status, run.step, run.stopped_early) == ("finished", 12, True)
    assert run.weights == HeldWeights("best", 6, 12)
    assert "stopped early" in str(run)
    manifest = read_sealed_json(tmp_path / "run/manifest.json")
    assert (manifest["stopped_early"], manifest["step"]) == (True, 12)
    # The same patience leaves it where it is; without, it goes on as if it had never stopped.
    script(())
    again = _fit(tmp_path / "run", patience=3, resume=True)
    assert (again.step, again.stopped_early) == (12, True)
    assert _equal(again.model, run.model)
    script(FALLS_AND_RISES[6:])
    on = _fit(tmp_path / "run", resume=True)
    assert (on.step, on.stopped_early, on.weights) == (16, False, HeldWeights("best", 6, 16))
    script(FALLS_AND_RISES)
    whole = _fit(tmp_path / "whole")
    assert _equal(whole.model, on.model)
    for name in ("model", "ema", "training", "validation"):
        file = f"checkpoints/step-00000016/{name}.safetensors"
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_patience_is_counted_through_an_interruption(script, tmp_path: Path) -> None:
    class Stop:
        def log(self, step: int, metrics: dict[str, Any]) -> None:
            if step == 8:
                signal.raise_signal(signal.SIGTERM)

        def close(self) -> None:
            pass

    script(FALLS_AND_RISES)
    part = _fit(tmp_path / "run", patience=3, trackers=(Stop(),))
    assert (part.status, part.step) == ("interrupted", 9)
    assert part.weights == HeldWeights("best", 6, 9)
    script(FALLS_AND_RISES[4:])
    run = _fit(tmp_path / "run", patience=3, resume=True)
    assert (run.step, run.stopped_early) == (12, True)
    assert _equal(run.model, part.model)


def test_a_rise_within_its_error_does_not_stop_training(script, tmp_path: Path) -> None:
    script((3.0, 3.1, 3.1, 3.2, 3.1, 3.2, 3.1, 3.1), spread=0.5)
    run = _fit(patience=2)
    assert (run.step, run.stopped_early) == (16, False)
    assert overfitting(run.history, run.best, run.weights) is None


def test_what_cannot_be_told_from_the_best_does_not_take_its_place(script) -> None:
    """Six rows that swing by one each time: the error of a difference is about 0.6."""
    means = (3.0, 2.9, 2.8, 2.9, 2.8, 2.9, 2.9, 2.9)
    script(means, spread=1.0)
    assert _fit().best["step"] == 2
    script((*means[:3], 1.0, *means[4:]), spread=1.0)
    assert _fit().best["step"] == 8
    script(means)
    assert _fit().best["step"] == 6


AS_GOOD = (3.0, 2.9, 2.8, 2.9, 3.0, 2.9, 2.9, 2.9)
"""With rows that swing by one, the error of a difference is about 0.6: none is better than 2.8."""


def test_last_weights_that_are_as_good_as_the_best_are_used(script, tmp_path: Path) -> None:
    script(AS_GOOD, spread=1.0)
    run = _fit(tmp_path / "run")
    assert run.best["step"] == 2
    assert run.weights == run.model.holds == HeldWeights("last", 16, 16)
    loaded = pf.load(tmp_path / "run")
    assert loaded.holds == run.weights
    assert _equal(loaded, run.model)
    assert pf.load(tmp_path / "run", checkpoint="best").holds == HeldWeights("best", 2, 16)
    # Lost, they are missed by who verifies the run, and by nobody who uses it.
    check(tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/step-00000002")
    assert pf.load(tmp_path / "run").holds == run.weights
    with pytest.raises(InputError, match="validated best at step 2, whose checkpoint is lost"):
        check(tmp_path / "run")
    # Two errors above is no chance, and one that cannot be told from it earlier changes nothing.
    script((*AS_GOOD[:7], 4.2), spread=1.0)
    assert _fit(tmp_path / "worse").weights == HeldWeights("best", 2, 16)
    assert pf.load(tmp_path / "worse").holds == HeldWeights("best", 2, 16)


def test_a_run_that_goes_on_does_not_see_which_weights_it_was_used_with(
    script, tmp_path: Path
) -> None:
    script(AS_GOOD, spread=1.0)
    whole = _fit(tmp_path / "whole")
    script(AS_GOOD, spread=1.0)
    part = _fit(tmp_path / "run", steps=8)
    assert part.weights == HeldWeights("last", 8, 8)
    # The same swings as in the run that was not stopped.
    script(AS_GOOD, spread=1.0)
    for _ in range(4):
        Validation.__call__(None, None)
    run = _fit(tmp_path / "run", resume=True)
    assert run.best == whole.best
    assert _equal(run.model, whole.model)
    for name in ("model", "ema", "training", "validation"):
        file = f"checkpoints/step-00000016/{name}.safetensors"
        assert (tmp_path / "run" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_run_that_learned_by_heart_is_used_with_its_best_weights(tmp_path: Path) -> None:
    """The flow of 42 rows, judged by new ones: its last weights are nats worse."""
    g = torch.Generator().manual_seed(0)
    x, new = torch.randn(60, 4, generator=g), torch.randn(500, 4, generator=g)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = pf.NormalizingFlow.for_data(pf.data.load(x), width=32)
    settings = {"lr": 3e-3, "warmup": 10, "holdout": 0.3, "progress": False}
    run = pf.fit(model, x, steps=120, patience=0, out=tmp_path / "run", **settings)
    assert run.weights is not None
    assert run.weights.kind == "best"
    assert overfitting(run.history, run.best, run.weights) is not None
    last = pf.load(tmp_path / "run", checkpoint="last")
    with torch.no_grad():
        gap = model.log_prob(new).value - last.log_prob(new).value
    assert float(gap.mean()) > 1.0


def test_best_weights_that_are_lost_are_named_and_forgotten(script, tmp_path: Path) -> None:
    script(FALLS_AND_RISES)
    _fit(tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/step-00000006")
    with pytest.raises(InputError, match="validated best at step 6, whose checkpoint is lost"):
        pf.load(tmp_path / "run")
    with pytest.raises(InputError, match="whose checkpoint is lost"):
        check(tmp_path / "run")
    assert pf.load(tmp_path / "run", checkpoint="last").holds == HeldWeights("last", 16, 16)
    script((9.0, 8.0))
    with pytest.warns(UserWarning, match="which had validated best, cannot be used"):
        run = _fit(tmp_path / "run", steps=20, resume=True)
    assert run.weights == HeldWeights("best", 20, 20)


def test_losses_of_other_rows_are_not_compared_with(script, tmp_path: Path) -> None:
    """With a valid checksum: whoever changes a file can make one."""
    from pushforward._records import read_sealed, sealed
    from pushforward.models.sealed_folder import checksums

    script(FALLS_AND_RISES)
    _fit(tmp_path / "run")
    folder = tmp_path / "run/checkpoints/step-00000016"
    safetensors.torch.save_file({"best": torch.ones(2)}, folder / "validation.safetensors")
    config = read_sealed(folder / "config.yaml")
    names = list(config["files"])
    (folder / "config.yaml").write_text(sealed(config | checksums(folder, names)))
    script(FALLS_AND_RISES)
    with pytest.warns(UserWarning, match=r"losses of \(2,\), not 6 rows.*going back one"):
        assert _fit(tmp_path / "run", resume=True).step == 16


def test_runs_of_before_rows_were_kept_go_on(script, tmp_path: Path) -> None:
    """Then the means alone are compared, and nothing counts as rising."""
    judge = Judge(Position(best={"step": 3, "val_loss": 2.0}), patience=1)
    better, noted = judge(4, 3 + ROWS)
    assert (better, noted["val_rise"]) == (False, pytest.approx(1.0))
    assert not judge.exhausted
    assert judge(5, 1 + ROWS)[0]
    values = {"step": 1, "seconds": 0.0, "best": None, "loss_sum": 0.0, "losses": 0, "scaler": {}}
    assert Position.from_plain(values, "training.json").rising == 0


def test_settings() -> None:
    assert Settings(patience="0").patience == 0
    with pytest.raises(InputError, match="patience is a whole number of at least 0, not -1"):
        Settings(patience=-1)
    assert Settings(patience=2).differences(Settings(patience=0).describe()) == {}


def test_few_rows_are_judged_over_many_draws() -> None:
    """Six rows by one draw each would be judged by their noise, far more than by the model."""
    model = _model()
    model.fit_units(DATA)
    data = pf.data.load(DATA)
    train, held = data.split(0.1, 0)
    objective = Objective(model.eval(), train, torch.device("cpu"))

    def spread(batch: int) -> float:
        found = [Validation(objective, held, None, batch, seed)(model).mean() for seed in range(20)]
        return float(torch.stack(found).std())

    assert spread(128) < 0.3 * spread(1)
    one = Validation(objective, held, None, 128, 0)(model)
    assert one.shape == (6,)
    assert torch.equal(one, Validation(objective, held, None, 128, 0)(model))


def _lines(values: Sequence[float], stderr: float) -> list[dict[str, Any]]:
    best = min(values)
    about = {"val_stderr": 1.5 / 50**0.5, "val_rise_stderr": stderr, "val_rows": 50}
    return [
        {"step": k, "val_loss": value, "val_rise": value - best, **about}
        for k, value in enumerate(values, start=1)
    ]


def test_overfitting_is_told_by_errors_and_not_by_signs() -> None:
    """Once a loss of -0.8285 "rose to -0.8285", and 0.12 nats a row went unsaid."""
    best = {"step": 1, "val_loss": 0.0}
    held = HeldWeights("best", 1, 3)
    flat = _lines((-0.82849, -0.82846, -0.82845), stderr=1e-6)
    assert last_rise(flat) is None
    assert overfitting(flat, best, held) is None
    noisy = _lines((-0.82, -0.6, -0.5), stderr=0.3)
    assert overfitting(noisy, best, held) is None
    risen = overfitting(_lines((11.55, 11.6, 11.67), stderr=0.03), best, held)
    assert risen is not None
    assert risen.startswith("The validation loss rose after step 1, by 0.12 ± 0.03 until step 3")
    assert "The weights are those of step 1 of 3, which validated best." in risen
    assert overfitting([{"step": 1, "loss": 1.0}], None, None) is None


def test_a_rise_of_one_row_is_none() -> None:
    """Of ten rows, one is held out: it has no error, and says nothing of others."""
    run = pf.fit(_model(), DATA[:10], steps=20, patience=1, lr=0.1, warmup=0, progress=False)
    assert run.step == 20
    assert overfitting(run.history, run.best, run.weights) is None
    assert not Rise.between(torch.tensor([1.0]), torch.tensor([9.0])).clear
    assert Rise.between(torch.zeros(3), torch.tensor([1.0, 1.1, 0.9])).clear


def test_the_log_has_errors(tmp_path: Path) -> None:
    run = _fit(tmp_path / "run", validate_every=8)
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    judged = [line for line in map(json.loads, lines) if "val_loss" in line]
    assert len(judged) == 2
    assert all(line["val_stderr"] > 0 and line["val_rows"] == 6 for line in judged)
    assert run.history[-1]["val_rise"] is not None
