"""Bach chorales, voice by voice: how far what samplers of tokens write is from what Bach wrote.

The chorales are read at run time out of the package `music21`, from which they are not copied:

    pip download --no-deps music21==10.5.1
    python benchmarks/music.py --music21 music21-10.5.1-py3-none-any.whl --write

States are 32 eighths of one of four voices; a symbol is a pitch, 0 to 127, or a rest, and a note
that lasts is there again. One chorale in ten is held out. Two numbers are those of Campbell et al.
(2022), here of samples without a beginning that is given: the Hellinger distance of the frequencies
of symbols from those of held-out voices, and the share of outliers, symbols that no training voice
has. The row `training data` is what as many training voices give.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import math
import time
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor

import pushforward as pf
import record
import shared
import trainings
from pushforward import processes, samplers, spaces

SHA256 = "dc3309498c4c95cebdf8d4f20c868deb6b63bce1d929cad4f51a7ccc982987b1"
SYMBOLS, REST, WINDOW, EIGHTHS = 129, 128, 32, 2
PROCESSES = ("masking", "uniform", "neighbors")
CORRECTED = (0, 1, 4)
STEPS, DRAWN, TRAINED = 32, 250, 1_000
NETWORK = {"width": 64, "depth": 2, "heads": 4}
TRAINING: dict[str, Any] = {"batch_size": 32, "lr": 2e-3, "ema": 0.998, "holdout": 0.0,
                            "device": "cpu", "progress": False}  # fmt: skip
_STEPS_OF = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def chorales(path: Path) -> list[list[Tensor]]:
    """The four voices of each chorale, symbols of eighths. Raises `SystemExit` for another file."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path} is not music21-10.5.1-py3-none-any.whl: its sha256 is {found}")
    scores = []
    with zipfile.ZipFile(path) as package:
        for name in sorted(package.namelist()):
            if name.startswith("music21/corpus/bach/") and name.endswith(".mxl"):
                with zipfile.ZipFile(io.BytesIO(package.read(name))) as packed:
                    inside = [n for n in packed.namelist() if not n.startswith("META-INF")]
                    own = next(n for n in inside if n.endswith((".xml", ".musicxml")))
                    parts = ElementTree.fromstring(packed.read(own)).findall("part")
                if len(parts) == 4:
                    scores.append([_voice(part) for part in parts])
    return scores


def _voice(part: ElementTree.Element) -> Tensor:
    """A part of a score as a symbol for each eighth: what sounds when it begins."""
    divisions, beat = 1.0, 0.0
    notes: list[tuple[float, float, int]] = []
    for element in part.iter():
        if element.tag == "divisions":
            divisions = float(element.text or 1)
        other = element.findtext("voice") not in (None, "1")
        if element.tag != "note" or other or element.find("chord") is not None:
            continue
        length = float(element.findtext("duration") or 0) / divisions
        pitch, symbol = element.find("pitch"), REST
        if pitch is not None:
            octave, alter = int(pitch.findtext("octave") or 4), float(pitch.findtext("alter") or 0)
            symbol = 12 * (octave + 1) + _STEPS_OF[pitch.findtext("step") or "C"] + round(alter)
        notes.append((beat, beat + length, symbol))
        beat += length
    voice = torch.full((int(EIGHTHS * beat),), REST)
    for first, last, symbol in notes:
        # What begins within an eighth sounds from the next one on.
        low, high = (math.ceil(EIGHTHS * t - 1e-6) for t in (first, last))
        voice[low:high] = symbol
    return voice


def stand_in(n: int) -> list[list[Tensor]]:
    """Walks along a scale, for a smoke run without the package."""
    generator = torch.Generator().manual_seed(0)
    steps = torch.randint(-1, 2, (n, 4, 3 * WINDOW), generator=generator)
    return [list((60 + row.cumsum(-1)).clamp(40, 80)) for row in steps]


def windows(scores: list[list[Tensor]]) -> Tensor:
    """All voices, cut into states `(N, WINDOW)`."""
    voices = [voice for score in scores for voice in score if len(voice) >= WINDOW]
    return torch.cat([v[: len(v) // WINDOW * WINDOW].view(-1, WINDOW) for v in voices])


def made(name: str) -> processes.GenerativeProcess:
    """A process of symbols; a rest is the neighbor of the highest pitch."""
    space = spaces.Tokens(SYMBOLS)
    if name == "masking":
        return processes.Masking(space)
    if name == "uniform":
        return processes.Jumps(space)
    pitches = [[float(k)] for k in range(SYMBOLS)]
    return processes.Jumps(space, processes.NeighborRates(pitches, neighbors=8))


def judged(x: Tensor, train: Tensor, test: Tensor) -> dict[str, float]:
    """The distance of the frequencies of symbols, and the share that is in no training voice.

    Errors are those of ten groups of states.
    """
    seen = torch.bincount(train.flatten(), minlength=SYMBOLS) > 0
    theirs = _share(test)

    def both(part: Tensor) -> tuple[float, float]:
        overlap = float((_share(part) * theirs).sqrt().sum())
        return max(0.0, 1 - overlap) ** 0.5, float((~seen[part]).double().mean())

    jackknife = torch.tensor([both(x[torch.arange(len(x)) % 10 != k]) for k in range(10)])
    errors = (3 * jackknife.std(0, correction=0)).tolist()
    hellinger, outliers = both(x)
    return {"hellinger": hellinger, "hellinger_error": errors[0],
            "outliers": outliers, "outliers_error": errors[1]}  # fmt: skip


def _share(x: Tensor) -> Tensor:
    return torch.bincount(x.flatten(), minlength=SYMBOLS).double() / x.numel()


def measured(train: Tensor, test: Tensor, name: str, smoke: bool) -> list[dict[str, Any]]:
    """A row for each number of corrector moves a step."""
    size = {"width": 16, "depth": 1, "heads": 2} if smoke else NETWORK
    torch.manual_seed(0)
    net = pf.nn.TokenTransformer(SYMBOLS, **size)
    model = pf.Diffusion(net, process=made(name))
    data = pf.data.Data(train, name="chorales")
    began = time.process_time()
    trainings.fit(model, data, steps=2 if smoke else TRAINED, seed=0, **TRAINING)
    trained = time.process_time() - began
    rows = []
    # A site takes many small jumps between neighbors: one that would jump twice may not stay.
    firing: Any = "exponential" if name == "neighbors" else "single"
    for moves in CORRECTED:
        rule: Any = samplers.TauLeaping(firing)
        if moves:
            rule = samplers.GibbsCorrector(rule, moves=moves)
        x = model.sample(20 if smoke else DRAWN, sampler=rule, steps=4 if smoke else STEPS, seed=1)
        rows.append({"process": name, "moves": moves, "trained": round(trained),
                     **judged(x, train, test)})  # fmt: skip
    return rows


def text(results: list[dict[str, Any]]) -> str:
    """The table."""
    rows = [
        [r["process"], "" if r["moves"] is None else str(r["moves"]),
         f"{r['hellinger']:.3f} ± {r['hellinger_error']:.3f}",
         f"{r['outliers']:.4f} ± {r['outliers_error']:.4f}"]
        for r in results
    ]  # fmt: skip
    return record.table(["process", "moves a step", "Hellinger distance", "outliers"], rows)


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = shared.arguments(__doc__, processes=(PROCESSES, "processes"))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--music21", type=Path, help="music21-10.5.1-py3-none-any.whl")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.music21 is None and not (options.smoke or options.merge):
        raise SystemExit("--music21 is the wheel that the chorales are read from")
    scores = stand_in(20) if options.music21 is None else chorales(options.music21)
    train = windows([score for k, score in enumerate(scores) if k % 10])
    test = windows(scores[::10])

    def run(process: str) -> dict[str, Any] | list[dict[str, Any]]:
        if process != "training data":
            return measured(train, test, process, options.smoke)
        known = train[torch.randperm(len(train), generator=torch.Generator().manual_seed(0))]
        return {"moves": None, **judged(known[: 20 if options.smoke else DRAWN], train, test)}

    cases = [{"process": name} for name in ("training data", *options.processes)]
    results = shared.gathered(options, cases, run)
    print(text(results))
    if options.write:
        record.save("music", {"environment": record.environment(), "results": results},
                    text(results))  # fmt: skip


if __name__ == "__main__":
    main()
