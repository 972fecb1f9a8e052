"""Normalizing flows: a bijection of a simple distribution, with exact densities."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from pushforward import state
from pushforward._random import generator_or_global, resolve
from pushforward.condition import Condition
from pushforward.config import configurable
from pushforward.distributions import Distribution, ManifoldUniform, Normal
from pushforward.errors import InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models import flow_architectures
from pushforward.models.contexts import conditions_for
from pushforward.models.model import GenerativeModel, parts_of, with_density
from pushforward.models.trainable import NEGATIVE_LIKELIHOOD, Trainable
from pushforward.spaces import Torus
from pushforward.transforms import Transform

__all__ = ["NormalizingFlow"]

Progress = Callable[[int, int], None]
Base = Literal["normal", "angles"]

_BASES = ("normal", "angles")


@dataclass(frozen=True)
class _Given:
    """A transform closed over its context, a `Bijection`."""

    transform: Transform
    context: Tensor | None

    def __call__(self, z: Tensor) -> Tensor:
        return self.transform.push(z, self.context)[0]

    def inverse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(x, self.context)


@configurable
class NormalizingFlow(GenerativeModel, Trainable):
    r"""`x = f(z)`, `z ~ q` simple, with `log p(x) = log q(f^{-1}(x)) + log |det df^{-1}(x)|`.

    Args:
        transform: the bijection, base to data (Papamakarios et al. 2021): one of `transforms`, or
            several in `transforms.Composed`. Labels and contexts go to the networks inside; a flow
            of networks that take them is one distribution for each, and has none without.
        base: `normal` for R^d; `angles` for data in `[-pi, pi)^d`, uniform on the torus, which is
            not standardized.
        event_shape: the shape of one data point, if known before training.
        context_network: makes vectors of contexts, trained along: any module `c -> (B, context)`.

    Quantized data are learned with uniform noise over the cells of their levels.

    Raises `InputError` for what is no transform, or an unknown base.

    >>> import pushforward as pf
    >>> data = pf.data.load("two_moons", n=500)
    >>> model = NormalizingFlow.for_data(data, layers=2, width=16, labels=False)
    >>> x, log_p = model.rsample_and_log_prob(3, generator=torch.Generator().manual_seed(0))
    >>> bool(torch.allclose(model.log_prob(x).value, log_p, atol=1e-4))
    True
    """

    dequantize = True
    draws_noise = False
    loss_meaning = NEGATIVE_LIKELIHOOD

    def __init__(
        self,
        transform: Transform,
        base: Base = "normal",
        event_shape: int | tuple[int, ...] | None = None,
        context_network: nn.Module | None = None,
    ) -> None:
        super().__init__(event_shape)
        if not isinstance(transform, Transform):
            raise InputError(f"a flow is made of transforms, not {type(transform).__name__}")
        if base not in _BASES:
            raise InputError(f"the base is {' or '.join(_BASES)}, not {base!r}")
        self.transform, self.base = transform, base
        self.condition = Condition.of(transform)
        if base == "angles":
            self.space = Torus()
        self._ready(context_network)

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """A flow that fits the data.

        Args:
            data: a `pushforward.data.Data`.
            labels: take the data's labels or contexts as a condition.
            options: `kind`, a name of `pushforward list flows` (`spline-coupling` by default), and
                what that architecture takes, such as `layers`, `width`, `depth`, `bins`; `base`;
                or `context_network`, by default one for contexts that are no vectors.

        Raises `InputError` for options that there are not.
        """
        kind = options.pop("kind", "spline-coupling")
        base = options.pop("base", "angles" if kind.startswith("circular") else "normal")
        sizes, more = conditions_for(data, labels, options.pop("context_network", "auto"))
        transform = flow_architectures.build(kind, data.event_shape, sizes, options)
        return cls(transform, base, event_shape=data.event_shape, **more)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Samples and densities, labels or contexts if the networks take them."""
        kind: Any = "estimated" if self._estimates else "exact"
        return Capabilities(True, kind, self.condition.conditional)

    @property
    def _estimates(self) -> bool:
        shape = self.event_shape
        return shape is not None and self.transform.is_estimate(math.prod(shape))

    def flow(self, c: Any = None, n: int = 1) -> _Given:
        """The bijection in a context, of `n` standardized states, with its log-determinant."""
        return _Given(self.transform, self._context(c, n))

    # -- learning -------------------------------------------------------------------------------

    @torch.no_grad()
    def prepare(self, x: Tensor, c: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Start what depends on data, such as `ActNorm`, from up to 4096 points."""
        few = slice(0, 4096)
        context = self._context(None if c is None else state.take(c, few), len(x[few]))
        self.transform.prepare(self.inward(x[few]), context)

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The negative log-likelihood of standardized data `(B, *event)`, in nats, `(B,)`."""
        context = self._context(c, len(x))
        context = None if context is None else context[rows]
        return -self._log_density(self.inward(x)[rows], context)

    def reverse_kl(
        self,
        log_target: Callable[[Tensor], Tensor],
        n: int,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """`log p(x) - log_target(x)` at `n` samples of the model, `(n,)`, with gradients.

        Its mean is `KL(p || target) - log Z` for an unnormalized density with normalization `Z`:
        minimized, it fits the flow to a density without samples. `log_target` takes states in data
        units, and differentiable operations only.
        """
        x, log_p = self.rsample_and_log_prob(n, c, generator=generator)
        return log_p - log_target(x)

    # -- density and samples --------------------------------------------------------------------

    def log_prob(
        self,
        x: Tensor,
        c: Any = None,
        *,
        probes: int = 8,
        seed: int | None = 0,
        batch_size: int | None = None,
    ) -> LogProb:
        """Log-densities of data `(B, *event)` in nats per state, in data units.

        Exact, but for transforms that estimate their log-determinants: then the mean over `probes`
        from `seed`, with its standard error. With gradients in `x` and in the parameters, at the
        price of a graph; `torch.no_grad()` around the call saves it.

        Raises `InputError` for states that are not finite or of another shape.
        """
        z = with_density(self.inward(x))
        with self.evaluating():
            context = self._context(c, len(z))
        parts = parts_of(len(z), batch_size)

        def once() -> Tensor:
            return torch.cat(
                [
                    self._log_density(z[part], None if context is None else context[part])
                    for part in parts
                ]
            )

        units = self.known_units().log_det_inverse()
        with self.evaluating():
            if not self._estimates:
                value = once() + units
                return LogProb(value, torch.zeros_like(value), "exact", nfe=1)
            if probes < 2:
                raise InputError(f"an error needs at least two probes, not {probes}")
            with torch.random.fork_rng():
                torch.manual_seed(resolve(seed).initial_seed())
                values = torch.stack([once() for _ in range(probes)]) + units
        stderr = values.std(0) / probes**0.5
        return LogProb(values.mean(0), stderr, "estimated", nfe=probes)

    def rsample_and_log_prob(
        self, n: int, c: Any = None, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """`n` samples in data units with their log-densities, differentiable in the parameters."""
        units, base = self.known_units(), self._law()
        z = self._noise(n, generator_or_global(generator, self.device))
        x, log_det = self.transform.push(z, self._context(c, n))
        return units(x), base.log_prob(z) - log_det + units.log_det_inverse()

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
        context = self._context(c, n)

        def draw(part: slice) -> Tensor:
            return self.transform(z[part], None if context is None else context[part])

        return self.drawn(z, batch_size, rows, draw, progress)

    # -- inside ---------------------------------------------------------------------------------

    def _log_density(self, z: Tensor, context: Tensor | None) -> Tensor:
        """Of standardized states, with gradients."""
        noise, log_det = self.transform.inverse(z, context)
        return self._law().log_prob(noise) + log_det

    def _law(self) -> Distribution:
        self.known_units()
        shape = self.event_shape
        return Normal(shape) if self.base == "normal" else ManifoldUniform(Torus(), shape)

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        parts_of(n, None)
        return self._law().sample(n, generator=generator).to(self.device, self.dtype)

    def _context(self, c: Any, n: int) -> Tensor | None:
        found: Tensor | None = self.condition.required(c, n, self.device)
        return found
