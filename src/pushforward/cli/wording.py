"""What the library says, in the words of a command.

The library names its options as Python has them, `drop_nonfinite=True`. A command of the line has
the same ones under other names: `data.drop_nonfinite=true` in a recipe, `--class` for `c=`,
`--resume` for `resume=True`. Whatever a command prints of the library goes through `in_words_of`.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
from typing import Any

from typer.core import TyperOption

__all__ = ["in_words_of"]

# An option and the value after it, if there is one, but not the arguments of a call, nor what is
# written for the command line already.
_OPTION = re.compile(
    r"""(?<![\w.\-])(?<!\w\()(?P<name>[a-z_]+)=(?!=)"""
    r"""(?P<value>'[^']*'|"[^"]*"|\[[^\]]*\]|\([^)]*\)|[\w.+\-]*[\w])?"""
)
_ALIASES = {"c": "class", "debiasing": "debias"}


def in_words_of(command: Any, message: str) -> str:
    """A message of the library with its options as the words of a command.

    Options that the command does not have stay as they are, and so do all without a command.

    >>> from pushforward.cli.app import command_of
    >>> in_words_of(command_of(["train"]), "leave them out with drop_nonfinite=True")
    'leave them out with data.drop_nonfinite=true'
    >>> in_words_of(command_of(["sample"]), "it needs labels: give c=")
    'it needs labels: give --class'
    """
    if command is None:
        return message
    own = {
        word.lstrip("-").replace("-", "_"): parameter
        for parameter in command.params
        if isinstance(parameter, TyperOption)
        for word in parameter.opts
    }
    keys = "".join(str(parameter.metavar) for parameter in command.params)

    def said(found: re.Match[str]) -> str:
        name, text = found["name"], found["value"]
        option = own.get(_ALIASES.get(name, name))
        if option is not None:
            words = _as_option(option, text)
            if words is not None:
                return words
        section = _section(name) if "KEY" in keys else None
        if section is None or ("data.KEY" in keys and section != "data"):
            return found[0]
        return f"{section}.{name}=" if text is None else _as_key(f"{section}.{name}", text)

    return _OPTION.sub(said, message)


def _section(name: str) -> str | None:
    """The part of a recipe that has an option of this name."""
    import inspect

    from pushforward import registry
    from pushforward.cli.specs import option_types
    from pushforward.data import load
    from pushforward.training import Settings

    if name in set(inspect.signature(load).parameters) - {"space", "like"}:
        return "data"
    if name in Settings.__dataclass_fields__:
        return "train"
    models = registry.names("models")
    return "model" if any(name in option_types(model) for model in models) else None


def _as_option(option: TyperOption, text: str | None) -> str | None:
    """`--name value` of an option; `None` for a value that it cannot have."""
    word = option.opts[0]
    if text is None:
        return word
    value = _literal(text)
    if option.is_flag:
        words = [word] if value else option.secondary_opts
        return words[0] if isinstance(value, bool) and words else None
    if option.multiple and isinstance(value, (list, tuple)):
        return " ".join(f"{word} {shlex.quote(str(item))}" for item in value)
    return f"{word} {shlex.quote(_written(value))}"


def _as_key(key: str, text: str) -> str:
    """`key=value`, as a shell takes it; in quotation marks where it would run into a sentence."""
    word = f"{key}={_written(_literal(text))}"
    return shlex.quote(word) if word[-1].isalnum() or word[-1] == ":" else f"'{word}'"


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        # A word that stands for itself.
        return text


def _written(value: Any) -> str:
    """A value as `cli.values.read_value` reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_item, value))}]"
    text = str(value)
    special = isinstance(value, str) and (text[:1] in "[{'\"" or text in ("null", "~"))
    return f'"{text}"' if special else text


def _item(value: Any) -> str:
    """A value in a list, in quotation marks unless it is a word or a number."""
    text = _written(value)
    return text if re.fullmatch(r"[\w.-]+( [\w.-]+)*", text) else json.dumps(text)
