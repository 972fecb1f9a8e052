r"""Contrastive divergence: data against where short chains lead.

The gradient of the mean log-likelihood of `exp(-E) / Z` is

    -E_data grad E(x) + E_model grad E(x),

and both methods replace draws from the model by chains of a few steps: from the data themselves
(Hinton 2002), or from where the chains of earlier updates ended (Tieleman 2008).

The chains of a batch share a step size that follows their acceptance rate, so that they are moved
together: where a loss is asked for in parts, the first part moves them all, and the others find
them moved. A part that does not come after the last one begins a new batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward import registry
from pushforward._random import normal_like, uniform_like
from pushforward.checks import number, whole
from pushforward.config import configurable
from pushforward.energy_training.training import EnergyFunction, Training
from pushforward.errors import InputError
from pushforward.mcmc import MALA, MarkovKernel, adapted, evaluate

__all__ = ["ContrastiveDivergence", "PersistentContrastiveDivergence"]

_GAIN = 0.02
"""Of the step size's adaptation at each step of the chains: it follows an energy that changes."""

_SHORTEST = 0.01
"""The factor of the shortest steps. Each chain takes steps of random length, log-uniform from here
to 1: with long steps alone it would stay for ever where the energy has become too steep for them,
and training would raise the energy there without end."""

_MEMORY = 0.99
"""Of the running share of chains that diverge."""


_Ends = tuple[Tensor, Tensor | None]
"""Ends of chains `(B, *event)`, and their labels."""


class _Moved(NamedTuple):
    """The chains of a batch, and where the part of it begins that was last asked for."""

    first: int
    ends: _Ends


class _ShortChains(Training):
    """Chains of a few steps, whose step size follows the acceptance rate, and the loss by them."""

    comparable = False
    compares_rows = "the chains of a batch share their step size"
    meaning = (
        "The loss is the gap between the energies of data and of chains. It stays near zero while "
        "the chains follow the model, good or bad."
    )
    step: Tensor
    diverged: Tensor

    def __init__(
        self, steps: int, kernel: str | MarkovKernel | None, regularization: float
    ) -> None:
        super().__init__()
        self.steps = whole("steps", steps)
        self.regularization = number("regularization", regularization, least=0)
        self.kernel: MarkovKernel = (
            MALA() if kernel is None else registry.resolve("kernels", kernel)
        )
        self.register_buffer("step", torch.tensor(float(self.kernel.step)))
        self.register_buffer("diverged", torch.zeros(()))
        self._moved: _Moved | None = None

    def _once(self, rows: slice, move: Callable[[], _Ends]) -> _Ends:
        """The ends of the chains of a batch, moved for the first of its parts alone."""
        if rows == slice(None) or not self.training:
            return move()
        if self._moved is None or rows.start <= self._moved.first:
            self._moved = _Moved(rows.start, move())
        self._moved = self._moved._replace(first=rows.start)
        return self._moved.ends

    @torch.no_grad()
    def _walk(
        self, energy: EnergyFunction, x: Tensor, c: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        def log_p(x: Tensor) -> Tensor:
            return -energy(x, c)

        state, step, lost = evaluate(log_p, x), self.step.clone(), torch.zeros_like(self.diverged)
        for _ in range(self.steps):
            spread = _SHORTEST ** uniform_like(state.log_p, generator)
            move = self.kernel.move(log_p, state, step * spread, generator)
            state, lost = move.state, lost + move.diverged.to(lost).mean() / self.steps
            if self.training:
                step = adapted(self.kernel, step, move.acceptance, _GAIN)
        if self.training:
            self.step.copy_(step)
            self.diverged.lerp_(lost, 1 - _MEMORY)
        return state.x

    def _loss(
        self, energy: EnergyFunction, x: Tensor, c: Tensor | None, ends: _Ends, rows: slice
    ) -> Tensor:
        here, there = (energy(z[rows], None if d is None else d[rows]) for z, d in ((x, c), ends))
        loss = here - there
        if self.regularization:
            loss = loss + self.regularization * (here.square() + there.square())
        return loss

    def warnings(self) -> list[str]:
        """Whether chains have diverged lately."""
        share = float(self.diverged)
        if not share > 0.01:
            return []
        return [
            f"{share:.0%} of the steps of the chains in training diverged: the energy is too steep "
            "for them, and what was learned there is not the data; take a lower lr, a smaller "
            "step of the kernel, or some regularization."
        ]


@configurable
class ContrastiveDivergence(_ShortChains):
    """CD-k: chains of `k` steps from the data (Hinton 2002).

    Cheap, and blind to whatever the model has far from the data.

    Args:
        steps: `k`.
        kernel: `ula`, `mala`, `hmc` or one of the objects in `mcmc`; its step size adapts.
        regularization: `a` in `a (E(x)^2 + E(x')^2)`, against energies without bounds (Du &
            Mordatch 2019); it moves the minimum.

    Raises `InputError` for fewer than one step, or a negative regularization.

    >>> training = ContrastiveDivergence(steps=1)
    >>> training(lambda x, c: x.square().sum(-1) / 2, torch.ones(5, 2), None, None).shape
    torch.Size([5])
    """

    def __init__(
        self, steps: int = 10, kernel: str | MarkovKernel | None = None, regularization: float = 0.0
    ) -> None:
        super().__init__(steps, kernel, regularization)

    def forward(
        self,
        energy: EnergyFunction,
        x: Tensor,
        c: Tensor | None,
        generator: torch.Generator | None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The energy of data minus that of the ends of their chains, `(B,)`."""
        ends, _ = self._once(rows, lambda: (self._walk(energy, x, c, generator), None))
        return self._loss(energy, x, c, (ends, c), rows)


@configurable
class PersistentContrastiveDivergence(_ShortChains):
    """Chains that go on from one update to the next, in a replay buffer (Tieleman 2008).

    Each update moves as many chains of the buffer as there are data in the batch; some of them
    start afresh from the Gaussian base, which finds modes that the others have left out (Du &
    Mordatch 2019). With labels each chain has its own, drawn like those of the data.

    Args:
        steps: of the chains at each update.
        size: how many chains; with many more than a batch has, each is moved too rarely to follow
            the energy.
        restart: the share of chains that starts afresh at each update.
        kernel: `ula`, `mala`, `hmc` or one of the objects in `mcmc`; its step size adapts.
        regularization: see `ContrastiveDivergence`.

    Raises `InputError` for fewer than one step or chain, or a share outside [0, 1].

    >>> training = PersistentContrastiveDivergence(steps=1, size=64)
    >>> training.allocate((2,), None, 1.0)
    >>> training(lambda x, c: x.square().sum(-1) / 2, torch.ones(5, 2), None, None).shape
    torch.Size([5])
    """

    chains: Tensor
    labels: Tensor

    def __init__(
        self,
        steps: int = 10,
        size: int = 1024,
        restart: float = 0.01,
        kernel: str | MarkovKernel | None = None,
        regularization: float = 0.0,
    ) -> None:
        super().__init__(steps, kernel, regularization)
        self.size, self.scale = whole("size", size), 1.0
        self.restart = number("restart", restart, least=0, most=1)

    def allocate(self, event_shape: tuple[int, ...], classes: int | None, scale: float) -> None:
        """A buffer of chains, `(size, *event)`, with a label each if there are classes."""
        self.scale, self.classes = scale, classes
        self.register_buffer("chains", self.step.new_zeros(self.size, *event_shape))
        if classes is not None:
            self.register_buffer("labels", torch.zeros(self.size, dtype=torch.long))

    @torch.no_grad()
    def prepare(self, x: Tensor, c: Tensor | None, generator: torch.Generator) -> None:
        """All chains start from the base, with labels of the data."""
        self.chains.copy_(self.scale * torch.randn(self.chains.shape, generator=generator))
        if c is not None:
            self.labels.copy_(
                c[torch.randint(len(c), (self.size,), generator=generator).to(c.device)]
            )

    def forward(
        self,
        energy: EnergyFunction,
        x: Tensor,
        c: Tensor | None,
        generator: torch.Generator | None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The energy of data minus that of chains, `(B,)`.

        Raises `InputError` for a batch of more data than there are chains.
        """
        ends = self._once(rows, lambda: self._onward(energy, x, c, generator))
        return self._loss(energy, x, c, ends, rows)

    def _onward(
        self, energy: EnergyFunction, x: Tensor, c: Tensor | None, generator: torch.Generator | None
    ) -> _Ends:
        """As many chains as there are data, moved, with their labels."""
        if len(x) > self.size:
            raise InputError(
                f"a batch of {len(x)} needs as many chains, not {self.size}: give size={len(x)}"
            )
        rows = torch.randperm(self.size, generator=generator, device=x.device)[: len(x)]
        noise = self.scale * normal_like(x, generator)
        afresh = uniform_like(x.flatten(1)[:, 0], generator) < self.restart
        start = torch.where(afresh.view(-1, *(1,) * (x.ndim - 1)), noise, self.chains[rows])
        labels = None
        if c is not None:
            labels = torch.where(afresh, c, self.labels[rows])
        found = self._walk(energy, start, labels, generator)
        if self.training:
            self.chains[rows] = found
            if labels is not None:
                self.labels[rows] = labels
        return found, labels
