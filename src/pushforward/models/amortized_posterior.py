"""The posterior of a network that was trained on pairs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pushforward import state
from pushforward._random import derived_seed, fresh_seed
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import LogProb
from pushforward.models.posterior import Exactness, Posterior

__all__ = ["AmortizedPosterior"]


class AmortizedPosterior(Posterior):
    """`p(x | y)` as a conditional model has learned it, with `y` for its context.

    Args:
        model: trained on pairs, such as `pf.FlowMatching` with contexts.
        y: one context, or a batch of `m`.
        batched: whether it is a batch.

    >>> import pushforward as pf
    >>> model = pf.FlowMatching(pf.nn.MLP(2, context=3, width=8), event_shape=(2,))
    >>> model.posterior(torch.zeros(3)).sample(4, seed=0).shape
    torch.Size([4, 2])
    """

    exactness = Exactness(
        "learned",
        "as good as the network that was trained on pairs, near the measurements that it has seen: "
        "check it by calibration",
    )

    method = "amortized"
    cost = "as much as any draw of the model"

    def __init__(self, model: Any, y: Any, *, batched: bool) -> None:
        if not model.capabilities.conditional and not model.condition.anything:
            raise CapabilityError(
                f"this {type(model).__name__} takes no contexts, so that y alone tells it nothing: "
                "give operator= and noise=, or train a model on pairs"
            )
        self.model, self.batched = model, batched
        self.y = y if batched else state.map_leaves(lambda a: a.unsqueeze(0), y)

    def sample(self, n: int = 1, *, seed: int | None = None, **options: Any) -> Tensor:
        """`n` draws for each measurement; the options are those of the model's `sample`."""
        first = fresh_seed(seed)
        found = []
        for k in range(state.rows(self.y)):
            # A seed for each measurement: its draws do not depend on the others.
            own = first if k == 0 else derived_seed(first, k)
            found.append(self.model.sample(n, self._rows(k, n), seed=own, **options))
        return torch.stack(found, 1) if self.batched else found[0]

    def log_prob(self, x: Tensor, **options: Any) -> LogProb:
        """The conditional log-density of `(n, *event)`, or `(n, m, *event)`."""
        if not self.batched:
            return self.model.log_prob(x, self._rows(0, len(x)), **options)
        n, m = x.shape[:2]
        if m != state.rows(self.y):
            raise InputError(
                f"states (n, {state.rows(self.y)}, ...) have a row for each y, not {m}"
            )
        rows = torch.arange(m).repeat(n)
        found = self.model.log_prob(x.flatten(0, 1), state.take(self.y, rows), **options)
        return found.reshaped((n, m))

    def log_evidence(self, **options: Any) -> LogProb:
        """Raises `CapabilityError`: pairs do not tell how frequent a measurement is."""
        raise CapabilityError(
            "a model of pairs knows p(x | y) and not p(y): train one of y alone for it"
        )

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Raises `CapabilityError`: pairs do not tell what the likelihood is."""
        raise CapabilityError("a model of pairs knows p(x | y) and not p(y | x)")

    def consistency(self, x: Tensor) -> Tensor:
        """Raises `CapabilityError`: pairs do not tell what the operator is."""
        raise CapabilityError("a model of pairs knows no operator: compare with A(x) yourself")

    def _rows(self, k: int, n: int) -> Any:
        return state.take(self.y, torch.full((n,), k))
