"""Lossless compression of held-out digits: the rate beside the negative bound and other formats.

A variational autoencoder of the 17 levels is trained on nine tenths of the 8x8 digits and codes the
others. The rate counts every bit of the code: what is borrowed at the start, the count of what is
left of it, and the last word; the file adds a header of 28 bytes. The other formats code the same
digits one byte a pixel, all at once or one by one; `after the training digits` is what they add to
a file that has those already.

    make bench-env
    .venv-bench/bin/python benchmarks/compression.py --write
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import lzma
import math
import statistics
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import pushforward as pf
import record
import timing
import trainings
from pushforward import compression
from pushforward.latent import DiagonalEncoder, LogisticDecoder
from pushforward.metrics import Estimate
from pushforward.nn import Perceptron

STEPS, BATCH, LATENT, WIDTH = 1500, 128, 16, 256
COUNTS = (1, 10, 100, 180)
Pack = Callable[[bytes], bytes]


def digits(seed: int) -> tuple[pf.data.Data, Tensor]:
    """What is learned from, and 180 digits in an order of their own."""
    train, test = pf.data.load("digits", label=False).split(0.1, seed=0)
    order = torch.randperm(len(test.x), generator=torch.Generator().manual_seed(seed))
    return train, test.x[order]


def autoencoder(train: pf.data.Data) -> pf.VAE:
    """Perceptrons, which code a small picture in a few milliseconds."""
    shape = train.event_shape
    encoder = DiagonalEncoder(Perceptron(shape, 2 * LATENT, WIDTH), LATENT)
    outward = Perceptron(LATENT, (2 * shape[0], *shape[1:]), WIDTH)
    decoder = LogisticDecoder(outward, train.levels, train.value_range)
    return pf.VAE(encoder, decoder, event_shape=shape)


def coded(seed: int, smoke: bool) -> dict[str, Any]:
    """Train, code, decode, compare."""
    train, x = digits(seed)
    steps, x = (5, x[:10]) if smoke else (STEPS, x)
    torch.manual_seed(seed)
    model = autoencoder(train)
    settings: dict[str, Any] = {"batch_size": BATCH, "progress": False, "seed": seed}
    start = time.process_time()
    model = trainings.fit(model, train, steps=steps, **settings).model
    trained = time.process_time() - start
    each = x[0].numel()
    rates = {}
    for count in (count for count in COUNTS if count <= len(x)):
        start = time.process_time()
        archive = compression.compress(model, x[:count])
        middle = time.process_time()
        again = compression.decompress(model, archive)
        end = time.process_time()
        if not torch.equal(again.x, x[:count]):
            raise SystemExit(f"{count} digits did not come back as they were")
        rates[count] = 32 * len(archive.words) / (count * each)
    bounds = _bits(model, x) / each
    borrowed = model.latent + 64 - int(archive.words[0])
    return {
        "seed": seed,
        "training": trained,
        "rates": rates,
        "file": 8 * len(archive.to_bytes()) / x.numel(),
        "bound": float(bounds.mean()),
        # Of the number itself, for these digits.
        "bound_stderr": float(bounds.mean(1).std()) / len(bounds) ** 0.5,
        "over": {count: rate / float(bounds[:, :count].mean()) for count, rate in rates.items()},
        "evidence": -float(model.log_prob(x, samples=200, seed=0).value.mean())
        / (each * math.log(2)),
        "borrowed": 32 * borrowed,
        "ms": [1000 * (middle - start) / len(x), 1000 * (end - middle) / len(x)],
    }


@torch.no_grad()
def _bits(model: pf.VAE, x: Tensor) -> Tensor:
    """Negative bounds `(draws, n)` in bits."""
    draws = [-model.elbo(x, samples=10, seed=seed).value for seed in range(10)]
    return torch.stack(draws) / math.log(2)


def _picture(pixels: np.ndarray, form: str) -> int:
    """Bytes of one gray picture."""
    options = {"PNG": {"optimize": True}, "WebP": {"lossless": True, "quality": 100, "method": 6}}
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options[form])
    return len(buffer.getvalue())


def others(seed: int, smoke: bool) -> dict[str, dict[str, float]]:
    """Bits per pixel of each format: all at once, one by one, and after the training digits."""
    train, x = digits(seed)
    known, pixels = (part.numpy().astype(np.uint8).squeeze(1) for part in (train.x, x))
    size = pixels.size
    single = pixels[:5] if smoke else pixels

    packs: dict[str, Pack] = {
        "gzip -9": lambda data: gzip.compress(data, 9, mtime=0),
        "bzip2 -9": lambda data: bz2.compress(data, 9),
        "xz -9e": lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME),
    }
    rows: dict[str, dict[str, float]] = {"17 levels, equally likely": {"all": math.log2(17)}}
    rows["training histogram of each pixel"] = {"all": _histogram(known, pixels)}
    for name, pack in packs.items():
        rows[name] = {
            "all": 8 * len(pack(pixels.tobytes())) / size,
            "each": 8 * sum(len(pack(one.tobytes())) for one in single) / single.size,
        }
        if name == "gzip -9":
            # Its memory is 32 kB: what it sees last is in a dictionary, as gzip would hold it.
            packer = zlib.compressobj(9, zdict=known.tobytes()[-32768:])
            rows[name]["after"] = 8 * len(packer.compress(pixels.tobytes()) + packer.flush()) / size
        else:
            both = len(pack(known.tobytes() + pixels.tobytes())) - len(pack(known.tobytes()))
            rows[name]["after"] = 8 * both / size
    # All digits in one picture: below each other, or in a table; the smaller one counts.
    table = pixels.reshape(12, 15, 8, 8).swapaxes(1, 2).reshape(96, 120)
    for form in ("PNG", "WebP"):
        together = min(_picture(sheet, form) for sheet in (pixels.reshape(-1, 8), table))
        rows[form] = {
            "all": 8 * together / size,
            "each": 8 * sum(_picture(one, form) for one in single) / single.size,
        }
    return rows


def _histogram(known: np.ndarray, pixels: np.ndarray) -> float:
    """What an ideal code with the frequencies of each pixel's levels takes, in bits per pixel."""
    counts = (known[..., None] == np.arange(17)).sum(0) + 1.0
    bits = -np.log2(counts / counts.sum(-1, keepdims=True))
    return float(np.take_along_axis(bits[None], pixels[..., None].astype(int), -1).mean())


def text(runs: list[dict[str, Any]], rows: dict[str, dict[str, float]]) -> str:
    """The rate beside the bound, how it falls with the number of digits, and the other formats."""
    whole = max(runs[0]["rates"])
    ratios = [run["rates"][whole] / run["bound"] for run in runs]
    facts = [
        ["rate", _over([run["rates"][whole] for run in runs])],
        ["negative evidence lower bound", _over([run["bound"] for run in runs])],
        ["rate / bound", _over(ratios)],
        ["negative log-likelihood, 200 latents", _over([run["evidence"] for run in runs])],
        ["the file, with its header", _over([run["file"] for run in runs])],
    ]
    first = record.table([f"bits per pixel of {whole} digits", ""], facts)
    body = [
        [str(count), _over([run["rates"][count] for run in runs]),
         _over([run["over"][count] for run in runs])]
        for count in runs[0]["rates"]
    ]  # fmt: skip
    second = record.table(
        ["digits in the file", "bits per pixel", "over the bound of these digits"], body
    )
    body = [["pushforward", _over([run["rates"][whole] for run in runs]),
             _over([run["rates"][1] for run in runs]), "–"]]  # fmt: skip
    for name, row in rows.items():
        cells = (row.get(key) for key in ("all", "each", "after"))
        body.append([name, *("–" if cell is None else f"{cell:.3f}" for cell in cells)])
    head = ["bits per pixel", "all at once", "one by one", "after the training digits"]
    third = record.table(head, body)
    code, decode = (statistics.fmean(run["ms"][k] for run in runs) for k in (0, 1))
    last = (
        f"Borrowed at the start and not given back: {runs[0]['borrowed']} bits. Coding takes "
        f"{code:.1f} ms a digit, decoding {decode:.1f} ms, training "
        f"{statistics.fmean(run['training'] for run in runs):.0f} s of a core."
    )
    return "\n\n".join([first, second, third, last])


def _over(values: list[float]) -> str:
    """The mean over seeds, with its error."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return str(Estimate(statistics.fmean(values), error, len(values)))


def main() -> None:
    """Train, code, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--seeds", type=int, default=3, help="of first weights and order")
    smoke = (options := parser.parse_args()).smoke
    timing.one_thread()
    rows = others(0, smoke)
    runs = []
    for seed in range(1 if smoke else options.seeds):
        runs.append(coded(seed, smoke))
        print(runs[-1], flush=True)
    print(text(runs, rows))
    if options.write:
        facts = {"environment": record.environment("constriction", "pillow", "scikit-learn")}
        facts |= {"steps": STEPS, "runs": runs, "others": rows}
        record.save("compression", facts, text(runs, rows))


if __name__ == "__main__":
    main()
