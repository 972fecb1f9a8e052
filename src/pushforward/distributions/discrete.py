"""A distribution on finitely many sequences, given as a table."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward._random import categories, resolve
from pushforward.errors import InputError

__all__ = ["Table"]


class Table:
    """A joint distribution of `sites` symbols from one vocabulary.

    Args:
        probabilities: `(K, ..., K)`, one axis per site, non-negative and summing to one.

    >>> Table(torch.tensor([[0.5, 0.0], [0.0, 0.5]])).log_prob(torch.tensor([[1, 1]]))
    tensor([-0.6931])
    """

    def __init__(self, probabilities: Tensor) -> None:
        if len(set(probabilities.shape)) != 1:
            raise InputError(f"one vocabulary for all sites, not {tuple(probabilities.shape)}")
        total = float(probabilities.double().sum())
        if not (probabilities >= 0).all() or abs(total - 1) > 1e-5:
            raise InputError(f"probabilities are non-negative and sum to one, not to {total}")
        self.probabilities = probabilities

    @property
    def sites(self) -> int:
        """The length of a sequence."""
        return self.probabilities.ndim

    @property
    def vocabulary(self) -> int:
        """The number of symbols."""
        return self.probabilities.shape[0]

    def states(self) -> Tensor:
        """Every sequence, `(K^sites, sites)`, in the order of the flattened table."""
        symbols = torch.arange(self.vocabulary, device=self.probabilities.device)
        return torch.cartesian_prod(*[symbols] * self.sites).reshape(-1, self.sites)

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """`n` draws, `(n, sites)`."""
        generator = resolve(seed, generator, self.probabilities.device, rows=n)
        flat = self.probabilities.flatten()
        return self.states()[categories(flat, n, generator)]

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-probability of each sequence `(B, sites)`, shape `(B,)`.

        Raises `InputError` for sequences of another length or symbols outside the vocabulary.
        """
        if x.ndim != 2 or x.shape[1] != self.sites:
            raise InputError(f"sequences have shape (B, {self.sites}), not {tuple(x.shape)}")
        if len(x) and not (int(x.min()) >= 0 and int(x.max()) < self.vocabulary):
            found = f"{int(x.min())}..{int(x.max())}"
            raise InputError(f"symbols lie in 0..{self.vocabulary - 1}, not in {found}")
        return self.probabilities[tuple(x.unbind(-1))].log()
