"""Masking block by block: a text is written from left to right, a few symbols at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks
from pushforward._random import drawn_from_logits, fine_uniform, uniform_like
from pushforward.config import configurable
from pushforward.distributions import Constant
from pushforward.dynamics import Jump, Reaction
from pushforward.errors import InputError
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import Reading
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import Tokens
from pushforward.state import EventShape

__all__ = ["BlockMasking"]


class _BlockReading(Reading[Any, Tensor]):
    """Logits of each site, of a state or of all blocks of a pair `(clean, noisy)`."""

    def __init__(self, symbols: int, block: int) -> None:
        self.symbols, self.block = symbols, block

    def output_shape(self, event_shape: EventShape) -> EventShape:
        sites = event_shape[-1]
        return (*(sites if isinstance(sites, tuple) else event_shape), self.symbols)

    def read(self, row: Any, output: Tensor, x_t: Any) -> Tensor:
        return output


@configurable
@dataclass(frozen=True)
class BlockMasking(GenerativeProcess[Tensor, Tensor, Tensor]):
    r"""The last block is hidden first and the first one last, each as `Masking` hides its symbols.

    With `n` blocks of `block` sites, the block `b` is hidden while the time goes from
    `1 - (b + 1) / n` to `1 - b / n`; each of its symbols is still visible with the chance that the
    line from one to zero has. Reversed, a text is written from left to right, and the symbols of a
    block in random order (Arriola et al. 2025). One block of all sites is `Masking`; blocks of one
    site are an autoregressive model.

    Training asks for all blocks at once: each has a number `m` of hidden symbols, uniform in
    `1..block`, and the loss is `block / m` times the cross-entropy of these, summed over the
    blocks. Its expectation is the integral of the loss over the time, without an end left out: how
    many of `block` symbols are hidden, with a uniform chance, is uniform itself, and `1 / t` has
    the mean `block / m` given that `m >= 1` of them are (Uria, Murray & Larochelle 2014; Hoogeboom
    et al. 2022). It is the negative evidence lower bound of a sequence in nats.

    Args:
        space: of the tokens.
        block: sites of a block; the last block may have fewer.

    >>> process = BlockMasking(Tokens(3), block=2)
    >>> text = torch.tensor([[0, 1, 2, 1]])
    >>> process.sample(text, 0.5)
    tensor([[0, 1, 3, 3]])
    """

    space: Tokens
    block: int = 4

    def __post_init__(self) -> None:
        checks.whole("block", self.block)

    supports = frozenset({"bound", "guidance"})
    loss_bounds = True
    sampler = "pinned"
    steps = 256

    @property
    def clock(self) -> Schedule:
        """The line from one to zero."""
        return Rectified()

    @property
    def interval(self) -> tuple[float, float]:
        """From the end, where all is masked, to the data."""
        return 1.0, 0.0

    def reading(self, predict: Any = None) -> _BlockReading:
        """Logits of the symbols."""
        one_prediction("masked tokens", predict, "logits")
        return _BlockReading(self.space.vocabulary, self.block)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Constant:
        """All masked."""
        return Constant(torch.full((1, *shape), self.space.mask))

    def hidden_share(self, t: Time, sites: int) -> Tensor:
        """The chance that each site is hidden at times `()` or `(B,)`, `(sites,)` or `(B, sites)`.

        >>> BlockMasking(Tokens(3), block=2).hidden_share(0.75, 4).tolist()
        [0.5, 0.5, 1.0, 1.0]
        """
        block = torch.arange(sites) // self.block
        blocks = -(-sites // self.block)
        t = torch.as_tensor(t)
        block = block.to(t.device)
        return (blocks * (t.unsqueeze(-1) - 1) + 1 + block).clamp(0, 1)

    def sample(self, z: Tensor, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """Each token hidden with the chance of its block."""
        u = uniform_like(torch.zeros(z.shape, device=z.device), generator)
        hidden = u < self.hidden_share(t, z.shape[1]).to(z.device)
        return self.space.where(hidden, torch.full_like(z, self.space.mask), z)

    def for_training(
        self, z: Tensor, t: Time, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """The data, and the data with some symbols of every block hidden; each `(B, sites)`.

        The numbers of hidden symbols of the blocks of a row are spread evenly, whatever the time.
        """
        size = self._sizes(z.shape[1]).to(z.device)
        start = uniform_like(torch.zeros(len(z), 1, device=z.device), generator)
        spread = (start + torch.arange(len(size), device=z.device) / len(size)) % 1
        count = (1 + (spread * size).floor()).clamp(max=size)
        order = torch.full((len(z), len(size) * self.block), 2.0, device=z.device)
        order[:, : z.shape[1]] = uniform_like(torch.zeros(z.shape, device=z.device), generator)
        rank = order.unflatten(1, (-1, self.block)).argsort(-1).argsort(-1)
        hidden = (rank < count.unsqueeze(-1)).flatten(1)[:, : z.shape[1]]
        return z, self.space.where(hidden, torch.full_like(z, self.space.mask), z)

    def loss(self, pred: Tensor, z: Tensor, x_t: Any, t: Time) -> Tensor:
        """The weighted cross-entropy of the hidden tokens in nats, summed, `(B,)`.

        Of a pair `for_training`, that of all blocks; of a state, that of the block that is being
        hidden at time `t`, at the rate at which it is.
        """
        if isinstance(x_t, tuple):
            return self.loss_of_blocks(pred, z, x_t[1]).sum(-1)
        share = self.hidden_share(t, z.shape[1]).to(pred)
        blocks = -(-z.shape[1] // self.block)
        weight = torch.where((share > 0) & (share < 1), blocks / share, 0.0)
        return (self._entropy(pred, z, x_t) * weight).sum(-1)

    def loss_of_blocks(self, pred: Tensor, z: Tensor, noisy: Tensor) -> Tensor:
        """The loss of each block of data of which some symbols are hidden, `(B, blocks)`.

        Its expectation bounds what a block costs, in nats, given the blocks before it.
        """
        entropy = self._entropy(pred, z, noisy)
        size = self._sizes(z.shape[1]).to(entropy)
        count = self._by_block((noisy == self.space.mask).to(entropy)).sum(-1).clamp(min=1)
        return self._by_block(entropy).sum(-1) * size / count

    def _entropy(self, pred: Tensor, z: Tensor, x_t: Tensor) -> Tensor:
        """The cross-entropy of the hidden sites in nats, `(B, sites)`."""
        entropy = functional.cross_entropy(pred.movedim(-1, 1), z, reduction="none")
        return entropy * (x_t == self.space.mask)

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Jump:
        """Hidden tokens of the block of the time are shown, visible ones hidden."""
        hidden = (x_t == self.space.mask).to(pred.dtype)
        share = self.hidden_share(t, x_t.shape[1]).to(pred)
        blocks = -(-x_t.shape[1] // self.block)
        active = ((share > 0) & (share <= 1)).to(pred.dtype)
        show = active * blocks / share.clamp(min=torch.finfo(pred.dtype).tiny) * hidden
        open_ = ((share >= 0) & (share < 1)).to(pred.dtype)
        hide = open_ * blocks / (1 - share).clamp(min=torch.finfo(pred.dtype).tiny) * (1 - hidden)
        return Jump(
            self.space,
            restore=Reaction(show, lambda generator: drawn_from_logits(pred, generator)),
            destroy=Reaction(hide, lambda generator: torch.full_like(x_t, self.space.mask)),
        )

    def bridge(
        self,
        pred: Tensor,
        x_t: Tensor,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Show each hidden token with its exact chance; see `Masking.bridge`.

        Raises `InputError` for a step over more than one block, whose symbols would be drawn
        without a look at the block before.
        """
        sites = x_t.shape[1]
        blocks = -(-sites // self.block)
        if not s < t:
            raise InputError(f"a pinned step runs towards the data, not from {t} to {s}")
        if (t - s) * blocks > 1 + 1e-6:
            raise InputError(
                f"a step from {t:g} to {s:g} writes {(t - s) * blocks:.1f} blocks at once: take "
                f"at least {blocks} steps for {sites} symbols in blocks of {self.block}"
            )
        now = self.hidden_share(t, sites).to(x_t.device)
        then = self.hidden_share(s, sites).to(x_t.device)
        chance = torch.where(now > 0, 1 - then / now.clamp(min=1e-12), 0.0)
        u = fine_uniform(x_t.shape, generator, device=x_t.device)
        shown = (x_t == self.space.mask) & (u < chance)
        return self.space.where(shown, drawn_from_logits(pred, generator), x_t)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Nothing: a line is no work."""

    def _sizes(self, sites: int) -> Tensor:
        """How many sites each block has."""
        return torch.bincount(torch.arange(sites) // self.block)

    def _by_block(self, x: Tensor) -> Tensor:
        """Numbers `(B, sites)` as `(B, blocks, block)`, with zeros where there is no site."""
        return functional.pad(x, (0, -x.shape[1] % self.block)).unflatten(1, (-1, self.block))
