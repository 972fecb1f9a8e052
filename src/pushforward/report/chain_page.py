"""What Markov chains have drawn, as a page: traces, ranks, energies, and what is wrong in words."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from pushforward.mcmc import ChainDraws, bulk_ess, energy_fraction
from pushforward.report.page import page, section, table, warnings_box
from pushforward.report.panels import PanelLine, color_of, panel, panels

__all__ = ["chain_page"]

_SHOWN = 6
"""Numbers whose traces and ranks are drawn: those on which chains agree least."""

_POINTS = 240
"""Of a line: more are not told apart."""

_ROWS = 30
_BINS = 20
_LINES = 8
"""Chains of which traces are drawn."""


def chain_page(
    found: ChainDraws,
    title: str,
    *,
    names: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    mean: Tensor | None = None,
) -> str:
    """One page of the draws of chains.

    Args:
        found: the draws.
        title: above it.
        names: of the numbers of a state; `x0`, `x1`, ... without.
        facts: what to say below the title, such as the kernel.
        mean: of each number, where it is known.

    >>> from pushforward.targets import student
    >>> target = student(2, 9.0)
    >>> found = target.chains(4, 50, warmup=50, seed=0)
    >>> "Ranks" in chain_page(found, "A t law", mean=target.reference.mean)
    True
    """
    x = found.x.detach().cpu().double().flatten(2)
    labels = list(names) or [f"x{k}" for k in range(x.shape[2])]
    said = found.warnings(labels)
    own = found.summary()
    columns = [part.flatten() for part in own]
    worst = own.r_hat.flatten().nan_to_num(nan=math.inf).argsort(descending=True, stable=True)
    shown = worst[:_SHOWN].tolist()
    sizes = own.bulk.flatten()
    draws, chains = found.log_p.shape
    state = "nothing found wrong" if not said else f"{len(said)} warnings"
    kind = "status" if not said else "status bad"
    told = {
        **(facts or {}),
        "chains": f"{chains} of {draws:,} draws",
        "step": f"{found.step:.3g}",
        "accepted": f"{float(found.acceptance.mean()):.2f}",
        "evaluations per draw": f"{float(found.evaluations.mean()):.1f}",
        "diverged": f"{int(found.diverged.sum()):,} of {draws * chains:,}",
    }
    cells = "".join(
        f"<div>{html.escape(name)} <b>{html.escape(text)}</b></div>" for name, text in told.items()
    )
    head = (
        f'<header><h1>{html.escape(title)} <span class="{kind}">{state}</span></h1>'
        f'<div class="facts">{cells}</div></header>'
    )
    body = [
        head,
        warnings_box(said),
        _numbers(labels, columns, worst.tolist(), mean),
        section(
            "Traces",
            panels(_trace(x[:, :, k], labels[k], found.diverged) for k in shown),
            "The numbers on which chains agree least, a color for each chain"
            + (f", {_LINES} of {chains}" if chains > _LINES else "")
            + ". Chains that have converged look alike, and wander nowhere. Red marks are moves "
            "that diverged.",
        ),
        section(
            "Ranks",
            panels(_ranks(x[:, :, k], labels[k], float(sizes[k])) for k in shown),
            "How many draws of each chain are in each twentieth of the ranks of all. Chains that "
            "have converged share each alike: 99 % of counts lie in the gray band, which allows "
            "for the effective sample size.",
        ),
        _sizes(x, labels, shown[0]),
        _energies(found),
    ]
    return page(f"{title} · pushforward", body)


def _numbers(
    labels: Sequence[str], columns: Sequence[Tensor], order: Sequence[int], mean: Tensor | None
) -> str:
    """The summary: all numbers, or those of worst R-hat with the others to unfold."""
    head = ["", "mean", "std", "mcse", "bulk ESS", "tail ESS", "R-hat"]
    known = None if mean is None else mean.detach().cpu().double().flatten()
    if known is not None:
        head += ["known mean", "errors apart"]

    def row(k: int) -> list[str]:
        average, std, error, bulk, tail, ratio = (float(part[k]) for part in columns)
        cells = [
            html.escape(labels[k]), f"{average:.4g}", f"{std:.4g}", f"{error:.2g}",
            f"{bulk:.0f}", f"{tail:.0f}", f"{ratio:.3f}",
        ]  # fmt: skip
        if known is not None:
            truth = float(known[k])
            cells += [f"{truth:.4g}", f"{abs(average - truth) / error:.1f}" if error else "–"]
        return cells

    few = order if len(order) > _ROWS else range(len(order))
    body = table(head, [row(k) for k in list(few)[:_ROWS]])
    note = ""
    if len(order) > _ROWS:
        note = f"The {_ROWS} of {len(order):,} numbers with the largest R-hat."
        rest = table(head, [row(k) for k in range(len(order))])
        body += f"<details><summary>all {len(order):,}</summary>{rest}</details>"
    return section("Numbers", body, note)


def _trace(x: Tensor, name: str, diverged: Tensor) -> str:
    """Lines of the chains of one number, `(draws, chains)`."""
    draws, chains = x.shape
    every = max(1, -(-draws // _POINTS))
    count = min(chains, _LINES)
    curves = [
        PanelLine(list(zip(range(0, draws, every), x[::every, k].tolist(), strict=True)),
              color_of(k, count), 0.8)
        for k in range(count)
    ]  # fmt: skip
    lost = diverged.any(1).nonzero()[:, 0].tolist()
    return panel(name, curves, below=lost[:_POINTS], x_label="draws")


def _ranks(x: Tensor, name: str, size: float) -> str:
    """Counts of each chain in each part of the ranks of all."""
    draws, chains = x.shape
    rank = x.flatten().argsort(stable=True).argsort(stable=True).view(draws, chains)
    part = rank * _BINS // (draws * chains)
    expected = draws / _BINS
    curves = []
    for k in range(chains):
        counts = torch.bincount(part[:, k], minlength=_BINS).tolist()
        edges = [(b + side, float(n)) for b, n in enumerate(counts) for side in (0, 1)]
        curves.append(PanelLine([(b / _BINS, n) for b, n in edges], color_of(k, chains), 0.9))
    # A count of `n` draws that know as much as `n_eff` independent ones.
    known = min(size, draws * chains) / (draws * chains) if math.isfinite(size) else 1.0
    spread = 2.576 * math.sqrt(expected * (1 - 1 / _BINS) / max(known, 1e-9))
    band = (max(0.0, expected - spread), min(expected + spread, float(draws)))
    return panel(name, curves, band=band, x_label="ranks")


def _sizes(x: Tensor, labels: Sequence[str], worst: int) -> str:
    """The effective sample size of one number as draws go on."""
    draws = len(x)
    lengths = sorted({max(4, draws * k // 12) for k in range(1, 13)})
    points = [(n * x.shape[1], float(bulk_ess(x[:n, :, worst : worst + 1]))) for n in lengths]
    chart = panel(
        f"bulk ESS of {labels[worst]}", [PanelLine(points, color_of(0, 1), 1.6)], x_label="draws"
    )
    return section(
        "Effective sample size",
        panels([chart]),
        "Of the number on which chains agree least. Once chains have converged it grows in "
        "proportion to the draws.",
    )


def _energies(found: ChainDraws) -> str:
    """Energies about their mean beside how far new momenta take them."""
    if found.energy is None or len(found.energy) < 4:
        return ""
    energy = found.energy.detach().cpu().double()
    marginal = (energy - energy.mean(0)).flatten()
    steps = energy.diff(dim=0).flatten()
    finite = [part[part.isfinite()] for part in (marginal, steps)]
    if not all(len(part) for part in finite):
        return ""
    away = torch.cat(finite).abs().sort().values
    reach = float(away[int(0.995 * (len(away) - 1))]) or 1.0
    edges = torch.linspace(-reach, reach, 41, dtype=torch.float64)
    middle = ((edges[1:] + edges[:-1]) / 2).tolist()
    curves = []
    for part, color in zip(finite, ("hsl(215 60% 52%)", "hsl(22 65% 52%)"), strict=True):
        share = torch.histogram(part, edges).hist / len(part) / float(edges[1] - edges[0])
        curves.append(PanelLine(list(zip(middle, share.tolist(), strict=True)), color, 1.6))
    low = energy_fraction(energy)
    chart = panel("density", curves, x_label="energy, nats")
    key = (
        f'<p><span style="color:{curves[0].color}">●</span> energies about their mean &nbsp; '
        f'<span style="color:{curves[1].color}">●</span> changes from draw to draw</p>'
    )
    note = (
        f"The energy fraction of missing information is {float(low.min()):.2f} at the least, "
        f"{float(low.median()):.2f} in the median. Where changes are much narrower than energies, "
        "chains cross levels of energy slowly: below 0.3 is a warning."
    )
    return section("Energy", key + panels([chart]), note)
