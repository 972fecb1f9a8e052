"""`sample --given` for a table of all kinds: any columns are told, the others are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pushforward.errors import InputError

__all__ = ["infilled"]


def infilled(
    run: Path,
    model: Any,
    given: str,
    n: int | None,
    *,
    device: str,
    **options: Any,
) -> tuple[Any, Any]:
    """Rows of a table whose told cells are as given, and whose others are drawn given these; and
    the numbers that were told.

    Args:
        run: the run, or a saved model.
        model: its model, which infills.
        given: `sex=f,age=41`, or a file with some of the columns, whose empty cells are drawn.
        n: how many rows; with a file how many for each of its rows: by default 64, and 1.
        device: where to draw.
        options: of the model's `infill`.

    A cell that is drawn is never missing. Raises `InputError` for columns, words and numbers that
    the model does not know, and for a model that draws whole rows alone.
    """
    from pushforward.cli.assignments import assignments
    from pushforward.cli.rundata import reading_like, schema_of
    from pushforward.data.columns import closest, listed
    from pushforward.data.mixed_tables import table_of
    from pushforward.parallel import launch

    table = schema_of(run).mixed
    assert table is not None
    if not hasattr(model, "infill"):
        raise InputError(
            f"--given {given}: a {type(model).__name__} draws whole rows: train a table model"
        )
    if not Path(given).is_file():
        rows = 64 if n is None else n
        known = table.notation
        cells = {name: rows * [value] for name, value in assignments(given).items()}
    else:
        kept = {k: v for k, v in reading_like(run, given).items() if k != "kinds"}
        found = table_of(given, **kept)
        known, draws = found.notation, 1 if n is None else n
        cells = {k: [c for c in own for _ in range(draws)] for k, own in found.cells.items()}
    unknown = next((name for name in cells if name not in table.names), None)
    if unknown is not None:
        raise InputError(
            f"--given {given}: the model knows no column "
            f"{unknown!r}{closest(unknown, table.names)}, but {listed(table.names)}"
        )
    rows = len(next(iter(cells.values())))
    x, told = table.partial(cells, known, rows, f"--given {given}")
    model.to(launch(device).device)
    drawn = model.infill(x, told, barred=table.missing_symbols, **options)
    return drawn, table.told(cells, known)
