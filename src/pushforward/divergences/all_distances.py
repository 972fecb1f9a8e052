"""Every distance of two sets of rows that there is an estimate of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from torch import Tensor

from pushforward import metrics
from pushforward.discrepancies import (
    KL,
    Alpha,
    FDivergence,
    JensenShannon,
    Pearson,
    SquaredHellinger,
    TotalVariation,
)
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.f_divergences import halved, kl
from pushforward.divergences.floors import floor
from pushforward.divergences.kernels import energy_distance, mmd
from pushforward.divergences.transport import (
    max_sliced_wasserstein,
    sinkhorn_divergence,
    sliced_wasserstein,
    wasserstein,
)
from pushforward.divergences.variational import Classifier
from pushforward.errors import CapabilityError, InputError
from pushforward.metrics._points import distances

__all__ = ["all_distances"]

_BLUR = 0.05
"""The entropy of the Sinkhorn divergence, in mean squared distances."""
_ALPHA = 1.5
"""Between the relative entropy, 1, and Pearson's chi-square, 2; that of 1/2 is Hellinger's."""


def all_distances(
    x: Tensor,
    y: Tensor,
    names: tuple[str, str] = ("x", "y"),
    *,
    kinds: bool = False,
    copied: bool = False,
    seed: int = 0,
) -> dict[str, Divergence | str]:
    """Each distance of rows `(n, d)` and `(m, d)` by its name, or why it is not to be had.

    Args:
        x, y: rows in double precision, in which distances mean something.
        names: of both, for those that have a direction.
        kinds: whether some of the numbers are kinds, which have no density.
        copied: whether most rows of `y` are rows of `x`, which leaves no row unseen.
        seed: of all draws.
    """
    rows = _Rows(x, y, kinds, copied, seed)
    epsilon = _BLUR * float(distances(x, y).square().mean())
    measured: dict[str, Callable[[], Divergence]] = {
        f"KL({names[0]} || {names[1]})": lambda: rows.kl(reverse=False),
        f"KL({names[1]} || {names[0]})": lambda: rows.kl(reverse=True),
        "total variation": lambda: rows.bound(TotalVariation()),
        "squared Hellinger": lambda: rows.bound(SquaredHellinger()),
        "Jensen-Shannon": lambda: halved(rows.bound(JensenShannon())),
        "chi-square, Pearson": lambda: rows.bound(Pearson()),
        "chi-square, Neyman": lambda: rows.bound(Pearson(), reverse=True),
        f"alpha, {_ALPHA:g}": lambda: rows.bound(Alpha(alpha=_ALPHA)),
        "W1": lambda: wasserstein(x, y, order=1, seed=seed),
        "W2": lambda: wasserstein(x, y, seed=seed),
        "sliced W2": lambda: sliced_wasserstein(x, y, seed=seed),
        "max-sliced W2": lambda: max_sliced_wasserstein(x, y, seed=seed),
        f"Sinkhorn, epsilon {epsilon:.2g}": lambda: sinkhorn_divergence(
            x, y, epsilon=epsilon, seed=seed
        ),
        "energy distance": lambda: energy_distance(x, y, seed=seed),
        "MMD²": lambda: mmd(x, y, seed=seed),
        "Fréchet distance": lambda: _frechet(x, y, seed),
    }
    found: dict[str, Divergence | str] = {}
    for name, measure in measured.items():
        try:
            found[name] = measure()
        except (CapabilityError, InputError) as error:
            found[name] = str(error)
    return found


class _Rows:
    """Both sets, and one classifier for all that it bounds."""

    def __init__(self, x: Tensor, y: Tensor, kinds: bool, copied: bool, seed: int) -> None:
        self._sets, self._kinds, self._copied, self._seed = (x, y), kinds, copied, seed

    def kl(self, *, reverse: bool) -> Divergence:
        """By neighbors, or where these tell nothing the lower bound of the classifier."""
        x, y = reversed(self._sets) if reverse else self._sets
        if self._copied:
            raise CapabilityError(_COPIED)
        if not self._kinds:
            try:
                return kl(x, y, seed=self._seed)
            except (CapabilityError, InputError):
                pass
        return self.bound(KL(), reverse=reverse)

    def bound(self, divergence: FDivergence, *, reverse: bool = False) -> Divergence:
        """The classifier's lower bound."""
        if self._copied:
            raise CapabilityError(_COPIED)
        return self._classifier.bound(divergence, reverse=reverse)

    @cached_property
    def _classifier(self) -> Classifier:
        return Classifier(*self._sets, seed=self._seed)


_COPIED = "most rows are in both, and no row is left that is in one of them by itself"


def _frechet(x: Tensor, y: Tensor, seed: int) -> Divergence:
    """The Fréchet distance without its bias."""
    found = metrics.frechet_infinity(x, y, seed=seed)
    typical = floor(lambda a, b: metrics.frechet_infinity(a, b, seed=seed).value, x, y, seed=seed)
    return Divergence(found.value, found.stderr, "extrapolated", "", *typical, found.n)
