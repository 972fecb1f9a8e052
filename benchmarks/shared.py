"""Work that several processes, or several days, share: which cases there are, and which are done.

A case is a dictionary that says what is run, `{"data": "wine", "seed": 0}`, and stands in each of
its results. Results go to the file of `--part`, a line each, as soon as they are there: a run that
was stopped is taken up by the same command. `--merge` puts such files together, and what was
recorded before.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import record

__all__ = ["arguments", "gathered"]

Case = dict[str, Any]
Result = dict[str, Any]


def arguments(doc: str | None, **lists: tuple[Iterable[Any], str]) -> argparse.ArgumentParser:
    """A parser with `--smoke`, `--write`, `--part`, `--merge`, and one option for each list.

    Args:
        doc: the docstring of the benchmark, whose first line tells what it does.
        lists: what can be chosen from, and the help, by the name of the option.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    for name, (values, text) in lists.items():
        known = list(values)
        parser.add_argument(
            f"--{name}", nargs="+", default=known, help=text,
            **({"type": int} if isinstance(known[0], int) else {"choices": known}),
        )  # fmt: skip
    parser.add_argument("--part", type=_lines, help="add each result to this file (.jsonl)")
    parser.add_argument("--merge", nargs="+", type=Path, help="files of parts, to put together")
    return parser


def _lines(name: str) -> Path:
    if not name.endswith(".jsonl"):
        raise argparse.ArgumentTypeError(f"a part is a file of lines, NAME.jsonl, not {name}")
    return Path(name)


def gathered(
    options: argparse.Namespace,
    cases: Iterable[Case],
    run: Callable[..., Result | list[Result] | None],
) -> list[Result]:
    """The results of the files that are merged, or of all cases: those that the part has, and those
    that are run now.

    Args:
        options: of `arguments`.
        cases: what is to be run.
        run: called with a case as its arguments; nothing may come of it.
    """
    if options.merge:
        return record.parts(options.merge)
    results = record.taken_up(options.part) if options.part else []
    for case in cases:
        if any(all(r.get(key) == value for key, value in case.items()) for r in results):
            continue
        found = run(**case)
        for result in found if isinstance(found, list) else [found] if found else []:
            # Where a case and its result differ, a run that goes on would not know it again.
            result = case | result
            results.append(result)
            print(json.dumps(result), flush=True)
            if options.part:
                with options.part.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(result) + "\n")
    return results
