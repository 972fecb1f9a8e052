"""Recipes: a training run as plain values, from a file, from overrides, and back to a file."""

from __future__ import annotations

import contextlib
import inspect
import typing
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pushforward import config, registry
from pushforward._records import read_yaml
from pushforward.cli.functions import as_told, with_functions
from pushforward.cli.mixed import with_kinds
from pushforward.cli.molecular import with_molecules
from pushforward.cli.specs import class_named, made_options, option_types
from pushforward.cli.unnormalized import density_named
from pushforward.cli.values import Reader, dump, read_value
from pushforward.data import Data, Schema, load
from pushforward.data.functions import FUNCTIONS
from pushforward.data.joined_texts import joined_texts
from pushforward.data.markov_letters import alphabet_of
from pushforward.data.molecule_files import is_molecules
from pushforward.data.set_lists import are_lists
from pushforward.data.sets import with_told_kinds
from pushforward.data.stores import is_store
from pushforward.data.texts import form_of
from pushforward.downscaling.refined import FIELD_OPTIONS, refined
from pushforward.errors import InputError, PushforwardError
from pushforward.models import GenerativeModel, Trainable
from pushforward.models.on_space import options_on, told_options
from pushforward.spaces import Product
from pushforward.spaces.data_space import space_of
from pushforward.training import Settings
from pushforward.training.sizing import sized
from pushforward.training.without_data import without_data

__all__ = ["Prepared", "Recipe", "read"]

_NAMED = {"data": "source", "source": "source", "model": "class"}
"""What a plain text stands for in the place of names and values."""


class Prepared(NamedTuple):
    """What a recipe comes to: an untrained model, its data, and the source that it starts from."""

    model: Any
    data: Data
    source: Data | None


class Recipe(BaseModel):
    """What to train on what, and how.

    Args:
        data: arguments of `pushforward.data.load`, such as `source` and `label`.
        model: its `class`, a name of `pushforward list models` or a class of a trusted module, and
            options of the `for_data` of the class; `space`, one or several of `pushforward list
            spaces`, stands for the process or the path that goes with it.
        train: `pushforward.training.Settings`.
        source: what a model between two data sets starts from, read like the data where it does not
            say otherwise.
    """

    model_config = ConfigDict(extra="forbid", strict=False)

    data: dict[str, Any]
    source: dict[str, Any] | None = None
    model: dict[str, Any] = Field(default_factory=lambda: {"class": "diffusion"})
    train: Settings = Field(default_factory=Settings)

    def model_class(self, trust: tuple[str, ...] = ()) -> Any:
        """The class of the model. Raises `InputError` unless it can be trained."""
        registry.trust(trust)
        found = class_named(str(self.model["class"]), trust)
        if not (isinstance(found, type) and issubclass(found, GenerativeModel)):
            raise InputError(
                f"{self.model['class']!r} is no class of models: it must be a GenerativeModel"
            )
        if not issubclass(found, Trainable):
            raise InputError(f"a {found.__name__} is not trained: it is no models.Trainable")
        return found

    def prepare(
        self,
        trust: tuple[str, ...] = (),
        *,
        data: Data | None = None,
        like: Schema | None = None,
    ) -> Prepared:
        """Make the model for the data, read as states of its space, or for other `data`.

        Those of a run that goes on get the columns and classes that it had, `like`. The
        weights of networks follow from the seed of the training.
        """
        cls = self.model_class(trust)
        if cls.learns_without_data:
            return self._of_density(cls, trust)
        with torch.random.fork_rng():
            torch.manual_seed(self.train.seed)
            telling = self._telling() if data is None else _if_telling(data)
            model = self._on_space(cls, trust, telling)
            given = {key: value for key, value in model.items() if key != "class"}
            options = made_options(cls, given, trust)
            known = inspect.signature(cls.for_data).parameters
            if all(p.kind is not p.VAR_KEYWORD for p in known.values()):
                config.check_options(options, list(known))
            with _told("model", self.model):
                space = cls.space_for({k: v for k, v in options.items() if k != "labels"})
            if telling is not None:
                data = load(telling, space=space)
            elif data is None:
                data = _loaded("data", self.data, space)
            if like is not None and like.columns:
                data = load(data, like=like)
            source = None
            if self.source is not None:
                source = self._start(data, space)
            steps = sized(self.train, cls, len(data)).steps
            length = config.understood(cls.for_data, train_steps=steps)
            with _told("model", self.model):
                model = cls.for_data(data, **{**length, **options})
        return Prepared(model, data, source)

    def _of_density(self, cls: Any, trust: tuple[str, ...]) -> Prepared:
        """A model of the density whose name or place stands where data would."""
        more = [key for key in self.data if key != "source"]
        if more or self.source is not None:
            raise InputError(
                f"a {cls.__name__} learns from a density, which has no data.{more[0]}: its options "
                "are model.options" if more else f"a {cls.__name__} starts from no source"
            )  # fmt: skip
        given = {key: value for key, value in self.model.items() if key not in ("class", "labels")}
        # Those of the target are plain values: they name no class.
        plain = {"options": given.pop("options")} if "options" in given else {}
        options = made_options(cls, given, trust) | plain
        with torch.random.fork_rng(), _told("model", self.model):
            torch.manual_seed(self.train.seed)
            config.check_options(options, list(inspect.signature(cls).parameters))
            model = cls(density_named(str(self.data["source"]), trust), **options)
        return Prepared(model, without_data(model, None, self.train)[0], None)

    def _start(self, data: Data, space: Any) -> Data:
        """The source, with the columns of the data: found by name, or those that it says itself."""
        own = self.source or {}
        if data.schema.fields is not None and is_store(own.get("source")):
            return self._coarse_start(own, data, space)
        options = {**self.data, "label": False, **own}
        if "columns" not in own:
            options.pop("columns", None)
            if data.schema.alphabet is not None:
                return self._joined(data)[1]
            return _loaded("source", options, space, like=data.schema)
        source = _loaded("source", options, space)
        pairs = zip(source.schema.columns, data.columns, strict=False)
        columns = tuple(replace(column, name=name) for column, name in pairs)
        if len(source.columns) != len(data.columns):
            raise InputError(
                f"source.columns are {len(source.columns)}, where {data.name} has "
                f"{len(data.columns)}: name as many, in the order of {', '.join(data.columns)}"
            )
        named = replace(source, schema=replace(source.schema, columns=columns))
        return load(named, like=data.schema, label=False)

    def _joined(self, data: Data) -> tuple[Data, Data]:
        """Texts and those of the source, in the symbols of both."""
        options = {**self.data, "label": False, **(self.source or {})}
        assert data.schema.alphabet is not None
        # Bytes and what is made of them can write any text.
        like = data.schema if data.schema.alphabet.of_bytes else None
        return joined_texts(data, _loaded("source", options, None, like=like))

    def _coarse_start(self, own: dict[str, Any], data: Data, space: Any) -> Data:
        """Fields as the source of fields, brought to their grid from a coarser one."""
        shared = {key: self.data[key] for key in ("drop_nonfinite", "double") if key in self.data}
        options = shared | {key: value for key, value in own.items() if key != "source"}
        if odd := next((key for key in options if key not in FIELD_OPTIONS), None):
            raise InputError(
                f"source.{odd} means nothing where the data are fields: a source of these takes "
                f"{', '.join(f'source.{key}' for key in FIELD_OPTIONS)}, and has their variables"
            )
        source = refined(own["source"], data.schema, **options)
        space.check(source.x[:2])
        return source

    def resolved(self, trust: tuple[str, ...] = ()) -> Recipe:
        """The recipe with the defaults that the class of the model declares written out."""
        cls = self.model_class(trust)
        make = cls if cls.learns_without_data else cls.for_data
        known = inspect.signature(make).parameters.values()
        plain = (bool, int, float, str)
        defaults = {p.name: p.default for p in known if isinstance(p.default, plain)}
        # A space stands for the options that go with it, and leaves none of them to say.
        chosen = set(self._on_space(cls, trust, self._telling())) - set(self.model)
        declared = {k: v for k, v in {**defaults, **cls.defaults}.items() if k not in chosen}
        model = {"class": "", **declared, **self.model}
        return self.model_copy(update={"model": model})

    def _telling(self) -> Data | None:
        """Texts, fields, functions, molecules or sets, which say what space they are of."""
        source = self.data.get("source")
        texts = alphabet_of(source) or form_of(source, self.data.get("kind"))
        told = self.data.get("kind") == FUNCTIONS or "id" in self.data or are_lists(source)
        if texts is None and not (told or is_store(source) or is_molecules(source)):
            return None
        data = _loaded("data", self.data, None)
        if data.schema.alphabet is not None and self.source is not None:
            data, _ = self._joined(data)
        return _if_telling(data)

    def _on_space(
        self, cls: Any, trust: tuple[str, ...], telling: Data | None = None
    ) -> dict[str, Any]:
        """The options of the model, with what its `space` stands for in the place of that, or the
        space of texts or fields where nothing says another one."""
        model = dict(self.model)
        named = model.pop("space", None)
        if named is None and telling is not None:
            return told_options(cls, model, telling)
        if named is None:
            return model
        several = named.split(",") if isinstance(named, str) else named
        several = [one.strip() if isinstance(one, str) else one for one in _list(several)]
        found = made_options(cls, {"space": several}, trust)["space"]
        space = Product(*found) if len(found) > 1 else found[0]
        if telling is not None and telling.schema.functions is not None:
            space = as_told(space_of(telling), space)
        if telling is not None and telling.schema.sets is not None:
            space = with_told_kinds(space, telling.schema.sets)
        for option, value in options_on(cls, space).items():
            if option in model:
                raise InputError(
                    f"model.space={named} and model.{option} both say where the states are: leave "
                    f"one out, or say model.{option}.space"
                )
            model[option] = config.describe(value)
        return model

    def sized(self, model: Any, data: Data) -> Recipe:
        """The recipe with the length and the batches that fit the model and the data."""
        _, train = without_data(model, data, self.train)
        return self.model_copy(update={"train": sized(train, model, len(data), data.symbols)})

    def to_yaml(self) -> str:
        """The recipe as a file; reading it gives the same recipe."""
        values: dict[str, Any] = {"data": _short("data", self.data)}
        if self.source is not None:
            values["source"] = _short("source", self.source)
        values["model"] = _short("model", self.model)
        values["train"] = self.train.describe()
        return dump(values)


def read(path: Path | None, given: dict[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from a file, then values given, then `key.path=value` overrides.

    The value of an override is read by the type of its option, see `pushforward.cli.values`. Raises
    `InputError` naming the key and the value that do not fit, with the nearest key.

    >>> read(None, {"data": "digits"}, ["train.steps=10", "model.process=masking"]).model
    {'class': 'diffusion', 'process': 'masking'}
    """
    values = {} if path is None else _file(path)
    for key, value in given.items():
        _put(values, key, value)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise InputError(f"{override!r} is no override: write key.path=value")
        _put(values, key, read_value(key, text, _type_of(key, values)))
    if "data" not in values:
        raise InputError("no data: pushforward train DATA, or `data:` in the recipe")
    for key, name in _NAMED.items():
        if isinstance(values.get(key), str):
            values[key] = {name: values[key]}
    with_kinds(values)
    with_functions(values)
    with_molecules(values)
    if isinstance(values.get("model"), dict):
        values["model"] = {"class": "diffusion", **values["model"]}
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise InputError(_explain(error)) from None


def _type_of(key: str, values: dict[str, Any]) -> Any:
    """The type of the option that an override sets, where one is declared."""
    first, _, rest = key.partition(".")
    if first in ("data", "source"):
        types: dict[str, Any] = typing.get_type_hints(load)
    elif first == "train":
        types = typing.get_type_hints(Settings)
    else:
        model = values.get("model", "diffusion")
        name = model.get("class", "diffusion") if isinstance(model, dict) else model
        types = {"class": str, **option_types(str(name))} if first == "model" else {}
    return types.get(rest, Any)


def _loaded(key: str, options: dict[str, Any], space: Any, like: Schema | None = None) -> Data:
    """Data read as a recipe says, as states of a space, with the columns of other data."""
    known = [name for name in inspect.signature(load).parameters if name not in ("space", "like")]
    for option in options:
        if option not in known:
            close = get_close_matches(option, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise InputError(f"unknown key '{key}.{option}': {hint}")
    if "source" not in options:
        raise InputError(f"{key} does not say what to read: {key}.source=NAME or FILE")
    with _told(key, options):
        return load(**options, space=space, like=like)


@contextlib.contextmanager
def _told(key: str, values: dict[str, Any]) -> Iterator[None]:
    """Name the part of a recipe whose values do not fit: in a file they may be of any kind."""
    try:
        yield
    except PushforwardError:
        raise
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
        raise InputError(f"{key} cannot be made from {values}: {error}") from error


def _if_telling(data: Data) -> Data | None:
    return None if space_of(data) is None else data


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _short(key: str, values: dict[str, Any]) -> Any:
    """A plain text for what has nothing but its name."""
    name = _NAMED[key]
    return values[name] if set(values) == {name} else values


def _file(path: Path) -> dict[str, Any]:
    try:
        return read_yaml(path, Reader)
    except InputError as error:
        raise InputError(f"recipe {error}") from None


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a value at a dotted path, making what lies on the way.

    A name on the way becomes what it names: after `process: masking`, `process.schedule=vp` sets
    the schedule of masking.
    """
    *way, last = key.split(".")
    here = values
    for depth, part in enumerate(way):
        inside = here.setdefault(part, {})
        if isinstance(inside, str) and way[0] in _NAMED:
            inside = here[part] = {_NAMED[way[0]] if depth == 0 else "class": inside}
        if not isinstance(inside, dict):
            raise InputError(f"{key}: {part} is {inside!r}, which has nothing inside to set")
        here = inside
    if key == "model.class" and here.get("class", "diffusion") != value:
        # The options of another class mean nothing to this one.
        here.clear()
    known = here.get(key) if way == [] and key in ("data", "source") else None
    if isinstance(known, dict) and isinstance(value, str):
        # Another place, read in the same way.
        value = {**known, "source": value}
    here[last] = value
    if way == ["train"] and value is not None and last in ("steps", "budget"):
        # A run has one length: the one that was said last.
        here.pop("steps" if last == "budget" else "budget", None)


def _explain(error: ValidationError) -> str:
    """Every fault of a recipe in words."""
    faults = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"] if part not in ("str", "dict[str,any]"))
        known = list(
            Settings.__dataclass_fields__ if len(fault["loc"]) > 1 else Recipe.model_fields
        )
        if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            close = get_close_matches(str(fault["loc"][-1]), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            faults.append(f"unknown key {where!r}: {hint}")
        elif fault["type"] == "value_error":
            faults.append(str(fault["ctx"]["error"]))
        else:
            message = fault["msg"][0].lower() + fault["msg"][1:]
            faults.append(f"{where or 'train'} = {fault['input']!r}: {message}")
    return "; ".join(dict.fromkeys(faults))
