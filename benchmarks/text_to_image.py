"""Text to image in miniature: do pictures show what captions say, and how much guidance helps.

A model of `scenes`, trained by `recipes/text-to-image.yaml`, draws pictures of captions that it has
not seen: of new scenes, and of compositions that no scene of training has. The parser of pictures
says which are right; it is judged on rendered pictures first, with noise, and with captions that
are wrong in one word.

    pushforward train --recipe recipes/text-to-image.yaml --out runs/scenes
    .venv/bin/python benchmarks/text_to_image.py --run runs/scenes --write

`--part FILE` keeps results in a file, a line each, from which a run that was stopped goes on;
`--merge` puts such files together.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import avg_pool2d

import pushforward as pf
import record
import timing
import trainings
from pushforward.data import Caption, matches_captions, parse_scenes, render_scenes
from pushforward.data.captions import Thing
from pushforward.data.scene_sampling import draw_scenes, draw_scenes_of
from pushforward.data.scenes import relation
from pushforward.metrics import frechet_distance
from pushforward.report.captioned import captioned_grid

STRENGTHS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
PARTS = {"new scenes": False, "compositions held out": True}
PICTURES = Path(__file__).parents[1] / "docs" / "assets" / "pictures"
SAID = {
    "number": "number of shapes",
    "colors": "colors",
    "kinds": "kinds",
    "pairs": "colors of kinds",
    "relations": "relations",
    "sizes": "sizes",
}
NOISE = (0.0, 8.0, 16.0, 24.0)
SEED = 1


def captions_of(part: str, n: int) -> list[Caption]:
    """Captions of scenes that no run has seen."""
    generator = torch.Generator().manual_seed(10_000 + SEED)
    return draw_scenes(n, generator, held_out=PARTS[part])[1]


# -- the parser ---------------------------------------------------------------------------------


def of_parser(n: int, side: int) -> list[dict[str, Any]]:
    """The share of rendered pictures that are read rightly, and of wrong captions that pass."""
    generator = torch.Generator().manual_seed(SEED)
    scenes, captions = draw_scenes(n, generator)
    x, found = render_scenes(scenes, side), []
    for level in NOISE:
        noisy = (x + level * torch.randn(x.shape, generator=generator)).clamp(0, 255)
        parsed = parse_scenes(noisy)
        right = [
            one.unknown == 0 and caption.true_of(one.scene)
            for one, caption in zip(parsed, captions, strict=True)
        ]
        wrong = [
            one.unknown == 0 and other.true_of(one.scene)
            for one, caption in zip(parsed, captions, strict=True)
            for other in caption.altered()
        ]
        found.append(
            {"parser": level, "n": n, "right": sum(right) / n, "passed": sum(wrong) / len(wrong)}
        )
    return found


# -- the model ----------------------------------------------------------------------------------


def cells(x: Tensor) -> Tensor:
    """Mean colors of 4 x 4 cells, of 1: what the Fréchet distance compares."""
    return avg_pool2d(x / 255, x.shape[-1] // 4).flatten(1).double()


def spread(x: Tensor) -> float:
    """The distance of two pictures of one caption, `(captions, 2, ...)`, root mean square."""
    return float((x[:, 0] - x[:, 1]).square().mean().sqrt())


def said(pictures: Tensor, captions: list[Caption]) -> dict[str, float | None]:
    """The shares of pictures in which each thing that captions say is right.

    The number of shapes, their colors, their kinds, and which color goes with which kind; of the
    pictures in which that is right, the relations of captions that have some, and the sizes of
    those that say some; `None` where there are no such pictures.
    """
    shares: dict[str, list[bool]] = {name: [] for name in SAID}
    for one, caption in zip(parse_scenes(pictures), captions, strict=True):
        shapes, things = one.scene.shapes, caption.things
        shares["number"].append(one.unknown == 0 and len(shapes) == len(things))
        for name, read in (
            ("colors", lambda thing: thing.color),
            ("kinds", lambda thing: thing.kind),
            ("pairs", lambda thing: (thing.color, thing.kind)),
        ):
            shares[name].append(sorted(map(read, shapes)) == sorted(map(read, things)))
        if not shares["pairs"][-1]:
            continue
        # No two things of a caption are of one color and kind.
        found = [next(s for s in shapes if Thing(t.kind, t.color).fits(s)) for t in things]
        if caption.relations:
            relations = tuple(relation(found[0], other) for other in found[1:])
            shares["relations"].append(relations == caption.relations)
        if any(thing.size for thing in things):
            shares["sizes"].append(all(map(Thing.fits, things, found)))
    return {name: sum(right) / len(right) if right else None for name, right in shares.items()}


def judged(x: Tensor, captions: list[Caption], real: Tensor) -> dict[str, Any]:
    """What there is to say of two pictures for each caption, `(captions, 2, 3, H, W)`."""
    flat = x.flatten(0, 1)
    twice = [caption for caption in captions for _ in range(2)]
    right = matches_captions(flat, twice).double().view(-1, 2).mean(1)
    counts = torch.tensor([len(caption.things) for caption in captions])
    distance = frechet_distance(cells(flat), cells(real), seed=0)
    return {
        "right": float(right.mean()),
        # Two pictures of one caption are not independent.
        "right_stderr": float(right.std() / math.sqrt(len(right))),
        "right_by_shapes": {
            str(k): float(right[counts == k].mean()) for k in (1, 2, 3) if bool((counts == k).any())
        },
        "said": said(flat, twice),
        "spread": spread(x),
        "frechet": distance.value,
        "frechet_stderr": distance.stderr,
    }


def run(model: Any, part: str, strength: float | None, n: int, steps: int) -> dict[str, Any]:
    """Pictures at one strength of guidance, rendered ones for `None`, and what they are worth."""
    side = model.event_shape[-1]
    captions = captions_of(part, n)
    generator = torch.Generator().manual_seed(20_000 + SEED)
    fresh = draw_scenes_of([c for c in captions for _ in range(2)], generator)
    real = render_scenes(fresh, side)
    start = time.process_time()
    if strength is None:
        other = draw_scenes_of([c for c in captions for _ in range(2)], generator)
        x = render_scenes(other, side)
    else:
        texts = [str(caption) for caption in captions for _ in range(2)]
        x = model.sample(2 * n, texts, guidance=strength, steps=steps, seed=SEED, batch_size=64)
        x = x.round().clamp(0, 255)
    spent = time.process_time() - start
    return {
        "part": part,
        "guidance": strength,
        "n": n,
        "steps": steps,
        "seconds": round(spent, 1),
        "seed": SEED,
        **judged(x.view(n, 2, *x.shape[1:]), captions, real),
    }


# -- pages --------------------------------------------------------------------------------------


def text(results: list[dict[str, Any]]) -> str:
    """The parser in a sentence, and a table for each part."""
    parser = [result for result in results if "parser" in result]
    head = ["noise", "pictures read rightly", "wrong captions that pass"]
    rows = [[f"{r['parser']:g}", f"{r['right']:.4f}", f"{r['passed']:.5f}"] for r in parser]
    blocks = []
    if parser:
        blocks.append(f"**The parser**, on {parser[0]['n']:,} rendered pictures with noise of so ")
        blocks[-1] += "many of 255 levels\n\n" + record.table(head, rows)
    for part in PARTS:
        own = [r for r in results if r.get("part") == part]
        if not own:
            continue
        floor = next((r for r in own if r["guidance"] is None), None)
        rows = [_row(r, floor) for r in sorted(own, key=lambda r: r["guidance"] or math.inf)]
        head = ["guidance", "right", "one shape", "two", "three", "diversity", "Fréchet distance"]
        what = f"**{part.capitalize()}**: {own[0]['n']} captions, two pictures of each"
        blocks.append(f"{what}\n\n{record.table(head, rows)}")
        rows = [
            [_strength(r), *(_share(r["said"][name]) for name in SAID)]
            for r in sorted(own, key=lambda r: r["guidance"] or math.inf)
        ]
        what = "What is right of that which captions say; relations and sizes of pictures in which "
        what += "all colors and kinds are"
        blocks.append(f"{what}\n\n{record.table(['guidance', *SAID.values()], rows)}")
    return "\n\n".join(blocks)


def _row(result: dict[str, Any], floor: dict[str, Any] | None) -> list[str]:
    shapes = result["right_by_shapes"]
    estimate = pf.metrics.Estimate
    spread = result["spread"] / floor["spread"] if floor else float("nan")
    return [
        _strength(result),
        str(estimate(result["right"], result["right_stderr"], result["n"])),
        *(_share(shapes.get(k)) for k in ("1", "2", "3")),
        f"{spread:.2f}",
        str(estimate(result["frechet"], result["frechet_stderr"], result["n"])),
    ]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _strength(result: dict[str, Any]) -> str:
    return "rendered" if result["guidance"] is None else f"{result['guidance']:g}"


def curve(results: list[dict[str, Any]]) -> Figure:
    """The share of right pictures, their diversity and the Fréchet distance against guidance."""
    figure = Figure(figsize=(9, 2.9), dpi=130, layout="constrained")
    panels = figure.subplots(1, 3)
    names = ("share of captions that are right", "diversity, rendered = 1", "Fréchet distance")
    for axes, title in zip(panels, names, strict=True):
        axes.set_title(title, fontsize=10, loc="left")
        axes.set(xlabel="guidance", xscale="log")
        axes.set_xticks(STRENGTHS, [f"{s:g}" for s in STRENGTHS])
        axes.minorticks_off()
        axes.grid(color="#dfe2e6", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    for color, part in zip(("#2a5caa", "#c4622d"), PARTS, strict=True):
        own = sorted(
            (r for r in results if r.get("part") == part and r["guidance"] is not None),
            key=lambda r: r["guidance"],
        )
        floor = next((r for r in results if r.get("part") == part and r["guidance"] is None), None)
        if not own or floor is None:
            continue
        at = [r["guidance"] for r in own]
        style = {"color": color, "marker": ".", "linewidth": 1.4, "capsize": 2}
        panels[0].errorbar(
            at, [r["right"] for r in own], [2 * r["right_stderr"] for r in own], label=part, **style
        )
        panels[1].plot(at, [r["spread"] / floor["spread"] for r in own], ".-", color=color)
        panels[2].errorbar(
            at, [r["frechet"] for r in own], [2 * r["frechet_stderr"] for r in own], **style
        )
        panels[2].axhline(floor["frechet"], color=color, linewidth=0.8, linestyle=":")
    # Room for the legend.
    panels[0].set_ylim(0, 1.3 * panels[0].get_ylim()[1])
    panels[0].legend(fontsize=8, frameon=False)
    return figure


def examples(model: Any, steps: int, strength: float, count: int) -> Any:
    """Pictures of captions of both parts, one below the other."""
    texts = [str(c) for part in PARTS for c in captions_of(part, count)]
    x = model.sample(len(texts), texts, guidance=strength, steps=steps, seed=2, batch_size=64)
    return captioned_grid(x, texts, 0.0, 255.0, columns=count // 2)


def small(folder: Path) -> Any:
    """A model of a few steps on small pictures."""
    data = pf.data.load("scenes", n=40, size=8)
    encoder = pf.nn.TextEncoder(**vars(data.vocabulary), width=8, depth=1, heads=2)
    model = pf.Diffusion(pf.nn.UNet(3, width=8, blocks=1, encoder=encoder))
    trainings.fit(model, data, steps=2, batch_size=8, out=folder, progress=False, device="cpu")
    return pf.load(folder)


def main() -> None:
    """Draw, judge, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few steps, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--run", type=Path, default=Path("runs/scenes"), help="the trained run")
    parser.add_argument("--captions", type=int, default=128, help="how many of each part")
    parser.add_argument("--steps", type=int, default=16, help="of the sampler")
    parser.add_argument("--part", type=Path, help="keep the results in a file, a line each")
    parser.add_argument("--merge", nargs="+", type=Path, help="files of parts, to put together")
    options = parser.parse_args()
    timing.one_thread()
    n, steps = (12, 2) if options.smoke else (options.captions, options.steps)
    if options.smoke:
        with tempfile.TemporaryDirectory() as folder:
            model = small(Path(folder) / "run")
    else:
        model = pf.load(options.run)
    strengths = STRENGTHS[:2] if options.smoke else STRENGTHS
    results = record.parts(options.merge) if options.merge else []
    if options.part and not options.merge:
        results = record.taken_up(options.part)
    done = {(r.get("part"), r.get("guidance")) for r in results}
    wanted: list[tuple[str | None, float | None]] = [(None, None)]
    wanted += [(part, s) for s in (None, *strengths) for part in PARTS]
    for part, strength in [] if options.merge else wanted:
        if (part, strength) in done:
            continue
        if part is None:
            found = of_parser(30 if options.smoke else 2000, 32)
        else:
            found = [run(model, part, strength, n, steps)]
        for one in found:
            print(json.dumps(one), flush=True)
            if options.part:
                with options.part.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(one) + "\n")
        results += found
    print(text(results))
    drawn = curve(results)
    if options.write:
        drawn.savefig(PICTURES / "text-to-image-curve.png")
        best = max(
            (r for r in results if r.get("guidance") and r["part"] == "new scenes"),
            key=lambda r: r["right"],
        )["guidance"]
        examples(model, steps, best, 16).save(PICTURES / "text-to-image-examples.png")
        history = [json.loads(line) for line in (options.run / "metrics.jsonl").open()]
        facts = {
            "environment": record.environment(),
            "training_seconds": round(max(h.get("seconds", 0.0) for h in history)),
            "training_steps": max(h["step"] for h in history),
            "parameters": sum(p.numel() for p in model.parameters()),
            "shown_at_guidance": best,
        }
        record.save("text_to_image", facts | {"results": results}, text(results))


if __name__ == "__main__":
    main()
