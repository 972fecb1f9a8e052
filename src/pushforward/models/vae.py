"""Variational autoencoders: latents pushed forward by a decoder, learned through an encoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from pushforward._random import branch, part_of, resolve
from pushforward.checks import number, whole
from pushforward.condition import Condition
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.estimates import Capabilities, LogProb, mean
from pushforward.latent import (
    Decoder,
    Elbo,
    Encoder,
    Evidence,
    Prior,
    Reparametrized,
    annealed,
    weighed,
)
from pushforward.models.batch_size import rows_at_once
from pushforward.models.linear_start import linear_start
from pushforward.models.model import GenerativeModel, finite, parts_of
from pushforward.models.trainable import NEGATIVE_BOUND, Trainable
from pushforward.models.vae_parts import checked_parts, vae_parts
from pushforward.models.vae_warnings import ABOUT_MEANS, latent_warnings
from pushforward.protocols import Distribution

__all__ = ["VAE"]

Progress = Callable[[int, int], None]

_NUMBERS = 1 << 24
"""Entries of states that are decoded at a time."""

_ACTIVE = 0.01
"""The variance of a posterior mean above which a latent is active (Burda et al. 2016)."""


@configurable
class VAE(GenerativeModel, Trainable):
    r"""A variational autoencoder (Kingma & Welling 2014, Rezende et al. 2014).

    Latents `z ~ p(z)` become data through a decoder `p(x | z)`; an encoder `q(z | x)` makes the
    likelihood tractable:

        log p(x) >= E_q[log p(x | z)] - KL(q(z | x) || p(z)).

    Args:
        encoder: an object of `pushforward.latent`, such as `DiagonalEncoder(net, latent=2)`.
        decoder: `GaussianDecoder`, `BernoulliDecoder` or `LogisticDecoder`.
        prior: `StandardNormal` by default, `MixturePrior`, `VampPrior` or `FlowPrior`.
        beta: the weight of the divergence (Higgins et al. 2017); 1 is the bound.
        free_bits: nats of divergence per latent that cost nothing (Kingma et al. 2016): a mean over
            the batch below that has no gradient.
        samples: latents for each state in training; more than one train the importance-weighted
            bound `E log 1/K sum_k p(x, z_k) / q(z_k | x)` (Burda et al. 2016).
        event_shape: the shape of one data point, if known before training.

    States cross this class in data units. The decoder of a density works on standardized states; a
    decoder of levels on the data as they are, which then must be levels: `discrete` is true, and
    `log_prob` is the logarithm of a probability. Encoders see standardized states.

    Raises `InputError` for parts that do not fit, or several samples with beta or free bits, which
    have no bound.

    >>> import pushforward as pf
    >>> from pushforward.latent import DiagonalEncoder, GaussianDecoder
    >>> from pushforward.nn import Perceptron
    >>> encoder = DiagonalEncoder(Perceptron(3, 4, width=16), latent=2)
    >>> model = pf.VAE(encoder, GaussianDecoder(Perceptron(2, 3, width=16)), event_shape=(3,))
    >>> model.sample(5, seed=0).shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        prior: Prior | None = None,
        beta: float = 1.0,
        free_bits: float = 0.0,
        samples: int = 1,
        event_shape: int | tuple[int, ...] | None = None,
    ) -> None:
        super().__init__(event_shape)
        self.loss_meaning = NEGATIVE_BOUND
        self.encoder, self.decoder, self.prior = checked_parts(encoder, decoder, prior)
        beta, free_bits = number("beta", beta, least=0), number("free_bits", free_bits, least=0)
        if whole("samples", samples) > 1 and (beta != 1 or free_bits):
            raise InputError(
                f"the importance-weighted bound of samples={samples} has no beta and no free bits: "
                "leave them out, or take samples=1"
            )
        self.beta, self.free_bits, self.samples = beta, free_bits, samples
        self.discrete = decoder.discrete
        # A density of levels has no bound.
        self.dequantize = not decoder.discrete
        self.condition = Condition.of(decoder.net)
        self._ready()

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """A model that fits the data: convolutions for images, perceptrons for all else.

        `options` are the constructor's `beta`, `free_bits` and `samples`, and those of
        `models.vae_parts`: `latent`, `width`, `depth`, `decoder`, `encoder`, `prior`, `sigma` and
        `components`. Raises `InputError` for others.
        """
        known = {"beta", "free_bits", "samples"}
        own = {name: value for name, value in options.items() if name in known}
        others = {name: value for name, value in options.items() if name not in known}
        parts = vae_parts(data, labels=labels, names=sorted(known), **others)
        return cls(**parts, **own, event_shape=data.event_shape)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Samples, estimated log-densities or log-probabilities; labels if the decoder has them."""
        return Capabilities(True, "estimated", self.condition.conditional)

    @property
    def latent(self) -> int:
        """The dimension of the latents."""
        return self.encoder.latent

    def about_sampling(self, options: dict[str, Any]) -> str | None:
        """That the decoder's means are another distribution than the one of log-densities."""
        return ABOUT_MEANS if options.get("mean") else None

    def prior_distribution(self) -> Distribution:
        """The distribution of the latents as it is now."""
        found: Distribution = self.prior(self.encoder)
        return found

    @property
    def compares_rows(self) -> str | None:
        """Free bits, which the mean over a batch has."""
        return "free bits are those of the mean over a batch" if self.free_bits else None

    # -- learning -------------------------------------------------------------------------------

    def prepare(self, x: Tensor, c: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Check that data are levels if they must be, and start at principal components of data."""
        self.decoder.check(x)
        z, context = self.inward(x), self._context(c, len(x))
        linear_start(self.encoder, self.decoder, self.prior, z, context, generator)
        self.prior.prepare(z, generator)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Encoder and decoder, and a prior, which may have far to go."""
        nets = [*self.encoder.parameters(), *self.decoder.parameters()]
        own = list(self.prior.parameters())
        groups: list[dict[str, Any]] = [{"params": nets}]
        groups.append({"params": own, "rate": self.prior.rate})
        return groups if own else groups[:1]

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """Minus the bound of data `(B, *event)` in nats, `(B,)`, with beta and free bits.

        `rows` asks for a part of the batch, as if it had been cut out of the loss of the whole.
        """
        if self.free_bits and rows != slice(None):
            return self.loss(x, c, generator=generator)[rows]
        x, context, generator = part_of(x, self._context(c, len(x)), generator, rows)
        evidence = self._evidence(x, context)
        if self.samples > 1:
            noise = evidence.noise(self.samples, generator)
            return math.log(self.samples) - evidence(noise).logsumexp(0)
        found = self._elbo(evidence, 1, resolve(None, generator, self.device))
        kl = found.kl
        if self.free_bits:
            free = self.free_bits * self.latent / kl.shape[1]
            kl = torch.where(kl.mean(0) > free, kl, free)
        return self.beta * kl.sum(-1) - found.reconstruction

    def elbo(
        self,
        x: Tensor,
        c: Any = None,
        *,
        samples: int = 1,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Elbo:
        """The evidence lower bound of data `(B, *event)`, a mean over `samples` latents each.

        The divergence is exact between Gaussians, and otherwise estimated by the same latents.
        """
        whole("samples", samples)
        evidence = self._evidence(x, self._context(c, len(x)))
        return self._elbo(evidence, samples, resolve(seed, generator, self.device))

    def _elbo(self, evidence: Evidence, samples: int, generator: torch.Generator) -> Elbo:
        z, log_q = evidence.posterior.push_and_log_prob(evidence.noise(samples, generator))
        kl = self.prior.divergence(evidence.posterior)
        if kl is None:
            kl = (log_q - evidence.prior.log_prob(z)).mean(0).unsqueeze(-1)
        return Elbo(evidence.log_likelihood(z).mean(0), kl)

    # -- density --------------------------------------------------------------------------------

    @torch.no_grad()
    def log_prob(
        self,
        x: Tensor,
        c: Any = None,
        *,
        method: str = "importance",
        samples: int | None = None,
        steps: int = 100,
        leapfrogs: int = 5,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> LogProb:
        """Log-densities of states `(B, *event)` in nats, in data units, with the decoder's noise.

        With a decoder of levels they are log-probabilities. Without gradient: train on `loss`, or
        take `elbo`, which has one in the parameters and in the states.

        Args:
            x: the states.
            c: labels or contexts.
            method: `importance`, the importance-weighted estimate (Burda et al. 2016), below the
                truth in the mean; `bound`, the evidence lower bound; `annealed`, the same estimate
                by chains that start at the posterior and move to the truth (Neal 2001, Wu et al.
                2017): the reference, `steps leapfrogs` times as dear.
            samples: latents or chains for each state; 100, or 32 chains.
            steps: distributions on the way of a chain.
            leapfrogs: gradients at each of them.
            seed: or a `generator` on the model's device.
            batch_size: states at a time.
            progress: called with the number of finished and of all batches.

        Standard errors are those of a mean. Those of a logarithm hold where `converged` says so: an
        encoder that is far from the posterior gives weights whose spread says nothing of their
        error (`importance.log_mean`, `latent.weighed`). `annealed` is the way out, or more samples.

        Raises `InputError` for another method, values that are not finite, or no levels, and
        `CapabilityError` for labels that are missing or not taken.
        """
        methods = {"importance": 100, "bound": 100, "annealed": 32}
        if method not in methods:
            raise InputError(f"a method is one of {', '.join(methods)}, not {method!r}")
        samples = whole("samples", methods[method] if samples is None else samples)
        whole("steps", steps)
        whole("leapfrogs", leapfrogs)
        self.known_units(x)
        if not x.isfinite().all():
            raise InputError("states that are not finite have no density")
        self.decoder.check(x)
        generator = resolve(seed, generator, self.device)
        # What a gradient needs is kept in memory.
        numbers = _NUMBERS // 4 if method == "importance" else _NUMBERS
        most = max(1, numbers // (samples * max(x[0].numel(), self.latent)))
        size = min(len(x), most) if batch_size is None else batch_size
        parts = parts_of(len(x), size)
        context = self._context(c, len(x))
        found: list[tuple[Tensor, ...]] = []
        with self.evaluating():
            for done, part in enumerate(parts):
                evidence = self._evidence(x[part], None if context is None else context[part])
                own = branch(generator, part.start)
                if method == "annealed":
                    like = evidence.posterior.location
                    found.append(annealed(evidence, like, samples, steps, leapfrogs, own))
                else:
                    noise = evidence.noise(samples, own)
                    bound = method == "bound"
                    found.append(mean(evidence(noise)) if bound else weighed(evidence, noise))
                if progress is not None:
                    progress(done + 1, len(parts))
        value, stderr, *more = (torch.cat(part) for part in zip(*found, strict=True))
        if method == "bound":
            return LogProb(value, stderr, "bound", nfe=samples)
        each = {"importance": 2, "annealed": steps * (leapfrogs + 2)}
        return LogProb(value, stderr, "estimated", samples * each[method], converged=more[-1])

    # -- sampling and coding --------------------------------------------------------------------

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        mean: bool = False,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw `n` states in data units, `(n, *event)`.

        Args:
            n: how many.
            c: labels or contexts, one for all or one per state.
            mean: give the decoder's mean `g(z)` in the place of a draw of `p(x | z)`. Pictures
                look smoother, but it is another distribution than the one that `log_prob` is of:
                too narrow, and too correlated.
            seed: or a `generator` on the model's device.
            batch_size: states per evaluation of the decoder; by default what memory suggests.
            rows: draw this part of the `n` states only, as one of several processes does.
            progress: called with the number of finished and of all batches.

        Warns if states are not finite. Raises `InputError` for arguments that do not fit.
        """
        self.known_units()
        parts_of(n, batch_size, rows)
        context = self._context(c, n)
        generator = resolve(seed, generator, self.device, rows=n)

        def decoded(z: Tensor, part: slice) -> Any:
            return self.decoder(z, None if context is None else context[part])

        out = []
        with self.evaluating():
            z = self.prior_distribution().sample(n, generator=generator)
            like = torch.empty(n, *self.event_shape, device=self.device, dtype=self.dtype)
            noise = like if mean else self.decoder.family.noise(like, generator)
            size = batch_size or rows_at_once(lambda few: decoded(few, slice(0, len(few))), z)
            for done, part in enumerate(parts := parts_of(n, size, rows)):
                found = decoded(z[part], part)
                out.append(found.mean if mean else found.push(noise[part]))
                if progress is not None:
                    progress(done + 1, len(parts))
        return finite(self.outward(torch.cat(out)))

    def encode(self, x: Tensor, c: Any = None) -> Reparametrized:
        """The posteriors `q(z | x)` of the latents of states `(B, *event)` in data units."""
        posterior: Reparametrized = self.encoder(self.inward(x), self._context(c, len(x)))
        return posterior

    def decode(self, z: Tensor, c: Any = None) -> Tensor:
        """The mean `g(z)` of latents `(B, latent)`, `(B, *event)` in data units."""
        if z.ndim != 2 or z.shape[1] != self.latent:
            raise InputError(f"latents have shape (B, {self.latent}), not {tuple(z.shape)}")
        return self.outward(self.decoder(z, self._context(c, len(z))).mean)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, c: Any = None) -> Tensor:
        """States through encoder and decoder, at the middle of the posterior."""
        with self.evaluating():
            return self.decode(self.encode(x, c).middle(), c)

    # -- judging --------------------------------------------------------------------------------

    @torch.no_grad()
    def active_units(self, x: Tensor) -> Tensor:
        """Which latents the data `(N, *event)` move, `(latent,)` of booleans (Burda et al. 2016).

        Those whose posterior mean has a variance above 0.01. A conditional model is asked without
        labels.
        """
        with self.evaluating():
            middle = self.encoder(self.inward(x), None).middle()
        return middle.var(0, correction=0) > _ACTIVE

    def warnings(self, x: Tensor, c: Any = None) -> list[str]:
        """Posterior collapse, and a decoder without noise."""
        active = int(self.active_units(x[:2000]).sum()) if len(x) > 1 else self.latent
        return latent_warnings(active, self.latent, self.decoder.narrowest())

    # -- inside ---------------------------------------------------------------------------------

    def _evidence(self, x: Tensor, context: Tensor | None) -> Evidence:
        z = self.inward(x)
        constant = torch.zeros_like(z[0].sum())
        if not self.discrete:
            constant = self.known_units().log_det_inverse()
        target = x.to(z) if self.discrete else z
        posterior = self.encoder(z, context)
        prior = self.prior_distribution()
        return Evidence(self.decoder, posterior, prior, target, context, constant)

    def outward(self, z: Tensor) -> Tensor:
        """States in data units; those of a decoder of levels are in them already."""
        return z if self.discrete else super().outward(z)

    def _context(self, c: Any, n: int) -> Tensor | None:
        context: Tensor | None = self.condition.required(c, n, self.device)
        return context
