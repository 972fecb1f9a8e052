"""Texts that a model draws pictures of, and the captions of what was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["texts_for"]

_MANY = 64


def texts_for(
    model: Any, texts: list[str] | None, file: Path | None, n: int | None
) -> tuple[list[str] | None, int]:
    """The text of each of the samples, `None` without texts, and how many samples there are.

    Texts are taken in turn until there are `n`: by default one for each line of a file, else 64.

    Raises `InputError` for texts of two kinds, an empty file, or a model that reads none.
    """
    from pushforward.checks import whole
    from pushforward.errors import InputError

    if texts is None and file is None:
        return None, _MANY if n is None else n
    if texts is not None and file is not None:
        raise InputError("--text and --texts both say what to draw: give one of them")
    if model.condition.vocabulary is None:
        raise InputError(
            f"this {type(model).__name__} reads no texts: train it on data with captions, such as "
            "the built-in scenes"
        )
    if file is not None:
        if not file.is_file():
            raise InputError(f"{file} is no file: --texts is one with a text in each line")
        lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
        texts = [line for line in lines if line]
        if not texts:
            raise InputError(f"{file} has no text in it")
        n = len(texts) if n is None else n
    assert texts is not None
    n = whole("n", _MANY if n is None else n, least=1)
    return [texts[k % len(texts)] for k in range(n)], n
