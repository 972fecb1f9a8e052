"""Generative adversarial networks: a generator, and a critic that estimates how far it is off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import discrepancies, registry
from pushforward._random import normal, part_of, resolve
from pushforward.condition import Condition
from pushforward.config import configurable, made
from pushforward.discrepancies import Discrepancy, Regularizer
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.flow_architectures import condition
from pushforward.models.model import GenerativeModel, Progress
from pushforward.models.trainable import Trainable
from pushforward.nn import Perceptron

__all__ = ["GAN"]

_LOOKED_AT = 512


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

    loss_measures_quality = False
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
        """Perceptrons that fit the data.

        `options` are `width` (256 by default) and `depth` (3) of both, and those of the
        constructor. The defaults follow the discrepancy: five steps of the critic and a gradient
        penalty for `wasserstein` and `learned-mmd`.
        """
        width, depth = options.pop("width", 256), options.pop("depth", 3)
        sizes = condition(data, labels)
        size = data.x[0].numel()
        latent = options.pop("latent", max(2, min(64, size)))
        discrepancy: Any = registry.resolve(
            "discrepancies", options.pop("discrepancy", "jensen-shannon")
        )
        if isinstance(discrepancy, discrepancies.Wasserstein | discrepancies.LearnedMMD):
            options = {"regularizer": "gradient-penalty", "critic_steps": 5} | options
        critic = None
        if discrepancy.outputs:
            critic = Perceptron(data.event_shape, discrepancy.outputs, width, depth, **sizes)
        return made(
            cls,
            options,
            generator=Perceptron(latent, data.event_shape, width, depth, **sizes),
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

    # -- learning -------------------------------------------------------------------------------

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Little momentum, which makes a game turn in circles, and two learning rates."""
        betas = (0.0, 0.9)
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

    def on_step(self, step: int, source: Tensor | None, target: Tensor) -> None:
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
            return self.discrepancy.generator_loss(real, fake)
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
        """Raises `CapabilityError`: samples of a GAN have no density that could be computed."""
        raise CapabilityError("a GAN has no density: judge it by samples, pushforward evaluate")

    @torch.no_grad()
    def warnings(self, x: Tensor) -> list[str]:
        """Collapse and a critic that has won, seen on some data `(N, *event)`."""
        n = min(_LOOKED_AT, len(x))
        if n < 20:
            return []
        if self.context_size is not None:
            # Which contexts go with the data is not known here.
            return []
        labels = None
        if self.num_classes is not None:
            labels = torch.multinomial(
                self.frequencies, n, True, generator=resolve(0, None, self.device)
            )
        fake = self.inward(self.sample(n, labels, seed=0)).flatten(1)
        real = self.inward(x[torch.randperm(len(x), generator=resolve(0))[:n]]).flatten(1)
        found = []
        if not fake.isfinite().all():
            return ["Samples are not finite: the generator has diverged. Lower the learning rate."]
        spread = float(fake.var(0).sum() / real.var(0).sum().clamp(min=1e-12))
        if spread < 0.25:
            found.append(
                f"The samples have {spread:.0%} of the data's variance: the generator has "
                "collapsed. Try discrepancy=wasserstein, or a larger regularizer."
            )
        near = _nearest(fake).median() / _nearest(real).median().clamp(min=1e-12)
        if near < 0.1:
            found.append(
                f"A sample's nearest other sample is {float(near):.0%} as far as data points are "
                "from each other: the generator repeats itself."
            )
        if self.critic is not None and self.discrepancy.outputs == 1 and labels is None:
            with self.evaluating():
                shape = self.event_shape
                scores = [self._seen(v.reshape(n, *shape), None)[:, 0] for v in (real, fake)]
            apart = float((scores[0].unsqueeze(1) > scores[1]).float().mean())
            if apart > 0.95:
                found.append(
                    f"The critic ranks data above samples in {apart:.0%} of pairs: it has won, "
                    "and the generator learns little from it."
                )
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


def _nearest(x: Tensor) -> Tensor:
    """The distance of each row to the nearest other."""
    distances = torch.cdist(x, x)
    return distances.fill_diagonal_(torch.inf).amin(1)
