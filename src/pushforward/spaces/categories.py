"""Several discrete symbols side by side, each from an alphabet of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks, state
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.spaces.tokens import Tokens

__all__ = ["Categories"]


@configurable
@dataclass(frozen=True)
class Categories(Tokens):
    """Integer states `(B, sites)`, where site `k` has values below `sizes[k]`.

    They are tokens of the largest alphabet, in which each site leaves some symbols out: a process
    on tokens moves here too, and gives no chance to symbols that a site does not have.

    Args:
        sizes: how many symbols each site has.

    Raises `InputError` for no sites, or sizes below one.

    >>> space = Categories((2, 3))
    >>> space.vocabulary, space.sites, space.features(torch.tensor([[1, 2]]))
    (3, 2, tensor([[0., 1., 0., 0., 1.]]))
    """

    vocabulary: int = field(init=False, repr=False)
    sites: int | None = field(init=False, repr=False)
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.sizes:
            raise InputError("categories have at least one site: Categories((2, 3)) has two")
        found = tuple(checks.whole("sizes", size) for size in self.sizes)
        object.__setattr__(self, "sizes", found)
        object.__setattr__(self, "vocabulary", max(found))
        object.__setattr__(self, "sites", len(found))

    @property
    def alphabets(self) -> tuple[int, ...]:
        """`sizes`."""
        return self.sizes

    def check(self, x: Tensor) -> None:
        """Integers `(B, sites)`, each below the size of its site."""
        super().check(x)
        most = x.new_tensor(self.sizes)
        if x.numel() and bool((x >= most).any()):
            site = int((x >= most).any(0).nonzero()[0])
            raise InputError(
                f"site {site} has {self.sizes[site]} symbols, counted from 0, and one is "
                f"{int(x[:, site].max())}"
            )

    def features(self, x: Tensor) -> Tensor:
        """One-hot codes of the symbols, site by site."""
        return self._coded(x, 0)

    def embed(self, x: Tensor) -> Tensor:
        """One-hot codes with the mask, which all sites share, as the last symbol of each."""
        return self._coded(torch.where(x == self.mask, x.new_tensor(self.sizes), x), 1)

    def _coded(self, x: Tensor, more: int) -> Tensor:
        sites = zip(x.unbind(1), self.sizes, strict=True)
        return torch.cat([functional.one_hot(own, size + more) for own, size in sites], 1).float()

    def categories(self, x: Tensor) -> dict[str, Tensor]:
        """The symbols of each site."""
        return {f"symbol {k}": own for k, own in enumerate(x.unbind(1))}

    def to_table(self, x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
        """One column a site."""
        return x, tuple(f"category{k}" for k in range(len(self.sizes)))

    def describe_states(self, event_shape: state.EventShape) -> str:
        """How many, and out of how many symbols."""
        return f"{len(self.sizes)} categories of {', '.join(map(str, self.sizes))} symbols"
