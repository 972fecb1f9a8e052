"""Random damage with a fixed seed: bytes flipped, cut, doubled, and values where none belong.

Bytes show how files are read, values how objects are made from what was read. Half of the model
folders, and all archives, get a right checksum again: whoever changes a file can make one.
"""

from __future__ import annotations

import copy
import gzip
import io
import math
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from stage import USES, Outcome, Stage, called, judged

from pushforward._files import checksum
from pushforward._records import parse_yaml, sealed, to_yaml

__all__ = ["KINDS", "Fuzzed", "fuzzed", "tried"]

_WORDS = [
    *(b"-1", b"0", b"1e999", b"nan", b"inf", b"-0", b"9" * 400, b"null", b"true", b"~", b"''"),
    *(b"[]", b"{}", b"[[", b"]]", b"{", b"}", b"&a ", b"*a", b"<<: ", b"!!python/name:os", b"? "),
    *(b": ", b"- ", b"\n", b"\n\n", b"\r", b"\t", b'"', b"'", b",", b",,", b";", b"#", b"\\", b"%"),
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28", b"\xe2\x80\xae", b"../", b"/etc/passwd"),
    *(b"class: ", b"args: ", b"model: ", b"class: os.system", b"class: nn.MLP", b"class: cli.main"),
    *(b"depth: 1000000000", b"width: 0", b"beta_max: -1", b"event_shape: []", b"function: os"),
]  # fmt: skip

_ARGUMENTS = [
    *("sample", "info", "list", "train", "logprob", "doctor", "compress", "decompress", "x"),
    *("--help", "--version", "--quiet", "--debug", "--json", "--verify", "--trust"),
    *("-n", "--seed", "--steps", "--out", "--class", "--sampler", "--grid", "--stop", "--label"),
    *("--recipe", "--lr", "--model", "--resume", "--batch-size", "--device", "--guidance", "-o"),
    *("RUN", "SAVED", "VAE", "ARCHIVE", "TABLE", "RECIPE", "OUT.npz", "OUT", "FOLDER", "two_moons"),
    *("0", "1", "2", "-1", "1e999", "nan", "999999999999999999999999", "", " ", "x", "é", "\u202e"),
    *("model.net.depth=1000000000", "train.steps=1", "model.class=flow", "a.b.c.d=1", "=", "x="),
    *("data.source=digits", "model={class: [}", "train.lr={}", "os", "{'a'", "samplers", "ddim"),
]  # fmt: skip


_COMMANDS = [
    ("sample", "SAVED", "--out", "OUT.npz", "-n", "2", "--steps", "2", "--seed", "1"),
    ("sample", "RUN", "--out", "OUT.npz", "-n", "2", "--sampler", "ddim", "--stop", "0.1"),
    ("train", "two_moons", "--out", "OUT", "--model", "flow", "--lr", "1", "train.steps=1"),
    ("train", "--recipe", "RECIPE", "--out", "OUT", "--seed", "1", "model.net.depth=2"),
    ("info", "RUN", "--verify", "--json"),
    ("info", "TABLE"),
    ("logprob", "RUN", "TABLE", "-n", "2", "--steps", "4", "--json"),
    ("compress", "VAE", "FOLDER", "-o", "OUT"),
    ("decompress", "VAE", "ARCHIVE", "-o", "OUT.npz"),
    ("list", "samplers"),
]


class Fuzzed(NamedTuple):
    """One try: of which kind, the number that it follows from, and how it ended."""

    kind: str
    seed: int
    outcome: Outcome


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Bytes with one to six random changes."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        at, size = chance.randrange(len(found) + 1), chance.choice((1, 1, 4, 40))
        match chance.randrange(7):
            case 0 if found:
                found[min(at, len(found) - 1)] ^= 1 << chance.randrange(8)
            case 1:
                del found[at : at + size]
            case 2:
                found[at:at] = chance.randbytes(size)
            case 3:
                found[at:at] = found[at : at + size] * chance.choice((1, 2, 50))
            case 4:
                word = chance.choice(_WORDS)
                found[at : at + chance.choice((0, len(word)))] = word
            case 5:
                del found[at:]
            case _:
                # A whole line in the place of another.
                lines = bytes(found).split(b"\n")
                lines[chance.randrange(len(lines))] = chance.choice([*lines, *_WORDS])
                found = bytearray(b"\n".join(lines))
    return bytes(found)


_VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 10**9, 10**30, 0.0, 1e-300, 1e300, -0.5, math.nan, math.inf),
    *("", "x", "0", "1e-3", "nan", "../x", "\0", "x" * 5000, "os:system", "nn.MLP", "VP", "digits"),
    *([], {}, [[]], [1, "a"], [-1], [2, 3], {"x": 1}, {"class": "x"}, {"tensor": "0"}),
    *({"class": name, "args": {}} for name in ("nn.MLP", "schedules.VP", "schedules.EDM")),
    *({"class": name} for name in ("vp", "cosine", "masking", "gaussian", "mlp", "unet", "torus")),
    *({"class": name, "args": {}} for name in ("spaces.Torus", "processes.Masking", "models.GAN")),
    *({"function": "os:abort"}, {"unnamed": "x"}, {"class": "os:system", "args": {"command": "x"}}),
]  # fmt: skip


def altered(tree: Any, chance: random.Random) -> Any:
    """Plain values with one to three of them replaced, removed or added."""
    tree = copy.deepcopy(tree)
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = [(tree, key) for key in tree]
        for holder, key in places:
            inside = holder[key]
            if isinstance(inside, dict):
                places += [(inside, name) for name in inside]
            elif isinstance(inside, list):
                places += [(inside, k) for k in range(len(inside))]
        if not places:
            break
        holder, key = chance.choice(places)
        match chance.randrange(5):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                name = chance.choice(_NAMES)
                holder[name] = copy.deepcopy(chance.choice(_VALUES))
            case 2:
                other, name = chance.choice(places)
                holder[key] = copy.deepcopy(other[name]) if _has(other, name) else None
            case _:
                holder[key] = copy.deepcopy(chance.choice(_VALUES))
    return tree


_NAMES = ("x", "args", "class", "depth", "width", "schedule", "space", "net", "guidance", "labels")


def _has(holder: Any, name: Any) -> bool:
    return name in holder if isinstance(holder, dict) else name < len(holder)


def _file(name: str, use: str) -> Callable[[Stage, Path, random.Random], Callable[[], bytes]]:
    def prepare(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
        (scratch / name).write_bytes(damaged((stage.root / name).read_bytes(), chance))
        return lambda: USES[use](scratch, name)

    return prepare


def _table(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
    """A table whose bytes are damaged, or whose cells say something else."""
    content = (stage.root / "x.csv").read_bytes()
    if chance.random() < 0.3:
        content = damaged(content, chance)
    else:
        rows = [line.split(",") for line in content.decode().splitlines()]
        for _ in range(chance.choice((1, 1, 3, 60))):
            row = chance.choice(rows)
            row[chance.randrange(len(row))] = chance.choice(_CELLS)
        content = "\n".join(map(",".join, rows)).encode()
    (scratch / "x.csv").write_bytes(content)
    return lambda: USES["load"](scratch, "x.csv")


_CELLS = [
    *("", " ", "nan", "NaN", "inf", "-inf", "NA", "null", "None", "-", "1e999", "1e-999", "0x1F"),
    *("1_000", "1 000", "1;5", "'1'", '"1"', '"1', "1.2.3", "+1", "--1", "1e", "²", "١", "−1"),
    *("9" * 400, "x" * 10000, "\0", "\u202e", "=1+1", "2020-01-01", "12:30", "True", "height"),
]  # fmt: skip


def _recipe(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
    """A recipe whose bytes are damaged, or whose values are others."""
    content = (stage.root / "recipe.yaml").read_bytes()
    if chance.random() < 0.3:
        content = damaged(content, chance)
    else:
        content = to_yaml(altered(parse_yaml(content.decode(), ""), chance)).encode()
    (scratch / "recipe.yaml").write_bytes(content)
    return lambda: USES["recipe"](scratch, "recipe.yaml")


def _picture(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
    shutil.copytree(stage.root / "pictures", scratch / "pictures")
    path = scratch / "pictures" / f"{chance.randrange(12)}.png"
    path.write_bytes(damaged(path.read_bytes(), chance))
    return lambda: USES["load"](scratch, "pictures")


def _model(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
    """A saved model: damaged bytes of any of its files, or another configuration, made to fit."""
    folder = scratch / "saved"
    shutil.copytree(stage.root / "saved", folder)
    config = folder / "config.yaml"
    found = parse_yaml(config.read_text(encoding="utf-8"), "")
    if chance.random() < 0.6:
        part = "model" if chance.random() < 0.9 else "files"
        found[part] = altered(found[part], chance)
        config.write_text(sealed(found), encoding="utf-8")
        return lambda: USES["sample"](scratch, "saved")
    path = folder / chance.choice(("config.yaml", "manifest.json", "model.safetensors"))
    path.write_bytes(damaged(path.read_bytes(), chance))
    if path != config and chance.random() < 0.5:
        found["files"][path.name] = checksum(path)
        config.write_text(sealed(found), encoding="utf-8")
    return lambda: USES["sample"](scratch, "saved")


def _archive(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
    rest = damaged((stage.root / "x.pf").read_bytes()[8:], chance)
    head = b"PFC1" + struct.pack("<I", zlib.crc32(rest))
    (scratch / "x.pf").write_bytes(head + rest)
    shutil.copytree(stage.root / "vae", scratch / "vae")
    return lambda: USES["decompress"](scratch, "x.pf")


def _arguments(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
    places = {
        "RUN": stage.root / "run",
        "SAVED": stage.root / "saved",
        "VAE": stage.root / "vae",
        "ARCHIVE": stage.root / "x.pf",
        "TABLE": stage.root / "x.csv",
        "RECIPE": stage.root / "recipe.yaml",
        "FOLDER": stage.root / "pictures",
        "OUT.npz": scratch / "out.npz",
        "OUT": scratch / "out",
    }
    words = list(chance.choice(_COMMANDS)) if chance.random() < 0.9 else []
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(words) + 1)
        match chance.randrange(4):
            case 0:
                words.insert(at, chance.choice(_ARGUMENTS))
            case 1:
                del words[at : at + 1]
            case _:
                words[at : at + 1] = [chance.choice(_ARGUMENTS)]
    # What would be long work is only looked at.
    if "train" in words:
        words.append("--print-config")
    words = [word for word in words if word != "--debug"]
    return lambda: called([str(places.get(word, word)) for word in words])


def _packed(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
    """A packed table, damaged before it is packed or after."""
    content = (stage.root / "x.csv").read_bytes()
    if chance.random() < 0.5:
        content = gzip.compress(damaged(content, chance), mtime=0)
    else:
        content = damaged(gzip.compress(content, mtime=0), chance)
    (scratch / "x.csv.gz").write_bytes(content)
    return lambda: USES["load"](scratch, "x.csv.gz")


def _sheet(stage: Stage, scratch: Path, chance: random.Random) -> Callable[[], bytes]:
    """A spreadsheet that is damaged as a whole, or of which one part is, and packed again."""
    path = scratch / "x.xlsx"
    content = (stage.root / path.name).read_bytes()
    if chance.random() < 0.3:
        path.write_bytes(damaged(content, chance))
    else:
        with zipfile.ZipFile(io.BytesIO(content)) as book, zipfile.ZipFile(path, "w") as target:
            names = book.namelist()
            sheets = [name for name in names if "sheet1" in name]
            spoiled = chance.choice(sheets if chance.random() < 0.7 else names)
            for name in names:
                part = book.read(name)
                target.writestr(name, damaged(part, chance) if name == spoiled else part)
    return lambda: USES["load"](scratch, path.name)


KINDS: dict[str, Callable[[Stage, Path, random.Random], Callable[[], bytes]]] = {
    "table": _table,
    "packed table": _packed,
    "lines of JSON": _file("x.jsonl", "load"),
    "parquet": _file("x.parquet", "load"),
    "feather": _file("x.feather", "load"),
    "spreadsheet": _sheet,
    "array": _file("x.npz", "load"),
    "plain array": _file("x.npy", "load"),
    "pictures": _picture,
    "recipe": _recipe,
    "model folder": _model,
    "archive": _archive,
    "arguments": _arguments,
}


def tried(stage: Stage, kind: str, seed: int, scratch: Path) -> Fuzzed:
    """One damaged input, which follows from its kind and a seed."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    act = KINDS[kind](stage, scratch, random.Random(f"{kind} {seed}"))
    return Fuzzed(kind, seed, judged(act, None))


def fuzzed(stage: Stage, n: int, scratch: Path, start: int = 0) -> Iterator[Fuzzed]:
    """`n` damaged inputs, of each kind in turn."""
    kinds = list(KINDS)
    for k in range(n):
        yield tried(stage, kinds[k % len(kinds)], start + k // len(kinds), scratch)
