"""Pages of chains and of log Z: what is on them is what was found."""

from __future__ import annotations

import re

import torch

from pushforward import evidence, targets
from pushforward.evidence import Bound, LogZ, StartRecord
from pushforward.mcmc import ChainDraws, Metric
from pushforward.report import chain_page, evidence_page
from pushforward.report.chain_page import _ranks
from pushforward.report.panels import PanelLine, panel


def _draws(x, energy=None) -> ChainDraws:
    draws, chains = x.shape[:2]
    ones = torch.ones(draws, chains)
    lost = torch.zeros(draws, chains).bool()
    lost[3, 0] = True
    return ChainDraws(
        x, -x.square().sum(-1) / 2, 0.8 * ones, lost, 7 * ones, energy, 0.5,
        Metric(torch.ones(x.shape[-1])), 100.0, 0.8,
    )  # fmt: skip


def test_a_chain_that_is_off_is_seen() -> None:
    x = torch.randn(200, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x[:, 2, 1] += 3
    energy = torch.randn(200, 4, generator=torch.Generator().manual_seed(1)).cumsum(0)
    page = chain_page(_draws(x, energy), "Draws", names=("right", "wrong"), mean=torch.zeros(2))
    first = page.index("Traces")
    assert "R-hat is" in page[:first]
    assert "for wrong" in page[:first]
    assert "1 of 800 moves diverged" in page[:first]
    # The number that is off comes first among the pictures, and its energies are told.
    assert page.index('aria-label="wrong"') < page.index('aria-label="right"')
    assert "energy fraction of missing information is 0." in page[page.index("<h2>Energy") :]
    # Distances from the known mean, in errors.
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    row = cells[cells.index("wrong") : cells.index("wrong") + 9]
    assert abs(float(row[1]) - float(x[..., 1].mean())) < 1e-3
    assert float(row[8]) > 1


def test_ranks_are_counted() -> None:
    """Of two chains that do not overlap, each has all of its draws in one half of the ranks."""
    x = torch.stack([torch.arange(100.0), 1000 + torch.arange(100.0)], 1).double()
    drawn = _ranks(x, "apart", 200.0)
    assert drawn.count("<polyline") == 2
    assert ">10<" in drawn  # 100 draws in ten of twenty bins


def test_a_panel_leaves_out_what_is_not_finite() -> None:
    drawn = panel("a", [PanelLine([(0, 1.0), (1, float("nan")), (2, 3.0)], "red")])
    (points,) = re.findall(r'points="([^"]*)"', drawn)
    assert len(points.split()) == 2
    assert panel("a", [PanelLine([(0, float("inf"))], "red")]) == ""


def test_an_estimate_that_is_not_trusted_says_so() -> None:
    starts = tuple(
        StartRecord(kind, value, 0.01, (0.3, 1.0), (0.5, 0.4), (0.9, 0.8), (1.0, 0.0), 1000)
        for kind, value in (("Laplace start", -0.1), ("wide start", -2.3))
    )
    bound = Bound("ELBO", -3.0, 0.1, "lower", True, "the base is normalized")
    found = LogZ(
        -0.1,
        1.1,
        -2.4,
        0.1,
        "smc",
        50.0,
        False,
        (-0.1, -2.3),
        (bound,),
        ("They disagree.",),
        starts,
    )
    page = evidence_page(found, "Spike", known=(0.0, 0.0), how="construction")
    assert "not converged" in page
    assert "They disagree." in page[: page.index("<h2>log Z")]
    assert "which this one has not" in page
    assert "Known is 0.0000, by construction." in page
    assert page.count("1 of 2") == 2  # modes that were never met
    assert "0.000" in page[page.index("entropic coverage") :]
    fine = evidence.log_z(targets.student(2, 30.0), "ais", seed=0, chains=256, temperatures=20)
    page = evidence_page(fine, "AIS")
    assert "Temperatures" not in page
    assert "from below" in page
