"""How good a learned sampler is: its estimates of `log Z`, with bounds, and what they show."""

from __future__ import annotations

import html
from typing import Any

from pushforward.report.page import section, table

__all__ = ["sampler_section"]

_PATHS = 2000


def sampler_section(model: Any) -> str:
    """A table of the estimates of a `models.LearnedSampler` from 2,000 paths."""
    found = model.estimates(_PATHS, seed=0)
    log_z = found.log_z
    fine = "" if log_z.converged else ", not converged"
    rows = [
        ["log Z", f"{log_z.value:.4f} ± {log_z.stderr:.4f}{fine}",
         f"importance weights of {_PATHS:,} paths"],
        ["ELBO", f"{found.elbo.value:.4f} ± {found.elbo.stderr:.4f}", "below log Z in expectation"],
    ]  # fmt: skip
    if found.bar is not None and found.eubo is not None:
        kind = "exact draws" if found.eubo.holds else "the replay buffer"
        bound = "above log Z in expectation" if found.eubo.holds else "bounds nothing"
        rows += [
            ["EUBO", f"{found.eubo.value:.4f} ± {found.eubo.stderr:.4f}",
             f"paths back from {kind}; {bound}"],
            ["log Z both ways", f"{found.bar.value:.4f} ± {found.bar.stderr:.4f}",
             "Bennett's combination"],
            ["effective sample size back", f"{found.backward_ess:.1%}", f"paths back from {kind}"],
        ]  # fmt: skip
    rows.append(["effective sample size", f"{found.ess:.1%}", "of the sampler's paths"])
    if found.coverage is not None:
        rows.append(["entropic mode coverage", f"{found.coverage:.3f}", "1 for equal shares"])
    known = model.target.reference
    if known.log_z is not None:
        error = f" ± {known.stderr:g}" if known.stderr else ""
        rows.append(["known log Z", f"{known.log_z:.4f}{error}", known.how])
    cells = [[html.escape(cell) for cell in row] for row in rows]
    note = (
        "The mean weight of paths is Z at any number of steps, whatever was learned. A mode that "
        "no path reaches shows in what comes back from draws of the target, not in the effective "
        "sample size."
    )
    return section("How good is it?", table(["", "nats or share", "by"], cells), note)
