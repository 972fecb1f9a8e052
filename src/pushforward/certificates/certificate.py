"""What a certificate says: a bound, what it is made of, and how each part is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pushforward.path_space import total_variation_bound

__all__ = ["Certificate", "Kind", "Term"]

Kind = Literal["proved", "estimated", "assumed"]


@dataclass(frozen=True)
class Term:
    """One part of an error.

    Args:
        value: how large it is, or at most is.
        stderr: its standard error; zero where nothing is random.
        kind: `proved` from constants of known data, `estimated` on held-out data, or `assumed`:
            estimated, with a number in it that was stated and is not checked.
        unit: `nats`, or `distance` in units of the data, which do not add up with nats.
        why: where the number comes from, in a line.
        interval: at 95%, from both sides; `None` where there is only the value.

    >>> print(Term(0.25, 0.01, "estimated", interval=(0.1, 0.27)))
    0.25 ± 0.01 nats (estimated), 95% in [0.1, 0.27]
    """

    value: float
    stderr: float
    kind: Kind
    unit: Literal["nats", "distance"] = "nats"
    why: str = ""
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        error = f" ± {self.stderr:.2g}" if self.stderr else ""
        text = f"{self.value:.4g}{error} {self.unit} ({self.kind})"
        if self.interval is None:
            return text
        return text + f", 95% in [{self.interval[0]:.3g}, {self.interval[1]:.3g}]"


@dataclass(frozen=True)
class Certificate:
    r"""A bound of `KL(p_stop | samples)` for one model with one sampler, and its parts.

    `p_stop` is the law of the data with the noise that is left where sampling stops. The bound is
    the relative entropy of the paths, which is that of the samples or more (data processing).

    Args:
        terms: by name: `prior mismatch`, `score error` and `discretization` in nats, whose sum is
            the bound, and `early stopping`, the distance of the data to `p_stop`.
        stderr: the standard error of the bound; less than that of its parts, which are correlated.
        sampler: what earned it.
        steps: of the sampler, the final denoising included.
        rows: of the data that were held out.
        assumptions: what it rests on.
        warnings: what makes it of little use.
        difference: the score error minus that of another model, if one was given.

    >>> terms = {"prior mismatch": Term(0.01, 0.0, "proved"),
    ...          "score error": Term(0.3, 0.02, "estimated")}
    >>> certificate = Certificate(terms, 0.02, "ddpm", steps=100, rows=500)
    >>> certificate.bound, certificate.dominant
    (0.31, 'score error')
    >>> print(certificate)
    Certificate of ddpm, 100 steps: KL at most 0.31 ± 0.02 nats, total variation at most 0.418
      prior mismatch   0.01 nats (proved)
      score error      0.3 ± 0.02 nats (estimated)     <- the largest
    """

    terms: Mapping[str, Term]
    stderr: float
    sampler: str
    steps: int
    rows: int
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    difference: Term | None = None
    costs: Mapping[str, tuple[float, ...]] = field(default_factory=dict, repr=False)
    """What each step adds to `score error` and `discretization`, from the prior on."""

    @property
    def bound(self) -> float:
        """The sum of the terms in nats."""
        return math.fsum(term.value for term in self.terms.values() if term.unit == "nats")

    @property
    def total_variation(self) -> float:
        """What the bound, with two standard errors more, says of the total variation."""
        return total_variation_bound(self.bound + 2 * self.stderr)

    @property
    def in_total_variation(self) -> dict[str, float]:
        """What each term in nats, with two standard errors more, says of the total variation.

        The root of a sum is at most the sum of the roots: together they are a bound too, looser
        than `total_variation`. These are the terms of De Bortoli et al. (2021), by Pinsker's
        inequality.
        """
        return {
            name: total_variation_bound(term.value + 2 * term.stderr)
            for name, term in self.terms.items()
            if term.unit == "nats"
        }

    @property
    def vacuous(self) -> bool:
        """Whether the bound of the total variation says next to nothing: 0.99 and more."""
        return self.total_variation >= 0.99

    @property
    def dominant(self) -> str:
        """The name of the largest term in nats."""
        in_nats = {name: t.value for name, t in self.terms.items() if t.unit == "nats"}
        return max(in_nats, key=lambda name: in_nats[name])

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""

        def plain(term: Term) -> dict[str, Any]:
            return {
                "value": term.value, "stderr": term.stderr, "kind": term.kind, "unit": term.unit,
                "why": term.why,
                "interval": None if term.interval is None else list(term.interval),
            }  # fmt: skip

        return {
            "bound": self.bound,
            "stderr": self.stderr,
            "total_variation": self.total_variation,
            "vacuous": self.vacuous,
            "terms": {name: plain(term) for name, term in self.terms.items()},
            "in_total_variation": self.in_total_variation,
            "dominant": self.dominant,
            "sampler": self.sampler,
            "steps": self.steps,
            "rows": self.rows,
            "difference": None if self.difference is None else plain(self.difference),
            "assumptions": list(self.assumptions),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        error = f" ± {self.stderr:.2g}" if self.stderr else ""
        vacuous = " (vacuous)" if self.vacuous else ""
        lines = [
            f"Certificate of {self.sampler}, {self.steps} steps: KL at most {self.bound:.4g}{error}"
            f" nats, total variation at most {self.total_variation:.3g}{vacuous}"
        ]
        for name, term in self.terms.items():
            mark = "     <- the largest" if name == self.dominant else ""
            lines.append(f"  {name:<16} {term}{mark}")
        if self.difference is not None:
            lines.append(f"  score error minus that of the other model: {self.difference}")
        lines += [f"  rests on: {line}" for line in self.assumptions]
        lines += [f"  ! {line}" for line in self.warnings]
        return "\n".join(lines)
