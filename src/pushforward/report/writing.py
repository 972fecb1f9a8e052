"""`report.html` and `samples.png` of a run folder."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from pushforward import state
from pushforward._files import write_bytes
from pushforward._records import read_json_texts, read_sealed, read_sealed_json
from pushforward.data import Data
from pushforward.metrics import Calibration, Evaluation
from pushforward.metrics.estimate import Estimate
from pushforward.models import GenerativeModel, Trainable
from pushforward.report.calibration_pictures import calibration_section
from pushforward.report.certificate import certificate_section
from pushforward.report.charts import interval_chart, line_chart
from pushforward.report.density_maps import density_section
from pushforward.report.drawing import Drawn, seconds_for
from pushforward.report.functions import functions_section
from pushforward.report.glance import Glance, glance
from pushforward.report.judging import as_written, labels_like
from pushforward.report.marginals import marginals
from pushforward.report.molecules import molecule_section
from pushforward.report.page import figure, page, section, table, warnings_box
from pushforward.report.painters import Kinds
from pushforward.report.pictures import Look, data_uri
from pushforward.report.point_sets import sets_section
from pushforward.report.samplers import sampler_section
from pushforward.report.spectra import spectra_section
from pushforward.report.table_judging import columns_shown
from pushforward.report.texts import excerpts
from pushforward.training.judge import early_end, overfitting
from pushforward.training.trackers import read_history

__all__ = ["captions_of", "kinds_of", "loss_series", "write"]

_FRAMES, _STEPS = 7, 42
_MOST = 10_000
_FINDINGS = "findings.json"


def write(
    run: Path,
    model: Any,
    data: Data,
    *,
    evaluation: Evaluation | None = None,
    calibration: Calibration | None = None,
    samples: Any = None,
    labels: Any = None,
    seen: Glance | None = None,
    findings: Sequence[str] | None = None,
) -> Path:
    """Write the report of a run folder, and `samples.png` beside it.

    Args:
        run: a folder made by `pushforward.fit`.
        model: the trained model, a `GenerativeModel` that is `Trainable`.
        data: the data it was trained on.
        evaluation: metrics, if there are any yet.
        calibration: of the samples of a model that is given columns, if it was checked.
        samples: states drawn from the model; some are drawn if there are none.
        labels: of these samples, or their captions, if they have some.
        seen: samples and what is wrong with them, a `glance`, if there has been one already.
        findings: what to know of the data, a sentence each; kept in the folder, where the next
            report finds them.
    """
    config = read_sealed(run / "config.yaml")
    manifest = read_sealed_json(run / "manifest.json")
    history = read_history(run / "metrics.jsonl")
    if seen is None:
        seen = glance(run, model, data, samples, labels)
    data = data.resident()
    look = Look(model.space, data.x, data.schema.axis_names)
    samples = as_written(model.space, seen.drawn.states, data)
    picture = look.picture(samples, kinds=kinds_of(seen.drawn.labels, data))
    write_bytes(run / "samples.png", picture)
    body = [
        _header(run, model, config, manifest, bool(seen.faults)),
        warnings_box(
            [
                *_of_training(manifest, history, model),
                *seen.faults,
                *_of_data(run, findings),
                *(() if model.learns_without_data else _of_evaluation(evaluation)),
                *(() if calibration is None else calibration.warnings),
            ]
        ),
        _samples(look, picture, look.missing(samples), seen.drawn, data),
        density_section(model, data, seconds_for(manifest.get("seconds", 0.0))),
        excerpts(samples, data),
        molecule_section(samples, data),
        spectra_section(samples, data),
        sets_section(samples, data),
        functions_section(samples, data),
        marginals(*columns_shown(data, samples)),
        sampler_section(model) if model.learns_without_data else _metrics(evaluation, model),
        "" if calibration is None else calibration_section(calibration),
        certificate_section(run),
        _curves(history, model),
        *_notes(model),
        _strips(look, model, data, _affordable(seen.drawn, manifest)),
        _origins(config, manifest),
    ]
    write_bytes(run / "report.html", page(f"{run.name} · pushforward", body).encode())
    return run / "report.html"


def _header(
    run: Path,
    model: GenerativeModel,
    config: dict[str, Any],
    manifest: dict[str, Any],
    faulty: bool,
) -> str:
    status = manifest["status"]
    kind = "status" if status == "finished" and not faulty else "status bad"
    if faulty and status == "finished":
        # All steps were made, which is no success.
        status = "finished, with warnings"
    data = config["data"]
    states = model.space.describe_states(model.event_shape)
    if data["kind"] == "vector":
        # Three axes alone make no picture.
        states = states.replace("images", "vectors")
    if model.learns_kinds:
        states = data.get("states") or states
    facts = {
        "data": f"{data['name']}, {data['n']:,} {states}",
        "model": type(model).__name__,
        "parameters": f"{manifest.get('parameters', 0):,}",
        "steps": f"{manifest.get('step', 0):,} of {config['training']['steps']:,}",
        "training time": f"{manifest.get('seconds', 0.0):.0f} s",
        "seed": str(config["training"]["seed"]),
    }
    if model.holds is not None:
        held = model.holds
        facts["weights"] = f"of step {held.step:,}" + (", the best" if held.kind == "best" else "")
    cells = "".join(f"<div>{k} <b>{html.escape(v)}</b></div>" for k, v in facts.items())
    return (
        f"<header><h1>{html.escape(run.name)} "
        f'<span class="{kind}">{html.escape(status)}</span></h1><div class="facts">{cells}</div>'
        "</header>"
    )


def _of_training(
    manifest: dict[str, Any], history: list[dict[str, Any]], model: Any
) -> Iterator[str]:
    """How training ended, and whether it went on for too long."""
    if manifest["status"] == "diverged":
        yield (
            f"Training diverged after step {manifest['step']}: loss or gradients were no longer "
            "finite. What is shown are the last good weights. Try a lower learning rate."
        )
    if manifest["status"] == "interrupted":
        yield f"Training was stopped at step {manifest['step']}; go on with --resume."
    if manifest.get("stopped_early"):
        yield early_end(manifest["step"])
    if (overfit := overfitting(history, manifest.get("best"), model.holds)) is not None:
        yield overfit


def _of_data(run: Path, findings: Sequence[str] | None) -> list[str]:
    """What to know of the data: the findings given, which are kept, or those of an earlier time."""
    path = run / _FINDINGS
    if findings is not None:
        write_bytes(path, (json.dumps(list(findings), indent=2) + "\n").encode())
        return list(findings)
    return read_json_texts(path) if path.is_file() else []


def _of_evaluation(evaluation: Evaluation | None) -> Iterator[str]:
    if evaluation is None:
        yield "Nothing has been measured yet: run `pushforward evaluate` on this folder."
    else:
        yield from evaluation.warnings


def _samples(look: Look, picture: bytes, missing: str, drawn: Drawn, data: Data) -> str:
    n = state.rows(drawn.states)
    index = torch.linspace(0, len(data) - 1, min(n, len(data))).long()
    known = data.take(index)
    pair = [
        (picture, f"{n:,} samples of the model", missing),
        (
            look.picture(known.x, kinds=kinds_of(known.c, data)),
            f"{len(known):,} of {len(data):,} data",
            look.missing(known.x),
        ),
    ]
    figures = "".join(
        figure(data_uri(png), f"{name}; {cut}" if cut else name, smooth=not look.sharp)
        for png, name, cut in pair
    )
    return section("Samples beside data", f'<div class="{look.layout}">{figures}</div>', drawn.note)


def captions_of(texts: Sequence[str]) -> Kinds:
    """Texts, one for each state, as kinds that stand below pictures."""
    names = sorted(set(texts))
    return Kinds(torch.tensor([names.index(text) for text in texts]), tuple(names), captions=True)


def kinds_of(labels: Any, data: Data) -> Kinds | None:
    """The classes of labels by name, or captions; `None` for contexts and without labels."""
    if labels is not None and data.vocabulary is not None:
        return captions_of(data.vocabulary.decode(labels))
    if labels is None or data.num_classes is None:
        return None
    return Kinds(labels, tuple(map(str, data.classes)))


def _metrics(evaluation: Evaluation | None, model: GenerativeModel) -> str:
    if evaluation is None:
        return ""
    rows = []
    for row in evaluation.rows:
        name, bars = html.escape(row.name), ""
        if row.note:
            name += f'<br><span class="note">{html.escape(row.note)}</span>'
        if row.floor is not None:
            bars = interval_chart(row.value, row.stderr, row.floor, row.floor_stderr or 0.0)
        rows.append(
            [
                name,
                f"{row.estimate} {html.escape(row.unit)}",
                _number(row.floor, row.floor_stderr),
                bars,
                "as the floor" if row.better == "floor" else row.better,
            ]
        )
    note = (
        "The floor is the same metric of training data against held-out data: what a perfect model "
        "would score. Bars span two standard errors to each side."
    )
    if model.holds is not None and model.holds.caveat:
        note += f" The weights are {model.holds}. {model.holds.caveat}"
    key = '<p><span class="key value">model</span> &nbsp; <span class="key floor">floor</span></p>'
    head = ["metric", "model", "floor", "", "better"]
    return section("How good are they?", key + table(head, rows), note)


def _number(value: float | None, error: float | None) -> str:
    return "–" if value is None else str(Estimate(value, error or 0.0, 0))


def loss_series(history: Sequence[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """The losses of a run by step, those that were logged."""
    series = {
        name: [(h["step"], h[key]) for h in history if h.get(key) is not None]
        for name, key in (("training loss", "loss"), ("validation loss", "val_loss"))
    }
    return {name: line for name, line in series.items() if line}


def _curves(history: list[dict[str, Any]], model: Trainable) -> str:
    series = loss_series(history)
    notes = [model.loss_meaning]
    if "validation loss" in series:
        notes.append(
            "The validation loss is that of the averaged weights on held-out data, with the same "
            "noise every time."
        )
    if not model.loss_measures_quality:
        notes.append("For this model the loss does not measure quality; judge by the samples.")
    note = " ".join(filter(None, notes))
    return section("Training", line_chart(series, "step", "loss"), note)


def _notes(model: GenerativeModel) -> list[str]:
    """What the model has noted during training, a section each."""
    return [
        section(curve.title, line_chart(curve.series, curve.across, ""), curve.note)
        for curve in model.curves()
        if curve.series
    ]


def _affordable(drawn: Drawn, manifest: dict[str, Any]) -> int:
    """How many states can be followed along their way in the time of a report."""
    seconds = seconds_for(manifest.get("seconds", 0.0))
    return max(1, int(seconds / drawn.seconds)) if drawn.seconds > 0 else _MOST


def _strips(look: Look, model: Any, data: Data, most: int) -> str:
    """The forward process of data and the reverse process from the prior, where there are both."""
    if not model.capabilities.trajectory:
        return ""
    n = min(look.few, len(data), most)
    labels = labels_like(model, data, n, seed=0)
    backward = model.trajectory(n, labels, frames=_FRAMES, steps=_STEPS, seed=0)
    times = backward.times[::-1]
    forward = model.noised(state.take(data.x, slice(n)), times, seed=0)

    def strip(frames: Any, at: list[float]) -> str:
        cells = "".join(
            figure(data_uri(look.frame(state.take(frames, k))), f"t = {t:.3g}",
                   smooth=not look.sharp)
            for k, t in enumerate(at)
        )  # fmt: skip
        return f'<div class="strip">{cells}</div>'

    back = strip(backward.states, backward.times)
    note = "The reverse process: the same path, gone back by the model."
    if backward.denoised is not None:
        back += strip(backward.denoised, backward.times)
        note += " Below, what the model expects the data to be, given each state."
    if times[0] > 0:
        note += f" The path ends at the earliest time that is solved, t = {times[0]:.3g}."
    return section(
        "From data to noise", strip(forward, times), "The forward process on training data."
    ) + section("From noise to samples", back, note)


def _origins(config: dict[str, Any], manifest: dict[str, Any]) -> str:
    def plain(value: Any) -> str:
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
        return f"<pre>{html.escape(text)}</pre>"

    kept = {k: v for k, v in manifest.items() if k not in ("data", "best")}
    return section(
        "Where this comes from",
        plain(kept) + f"<details><summary>configuration</summary>{plain(config)}</details>",
        f"Data fingerprint {config['data']['fingerprint'][:16]}",
    )
