"""A part of the campaign, the same every time: no traceback, no hang, nothing accepted silently."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing import KINDS, tried
from planted import SPOILERS, Planted, all_planted, outcome
from stage import LIMIT, Outcome, Stage, judged

import pushforward as pf

SEEDS = range(12)


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Stage:
    return Stage(tmp_path_factory.mktemp("stage"))


def _none_wrong(found: dict[str, Outcome]) -> None:
    wrong = {what: outcome[:2] for what, outcome in found.items() if not outcome.right}
    assert not wrong


def _of(spoiler: str) -> list[Planted]:
    return [fault for fault in all_planted() if fault.spoiler == spoiler]


@pytest.mark.parametrize("spoiler", SPOILERS)
def test_planted_faults(stage: Stage, tmp_path: Path, spoiler: str) -> None:
    found = {str(fault): outcome(fault, stage, tmp_path / "x") for fault in _of(spoiler)[::4]}
    assert any(o.verdict == "refused" for o in found.values())
    _none_wrong(found)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs(stage: Stage, tmp_path: Path, kind: str) -> None:
    _none_wrong({f"{kind} {k}": tried(stage, kind, k, tmp_path / "x").outcome for k in SEEDS})


@pytest.mark.slow
def test_all_other_planted_faults(stage: Stage, tmp_path: Path) -> None:
    assert len(list(all_planted())) >= 500
    rest = [fault for name in SPOILERS for k, fault in enumerate(_of(name)) if k % 4]
    _none_wrong({str(fault): outcome(fault, stage, tmp_path / "x") for fault in rest})


def test_what_is_wrong_is_seen() -> None:
    def broken() -> bytes:
        raise KeyError("x")

    def refusing() -> bytes:
        raise pf.errors.InputError("no")

    assert judged(refusing, b"a").right
    assert judged(lambda: b"a", b"a").right
    assert not judged(lambda: b"b", b"a").right
    assert not judged(broken, None).right
    assert LIMIT < 100
