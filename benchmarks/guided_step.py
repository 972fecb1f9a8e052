"""What a guided step costs: whole runs over those of plain ancestral steps, beside azula.

Half of the pixels of 8x8 pictures are measured; the U-Net is that of the digits, untrained. Whole
runs of 20 steps, one thread, in turns:

    make bench-env                                     # azula, in an environment of its own
    .venv-bench/bin/python benchmarks/guided_step.py --write
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

import pushforward as pf
import record
import timing
from pushforward import Transport, grids, guidance, inverse, processes, samplers, schedules

SHAPE, STEPS, ITERATIONS = (16, 1, 8, 8), 20, 1
MASK = (torch.arange(64) % 2 == 0).reshape(SHAPE[1:])
AIMS = {"DiffPIR": 1.05, "RePaint, no jumps": 1.05, "DPS": 2.2, "PiGDM": 2.2}
PLAIN = "plain"


def ours(net: nn.Module, steps: int = STEPS) -> dict[str, Callable[[], Tensor]]:
    """Runs of this library."""
    process = processes.Gaussian(schedules.VP())
    grid = grids.LogSNRGrid()(process.schedule, steps)
    y = torch.randn(32, generator=torch.Generator().manual_seed(0))

    def model(x: Tensor, t: Any, c: Any = None) -> Tensor:
        found: Tensor = net(x, torch.as_tensor(t).expand(len(x)))
        return found

    noisy = inverse.Measurement(y, inverse.Mask(MASK), inverse.GaussianNoise(0.1), SHAPE[1:])
    exact = inverse.Measurement(y, inverse.Mask(MASK), inverse.ExactConstraint(), SHAPE[1:])
    x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    plain, parts = samplers.Ancestral(), (model, process, noisy)

    def runner(model: Any, sampler: Any = plain) -> Callable[[], Tensor]:
        @torch.no_grad()
        def run() -> Tensor:
            drawn: Tensor = samplers.run(sampler, Transport(model, process), x, grid, seed=0)
            return drawn

        return run

    return {
        PLAIN: runner(model),
        "DiffPIR": runner(guidance.DiffPIR(*parts)),
        "projection": runner(guidance.NullSpaceProjection(model, exact)),
        "RePaint, no jumps": runner(model, samplers.RePaint.of(exact, jumps=1)),
        "DPS": runner(guidance.DPS(*parts)),
        "PiGDM": runner(guidance.PiGDM(*parts)),
        "TMPD": runner(guidance.TMPD(*parts)),
        "MMPS, 1 iteration": runner(guidance.MMPS(*parts, iterations=ITERATIONS)),
    }


def azula(net: nn.Module, steps: int = STEPS) -> dict[str, Callable[[], Tensor]]:
    """Runs of azula, with the same network and operator."""
    from azula import sample
    from azula.denoise import SimpleDenoiser
    from azula.guidance import diffpir, dps, pgdm, repaint
    from azula.noise import VPSchedule

    class Backbone(nn.Module):
        def forward(self, x: Tensor, t: Tensor, **rest: Any) -> Tensor:
            found: Tensor = net(x, t.expand(len(x)))
            return found

    denoiser = SimpleDenoiser(Backbone(), VPSchedule())
    generator = torch.Generator().manual_seed(0)
    y, mask = torch.randn(32, generator=generator), MASK
    whole = torch.zeros(SHAPE[1:])
    whole[mask] = y

    def measured(x: Tensor) -> Tensor:
        return x[:, mask]

    def inverse_of(y: Tensor) -> Tensor:
        out = torch.zeros(SHAPE)
        out[:, mask] = y
        return out

    def runner(make: Callable[[], Any]) -> Callable[[], Tensor]:
        @torch.no_grad()
        def run() -> Tensor:
            sampler = make()
            return sampler(sampler.init(SHAPE))

        return run

    few: dict[str, Any] = {"steps": steps, "silent": True}
    proximal = diffpir.DiffPIRDenoiser(denoiser, y, measured, 0.01)
    return {
        PLAIN: runner(lambda: sample.DDPMSampler(denoiser, **few)),
        "DiffPIR": runner(lambda: sample.DDPMSampler(proximal, **few)),
        "RePaint, no jumps": runner(
            lambda: repaint.RePaintSampler(denoiser, whole, mask, iterations=1, **few)
        ),
        "DPS": runner(lambda: dps.DPSSampler(denoiser, y, measured, **few)),
        "PiGDM": runner(lambda: pgdm.PGDMSampler(denoiser, y, measured, inverse_of, **few)),
    }


def main() -> None:
    """Measure, print, and with `--write` record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one turn, to see that it runs")
    parser.add_argument("--write", action="store_true", help="record the results")
    parser.add_argument("--turns", type=int, default=15, help="runs of each case")
    options = parser.parse_args()
    timing.one_thread()
    warnings.simplefilter("ignore", pf.errors.ConvergenceWarning)
    torch.manual_seed(0)
    net = pf.nn.default_network(SHAPE[1:]).eval()
    steps = 2 if options.smoke else STEPS
    cases = {("pushforward", name): run for name, run in ours(net, steps).items()}
    if find_spec("azula"):
        cases |= {("azula", name): run for name, run in azula(net, steps).items()}
    elif options.write:
        raise SystemExit("azula is not installed: make bench-env")
    reference = ("pushforward", PLAIN)
    turns = 1 if options.smoke else options.turns
    timed = {" ".join(key): timing.worked(run) for key, run in cases.items()}
    found, base = timing.ratios(timed, " ".join(reference), turns)
    rows = []
    for name in (*ours(net),):
        cells = [
            "1"
            if (who, name) == reference
            else found[f"{who} {name}"].text()
            if (who, name) in cases
            else "–"
            for who in ("pushforward", "azula")
        ]
        rows.append([name, f"{AIMS[name]:.2f}" if name in AIMS else "–", *cells])
    text = record.table(["step", "aim", "pushforward", "azula"], rows)
    text = f"A plain step takes {1e3 * base / steps:.1f} ms.\n\n{text}"
    print(text)
    if options.write:
        results = {name: ratio._asdict() for name, ratio in found.items()}
        facts = {"environment": record.environment("azula"), "plain": base / steps}
        record.save("guided_step", facts | {"results": results}, text)


if __name__ == "__main__":
    main()
