"""States to files: what `pushforward.data` reads again, or a picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import typer

from pushforward.errors import InputError, SamplingError

__all__ = ["check_file", "check_suffix", "checked", "label_of", "require_finite", "write_states"]

_PICTURE = ".png"


def check_file(path: Path) -> None:
    """Raise `InputError` for a place that no file can take, before the work."""
    from pushforward._files import check_writable

    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of a file")
    check_writable(path)


def check_suffix(path: str) -> None:
    """Raise `InputError` for the name of a file of a kind that is not written."""
    from pushforward.data.writing import FORMATS, suffix_of

    if suffix_of(path) is None and not _is_picture(path):
        known = ", ".join((*FORMATS, _PICTURE))
        raise InputError(
            f"states go to {known} files, or as pictures to a folder, not {Path(path).name!r}"
        )


def checked(path: str, run: Path, model: Any, n: int, *, labeled: bool = False) -> None:
    """Raise `InputError` for a place that `n` states of a model cannot be written to, before they
    are made: also where there is no room for them.

    `labeled` says that each state has a label of its own.
    """
    from pushforward import state
    from pushforward._files import require_space
    from pushforward.cli.rundata import levels_of, schema_of
    from pushforward.data.picture_files import check_pixels
    from pushforward.data.writing import check_destination, least_size, suffix_of

    if _is_picture(path):
        return
    if not check_destination(path, schema_of(run)):
        check_pixels(model.event_shape, **levels_of(run))
    numbers = n * state.numel(model.event_shape)
    require_space(Path(path), least_size(path, numbers, schema_of(run)))
    if labeled and suffix_of(path) == ".npy":
        raise InputError(
            "an .npy file has no room for the labels of the states: give --out FILE.npz, or "
            "draw one class alone with --class"
        )


def label_of(run: Path, label: str | None) -> int | None:
    """The code of a label that was given by the name or the value that it has in the file.

    A saved model without a run knows no values: its labels are codes. Raises `InputError` for
    anything else.
    """
    from pushforward.cli.rundata import schema_of
    from pushforward.data.matching import code_of

    if label is None:
        return None
    classes = schema_of(run).classes
    if classes:
        code = code_of(label, classes)
        if code is None:
            known = ", ".join(map(str, classes[:50])) + (", ..." if len(classes) > 50 else "")
            raise InputError(f"--class is one of {known}, not {label!r}")
        return code
    try:
        return int(label)
    except ValueError:
        raise InputError(
            f"--class is the number of a label, as {run} does not know their names, not {label!r}"
        ) from None


def require_finite(x: Any, path: str | Path) -> None:
    """Raise `SamplingError` for states that are not finite, before they are written to a place."""
    from pushforward import state

    fine = state.finite_rows(x)
    if not bool(fine.all()):
        first = int((~fine).int().argmax())
        raise SamplingError(
            f"{int((~fine).sum())} of {len(fine)} states are not finite, the first is {first} "
            f"(counted from 0), and {path} is not written: take more --steps or another "
            "--sampler, and see whether the training has converged; `sample` and `translate` "
            "write such states with --keep-nonfinite"
        )


def write_states(
    path: str | Path,
    x: Any,
    space: Any,
    run: Path,
    *,
    labels: Any = None,
    draws: int | None = None,
    captions: list[str] | None = None,
    own: Any = None,
    fields: Any = None,
    functions: Any = None,
    told: Any = None,
) -> None:
    """Write states of a space as the data of a run came, or draw them.

    Beside what they were told, their `own` contexts, they are a table of all columns. `labels` are
    codes, one for all of them or one for each; `captions` stand below pictures, and beside those of
    a folder. Of `draws` of each state, on a first axis, a table and pictures have one after the
    other; an array has them all, without labels, and a store of fields as its first dimension.
    `fields` say where rows of fields are, such as their times, and `functions` the points of
    functions, where these are others than those of the run; `told` are further columns of these.
    """
    import torch

    from pushforward import state
    from pushforward._files import write_text
    from pushforward.cli.rundata import levels_of, schema_of
    from pushforward.data.array_files import ARRAYS
    from pushforward.data.caption_files import CAPTIONS, table_of_captions
    from pushforward.data.coordinate_columns import in_columns
    from pushforward.data.field_files import STORES
    from pushforward.data.molecule_files import MOLECULES
    from pushforward.data.picture_files import names_of_pictures
    from pushforward.data.rounding import rounded
    from pushforward.data.schema import Column
    from pushforward.data.writing import suffix_of, write

    flat = x if draws is None else state.map_leaves(lambda a: a.flatten(0, 1), x)
    if _is_picture(path):
        from pushforward.report import save_picture
        from pushforward.report.writing import captions_of

        Path(path).parent.mkdir(parents=True, exist_ok=True)
        kinds = None if captions is None else captions_of(captions)
        missing = save_picture(
            Path(path), flat, space=space, names=schema_of(run).axis_names, kinds=kinds
        )
        if missing:
            typer.echo(f"note: in {path}, {missing}", err=True)
        return
    schema, levels, suffix = schema_of(run), levels_of(run), suffix_of(path)
    if fields is not None:
        schema = dataclasses.replace(schema, fields=fields)
    if functions is not None:
        schema = dataclasses.replace(schema, functions=functions)
    if schema.molecules is not None and suffix in MOLECULES:
        empty = int((schema.molecules.atoms(flat).number == 0).sum())
        if empty:
            typer.echo(f"note: {empty} of the samples have no atoms, and are left out", err=True)
    flat, space, schema = in_columns(flat, space, schema)
    by_column = (schema.sets, schema.molecules, schema.functions)
    if own is not None and any(known is not None for known in by_column):
        from pushforward.data.set_columns import typed_told

        contexts = typed_told(own.c.double().cpu(), schema.given)
        write(path, flat, space=space, schema=schema, told={**contexts, **(told or {})})
        return
    if own is not None:
        from pushforward.cli.given import whole_table

        near = rounded(flat.cpu(), space, schema, **levels).to(flat.dtype)
        whole, schema = whole_table(near, own, schema)
        write(path, whole, space=space, schema=schema)
        return
    if draws is not None and schema.fields is not None and suffix in STORES:
        write(path, x, space=space, schema=schema)
        return
    if draws is not None and suffix in (".npy", *ARRAYS):
        near = rounded(flat, space, schema, **levels)
        x = state.map_leaves(lambda a: a.unflatten(0, (draws, -1)), near)
        dtype, key = schema.array_dtype, "" if schema.entries is None else schema.entries.name
        entries = None if dtype is None else Column(key, dtype)
        schema = dataclasses.replace(schema, columns=(), entries=entries)
        write(path, x, space=space, schema=schema)
        return
    if suffix == ".npy" and isinstance(labels, int):
        # One label for all, which the user has named.
        labels = None
    if draws is not None and isinstance(labels, torch.Tensor):
        labels = labels.repeat(draws)
    write(path, flat, space=space, schema=schema, **levels, labels=labels, told=told)
    if captions is not None and suffix == "":
        table = table_of_captions(names_of_pictures(None, len(captions)), captions)
        write_text(Path(path) / CAPTIONS, table)


def _is_picture(path: str | Path) -> bool:
    return Path(path).suffix.lower() == _PICTURE
