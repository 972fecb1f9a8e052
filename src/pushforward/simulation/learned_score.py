"""A network that learns the score of particles, and goes on learning as they move."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pushforward import registry
from pushforward._random import categories
from pushforward.checks import positive, whole
from pushforward.config import configurable
from pushforward.errors import InputError, TrainingError
from pushforward.score_matching import Matching
from pushforward.score_matching.checks import evaluate
from pushforward.simulation.diffusivity import Diffusivity
from pushforward.simulation.sequential_score import ScoreFit
from pushforward.training.optimizing import read_state, write_state

__all__ = ["LearnedScore"]

_LAST = 10
"""Steps whose losses are averaged in what a fit says of itself."""


@configurable
class LearnedScore:
    r"""Score matching in sequence (Boffi & Vanden-Eijnden 2023): each fit starts from the last.

    The loss is that of the score in the directions with noise, in units of the noise: with
    `D = R R^T` the loss of `score_matching` is given `y -> R^T s(x + R y)` at `y = 0`, whose
    divergence is that of `D s`. What a degenerate diffusion does not stir is not learned.

    The network sees particles in units of their present mean and deviation, so that a distribution
    that keeps its shape asks nothing new of it: the score is `net((x - m) / scale) / scale`.
    Deviations are those of the last axis; particles on the axes before are of one kind.

    Args:
        network: `net(x)`, from states `(B, *event)` to the same shape, with smooth activations for
            losses that take derivatives. One of the library that takes a time is wrapped,
            `score_matching.Untimed(nn.MLP(2, frequencies=0))`.
        matching: `sliced-vr`, `implicit` with the exact divergence, `antithetic`, or such an object
            of `score_matching`; noise levels are in units of the particles' deviation.
        steps: of Adam at each time after the first, at most.
        first: of Adam at the first time, at most.
        lr: the learning rate.
        tolerance: of the gradient's norm, below which a fit ends; all steps are taken without.
        batch: particles of a step, drawn with replacement; all of them by default.

    Raises `InputError` for a network that is no module or has nothing to train, a loss of many
    noise levels, and numbers out of range; `TrainingError` for a loss that is not finite.
    """

    def __init__(
        self,
        network: nn.Module,
        matching: str | Matching = "sliced-vr",
        steps: int = 25,
        first: int = 1000,
        lr: float = 1e-3,
        tolerance: float | None = None,
        batch: int | None = None,
    ) -> None:
        if not isinstance(network, nn.Module):
            raise InputError(f"a network is an nn.Module, not {network!r}")
        self.network = network
        self.matching: Matching = registry.resolve("score-matching", matching)
        if self.matching.sigmas:
            raise InputError(
                "particles have one score, of no noise level: take 'sliced-vr', 'implicit' or "
                "'antithetic'"
            )
        self.steps, self.first = whole("steps", steps, least=0), whole("first", first)
        self.lr = positive("lr", lr)
        self.tolerance = None if tolerance is None else positive("tolerance", tolerance)
        self.batch = None if batch is None else whole("batch", batch)
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        if not self._parameters:
            raise InputError(f"{type(network).__name__} has no parameters to train")
        self._optimizer = torch.optim.Adam(self._parameters, self.lr)
        self._center: Tensor | None = None
        self._scale: Tensor | None = None

    def fit(
        self, x: Tensor, diffusivity: Diffusivity, generator: torch.Generator, *, first: bool
    ) -> ScoreFit:
        """Take steps of Adam on the loss of particles `(B, *event)`, from where the last ended."""
        axes = tuple(range(x.ndim - 1))
        self._center = x.mean(axes)
        self._scale = x.std(axes).clamp_min(torch.finfo(x.dtype).tiny)
        # The size of the noise in the loss: that of the particles, where there is any.
        deviation = self._scale.expand(x.shape[1:]).flatten().square().mean().sqrt()
        size = float(deviation) * math.sqrt(diffusivity.rank / diffusivity.trace)
        norm, losses, taken = math.nan, [math.nan], 0
        reached = self.tolerance is None
        for _ in range(self.first if first else self.steps):
            loss = self._loss(x, diffusivity, size, generator)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = _norm([p.grad for p in self._parameters if p.grad is not None])
            losses = [*losses[1 - _LAST if taken else 1 :], float(loss.detach())]
            if not math.isfinite(losses[-1]) or not math.isfinite(norm):
                raise TrainingError(
                    f"the loss of the score is {losses[-1]}: lower lr, take shorter time steps, or "
                    "a smoother network"
                )
            if self.tolerance is not None and norm < self.tolerance:
                reached = True
                break
            self._optimizer.step()
            taken += 1
        return ScoreFit(taken, math.fsum(losses) / len(losses), norm, reached)

    def __call__(self, x: Tensor) -> Tensor:
        """The score at states `(B, *event)`. Raises `InputError` before it is fitted."""
        if self._center is None or self._scale is None:
            raise InputError("fit the score to particles first")
        return evaluate(self.network, (x - self._center) / self._scale) / self._scale

    def state(self) -> dict[str, Tensor]:
        """Weights, what the optimizer remembers, and the units."""
        found = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        found |= {f"optimizer.{name}": t for name, t in read_state(self._optimizer).items()}
        if self._center is not None and self._scale is not None:
            found |= {"center": self._center, "scale": self._scale}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in found.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave. Raises `InputError` for those of another network."""

        def part(name: str) -> dict[str, Tensor]:
            return {k[len(name) :]: t for k, t in tensors.items() if k.startswith(name)}

        try:
            self.network.load_state_dict(part("network."))
            write_state(self._optimizer, part("optimizer."))
        except (RuntimeError, ValueError) as error:
            raise InputError(f"the state is that of another network: {error}") from None
        if "scale" in tensors:
            device = self._parameters[0].device
            self._center, self._scale = (tensors[k].to(device) for k in ("center", "scale"))

    def _loss(
        self, x: Tensor, diffusivity: Diffusivity, size: float, generator: torch.Generator
    ) -> Tensor:
        """The mean loss of particles, or of a batch of them."""
        if self.batch is not None and self.batch < len(x):
            x = x[categories(x.new_ones(len(x)), self.batch, generator)]
        origin = x.new_zeros(len(x), diffusivity.rank)

        def seen(y: Tensor) -> Tensor:
            return size * diffusivity.gather(self(x + size * diffusivity.spread(y)))

        return self.matching(seen, origin, generator).mean()


def _norm(gradients: list[Tensor]) -> float:
    return float(torch.stack([g.square().sum() for g in gradients]).sum().sqrt())
