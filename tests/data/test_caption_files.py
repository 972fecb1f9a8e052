"""Folders of pictures with a table of captions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pushforward.data import load, write
from pushforward.errors import InputError
from pushforward.spaces import Euclidean

TEXTS = ["a red square", "a blue circle, left of it", "a circle"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    x = torch.randint(0, 256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    write(tmp_path / "pictures", x, space=Euclidean(), levels=256, value_range=(0.0, 255.0))
    return tmp_path / "pictures"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.png"))


def put(folder: Path, name: str, rows: list[tuple[str, str]], head: str = "file,caption") -> None:
    if name.endswith(".csv"):
        lines = [head, *(f'{file},"{text}"' for file, text in rows)]
    else:
        keys = head.split(",")
        lines = [json.dumps(dict(zip(keys, row, strict=True))) for row in rows]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("captions.csv", "file,caption"),
        ("captions.jsonl", "file,caption"),
        ("metadata.csv", "file_name,text"),
        ("metadata.jsonl", "file_name,text"),
    ],
)
def test_captions_are_those_of_their_pictures(folder: Path, name: str, head: str) -> None:
    # In another order than the pictures.
    put(folder, name, list(zip(names(folder), TEXTS, strict=True))[::-1], head)
    data = load(folder)
    assert data.captions == ["a red square", "a blue circle left of it", "a circle"]
    assert data.vocabulary is not None
    assert data.vocabulary.length == 6
    assert not data.notes
    assert load(folder, label=False).c is None


def test_words_have_the_numbers_that_a_model_knows(folder: Path) -> None:
    known = load("scenes", n=2, size=8)
    put(folder, "captions.csv", [(file, "a red square") for file in names(folder)])
    data = load(folder, like=known)
    assert data.vocabulary == known.vocabulary
    assert data.captions == ["a red square"] * 3
    put(folder, "captions.csv", [(file, "a red cat") for file in names(folder)])
    with pytest.raises(InputError, match="'cat' in 'a red cat' is none of the words"):
        load(folder, like=known)


@pytest.mark.parametrize(
    ("rows", "head", "message"),
    [
        ([("00000.png", "a")], "file,caption", "no caption for 2 of 3 pictures, such as 00001"),
        ([("0.png", "a")], "picture,words", "has the columns picture, words"),
        ([("00000.png", "a"), ("00000.png", "b")], "file,caption", "has two captions"),
        ([("00000.png", " ")], "file,caption", "entry 1: the file or the caption is missing"),
        (
            [(f"0000{k}.png", "a") for k in range(4)],
            "file,caption",
            "speaks of 00003.png, which is no picture",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(
    folder: Path, rows: list[tuple[str, str]], head: str, message: str
) -> None:
    put(folder, "captions.csv", rows, head)
    with pytest.raises(InputError, match=message):
        load(folder)


def test_lines_that_are_no_json_are_named(folder: Path) -> None:
    (folder / "captions.jsonl").write_text('{"file": \n', encoding="utf-8")
    with pytest.raises(InputError, match="line 1 is no JSON"):
        load(folder)


def test_metadata_without_texts_are_no_captions(folder: Path) -> None:
    put(folder, "metadata.csv", [(file, "x") for file in names(folder)], "file_name,author")
    assert load(folder).c is None
