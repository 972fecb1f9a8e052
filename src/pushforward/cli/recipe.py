"""Recipes: a training run as plain values, from a file, from overrides, and back to a file."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pushforward import config, registry
from pushforward.data import Data, load
from pushforward.errors import InputError
from pushforward.models import Diffusion, requests
from pushforward.models.family import Family
from pushforward.nn import DiT, UNet, default_network
from pushforward.processes import Gaussian
from pushforward.training import Settings

__all__ = ["Recipe", "read"]


class Recipe(BaseModel):
    """What to train on what, and how.

    Args:
        data: a built-in name or a path.
        family: what kind of model, a name of `pushforward list models`.
        options: arguments of the family: of its `for_data`, or of `Diffusion` itself.
        source: what a transport starts from in the place of noise: a built-in name or a path.
        load: how to read it and the source, arguments of `pushforward.data.load` such as `label`.
        network: of a diffusion model: `auto`, a short name, or a class with arguments.
        schedule: of a diffusion model: a short name, or a class with arguments.
        predict: of a diffusion model: a prediction's short name, or a class with arguments.
        times: of a diffusion model: a distribution of training times.
        labels: condition on the data's labels, if it has any.
        device: `auto`, `cpu`, `cuda` or `mps`.
        train: `pushforward.training.Settings`.
    """

    model_config = ConfigDict(extra="forbid", strict=False)

    data: str
    source: str | None = None
    load: dict[str, Any] = Field(default_factory=dict)
    family: str = "diffusion"
    options: dict[str, Any] = Field(default_factory=dict)
    network: str | dict[str, Any] = "auto"
    schedule: str | dict[str, Any] = "vp"
    predict: str | dict[str, Any] = "v"
    times: str | dict[str, Any] = "stratified"
    labels: bool = True
    device: str = "auto"
    train: Settings = Field(default_factory=Settings)

    def load_data(self) -> Data:
        """The data that the recipe names."""
        known = list(inspect.signature(load).parameters)[1:]
        for option in self.load:
            if option not in known:
                close = get_close_matches(option, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
                raise InputError(f"unknown key 'load.{option}': {hint}")
        return load(self.data, **self.load)

    def load_source(self) -> Data | None:
        """The source that the recipe names, if any, read like the data."""
        return None if self.source is None else load(self.source, **self.load)

    def make_model(self, data: Data, trust: tuple[str, ...] = ()) -> Family:
        """The untrained model for data of this shape."""
        registry.trust(trust)
        family: type[Family] = registry.find("models", self.family)
        options = config.build(self.options, trust)
        if family is not Diffusion:
            self._refuse_diffusion()
            return family.for_data(data, labels=self.labels, **options)
        classes = data.num_classes if self.labels else None
        network = self.network
        if network == "auto":
            net = default_network(data.event_shape, num_classes=classes)
        elif isinstance(network, str):
            make = registry.find("networks", network)
            # Networks of images take any size of them, and are told the channels alone.
            shape: Any = data.event_shape
            net = make(shape[0] if make in (UNet, DiT) else shape, num_classes=classes)
        else:
            net = config.build(network, trust)
        schedule = registry.resolve("schedules", config.build(self.schedule, trust))
        return requests.made(
            Diffusion,
            options,
            net=net,
            process=Gaussian(schedule),
            predict=config.build(self.predict, trust),
            times=config.build(self.times, trust),
        )

    def _refuse_diffusion(self) -> None:
        for name in ("network", "schedule", "predict", "times"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise InputError(
                    f"{name} = {getattr(self, name)!r} means something to a diffusion model only: "
                    f"what a {self.family} takes is set by options.NAME=VALUE"
                )

    def to_yaml(self) -> str:
        """The recipe with every default written out; reading it gives the same recipe."""
        values = self.model_dump(exclude={"train"}) | {"train": self.train.describe()}
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def read(path: Path | None, given: dict[str, Any], overrides: Sequence[str] = ()) -> Recipe:
    """A recipe from a file, then values given, then `key.path=value` overrides.

    Raises `InputError` naming the key and the value that do not fit, with the nearest key.

    >>> read(None, {"data": "digits"}, ["train.steps=10"]).train.steps
    10
    """
    values = {} if path is None else _file(path)
    for key, value in given.items():
        _put(values, key, value)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            raise InputError(f"{override!r} is no override: write key.path=value")
        try:
            _put(values, key, yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise InputError(f"the value of {key} is not YAML: {error}") from None
    if "data" not in values:
        raise InputError("no data: pushforward train DATA, or `data:` in the recipe")
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise InputError(_explain(error)) from None


def _file(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"recipe {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"recipe {path} is not YAML: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"recipe {path} must hold keys and values, not {type(values).__name__}")
    return values


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a value at a dotted path, making what lies on the way."""
    *way, last = key.split(".")
    here = values
    for part in way:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise InputError(f"{key}: {part} is {here!r}, which has nothing inside to set")
    here[last] = value


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
