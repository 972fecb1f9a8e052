"""Kernel density estimation on a manifold: the baseline of directions, angles and rotations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor

from pushforward import checks, config
from pushforward._precision import in_double
from pushforward._random import resolve, uniform
from pushforward.config import configurable, made
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.model import GenerativeModel, parts_of, refuse_context, with_density
from pushforward.models.trainable import NEGATIVE_LIKELIHOOD, Trainable
from pushforward.spaces import Manifold

__all__ = ["HeatKernelDensity"]

_AT_ONCE = 1 << 19
_NEGLIGIBLE = 50.0
"""How much smaller, in logarithms, the kernel of a point is that rounding loses beside the nearest
one's; for each dimension one more, as kernels of curved spaces grow a little beside normal ones."""
_NEAR = 2.5
"""The distance up to which they are compared so: about the far side a kernel is not normal."""
_HELD, _MOST = 0.2, 500
_ROUNDS = 500


@configurable
class HeatKernelDensity(GenerativeModel, Trainable):
    r"""Heat kernels of several variances at every data point, and the uniform distribution,

        p(x) = w_0 / volume + sum_s w_s 1/N sum_i k_{v_s}(x_i, x).

    One width cannot be right for a cluster of aftershocks and for the ocean floor; the weights of
    the scales are those of the largest likelihood of up to 500 of them, by EM, under kernels at
    the others. On the 2-sphere the kernels are, for small variances, von Mises-Fisher distributions
    of concentration `1 / v`. The density is as exact as the heat kernel of the space is.

    Args:
        space: a compact manifold, or one without the uniform part.
        scales: how many variances, equal in their logarithms.
        narrowest: the standard deviation of the narrowest kernel.
        widest: of the widest.
        event_shape: the shape of one data point, if known before the fit.
        shapes: of what was fitted; written by the model itself.

    Raises `InputError` for sizes out of order, `CapabilityError` for a space without a heat kernel.

    >>> import pushforward as pf
    >>> from pushforward.spaces import Sphere
    >>> x = Sphere().uniform(200, (3,), torch.Generator().manual_seed(0))
    >>> model = pf.fit(HeatKernelDensity(Sphere()), x, progress=False).model
    >>> model.sample(3, seed=0).shape
    torch.Size([3, 3])
    """

    closed_form = True
    loss_meaning = NEGATIVE_LIKELIHOOD
    space: Manifold
    centers: Tensor
    weights: Tensor

    def __init__(
        self,
        space: Manifold,
        scales: int = 12,
        narrowest: float = 1e-4,
        widest: float = 1.0,
        event_shape: int | tuple[int, ...] | None = None,
        shapes: list[list[int]] | None = None,
    ) -> None:
        super().__init__(event_shape)
        if not isinstance(space, Manifold):
            raise InputError(f"space is a manifold, such as spaces.Sphere(), not {space!r}")
        if space.no_heat:
            raise CapabilityError(space.no_heat)
        if not checks.positive("narrowest", narrowest) < checks.positive("widest", widest):
            raise InputError(f"narrowest={narrowest} is not below widest={widest}")
        self.space: Manifold = space
        logs = torch.linspace(
            2 * math.log(narrowest), 2 * math.log(widest), checks.whole("scales", scales, 2)
        )
        self.variances: list[float] = logs.exp().tolist()
        self._allocate([[0], [0]] if shapes is None else shapes)
        self._ready()

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """The baseline with its defaults; `options` are the constructor's. Labels are left aside.

        Raises `InputError` for options that the constructor does not take.
        """
        cls.space_for(options)
        return made(cls, options, event_shape=data.event_shape)

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> Any:
        """The one given. Raises `InputError` without one."""
        if "space" not in options:
            raise InputError("a kernel density on a manifold needs space=, as spaces.Sphere()")
        return options["space"]

    @property
    def capabilities(self) -> Capabilities:
        """Samples and exact densities, no labels."""
        return Capabilities(True, "exact", False)

    def prepare(self, x: Tensor, c: Tensor | None = None, *, generator: torch.Generator) -> None:
        """Choose the weights of the scales, and keep all data `(N, *event)`.

        Raises `InputError` for fewer than ten points.
        """
        if len(x) < 10:
            raise InputError(f"the scales are chosen on at least ten points, not {len(x)}")
        z = self.inward(x).double().cpu()
        order = torch.randperm(len(z), generator=resolve(0))
        held = z[order[: min(_MOST, max(2, int(_HELD * len(z))))]]
        self._keep(z[order[len(held) :]], torch.ones(len(self.variances) + 1).double())
        logs = self._components(held)
        weights = torch.full((len(logs),), 1 / len(logs)).double()
        for _ in range(_ROUNDS):
            weights = torch.softmax(logs + weights.log().unsqueeze(1), 0).mean(1)
        self._keep(z, weights)

    def loss(
        self, x: Tensor, c: Any = None, *, generator: Any = None, rows: slice = slice(None)
    ) -> Tensor:
        """The negative log-likelihood of data `(B, *event)` in nats, `(B,)`; or of some rows."""
        return -self.log_prob(x[rows], c).value

    @torch.no_grad()
    def log_prob(self, x: Tensor, c: Any = None) -> LogProb:
        """Log-densities of states `(B, *event)` in nats, per unit of volume.

        Raises `InputError` for states that are not finite, or before a fit.
        """
        refuse_context(self, c)
        z = with_density(self.inward(x))
        logs = self._components(in_double(z)) + in_double(self.weights).log().unsqueeze(1)
        value = torch.logsumexp(logs, 0).to(z)
        return LogProb(value, torch.zeros_like(value), "exact", nfe=1)

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
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Draw `n` states, `(n, *event)`."""
        refuse_context(self, c)
        self._fitted()
        parts_of(n, batch_size, rows)
        noise = resolve(seed, generator, self.weights.device, rows=n)
        u = uniform((n, 2), noise, dtype=self.weights.dtype, device=self.weights.device)
        which = torch.searchsorted(self.weights.cumsum(0), u[:, 0].contiguous())
        which = which.clamp_max(len(self.variances))
        center = self.centers[(u[:, 1] * len(self.centers)).long().clamp_max(len(self.centers) - 1)]
        variances = torch.tensor([*self.variances, self.variances[-1]]).to(center)
        x = self.space.diffuse(center, variances[which], noise)
        if self.space.compact:
            flat = self.space.uniform(n, self.event_shape, noise).to(x)
            chosen = which == len(self.variances)
            x = torch.where(chosen.reshape(-1, *(1,) * (x.ndim - 1)), flat, x)
        if progress is not None:
            progress(1, 1)
        return self.outward(x[rows])

    def _components(self, x: Tensor) -> Tensor:
        """The log-densities of the scales, the uniform one last, at states: `(S + 1, B)`."""
        centers = in_double(self._fitted())
        size = max(1, _AT_ONCE // len(centers))
        found = []
        for part in x.split(size):
            many = part.repeat_interleave(len(centers), 0)
            start = centers.repeat(len(part), *(1,) * (centers.ndim - 1))
            gap = self.space.distance(many, start).reshape(len(part), -1)
            rows = [self._of_scale(v, many, start, gap) for v in self.variances]
            found.append(torch.stack(rows) - math.log(len(centers)))
        logs = torch.cat(found, 1)
        flat = -self.space.log_volume(self.event_shape) if self.space.compact else -math.inf
        return torch.cat([logs, torch.full_like(logs[:1], flat)])

    def _of_scale(self, variance: float, x: Tensor, start: Tensor, gap: Tensor) -> Tensor:
        """The log of the sum of the kernels of a variance, `(B,)`, at points and from centers of
        all pairs `(B * N, *event)` whose distances are `gap` `(B, N)`.

        Without the pairs that are lost in rounding, nearly all of those of a narrow kernel.
        """
        reach = 2 * variance * (_NEGLIGIBLE + self.space.dimension(self.event_shape))
        limit = (gap.amin(1, keepdim=True).square() + reach).sqrt()
        kept = gap <= torch.where(limit < _NEAR, limit, math.inf)
        some = kept.flatten().nonzero().squeeze(1)
        # All of them are not copied.
        every = len(some) == len(x)
        near, source = (x, start) if every else (x[some], start[some])
        log = self.space.heat_log_kernel(near, source, near.new_full((len(near),), variance))
        if every:
            return torch.logsumexp(log.reshape(gap.shape), 1)
        return torch.logsumexp(gap.new_full(gap.shape, -math.inf).masked_scatter(kept, log), 1)

    def _fitted(self) -> Tensor:
        if not len(self.centers):
            raise InputError(f"this {type(self).__name__} has not been fitted: pushforward.fit")
        return self.centers

    def _keep(self, centers: Tensor, weights: Tensor) -> None:
        self._allocate([list(centers.shape), list(weights.shape)])
        self.centers.copy_(centers)
        self.weights.copy_(weights)
        config.amend(self, shapes=[list(centers.shape), list(weights.shape)])

    def _allocate(self, shapes: list[list[int]]) -> None:
        for name, shape in zip(("centers", "weights"), shapes, strict=True):
            self.register_buffer(name, torch.zeros(shape))
