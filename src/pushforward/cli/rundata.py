"""What a run folder says of its data and its recipe, found again and read as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_type_hints

import torch
import typer

from pushforward import registry
from pushforward._files import write_text
from pushforward._random import resolve
from pushforward._records import read_sealed
from pushforward.checks import whole
from pushforward.cli.values import read_value
from pushforward.cli.wording import in_words_of
from pushforward.data import Data, Schema, formats, load
from pushforward.data.columns import closest
from pushforward.data.joined_stores import is_pattern
from pushforward.data.stores import is_store
from pushforward.downscaling.refined import FIELD_OPTIONS, refined
from pushforward.errors import InputError
from pushforward.forecasting.verification import with_leads
from pushforward.models.sealed_folder import CONFIG
from pushforward.training.folder import RECIPE
from pushforward.training.without_data import WITHOUT

__all__ = [
    "described",
    "kept_recipe",
    "labeled",
    "load_columns",
    "labels_of",
    "levels_of",
    "load_like",
    "reading",
    "reading_like",
    "recipe_of",
    "say",
    "schema_of",
    "split_again",
    "training_rows",
    "windows_again",
]


_CHOSEN = (
    "source",
    "space",
    "like",
    "label",
    "columns",
    "name",
    "double",
    "given",
    "coordinates",
    "return",
)
"""What `load` takes that the model of a run decides, or an option of the command."""
_ANY_FORMAT = ("kind", "levels", "value_range", "drop_nonfinite")
"""Options of `load` that mean the same for every kind of file."""


def recipe_of(run: Path | None, recipe: Path | None, *, resume: bool) -> Path | None:
    """The recipe to start from: the one given, or that of a run that goes on."""
    if recipe is None and resume and run is not None and (run / RECIPE).is_file():
        return run / RECIPE
    return recipe


@contextlib.contextmanager
def kept_recipe(run: Path, recipe: Any, *, resume: bool) -> Iterator[None]:
    """Keep the recipe in the run folder, with the place of its data from anywhere.

    Written before the training, so that a run that was killed can go on; taken back if the training
    refuses to begin. A folder with another run in it is left as it is.
    """
    if (run / "config.yaml").exists() and not resume:
        yield
        return
    recipe = recipe.model_copy(
        update={key: _placed(getattr(recipe, key)) for key in ("data", "source")}
    )
    path, made = run / RECIPE, not run.exists()
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_text(path, recipe.to_yaml())
    except OSError as error:
        raise InputError(f"{run} cannot be written: {error.strerror}") from None
    try:
        yield
    except InputError:
        if before is not None:
            write_text(path, before)
        else:
            path.unlink(missing_ok=True)
        if made and not any(run.iterdir()):
            run.rmdir()
        raise
    finally:
        config = _config(run)
        if recipe.train.budget is not None and config is not None and path.is_file():
            # Counted out by now: what can be repeated is the number of steps.
            train = replace(recipe.train, steps=config["training"]["steps"], budget=None)
            write_text(path, recipe.model_copy(update={"train": train}).to_yaml())


def split_again(
    run: Path, space: Any, source: str | None = None, *, command: Any = None
) -> tuple[Data, Data]:
    """The run's training part and held-out part, as states of the space of its model, in memory: of
    data in a store, as many rows of each as are read at once.

    Raises `InputError` as `_data_again` does, or if nothing was held out.
    """
    data, settings = _data_again(run, space, source, command)
    if settings["holdout"] == 0:
        raise InputError(f"{run} held no data out (holdout=0), so there is nothing to compare with")
    train, held = data.split(settings["holdout"], settings["seed"])
    return train.resident(), held.resident()


def training_rows(run: Path, space: Any) -> Data:
    """The run's training part alone. Raises `InputError` as `_data_again` does."""
    data, settings = _data_again(run, space)
    holdout = settings["holdout"]
    return data.split(holdout, settings["seed"])[0] if holdout else data


def windows_again(
    run: Path, space: Any, leads: int | None = None, source: str | None = None
) -> tuple[Data, Data]:
    """The windows that a run was trained on and those held out, the latter with so many `leads`
    together, by default as many as the model has learned.

    Raises `InputError` as `_data_again` does, or if nothing was held out.
    """
    data, settings = _data_again(run, space, source)
    if settings["holdout"] == 0:
        raise InputError(f"{run} held no windows out (holdout=0), so there is nothing to verify")
    train, test = data.split(settings["holdout"], settings["seed"])
    known = data.schema.windows
    assert known is not None
    if not known.direct and leads in (None, known.leads):
        return train, test
    options = {**(data.origin or {}), "forecast": None}
    longer = load(**options, like=with_leads(data.schema, leads or known.leads))
    assert test.rows is not None
    assert longer.rows is not None
    windows = longer.schema.windows
    assert windows is not None
    held = windows.times(longer.rows) >= windows.times(test.rows).min()
    return train, longer.take(held)


def _data_again(
    run: Path, space: Any, source: str | None = None, command: Any = None
) -> tuple[Data, dict[str, Any]]:
    """The data of a run, and how it was trained.

    Columns are found by name and labels by value, so that the file may have been put in another
    order since.

    Raises `InputError` if the data cannot be found or is not what the run was trained on.
    """
    config = _config(run)
    if config is None or "training" not in config:
        raise InputError(f"{run} is not a run folder made by `pushforward train`")
    saved = config["data"]
    origin, schema = dict(saved.get("origin") or {}), schema_of(run)
    if source is not None:
        origin["source"] = source
    if saved.get("source") == WITHOUT:
        raise InputError(
            f"{run} samples the density {saved['name']}, and there are no data to compare with: "
            f"`pushforward logz {run}` says how good it is"
        )
    if "source" not in origin:
        raise InputError(
            f"{run} was trained on data in memory: save it to a file and give that with --data"
        )
    place = origin["source"]
    origin.pop("given", None)
    if schema.columns or schema.coordinates is not None:
        origin.pop("columns", None)
    if schema.label is not None:
        origin.pop("label", None)
    data = load(**origin, space=space, like=schema)
    if source is not None:
        say(data, command)
    if data.fingerprint != saved["fingerprint"]:
        raise InputError(
            f"{place} is not what {run} was trained on: {saved['name']} with "
            f"fingerprint {saved['fingerprint'][:12]}, not {data.fingerprint[:12]}"
        )
    return data, config["training"]


def load_like(
    run: Path,
    source: str,
    model: Any,
    label: str | bool | None = None,
    *,
    n: int | None = None,
    words: Sequence[str] = (),
    command: Any = None,
    refine: bool = False,
    whole: bool = False,
) -> Data:
    """Other data for the model of a run: columns by name, labels with the codes of the run.

    Files of the same kind are read with the options of the run's own. Labels may be missing, and
    are left out for a model that takes none, or with `label=False`. What is matched by position or
    left out is said on standard error, in the words of a `command`.
    Numbers are float64 where the model knows its data so. With `n`, what is there
    of the first `n` rows. `words` are `data.KEY=VALUE`, as for `train`. Fields of a
    coarser grid are brought to that of the run if they may be `refine`d; `whole` ones are not cut
    into the patches that the run learned from.
    """
    config = _config(run)
    saved = config["data"] if config else {}
    options = _alike(dict(saved.get("origin") or {}), source) | {"double": model.precise}
    column, schema = options.pop("label", None), schema_of(run)
    if whole:
        schema = schema.whole
        options.pop("patches", None)
    options |= reading(words)
    if model.num_classes is None and model.context_size is None:
        label = False
    if refine and schema.fields is not None and is_store(source):
        own = {key: options[key] for key in FIELD_OPTIONS if key in options}
        data = refined(source, schema, **own)
        say(data, command)
        return data if n is None else data.first(n)
    data = load(source, **options, label=label, space=model.space, like=schema)
    if label is None and type(column) is int and Path(source).suffix == ".npy":
        wide = data.event_shape
        if len(wide) == 1 and saved["event_shape"] == [wide[0] - 1]:
            # An array without names has its labels where that of the run had them.
            data = load(source, **options, label=column, space=model.space, like=schema)
    if data.classes and not schema.classes:
        data = _as_codes(data, model.num_classes)
    say(data, command)
    return data if n is None else data.first(n)


def load_columns(run: Path, source: str, model: Any, *, command: Any = None) -> Data:
    """A table with some of the columns of a run, read with the options of the run's own."""
    data = load(source, **reading_like(run, source), label=False, double=model.precise)
    say(data, command)
    return data


def reading_like(run: Path, source: str) -> dict[str, Any]:
    """The options of `load` with which other data are read as those of a run were."""
    config = _config(run)
    options = _alike(dict((config or {"data": {}})["data"].get("origin") or {}), source)
    options.pop("label", None)
    return options


def reading(words: Sequence[str], more: Sequence[str] = ()) -> dict[str, Any]:
    """The options of `load` that words such as `data.decimal=,` give: those that no model decides,
    and `more`."""
    types = get_type_hints(load)
    known = [f"data.{name}" for name in types if name not in _CHOSEN or name in more]
    options = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or key not in known:
            raise InputError(
                f"{word!r} does not say how to read the data{closest(key, known)}: write "
                "data.KEY=VALUE"
            )
        key = key.removeprefix("data.")
        options[key] = read_value(f"data.{key}", text, types[key])
    return options


def _as_codes(data: Data, classes: int) -> Data:
    """Labels for a model that does not know what its own stood for."""
    codes = tuple(range(classes))
    if data.classes == codes:
        return data
    if len(data.classes) == classes:
        named = ", ".join(map(str, data.classes))
        note = f"the model does not know the names of its classes: taken in the order {named}"
        return replace(data, notes=(*data.notes, note))
    return load(data, like=replace(data.schema, label=None, classes=codes))


def labeled(data: Data, code: int, run: Path, model: Any) -> Data:
    """The data with one label for all."""
    classes = schema_of(run).classes or tuple(range(model.num_classes or code + 1))
    c = torch.full((len(data),), code)
    return replace(data, c=c, schema=replace(data.schema, classes=classes))


def labels_of(run: Path, model: Any, n: int, seed: int) -> Any:
    """`n` labels as frequent as in the data of the run; `None` if it has none, or the model.

    Raises `InputError` unless `n` is positive.
    """
    whole("n", n, least=1)
    config = _config(run)
    counts = (config or {"data": {}})["data"].get("counts")
    if not counts or model.num_classes is None:
        return None
    frequencies = torch.tensor(counts, dtype=torch.float64)
    return torch.multinomial(frequencies, n, replacement=True, generator=resolve(seed))


def say(data: Data, command: Any) -> None:
    """What is to be known of how the data were read, on standard error."""
    total = len(data) + data.dropped
    left_out = [f"{data.dropped} of {total} rows were left out for missing values"]
    for note in (*data.notes, *(left_out if data.dropped else ())):
        typer.echo(f"note: {in_words_of(command, note)}", err=True)


def schema_of(run: Path) -> Schema:
    """The columns and classes that a model was trained on; empty for one that was not."""
    config = _config(run)
    if config is None:
        return Schema()
    data = config["data"]
    if "schema" in data:
        return Schema.from_description(data["schema"])
    # As runs of older versions say it.
    return Schema.of(*(data.get("columns") or ()), classes=data.get("classes") or ())


def _alike(origin: dict[str, Any], source: str) -> dict[str, Any]:
    """Those options of `load` that other data are read with as well."""
    path, before = Path(source), Path(str(origin.pop("source", "")))
    for option in ("name", "columns", "given", "coordinates"):
        origin.pop(option, None)
    if not path.exists() or str(before) in registry.names("data"):
        return {}
    if "window" in origin:
        # A text, whatever it is called.
        return origin
    if _suffix(path) == _suffix(before) and path.is_dir() == before.is_dir():
        return origin
    # What cells mean is the same in tables of any format; how they are written is not.
    taken = formats.of(path).options if path.is_file() else ()
    known = {*_ANY_FORMAT, *({"missing", "since"} & set(taken))}
    return {option: value for option, value in origin.items() if option in known}


def _suffix(path: Path) -> str:
    """The whole suffix of the format of a file, such as `.csv.gz`."""
    return path.name.lower().removeprefix(formats.stem(path).lower())


def levels_of(run: Path) -> dict[str, Any]:
    """`levels` and `value_range` of the data of a model; none without."""
    config = _config(run)
    if config is None:
        return {"levels": None, "value_range": None}
    found, limits = config["data"].get("levels"), config["data"].get("value_range")
    return {"levels": found, "value_range": None if limits is None else tuple(limits)}


def described(run: Path) -> dict[str, Any] | None:
    """What a run, or a saved model, says of its data; `None` if it says nothing."""
    config = _config(run)
    return None if config is None else config["data"]


def _placed(options: dict[str, Any] | None) -> dict[str, Any] | None:
    """Arguments of `load` with the whole path of a file."""
    there = options is not None and str(options["source"])
    if options is None or not (Path(str(there)).exists() or is_pattern(there)):
        return options
    return {**options, "source": str(Path(options["source"]).resolve())}


def _config(run: Path) -> dict[str, Any] | None:
    """The configuration of a run folder, or of a saved model that knows its data; `None` for
    anything else.

    Raises `InputError` for one that is damaged.
    """
    if not (run / CONFIG).is_file():
        return None
    config = read_sealed(run / CONFIG)
    return config if "data" in config else None
