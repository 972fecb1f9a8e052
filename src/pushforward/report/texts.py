"""Texts in a report: excerpts beside the data, and how n-grams and copies compare."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward._random import resolve
from pushforward.data import Data
from pushforward.metrics import Estimate, Row, gram_distance, gram_entropy, longest_copies
from pushforward.report.page import section

__all__ = ["excerpts", "rows_of_texts"]

_SHOWN, _MOST_SYMBOLS = 6, 400
_COPIED, _KNOWN = 200, 1_000_000  # samples, and symbols of the training data, that are compared
_LENGTHS = (1, 2, 3, 4)


def rows_of_texts(samples: Any, test: Data, train: Data, seed: int = 0) -> tuple[Row, ...]:
    """Rows of an evaluation of texts; none for other data.

    The entropy of n-grams beside that of as much held-out text, the total variation distance of
    their frequencies, and the mean length of the longest piece that a sample has in common with the
    training data: longer pieces than in held-out texts are copied. N-grams of the records of FASTA
    are called by their name in biology, k-mers.

    >>> x = torch.tensor([[0, 1, 0, 1]]).repeat(30, 1)
    >>> rows_of_texts(x, Data(x), Data(x))
    ()
    """
    alphabet = test.schema.alphabet
    if alphabet is None or not isinstance(samples, Tensor):
        return ()
    n, end = min(len(samples), len(test)), alphabet.end
    generator = resolve(seed)
    ours = _some(samples.cpu(), n, generator)
    theirs, known = _some(test.x, n, generator), _some(train.x, n, generator)
    rows = []
    grams = "mers" if alphabet.form == "fasta" else "grams"
    for length in (k for k in _LENGTHS if k <= test.x.shape[1]):
        found, floor = (gram_entropy(x, length, end=end) for x in (ours, theirs))
        note = "of their frequencies; the floor is that of held-out data"
        rows.append(_row(f"entropy of {length}-{grams}", found, floor, "floor", note, "bits"))
        found, floor = (gram_distance(x, theirs, length, end=end) for x in (ours, known))
        note = "total variation distance of the frequencies"
        rows.append(_row(f"{length}-{grams}", found, floor, "lower", note))
    first = _some(train.x, max(1, _KNOWN // train.x.shape[1]), generator)
    copied, usual = (_mean(longest_copies(x[:_COPIED], first, end=end)) for x in (ours, theirs))
    note = "symbols in common with training data, the longest piece; the floor is held-out data"
    rows.append(_row("longest copies", copied, usual, "floor", note, "symbols"))
    return tuple(rows)


def excerpts(samples: Any, data: Data) -> str:
    """Samples and data as texts, side by side; nothing for other data."""
    alphabet = data.schema.alphabet
    if alphabet is None or not isinstance(samples, Tensor):
        return ""
    known = data.x[torch.linspace(0, len(data) - 1, min(_SHOWN, len(data))).long()]
    columns = (
        _column("samples of the model", alphabet.decode(samples[:_SHOWN])),
        _column("data", alphabet.decode(known)),
    )
    note = "" if data.x.shape[1] <= _MOST_SYMBOLS else f"The first {_MOST_SYMBOLS} symbols of each."
    return section("Excerpts", f'<div class="pair">{"".join(columns)}</div>', note)


def _column(title: str, texts: Sequence[str]) -> str:
    shown = "".join(
        f'<pre class="excerpt">{html.escape(text[:_MOST_SYMBOLS])}</pre>' for text in texts
    )
    return f'<div><p class="lead">{html.escape(title)}</p>{shown}</div>'


def _some(x: Tensor, n: int, generator: torch.Generator) -> Tensor:
    return x[torch.randperm(len(x), generator=generator)[:n]]


def _mean(lengths: Tensor) -> Estimate:
    values = lengths.double()
    error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else float("nan")
    return Estimate(float(values.mean()), error, len(values))


def _row(
    name: str, found: Estimate, floor: Estimate, better: Any, note: str, unit: str = ""
) -> Row:
    return Row(name, found.value, found.stderr, floor.value, floor.stderr, better, note, unit)
