"""A part of the campaign, the same every time: no traceback, no hang, nothing accepted silently."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from fuzzing import KINDS, tried
from planted import EXCHANGED, SPOILERS, Planted, all_planted, outcome
from stage import LIMIT, Outcome, Stage, judged

import pushforward as pf

SEEDS = range(12)


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Stage:
    return Stage(tmp_path_factory.mktemp("stage"))


def _none_wrong(found: dict[str, Outcome]) -> None:
    wrong = {what: outcome[:2] for what, outcome in found.items() if not outcome.right}
    assert not wrong


def _pairs(fault: Planted) -> set[tuple[str, str]]:
    return set(combinations((fault.file, fault.spoiler, fault.use), 2))


def _covering() -> list[Planted]:
    """Faults in which each file is spoiled in each way, and each use meets each file and each way.

    That every use follows every fault is left to the campaign.
    """
    ways: dict[tuple[str, str], list[Planted]] = {}
    for fault in all_planted():
        ways.setdefault((fault.spoiler, fault.file), []).append(fault)
    chosen = [uses[k % len(uses)] for k, uses in enumerate(ways.values())]
    met = set().union(*map(_pairs, chosen))
    for fault in all_planted():
        if not _pairs(fault) <= met:
            chosen.append(fault)
            met |= _pairs(fault)
    return chosen


COVERING = _covering()


@pytest.mark.parametrize("spoiler", [*SPOILERS, EXCHANGED])
def test_planted_faults(stage: Stage, tmp_path: Path, spoiler: str) -> None:
    faults = [fault for fault in COVERING if fault.spoiler == spoiler]
    found = {str(fault): outcome(fault, stage, tmp_path / "x") for fault in faults}
    assert any(o.verdict == "refused" for o in found.values())
    _none_wrong(found)


def test_all_pairs_are_covered() -> None:
    every = list(all_planted())
    assert len(every) >= 500
    assert set().union(*map(_pairs, every)) == set().union(*map(_pairs, COVERING))


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_inputs(stage: Stage, tmp_path: Path, kind: str) -> None:
    _none_wrong({f"{kind} {k}": tried(stage, kind, k, tmp_path / "x").outcome for k in SEEDS})


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
