"""Score models: a network that is the gradient of a log-density."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import checks, registry, score_matching
from pushforward._random import (
    RowNoise,
    fresh_seed,
    generator_or_global,
    normal_like,
    part_of,
    start_noise,
)
from pushforward.config import configurable, made
from pushforward.errors import InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.mcmc import check_states
from pushforward.models.batch_size import rows_at_once
from pushforward.models.denoiser import Denoiser, denoiser_of_score
from pushforward.models.model import GenerativeModel, finite, parts_of, refuse_context
from pushforward.models.score_network import AtLevels, Plain
from pushforward.models.trainable import Trainable
from pushforward.nn import default_network
from pushforward.score_matching import Energy, Matching
from pushforward.score_matching.checks import evaluate
from pushforward.score_matching.losses import MEANING
from pushforward.spaces import Units

__all__ = ["ScoreModel"]

Progress = Callable[[int, int], None]


@configurable
class ScoreModel(GenerativeModel, Trainable):
    """A score, or an energy, learned by score matching and sampled by Langevin dynamics.

    Args:
        net: without noise levels a network `net(x)` that returns the shape of `x`; with them any
            network `net(x, t, c)`, told `t = log(sigma) / 4` and no `c`. For an energy, wrap a
            network of one number per state: `score_matching.Energy(net)`.
        matching: `implicit`, `sliced`, `sliced-vr`, `denoising`, `antithetic`, `denoising-levels`,
            or one of the objects in `score_matching`, such as `Denoising(sigma=0.2)`. Noise levels
            are in units of the standardized data.
        event_shape: the shape of one data point, if known before training.

    States cross this class in data units. What is learned is the score of the data, for the
    denoising losses that of the data with noise; with many levels the smallest one counts.

    >>> import pushforward as pf
    >>> model = pf.ScoreModel(pf.nn.MLP(2, width=16), "denoising-levels", event_shape=(2,))
    >>> model.sample(3, steps=20, seed=0).shape
    torch.Size([3, 2])
    """

    loss_meaning = MEANING

    def __init__(
        self,
        net: nn.Module,
        matching: str | Matching = "denoising",
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(event_shape)
        if not isinstance(net, nn.Module):
            raise InputError(f"the network is an nn.Module, not {net!r}")
        self.matching: Matching = registry.resolve("score-matching", matching)
        self.network = AtLevels(net) if self.matching.sigmas else Plain(net)
        self._ready()

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """A score at many noise levels, by a network that fits the data; labels are left aside.

        `options` are the constructor's, such as another `matching` of many levels.
        """
        chosen = {"matching": "denoising-levels", **options}
        return made(cls, chosen, net=default_network(data.event_shape, image=data.kind == "image"))

    # -- what it is -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Samples; log-densities up to a constant if the network is an energy; no labels."""
        energy = isinstance(self.network.net, Energy)
        return Capabilities(True, "unnormalized" if energy else "none", False)

    # -- learning -------------------------------------------------------------------------------

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The score matching loss of data `(B, *event)`, shape `(B,)`: see `score_matching`.

        `rows` asks for a part of the batch, with the noise that it has there. Raises `InputError`
        for states that are not finite or of another shape, `CapabilityError` for a context.
        """
        refuse_context(self, c)
        generator = generator_or_global(generator, self.device)
        z, _, noise = part_of(self.inward(x), None, generator, rows)
        return self.matching(self.network, z, noise)

    # -- score and density ----------------------------------------------------------------------

    def score(self, x: Tensor) -> Tensor:
        """The score at states `(B, *event)`, in data units, shaped like them.

        Differentiable in the weights where gradients are enabled. Raises `InputError` for states
        that are not finite or of another shape.
        """
        units: Any = self.known_units(x)
        z = self.inward(x)
        with self.evaluating():
            return evaluate(self.network, z, *self.matching.sigmas[-1:]) / units.scale

    def log_prob(self, x: Tensor, c: Any = None) -> LogProb:
        """Log-densities of states `(B, *event)` in nats, in data units, up to one constant.

        Only differences between states mean something. With a gradient in `x`, the score, and in
        the parameters, at the price of a graph. Raises `CapabilityError` unless the network
        is an energy, `InputError` for states that are not finite or of another shape.
        """
        refuse_context(self, c)
        units, z = self.known_units(x), self.inward(x)
        with self.evaluating():
            energy = self.network.energy(z, *self.matching.sigmas[-1:])
        value = units.log_det_inverse() - energy
        return LogProb(value, torch.zeros_like(value), "unnormalized", nfe=1)

    def denoiser(
        self, c: Any = None, n: int = 1, *, guidance: float = 1.0, root: Any = None
    ) -> Denoiser:
        """`E[x_0 | x_t]` under variance-exploding noise between the levels, which is white."""
        refuse_context(self, c)
        return denoiser_of_score(self.network, self.matching.sigmas, self.event_shape)

    # -- sampling -------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        steps: int | None = None,
        step: float | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw `n` states in data units, `(n, *event)`, by Langevin dynamics.

        Chains start from a normal distribution with the variance of the data and the largest noise.
        With many levels they are annealed, `score_matching.annealed_langevin`; else they only find
        what can be reached from there, and modes far apart get wrong weights.

        Args:
            n: how many.
            steps: Langevin steps, at each level; 100 at each of many, else 1000.
            step: the step size, of standardized data and at the last level; `0.2 sigma^2` with many
                levels, else 0.01. The variance of what is found has a relative error of about
                `step / (4 v)` where the variance is `v`.
            seed: or a `generator` on the model's device.
            batch_size: states per evaluation of the network; by default what memory suggests.
            rows: draw this part of the `n` states only, as one of several processes does.
            progress: called with the number of finished and of all steps.

        Warns if states are not finite, and of too few steps at many levels. Raises `InputError` for
        arguments that do not fit, `CapabilityError` for a context.
        """
        refuse_context(self, c)
        units = self.known_units()
        sigmas = self.matching.sigmas
        steps = (100 if sigmas else 1000) if steps is None else checks.whole("steps", steps)
        if step is None:
            step = 0.2 * sigmas[-1] ** 2 if sigmas else 0.01
        seed = fresh_seed(seed, generator)
        parts_of(n, batch_size, rows)
        like = torch.empty(n, *self.event_shape, device=self.device, dtype=self.dtype)
        spread = (1 + sigmas[0] ** 2) ** 0.5 if sigmas else 1.0
        start = spread * normal_like(like, start_noise(seed, slice(0, n), self.device))
        if batch_size is None:
            with self.evaluating():
                batch_size = rows_at_once(lambda z: self.network(z, *sigmas[-1:]), start)
        parts = parts_of(n, batch_size, rows)
        done, total = 0, len(parts) * steps * max(1, len(sigmas))

        def report() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        # Nothing to draw is a share too, if there are more processes than states.
        out = [start[:0]]
        with self.evaluating():
            for part in parts:
                noise = RowNoise(seed, part, self.device)
                if sigmas:
                    x = score_matching.annealed_langevin(
                        self.network,
                        start[part],
                        sigmas,
                        step,
                        steps,
                        generator=noise,
                        callback=report,
                    )
                else:
                    x = score_matching.langevin(
                        self.network, start[part], step, steps, generator=noise, callback=report
                    )
                out.append(x)
        return units(finite(torch.cat(out)))

    # -- inside ---------------------------------------------------------------------------------

    def known_units(self, x: Tensor | None = None) -> Units:
        """The map to data units; raises `InputError` for states that are not finite too."""
        if x is not None:
            check_states(x)
        return super().known_units(x)
