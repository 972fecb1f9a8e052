"""Generative adversarial networks: a generator, and a critic that estimates how far it is off."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import discrepancies, registry, state
from pushforward._random import normal, part_of, resolve
from pushforward.condition import Condition
from pushforward.config import configurable, made
from pushforward.discrepancies import Discrepancy, Regularizer
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.contexts import vector_conditions
from pushforward.models.game_faults import faults_of_critic, faults_of_samples
from pushforward.models.model import GenerativeModel, Progress
from pushforward.models.trainable import Trainable
from pushforward.nn import Perceptron, suitable_frequencies
from pushforward.nn.perceptron import encoded_condition

__all__ = ["GAN"]

_LOOKED_AT, _FEWEST = 1024, 20


@configurable
class GAN(GenerativeModel, Trainable):
    """`x = g(z)` for normal `z`, trained against a critic (Goodfellow et al. 2014).

    Both players step at once, each down its own loss: the critic sees samples without the
    generator's gradient, the generator sees the critic without its own.

    Args:
        generator: a network `g(z, c)` from `(B, latent)` to states.
        critic: a network `h(x, c)` to `(B, k)`, `k` the discrepancy's `outputs`; `None` for those
            without one.
        discrepancy: what the critic estimates: a name of `pushforward list discrepancies`, or an
            object.
        regularizer: what keeps the critic smooth: a name of `pushforward list regularizers`, an
            object, or `None`.
        latent: the dimension of `z`.
        critic_steps: steps of the critic for one of the generator; a loop of your own calls
            `on_step` before each.
        critic_rate: its learning rate, as a factor of the generator's: two time scales (Heusel et
            al. 2017).
        event_shape: the shape of one data point, if known before training.

    There is no density. What samples are averages of weights that `fit` keeps.

    Raises `InputError` for a discrepancy with a critic that is missing, or without one that is
    given, and numbers that are not positive.

    >>> import pushforward as pf
    >>> model = GAN.for_data(pf.data.load("8gaussians", n=100), labels=False, width=16)
    >>> model.sample(3, seed=0).shape
    torch.Size([3, 2])
    """

    # At half of it 25 modes have .82 of the samples after 10,000 steps, and at this .89.
    learning_rate = 2e-3
    loss_measures_quality = False
    loss_meaning = (
        "The loss is that of the player whose turn it is, generator or critic: it tells how even "
        "the game is, and not how good the samples are."
    )
    turn: Tensor
    frequencies: Tensor

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module | None,
        discrepancy: str | Discrepancy = "jensen-shannon",
        regularizer: str | Regularizer | None = "r1",
        latent: int = 2,
        critic_steps: int = 1,
        critic_rate: float = 1.0,
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(event_shape)
        if latent < 1 or critic_steps < 1 or not critic_rate > 0:
            raise InputError(
                f"latent {latent}, critic_steps {critic_steps} and critic_rate {critic_rate} must "
                "be positive"
            )
        self.discrepancy: Discrepancy = registry.resolve("discrepancies", discrepancy)
        self.regularizer: Regularizer | None = (
            None if regularizer is None else registry.resolve("regularizers", regularizer)
        )
        kind = type(self.discrepancy).__name__
        if (critic is None) != (self.discrepancy.outputs == 0):
            what = "needs no critic: leave it out" if critic else "needs a critic"
            raise InputError(f"{kind} with outputs={self.discrepancy.outputs} {what}")
        self.generator, self.critic = generator, critic
        self.latent, self.critic_steps, self.critic_rate = latent, critic_steps, critic_rate
        if self.regularizer is not None and critic is not None:
            self.regularizer.begin(critic)
        self.register_buffer("turn", torch.ones((), dtype=torch.bool))
        self.condition = Condition.of(generator)
        classes = self.num_classes or 0
        self.register_buffer("frequencies", torch.full((classes,), 1 / max(1, classes)))
        self._ready()

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """Perceptrons that fit the data, and a critic whose slope is bounded.

        `options` are `width` (256 by default) and `depth` (3) of both, and those of the
        constructor. Both see sines and cosines of their inputs if these are few, so that modes much
        narrower than the data are found, and normalize their layers. With most discrepancies the
        critic has the one-sided `GradientPenalty`: one of bounded slope pulls samples to data from
        wherever they are, for f-divergences as for `Wasserstein` (Lipschitz GANs, Zhou et al.
        2019). f-divergences add a term at data and take two steps of the critic for one of the
        generator, without which modes are found with uneven weights; `wasserstein` and
        `learned-mmd` take five. `relativistic` has `R1R2` in its place, and one step each.
        """
        width, depth = options.pop("width", 256), options.pop("depth", 3)
        sizes = vector_conditions(data, labels, of="GAN")
        latent = options.pop("latent", max(2, min(64, data.x[0].numel())))
        discrepancy: Any = registry.resolve(
            "discrepancies", options.pop("discrepancy", "jensen-shannon")
        )
        chosen: dict[str, Any] = {"regularizer": "gradient-penalty"}
        if isinstance(discrepancy, discrepancies.Wasserstein | discrepancies.LearnedMMD):
            # With one step each the mean of a normal law is 1.3 deviations off after 1,000 steps.
            chosen["critic_steps"] = 5
        elif isinstance(discrepancy, discrepancies.RelativisticPairs):
            # With 0.1, slopes are too small for narrow modes: .60 of samples near one, and .66.
            chosen["regularizer"] = discrepancies.R1R2(0.02)
        elif discrepancy.outputs:
            # Otherwise eight equal modes have .002 to .25 of the samples after 10,000 steps.
            chosen = {"regularizer": discrepancies.GradientPenalty(data=0.1), "critic_steps": 2}
        options = chosen | options

        def network(inputs: Any, outputs: Any) -> Perceptron:
            seen = suitable_frequencies(math.prod(inputs))
            fine: dict[str, Any] = {"frequencies": seen, "normalize": True}
            return Perceptron(inputs, outputs, width, depth, **fine, **sizes)

        critic = None
        if discrepancy.outputs:
            critic = network(data.event_shape, (discrepancy.outputs,))
        return made(
            cls,
            options,
            generator=network((latent,), data.event_shape),
            critic=critic,
            discrepancy=discrepancy,
            latent=latent,
            event_shape=data.event_shape,
        )

    # -- what it is -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Samples without a density, labels if the generator takes them."""
        return Capabilities(True, "none", self.condition.conditional)

    def about_density(self, options: dict[str, Any]) -> str:
        """Why there is none."""
        shape = self.event_shape
        if shape is not None and self.latent < (entries := state.numel(shape)):
            return (
                f"this GAN has no density, it is singular: its samples lie on a set of at most "
                f"{self.latent} dimensions, those of its latents, of the {entries} of a state"
            )
        return "a GAN has no density that could be computed, its generator cannot be inverted"

    # -- learning -------------------------------------------------------------------------------

    def parameter_groups(self) -> list[dict[str, Any]]:
        """No momentum in a game, which it makes turn in circles, and two learning rates."""
        betas = (0.9, 0.99) if self.critic is None else (0.0, 0.99)
        groups: list[dict[str, Any]] = [
            {"params": list(self.generator.parameters()), "betas": betas}
        ]
        if self.critic is not None:
            players = list(self.critic.parameters())
            groups.append({"params": players, "betas": betas, "rate": self.critic_rate})
        return groups

    def prepare(self, x: Tensor, c: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Take the labels' frequencies, for a look at samples of all of them."""
        if self.num_classes is not None and c is not None:
            known = c[c >= 0].to(self.frequencies.device)
            counts = torch.bincount(known, minlength=self.num_classes).clamp(min=1e-9)
            self.frequencies.copy_(counts / counts.sum())

    def on_step(self, step: int, source: Tensor | None, target: Tensor, c: Any = None) -> None:
        """Bring the critic's weights to where they may be, and say whether it is the generator's
        turn: at every `critic_steps`-th step."""
        if self.regularizer is not None and self.critic is not None:
            self.regularizer.project(self.critic)
        self.turn.fill_(step % self.critic_steps == 0)

    @property
    def _moves(self) -> bool:
        """Whether the generator has a loss: in its turn, and outside training."""
        return not self.training or self.critic_steps == 1 or bool(self.turn)

    @property
    def compares_rows(self) -> str | None:
        """Samples that are compared with all data of a batch, by a kernel or a plan."""
        if self.discrepancy.pointwise:
            return None
        return f"{type(self.discrepancy).__name__} compares all states of a batch"

    def frozen_parameters(self) -> list[nn.Parameter]:
        """The generator, unless it is its turn."""
        return [] if self._moves else list(self.generator.parameters())

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The losses of both players at data `(B, *event)`, added up, `(B,)`.

        `rows` asks for a part of the batch, as if it had been cut out of the loss of the whole.
        Their gradients do not mix. That of the generator is there in every `critic_steps`-th step
        of training. The sum says little; samples do.
        """
        if self.compares_rows and rows != slice(None):
            return self.loss(x, c, generator=generator)[rows]
        context = self.condition.required(c, len(x), self.device)
        real, context, generator = part_of(self.inward(x), context, generator, rows)
        z = self._noise(len(real), generator)
        turn = self._moves
        with torch.set_grad_enabled(torch.is_grad_enabled() and turn):
            fake = self._made(z, context)
        if self.critic is None:
            joined = self._joined(real, context), self._joined(fake, context)
            return self.discrepancy.generator_loss(*joined)
        total = self._critic_loss(real, fake.detach(), context, generator)
        if turn:
            with _frozen(self.critic):
                seen = self._seen(real, context), self._seen(fake, context)
            total = total + self.discrepancy.generator_loss(*seen)
        return total

    def _critic_loss(
        self, real: Tensor, fake: Tensor, context: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        seen = self._seen(real, context), self._seen(fake, context)
        total = self.discrepancy.critic_loss(*seen)
        if self.regularizer is None:
            return total

        def witness(x: Tensor, c: Any = None) -> Tensor:
            return self.discrepancy.witness(self._seen(x, c), *seen)

        more = self.regularizer.penalty(witness, real, fake, context, generator)
        return total if more is None else total + more

    # -- sampling -------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw `n` states in data units, `(n, *event)`.

        `rows` draws a part of them only, as one of several processes does. Warns if states are not
        finite. Raises `InputError` for arguments that do not fit.
        """
        z = self._noise(n, resolve(seed, generator, self.device, rows=n))
        context = self.condition.required(c, n, self.device)

        def draw(part: slice) -> Tensor:
            return self._made(z[part], None if context is None else context[part])

        return self.drawn(z, batch_size, rows, draw, progress)

    def log_prob(self, x: Tensor, c: Any = None) -> LogProb:
        """Raises `CapabilityError`, and says why: a distribution on a set of fewer dimensions than
        states have entries is singular, and no density exists; of others none can be computed."""
        raise CapabilityError(
            f"{self.about_density({})}: judge it by samples, pushforward evaluate"
        )

    @torch.no_grad()
    def warnings(self, x: Tensor, c: Any = None) -> list[str]:
        """Collapse, and a critic that tells samples from data `(N, *event)`.

        Data that training has not seen are the better ones: a critic may know the others by heart.
        A model with labels or contexts looks at samples with those of the data, `c`. Without them
        its labels are as frequent as in training, and the critic is not asked.
        """
        n = min(_LOOKED_AT, len(x))
        if n < _FEWEST or (c is None and self.context_size is not None):
            return []
        rows = torch.randperm(len(x), generator=resolve(0))[:n].to(x.device)
        asks = self.critic is not None and (c is not None or not self.condition.conditional)
        if c is None and self.num_classes is not None:
            generator = resolve(0, None, self.device)
            c = torch.multinomial(self.frequencies, n, True, generator=generator)
        elif c is not None:
            c = state.take(c, rows)
        context = self.condition.rows(c, n, self.device)
        real, fake = self.inward(x[rows]), self.inward(self.sample(n, c, seed=0))
        if not fake.isfinite().all():
            return ["Samples are not finite: the generator has diverged. Lower the learning rate."]
        found = list(faults_of_samples(real.flatten(1), fake.flatten(1)))
        if asks:
            with self.evaluating():
                found += faults_of_critic(*self._scores(real, fake, context))
        return found

    # -- inside ---------------------------------------------------------------------------------

    def _noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        self.known_units()
        return normal((n, self.latent), generator, device=self.device, dtype=self.dtype)

    def _made(self, z: Tensor, context: Tensor | None) -> Tensor:
        out: Tensor = self.generator(z) if context is None else self.generator(z, context)
        if out.shape[1:] != self.event_shape:
            raise InputError(
                f"the generator returned {tuple(out.shape)} for states of shape {self.event_shape}"
            )
        return out

    def _joined(self, x: Tensor, context: Tensor | None) -> Tensor:
        """States with their labels or contexts beside them, as far from each other as states are.

        Without a critic it is by these alone that samples of one label are compared with its data.
        """
        if context is None:
            return x
        flat = x.flatten(1)
        given = encoded_condition(context, flat, self.num_classes, self.context_size)
        return flat if given is None else torch.cat([flat, given * math.sqrt(flat.shape[1])], 1)

    def _scores(self, real: Tensor, fake: Tensor, c: Tensor | None) -> list[Tensor]:
        """The witness at one half of data and samples, where the other half makes it known."""
        half = len(real) // 2
        values = self._seen(real, c), self._seen(fake, c)
        known = [v[:half] for v in values]
        return [self.discrepancy.witness(v[half:], *known) for v in values]

    def _seen(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        assert self.critic is not None
        out: Tensor = self.critic(x) if c is None else self.critic(x, c)
        return out


@contextmanager
def _frozen(net: nn.Module) -> Iterator[None]:
    """Gradients go through the network, and none to it."""
    trained = [p for p in net.parameters() if p.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
