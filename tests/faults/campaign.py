"""The campaign against files: planted faults and damaged inputs, and what became of them.

    python tests/faults/campaign.py --fuzz 10000 --kills 200 --write

writes the tables of `docs/promises.md`. With a seed and a kind, one damaged input is tried again:

    python tests/faults/campaign.py --again recipe 19
"""

from __future__ import annotations

import argparse
import datetime
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import torch
from fuzzing import KINDS, Fuzzed, fuzzed, tried
from kills import Killed, killed
from planted import Planted, all_planted, outcome
from stage import READ, REFUSED, SAME, WARNED, Outcome, Stage

__all__ = ["tables"]

WHOLE = "whole, and goes on"

PAGE = Path(__file__).parents[2] / "docs/promises.md"
BEGIN, END = "<!-- campaign -->", "<!-- end of the campaign -->"


def _memory_is_limited(gigabytes: int) -> None:
    """No input may ask for more; where the system has no such limit, it is not tested."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (gigabytes << 30, gigabytes << 30))


def tables(
    planted: Iterable[tuple[Planted, Outcome]],
    damaged: Iterable[Fuzzed],
    kills: Iterable[Killed],
    about: str,
) -> str:
    """What was tried and what became of it, in Markdown."""
    by_fault: Counter[tuple[str, str]] = Counter()
    for fault, found in planted:
        by_fault[fault.spoiler, _column(found)] += 1
    by_kind: Counter[tuple[str, str]] = Counter()
    for one in damaged:
        by_kind[one.kind, _column(one.outcome)] += 1
    by_work: Counter[tuple[str, str]] = Counter()
    for kill in kills:
        by_work[kill.work, "wrong" if kill.fault else WHOLE] += 1
    return "\n".join(
        [
            about,
            "",
            *_table("planted fault", by_fault, ("tried", REFUSED, WARNED, SAME, READ, "wrong")),
            "",
            *_table("damaged input", by_kind, ("tried", REFUSED, READ, "wrong")),
            "",
            *_table("killed", by_work, ("tried", WHOLE, "wrong")),
        ]
    )


def _column(found: Outcome) -> str:
    return found.verdict if found.right else "wrong"


def _table(title: str, counts: Counter[tuple[str, str]], columns: tuple[str, ...]) -> list[str]:
    rows = dict.fromkeys(row for row, _ in counts)
    lines = [f"| {title} | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
    total: Counter[str] = Counter()
    for row in rows:
        found = {column: counts[row, column] for column in columns}
        found["tried"] = sum(found.values())
        total.update(found)
        lines.append(f"| {row} | {' | '.join(str(found[column]) for column in columns)} |")
    return [*lines, f"| all | {' | '.join(str(total[column]) for column in columns)} |"]


def _written(text: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _run(n: int, start: int, kills: int, show: bool) -> tuple[str, int]:
    """The whole campaign; its tables, and how much of it went wrong."""
    begun = time.monotonic()
    wrong = 0

    def told(what: str, found: Outcome) -> None:
        nonlocal wrong
        if not found.right:
            wrong += 1
            print(f"WRONG {what}: {found.verdict}: {found.message[:200]}", flush=True)
        elif show:
            print(f"{what}: {found.verdict}: {found.message[:200]}")

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "stage").mkdir()
        stage = Stage(root / "stage")
        planted, damaged = [], []
        for fault in all_planted():
            planted.append((fault, outcome(fault, stage, root / "scratch")))
            told(str(fault), planted[-1][1])
        for one in fuzzed(stage, n, root / "scratch", start):
            damaged.append(one)
            told(f"{one.kind} {one.seed}", one.outcome)
        ends = []
        for kill in killed(kills, root / "kills", start):
            ends.append(kill)
            told(f"kill of {kill.work} after {kill.after:.2f} s", _of_kill(kill))
    today = datetime.datetime.now(datetime.UTC).date()
    last = start + (n - 1) // len(KINDS)
    every = [*(found for _, found in planted), *(one.outcome for one in damaged)]
    slowest = max(found.seconds for found in every)
    minutes = (time.monotonic() - begun) / 60
    about = (
        f"{today}: {len(planted)} planted faults, {n:,} damaged inputs, seeds {start} to {last} of "
        f"each kind, and {kills} kills at random moments, in {minutes:.0f} minutes. "
        f"{wrong or 'None'} went wrong; the slowest damaged input took {slowest:.1f} s."
    )
    return tables(planted, damaged, ends, about), wrong


def _of_kill(kill: Killed) -> Outcome:
    return Outcome(kill.fault or SAME, "", kill.after)


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fuzz", type=int, default=800, help="how many damaged inputs")
    parser.add_argument("--kills", type=int, default=0, help="how many kills (not on Windows)")
    parser.add_argument("--start", type=int, default=0, help="the first seed of each kind")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    parser.add_argument("--show", action="store_true", help="print what was refused, and how")
    parser.add_argument("--again", nargs=2, metavar=("KIND", "SEED"), help="try one again")
    options = parser.parse_args()
    torch.set_num_threads(1)
    _memory_is_limited(12)
    if options.again:
        kind, seed = options.again[0], int(options.again[1])
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "stage").mkdir()
            found = tried(Stage(root / "stage"), kind, seed, root / "scratch").outcome
            print(f"{found.verdict}\n{found.message}")
        return not found.right
    text, wrong = _run(options.fuzz, options.start, options.kills, options.show)
    print(text)
    if options.write:
        _written(text)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(_main())
