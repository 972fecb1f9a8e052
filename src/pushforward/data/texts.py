"""Texts as data: a book, a folder of texts, a line for each, or the records of FASTA."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from pushforward import checks
from pushforward.data.alphabet import Alphabet, Form
from pushforward.data.dataset import Data
from pushforward.data.options import given_options
from pushforward.data.schema import Schema
from pushforward.errors import InputError

__all__ = ["FASTA", "FORMS", "form_of", "in_gaps", "reading_texts", "spelled_out"]

F = TypeVar("F", bound=Callable[..., Data])

FORMS: tuple[Form, ...] = ("text", "lines", "fasta")
FASTA = (".fasta", ".fa", ".fna", ".faa")
_TEXT = (".txt", ".text")
WINDOW = 128
"""How many symbols a piece of a long text has."""
_MUCH = 0.1
"""The share of the symbols from which on it is said how many are left out."""

_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?|nan|NA", re.IGNORECASE)


class _Piece(NamedTuple):
    """A text of a file, and where it is."""

    text: str
    where: str


def reading_texts(load: F) -> F:
    """A reader of data that also reads texts, with `window=` and `alphabet=`."""

    @wraps(load)
    def reading(
        source: Any, *, window: int | None = None, alphabet: str | None = None, **options: Any
    ) -> Data:
        form = form_of(source, options.get("kind"))
        if form is not None:
            options.pop("kind", None)
            return _read(Path(source).expanduser(), form, window, alphabet, **options)
        for name, value in (("window", window), ("alphabet", alphabet)):
            if value is not None:
                raise InputError(
                    f"{name}={value!r} means nothing for {source}, which is no text: "
                    f"kind={' or '.join(map(repr, FORMS))} reads a file as one"
                )
        return load(source, **options)

    return cast(F, reading)


def form_of(source: Any, kind: Any = None) -> Form | None:
    """How the texts of a file or a folder lie; `None` for what is no text.

    FASTA tells by its suffix. A `.txt` is a table if most of its cells are numbers, and a text
    otherwise, unless `kind` says what it is. A folder with nothing but `.txt` files is one of
    texts.
    """
    if not isinstance(source, str | os.PathLike) or not str(source).strip():
        return None
    path = Path(source).expanduser()
    if kind in FORMS:
        if not path.exists():
            raise InputError(f"{path} does not exist")
        return cast(Form, kind)
    if kind is not None or not path.exists():
        return None
    name = path.name.lower().removesuffix(".gz")
    if path.is_dir():
        seen = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
        texts = seen and all(entry.suffix.lower() in _TEXT for entry in seen)
        return "text" if texts else None
    if name.endswith(FASTA):
        return "fasta"
    return "text" if name.endswith(_TEXT) and not _is_table(path) else None


def in_gaps(place: str | Path, alphabet: Alphabet, length: int, gap: str) -> Tensor:
    """Texts with gaps, `(N, length)`: the numbers of their symbols, -1 where something is missing.

    A file of a text is one state, whose end is missing where it is shorter; a file of lines or
    records has one for each. Raises `InputError` for
    a gap that is a symbol itself, unknown symbols, or texts that do not fit.
    """
    path = Path(place)
    if len(gap) != 1:
        raise InputError(f"a gap is marked by one character, not {gap!r}")
    if gap in alphabet.symbols and not alphabet.of_bytes:
        raise InputError(f"{gap!r} is a symbol of the texts: mark gaps by another character")
    pieces = _pieces(path, alphabet.form, None)
    if alphabet.form != "text":
        texts, places = ([p[k] for p in pieces] for k in (0, 1))
        return alphabet.encode(texts, length, places, gap=gap)
    out = torch.full((len(pieces), length), -1, dtype=torch.int64)
    for row, (text, where) in enumerate(pieces):
        # The end of the file is no end of the line that it stands in.
        found = alphabet.numbers(text.removesuffix("\n"), where, gap)
        if len(found) > length:
            raise InputError(
                f"{where} has {len(found)} symbols, and the model writes {length} at a time: "
                "cut it into as many"
            )
        out[row, : len(found)] = found
    return out


def _read(
    path: Path,
    form: Form,
    window: int | None,
    alphabet: str | None,
    *,
    space: Any = None,
    like: Data | Schema | None = None,
    name: str | None = None,
    label: Any = None,
    encoding: str | None = None,
    **options: Any,
) -> Data:
    """The texts of a file or folder as `Data` of tokens."""
    odd = list(given_options({**options, "label": label}))
    if odd:
        raise InputError(
            f"{odd[0]}= means nothing for {path}, which is read as text; it takes "
            "window=, alphabet= and encoding=, and kind='vector' reads it as a table"
        )
    if window is not None:
        checks.whole("window", window)
    pieces = _pieces(path, form, encoding)
    schema = like.schema if isinstance(like, Data) else like
    known = None if schema is None else schema.alphabet
    if known is None and schema is not None:
        raise InputError(f"{path} is a text, but the data before were none")
    coding = alphabet or ("upper" if form == "fasta" else "characters")
    notes: list[str] = []
    if form == "text":
        made = known or Alphabet.of((p.text for p in pieces), coding, False, form)
        length = window or WINDOW
        x = _windows(pieces, made, length, notes, path)
    else:
        made = known or Alphabet.of((p.text for p in pieces), coding, True, form)
        lengths = [len(made.numbers(p.text, p.where)) for p in pieces]
        length = window or max(lengths)
        # Other texts of bytes, of the same characters, may have fewer.
        if known is None and set(lengths) == {length} and not made.of_bytes:
            made = replace(made, padded=False)
        x = made.encode([p.text for p in pieces], length, [p.where for p in pieces])
    if space is not None:
        space.check(x)
    origin: dict[str, Any] = {"source": str(path.resolve()), "kind": form, "window": length}
    chosen = {"alphabet": alphabet, "name": name, "encoding": encoding}
    origin |= {key: value for key, value in chosen.items() if value is not None}
    return Data(
        x,
        name=name or path.name.partition(".")[0],
        kind="state",
        source=str(path),
        schema=Schema(alphabet=made),
        states=made.words(length),
        notes=tuple(notes),
        origin=origin,
    )


def _windows(
    pieces: list[_Piece], alphabet: Alphabet, length: int, notes: list[str], path: Path
) -> Tensor:
    """Texts cut one after the other into windows; what is left of each is left out."""
    parts, left = [], 0
    for piece in pieces:
        numbers = alphabet.numbers(piece.text, piece.where)
        whole = len(numbers) // length * length
        parts.append(numbers[:whole].view(-1, length))
        left += len(numbers) - whole
    x = torch.cat(parts)
    if len(x) < 2:
        raise InputError(
            f"{path} has {left + x.numel()} symbols, fewer than two windows of {length}: load it "
            "with a smaller window=, or give more text"
        )
    if left:
        where = f"at the end of {path}" if len(pieces) == 1 else f"at the ends of texts of {path}"
        note = f"{left} symbols {where} fill no window and were left out"
        share = left / (left + x.numel())
        more = f", {100 * share:.0f}% of all: a smaller window= keeps more"
        notes.append(note + (more if share > _MUCH else ""))
    return x


def _pieces(path: Path, form: Form, encoding: str | None) -> list[_Piece]:
    """The texts of a file or a folder. Raises `InputError` for one without any."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in _TEXT)
        found = [piece for file in files for piece in _pieces(file, form, encoding)]
    else:
        text = _opened(path, encoding)
        if form == "text":
            found = [_Piece(text, str(path))] if text.strip() else []
        elif form == "lines":
            lines = text.splitlines()
            found = [
                _Piece(line, f"{path}, line {k}") for k, line in enumerate(lines, 1) if line.strip()
            ]
        else:
            found = _records(text, path)
    if not found:
        raise InputError(f"{path} holds no text: there is nothing to learn from")
    return found


def _records(text: str, path: Path) -> list[_Piece]:
    """The sequences of a FASTA file, without their names."""
    found: list[tuple[str, list[str]]] = []
    for k, line in enumerate(text.splitlines(), 1):
        if line.startswith(">"):
            found.append((line[1:].strip(), []))
        elif line.strip() and not line.startswith(";"):
            if not found:
                raise InputError(f"{path}, line {k}: a record of FASTA begins with a line '>NAME'")
            found[-1][1].append("".join(line.split()))
    empty = next((name for name, lines in found if not lines), None)
    if empty is not None:
        raise InputError(f"{path}: the record {empty!r} has no sequence")
    return [_Piece("".join(lines), f"{path}, record {name!r}") for name, lines in found]


def _opened(path: Path, encoding: str | None) -> str:
    try:
        raw = path.read_bytes()
        if path.suffix.lower() == ".gz":
            raw = gzip.decompress(raw)
        return raw.decode(encoding or "utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not in {encoding or 'UTF-8'} (byte {error.start}): say encoding='cp1252', "
            "or what it is in"
        ) from None
    except LookupError:
        raise InputError(
            f"encoding is the name of one such as 'cp1252', not {encoding!r}"
        ) from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _is_table(path: Path) -> bool:
    """Whether most cells of the first lines of a file are numbers."""
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rb") as file:
            head = file.read(20_000).decode("utf-8", errors="replace")
    except (OSError, EOFError):
        return True
    lines = head.splitlines()
    # A line of names may come first.
    cells = [
        cell.strip().strip("\"'")
        for line in lines[1:200] or lines
        if not line.lstrip().startswith("#")
        for cell in re.split(r"[,;\t ]+", line)
        if cell.strip()
    ]
    return sum(bool(_NUMBER.fullmatch(cell)) for cell in cells) >= len(cells) / 4


def spelled_out(x: Tensor, alphabet: Alphabet) -> str:
    """States as the file of their form: texts, lines, or records.

    >>> alphabet = Alphabet(("A", "C"), "upper", True, "fasta")
    >>> print(spelled_out(torch.tensor([[0, 1, 2], [1, 1, 0]]), alphabet), end="")
    >sample0
    AC
    >sample1
    CCA
    """
    texts = alphabet.decode(x)
    if alphabet.form == "fasta":
        wrapped = ("\n".join(re.findall(".{1,70}", text)) for text in texts)
        return "".join(f">sample{k}\n{text}\n" for k, text in enumerate(wrapped))
    return "".join(f"{text}\n" for text in texts)
