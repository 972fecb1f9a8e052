"""What may go wrong with a data set, said before hours of training are spent on it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pushforward.data import feature_checks, field_checks, function_checks, row_checks
from pushforward.data.dataset import Data
from pushforward.data.finding import LEVELS, Finding, Level
from pushforward.data.given import joint
from pushforward.data.identifiers import identifiers
from pushforward.errors import InputError

__all__ = ["Finding", "Level", "examine"]


def examine(data: Data, test: Data | None = None, *, holdout: float = 0.1) -> tuple[Finding, ...]:
    """Look a data set over; the gravest findings come first, and an empty tuple is good news.

    Checked are values that are not finite, features that never change or that number rows, offsets
    that float32 cannot carry, scales, repeated values, outliers, linear dependence, repeated rows
    and their leak into held-out rows, the number of rows, and the balance of classes. With `test`,
    the leak is counted between the two; without, it is computed for a random split that holds out
    the fraction `holdout`. Of columns that are given, rows may repeat only together with what is
    learned; all else is about what is learned. Of fields, whole variables are looked at, and of
    rows that stay in a store as many as are read at once, evenly spread.

    Raises `InputError` if `test` has another event shape, or `holdout` is not in (0, 1).

    >>> import torch
    >>> x = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    >>> examine(Data(x))
    ()
    >>> for finding in examine(Data(x * torch.tensor([1.0, 0.0]))):
    ...     print(f"{finding.level}: {finding.title}")
    warning: 1 of 2 features never changes
    """
    if not 0 < holdout < 1:
        raise InputError(f"holdout is the fraction of rows to set aside, in (0, 1): {holdout}")
    if test is not None and test.event_shape != data.event_shape:
        raise InputError(
            f"train and test rows have shapes {data.event_shape} and {test.event_shape}"
        )
    known, rows = data.resident(), len(data)
    found = _all(known, None if test is None else test.resident(), holdout, rows)
    findings = sorted(found, key=lambda finding: LEVELS.index(finding.level))
    return tuple(findings)


def _all(data: Data, test: Data | None, holdout: float, total: int) -> Iterator[Finding]:
    """The findings about data in memory, of which there are `total` rows."""
    rows = data.x.detach().cpu().flatten(1).numpy()
    known = data.schema.functions
    # Values of functions may be missing.
    finite = (np.isfinite(rows) | (known is not None and np.isnan(rows))).all(1)
    yield from row_checks.non_finite(finite)
    yield from row_checks.dropped(data)
    rows = rows[finite]
    if len(rows) < 2:
        return
    if bool((rows == rows[0]).all()):
        yield Finding(
            "error",
            "Every row is the same",
            f"All {len(rows)} rows are equal.",
            "Check how the data was written: there is no distribution to learn.",
        )
        return
    # Rows that agree in what is learned may differ in what is given.
    whole = joint(data).x.detach().cpu().flatten(1).numpy()[finite]
    yield from row_checks.few_rows(data, total - int((~finite).sum()), holdout)
    if data.schema.windows is None:
        # Windows share frames, and are parted by time, so that none of the repeats is a leak.
        yield from row_checks.repeated(whole, holdout)
    yield from row_checks.leak(whole, None if test is None else joint(test))
    yield from row_checks.classes(data)
    if data.schema.alphabet is not None:
        # Symbols are no quantities, whose scale or spread could be wrong.
        return
    if data.schema.fields is not None:
        yield from field_checks.check(data, rows)
        return
    if known is not None:
        yield from function_checks.check(data, rows)
        return
    yield from feature_checks.check(data, rows)
    yield from identifiers(data, rows)
