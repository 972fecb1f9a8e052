"""Energy-based models: a density up to a constant, which is estimated."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import checks, mcmc, registry, state
from pushforward._random import (
    fresh_seed,
    generator_or_global,
    resolve,
)
from pushforward._shapes import per_event_sum
from pushforward.checks import positive
from pushforward.condition import Condition
from pushforward.config import configurable, made
from pushforward.distributions import Normal
from pushforward.energy_training import NoiseContrastive, Training
from pushforward.errors import CapabilityError, ConvergenceWarning, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.energy_sampling import Request, approach
from pushforward.models.log_z import LogZs, estimated_log_z
from pushforward.models.model import GenerativeModel, finite, with_density
from pushforward.models.trainable import Trainable
from pushforward.nn import Perceptron, suitable_frequencies
from pushforward.score_matching import Energy
from pushforward.spaces import Units

__all__ = ["EnergyModel"]

_FEW = 8
"""Dimensions in which Gaussian noise teaches a model."""


@configurable
class EnergyModel(GenerativeModel, Trainable):
    r"""The density `exp(-E(z)) / Z` of standardized data `z`, with `E(z) = net(z) + |z|^2 / 2 s^2`.

    Args:
        net: a smooth network of one number per state, `net(z)` or, with `num_classes`, `net(z, c)`:
            `nn.Perceptron(event_shape, 1)`, for example.
        training: `pcd`, `cd`, `nce`, `denoising`, `sliced`, `sliced-vr`, `implicit`, or one of the
            objects in `energy_training` and `score_matching`.
        base: the scale `s` of the Gaussian factor, which makes any network normalizable that grows
            at most linearly; `None` for the network alone.
        event_shape: the shape of one data point, if known before training.

    With labels it is one energy for each, and there is none without a label. The normalizing
    constants are not known until `estimate_log_z` has found them, which keeps them.

    Raises `InputError` for a network that cannot be called so.

    >>> import pushforward as pf
    >>> model = EnergyModel(pf.nn.Perceptron(2, 1, width=16), event_shape=2)
    >>> model.sample(3, sampler="hmc", steps=2, seed=0).shape
    torch.Size([3, 2])
    """

    dequantize = True
    log_z: Tensor
    log_z_stderr: Tensor
    log_z_ess: Tensor
    log_z_converged: Tensor
    frequencies: Tensor

    def __init__(
        self,
        net: nn.Module,
        training: str | Any = "pcd",
        base: float | None = 2.0,
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(event_shape)
        self.network = Energy(net)
        if getattr(net, "context_size", None) is not None:
            raise InputError("an energy model takes labels, not contexts: give num_classes=")
        base = None if base is None else positive("base", base)
        self.condition = Condition.of(net)
        _check_call(net, self.num_classes)
        self.base = base
        self.learning: Training = registry.resolve("energy-training", training)
        self.loss_measures_quality = self.learning.comparable
        self.loss_meaning = self.learning.meaning
        count = self.num_classes or 1
        for name in ("log_z", "log_z_stderr", "log_z_ess"):
            self.register_buffer(name, torch.full((count,), math.nan))
        self.register_buffer("log_z_converged", torch.zeros(count, dtype=torch.bool))
        self.register_buffer("frequencies", torch.full((count,), 1 / count))
        self._ready()

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """A perceptron's energy, larger for longer vectors; `options` are the constructor's.

        It learns by noise contrast in up to eight dimensions, where Gaussian noise is close enough
        to the data, and by persistent contrastive divergence in more. Noise contrast tells it where
        there are no data, so that its perceptron may see fine structure (`nn.FourierFeatures`).
        Raises `InputError` for options that the constructor does not take.
        """
        width = min(1024, max(128, 4 * math.prod(data.event_shape)))
        classes = data.num_classes if labels else None
        size = math.prod(data.event_shape)
        usual = NoiseContrastive(ratio=4) if size <= _FEW else "pcd"
        training = registry.resolve("energy-training", options.get("training", usual))
        fine = isinstance(training, NoiseContrastive)
        net = Perceptron(
            data.event_shape, 1, width=width, num_classes=classes, zero=True,
            frequencies=suitable_frequencies(size) if fine else 0, normalize=fine,
        )  # fmt: skip
        chosen = {**options, "training": training}
        return made(cls, chosen, net=net, event_shape=data.event_shape)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Samples, and densities whose constant `estimate_log_z` has to find first."""
        return Capabilities(True, "estimated", self.condition.conditional)

    def energy(self, x: Tensor, c: Any = None) -> Tensor:
        """The energy of states `(B, *event)` in data units, `(B,)`: `-log p` up to a constant.

        Differentiable, in `x` and in the parameters. Raises `CapabilityError` if the model has
        labels and `c` is not given.
        """
        labels, z = self._labels(c, len(x)), self.inward(x)
        with self.evaluating():
            return self._energy(z, labels)

    # -- learning -------------------------------------------------------------------------------

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The loss of data `(B, *event)` by the training in use, `(B,)`.

        `rows` asks for a part of the batch, as if it had been cut out of the loss of the whole;
        chains want the parts in their order (see `energy_training`). The loss of contrastive
        divergence is a difference of energies: its gradient means something, its value does not. In
        training mode chains are kept, and a known `log Z` is forgotten.
        Raises `CapabilityError` for labels that the network does not take, or that are missing.
        """
        labels, z = self._labels(c, len(x)), self.inward(x)
        if self.training:
            self.log_z.fill_(math.nan)
        noise = generator_or_global(generator, z.device)
        return self.learning(self._energy, z, labels, noise, rows)

    @property
    def compares_rows(self) -> str | None:
        """Chains of a batch share their step size."""
        return self.learning.compares_rows

    def prepare(self, x: Tensor, c: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Take the labels' frequencies and what the training needs from data `(N, *event)`."""
        labels = self._labels(c, len(x))
        if labels is not None:
            counts = torch.bincount(labels, minlength=len(self.frequencies))
            self.frequencies.copy_(counts / len(labels))
        self.learning.prepare(self.inward(x), labels, generator)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The network, and a learned `log Z`, which may have far to go and is faster."""
        network: dict[str, Any] = {
            "params": list(self.network.parameters()),
            "rate": self.learning.rate,
        }
        own = list(self.learning.parameters())
        return [network, {"params": own, "rate": 10.0}] if own else [network]

    @torch.no_grad()
    def warnings(self, x: Tensor, c: Any = None) -> list[str]:
        """Chains that diverge, samples unlike the data in energy, and a `log Z` that is uncertain.

        Draws 256 samples. A `log Z` that is not known is estimated for the purpose, not kept.
        """
        found = self.learning.warnings()
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            generator = resolve(0, None, self.device)
            labels = None
            if self.num_classes is not None:
                labels = torch.multinomial(self.frequencies, 256, True, generator=generator)
            drawn = self.sample(256, labels, steps=200, generator=generator)
            drawn = drawn[drawn.flatten(1).isfinite().all(1)]
            rows = x[torch.linspace(0, len(x) - 1, min(len(x), 1000)).long()]
            log_z = self._constants()
            if not self._normalized:
                warnings.simplefilter("ignore", ConvergenceWarning)
                log_z = self._estimated(512, 200, generator)
            here, there = (self._surprise(part, log_z.value) for part in (rows, drawn))
        texts = {str(warning.message) for warning in raised}
        found += [f"{text[0].upper()}{text[1:]}." for text in sorted(texts)]
        spread = max(float(here.std()) if len(here) > 1 else 0.0, 0.1)
        gap = float(there.mean() - here.mean())
        if not abs(gap) < spread:
            way = "higher" if gap > 0 else "lower"
            found.append(
                f"The energy of samples is {abs(gap):.3g} nats {way} than that of the data, which "
                f"varies by {spread:.3g}: the model's distribution is not that of the data; "
                "training has not converged, or has diverged."
            )
        return [*found, *log_z.warnings()]

    # -- density --------------------------------------------------------------------------------

    def estimate_log_z(
        self,
        chains: int = 512,
        temperatures: int = 200,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> LogZs:
        """Estimate `log Z` by annealed importance sampling, and keep it with the model.

        The path leads from the Gaussian base to the model. Training forgets it. Warns if the
        weights degenerate, and says so in `converged`: see `mcmc.annealed_importance_sampling`.
        """
        found = self._estimated(chains, temperatures, resolve(seed, generator, self.device))
        for own, value in zip(self._constants(), found, strict=True):
            own.copy_(value)
        return found

    def normalize(self, *, seed: int = 0) -> None:
        """Estimate `log Z`, unless it is known: with the defaults, then four times the steps.

        Warns if the second estimate has not converged either.
        """
        if self._normalized:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = self.estimate_log_z(seed=seed)
        if not bool(found.converged.all()):
            self.estimate_log_z(temperatures=800, seed=seed)

    @torch.no_grad()
    def log_prob(self, x: Tensor, c: Any = None) -> LogProb:
        """Log-densities of states `(B, *event)` in nats, in data units.

        With the constant that `estimate_log_z` found, whose error is the same for all states.
        Without gradient: that in `x` is minus the gradient of `energy`.

        Raises `CapabilityError` before `estimate_log_z`, and for labels that the network does not
        take or that are missing; `InputError` for states that are not finite.
        """
        labels, z = self._labels(c, len(x)), with_density(self.inward(x))
        if not self._normalized:
            raise CapabilityError(
                "the normalizing constant of this energy is not known: call estimate_log_z() "
                "first, or take -energy(x), the log-density up to a constant"
            )
        which = torch.zeros(len(x), dtype=torch.long, device=z.device) if labels is None else labels
        with self.evaluating():
            value = (
                self.known_units().log_det_inverse() - self._energy(z, labels) - self.log_z[which]
            )
        stderr, converged = self.log_z_stderr[which], self.log_z_converged[which]
        return LogProb(value, stderr, "estimated", 1, converged=converged, shared=True)

    # -- sampling -------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        sampler: str | mcmc.MarkovKernel = "annealed",
        steps: int = 500,
        step: float | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Draw `n` states in data units, `(n, *event)`, by chains that start from the base.

        Args:
            n: how many.
            c: labels, one for all or one per state.
            sampler: `annealed`, Langevin steps with acceptance along the geometric path from the
                base, resampled by their weights on the way and at its end (sequential Monte Carlo,
                `mcmc.PooledResampling`), which gives modes that lie far apart their shares; or
                `ula`, `mala`, `hmc` or an object of `mcmc`, on the model itself.
            steps: how many; if annealed each at a temperature of its own, and one in ten at the
                end, after resampling, which draws copies of one chain apart.
            step: the step size, of standardized data; by default a few chains find it first.
            seed: or a `generator` on the model's device.
            batch_size: chains at a time, annealed ones in whole pools; by default what memory
                suggests.
            rows: draw this part of the `n` states only, as one of several processes does.
            progress: called with the number of finished and of all steps.

        Annealed chains are resampled in pools of 128 with one label, so that one state costs as
        much as a pool. Warns of chains that diverge, and of annealed ones whose weights degenerate
        somewhere on the way. Raises `InputError` for arguments that do not fit, and
        `CapabilityError` for labels that the network does not take or that are missing.
        """
        units, way = self.known_units(), approach(sampler)
        checks.whole("steps", steps)
        request = Request(
            self._log_p,
            self._base_distribution(),
            checks.whole("n", n),
            self._labels(c, n),
            rows,
            batch_size,
            steps,
            None if step is None else positive("step", step),
            fresh_seed(seed, generator),
            self.device,
            progress,
        )
        with self.evaluating():
            return units(finite(way.draw(request)))

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _scale(self) -> float:
        """The scale of the distribution from which chains start."""
        return 1.0 if self.base is None else self.base

    def _base_distribution(self) -> Normal:
        self.known_units()
        return Normal(self.event_shape, self._scale, dtype=self.dtype, device=self.device)

    def _energy(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """The energy of standardized states, `(B,)`."""
        arguments = () if self.num_classes is None else (labels,)
        found = self.network.energy(z, *arguments)
        if self.base is None:
            return found
        return found + per_event_sum(z.square()) / (2 * self.base**2)

    def _log_p(self, labels: Tensor | None) -> mcmc.LogDensity:
        return lambda z: -self._energy(z, labels)

    @property
    def _normalized(self) -> bool:
        return not bool(self.log_z.isnan().any())

    def _estimated(self, chains: int, temperatures: int, generator: torch.Generator) -> LogZs:
        """The constants of the energies of all labels."""

        def log_p(label: Tensor) -> mcmc.LogDensity:
            return lambda z: -self._energy(z, label.expand(len(z)))

        labels = torch.arange(len(self.log_z), device=self.device)
        base = self._base_distribution()
        with self.evaluating():
            return estimated_log_z(log_p, base, labels, chains, temperatures, generator)

    def _constants(self) -> LogZs:
        """The constants that are kept."""
        return LogZs(self.log_z, self.log_z_stderr, self.log_z_ess, self.log_z_converged)

    def _surprise(self, x: Tensor, log_z: Tensor) -> Tensor:
        """Minus the log-densities of states, whatever their label, up to a constant, `(B,)`."""
        z, each = self.inward(x), torch.arange(len(log_z), device=self.device)
        with self.evaluating():
            energies = [self._energy(z, label.expand(len(z))) for label in each]
        return -(self.frequencies.log() - torch.stack(energies, -1) - log_z).logsumexp(-1)

    def _labels(self, c: Any, n: int) -> Tensor | None:
        labels: Tensor | None = self.condition.required(c, n, self.device)
        return labels

    def _set_event_shape(self, shape: state.EventShape) -> Units:
        units = super()._set_event_shape(shape)
        self.learning.allocate(shape, self.num_classes, self._scale)
        self.learning.to(self.device, self.dtype)
        return units


def _check_call(net: nn.Module, classes: int | None) -> None:
    """Raise `InputError` for a network that cannot be called as this model calls it."""
    arguments = ("z",) if classes is None else ("z", "c")
    try:
        inspect.signature(net.forward).bind(*arguments)
    except TypeError:
        raise InputError(
            f"the network of an energy is called as net({', '.join(arguments)}), which "
            f"{type(net).__name__} is not: take nn.Perceptron(event_shape, 1)"
        ) from None
