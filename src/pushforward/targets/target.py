"""A density known up to a constant, in coordinates without bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pushforward import mcmc
from pushforward._random import derived_seed, fresh_seed, resolve
from pushforward._shapes import not_finite, per_event_sum
from pushforward.checks import whole
from pushforward.errors import CapabilityError, InputError
from pushforward.mcmc import LogDensity
from pushforward.transforms import Bijection

__all__ = ["TargetReference", "Target"]

_PROBES = 4
"""States that a target is tried on."""

_SAME = {torch.float32: 1e-4, torch.float64: 1e-9}
"""By how much a state may differ, relative, alone and in a batch."""


@dataclass(frozen=True)
class TargetReference:
    """What is known of a target.

    Args:
        log_z: the logarithm of its integral, `None` if unknown.
        stderr: the standard error of `log_z`; zero if it is exact.
        how: how `log_z` was found.
        mean: of each number of a state `x`, shaped like one.
        std: its standard deviation.
        moments: how mean and standard deviation were found.
    """

    log_z: float | None = None
    stderr: float = 0.0
    how: str = ""
    mean: Tensor | None = None
    std: Tensor | None = None
    moments: str = ""


class Target:
    r"""A density `exp(log_prob(x)) / Z` of states `x`, given up to the constant.

    Chains and estimators move in coordinates `z` without bounds: with a bijection `x = f(z)` the
    target is `log_prob(f(z)) + log |det df/dz|`, whose integral is the same `Z`. A target is called
    with states `z`, `(B, *unbounded_shape)`, and returns `(B,)`.

    Args:
        log_prob: a function of states `(B, *event)` that returns `(B,)`, rows on their own; or a
            distribution, whose `sample`, if it has one, draws exactly.
        event_shape: the shape of one state, a number or a tuple.
        gradient: of `log_prob` in `x`, `(B, *event) -> (B, *event)`, if torch is not to find it by
            itself.
        bijector: from coordinates without bounds to states: a `transforms.Bijection`, or a
            `torch.distributions.Transform` such as `biject_to(constraints.simplex)`.
        base: a normalized distribution of `z` to start from, such as the prior of a posterior.
        sample: exact draws of `x`, `sample(n, seed=, generator=)`.
        names: of the numbers of a state.
        reference: what is known of it.
        name: what messages call it.
        modes: centers of known modes, in `x`, `(K, *event)`.

    Raises `InputError` for a missing shape; `check` tries the function.

    >>> target = Target(lambda x: -x.square().sum(-1) / 2, 3)
    >>> target(torch.zeros(2, 3))
    tensor([-0., -0.])
    >>> exponential = Target(
    ...     lambda x: -x.sum(-1), 1, bijector=torch.distributions.ExpTransform())
    >>> exponential(torch.zeros(1, 1)), exponential.constrain(torch.zeros(1, 1))
    (tensor([-1.]), tensor([[1.]]))
    """

    def __init__(
        self,
        log_prob: Any,
        event_shape: int | Sequence[int] | None = None,
        *,
        gradient: Callable[[Tensor], Tensor] | None = None,
        bijector: Bijection | torch.distributions.Transform | None = None,
        base: Any = None,
        sample: Callable[..., Tensor] | None = None,
        names: Sequence[str] = (),
        reference: TargetReference | None = None,
        name: str = "target",
        modes: Tensor | None = None,
    ) -> None:
        distribution = None if callable(log_prob) else log_prob
        if distribution is not None and not callable(getattr(distribution, "log_prob", None)):
            raise InputError(
                "a target is a function of states (B, *event) that returns (B,), or a distribution "
                f"with log_prob, not {type(log_prob).__name__}"
            )
        self.log_prob: LogDensity = log_prob if distribution is None else distribution.log_prob
        if distribution is not None:
            sample = sample or getattr(distribution, "sample", None)
            if event_shape is None and sample is not None:
                event_shape = tuple(sample(1, seed=0).shape[1:])
        if event_shape is None:
            raise InputError("the shape of a state is not known: give event_shape=, such as 8")
        shape = (event_shape,) if isinstance(event_shape, int) else tuple(event_shape)
        self.event_shape = tuple(whole("event_shape", side) for side in shape)
        if not self.event_shape:
            raise InputError("a state has at least one axis: event_shape=1 for numbers")
        if names and len(names) != math.prod(self.event_shape):
            raise InputError(
                f"a state of {math.prod(self.event_shape)} numbers has as many names, not "
                f"{len(names)}"
            )
        self.gradient, self.bijector, self.base = gradient, bijector, base
        self.names, self.name = tuple(names), name
        self.reference = reference or TargetReference()
        self.modes = modes
        self._sample = sample

    @property
    def unbounded_shape(self) -> tuple[int, ...]:
        """The shape of the coordinates without bounds; a simplex has one number less."""
        if isinstance(self.bijector, torch.distributions.Transform):
            return tuple(self.bijector.inverse_shape(torch.Size(self.event_shape)))
        return self.event_shape

    @property
    def exact(self) -> bool:
        """Whether `sample` draws from the target itself."""
        return self._sample is not None

    def __call__(self, z: Tensor) -> Tensor:
        """The log-density in coordinates without bounds, up to the constant, `(B,)`."""
        x, log_det = self._outward(z)
        if self.gradient is None:
            value = self.log_prob(x)
        else:
            value = _WithGradient.apply(x, self.log_prob, self.gradient)
        if not isinstance(value, Tensor) or value.shape != (len(z),):
            what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(
                f"log_prob of states {tuple(x.shape)} has shape ({len(z)},), not {what}: sum over "
                "the numbers of a state, and keep the batch"
            )
        return value if log_det is None else value + log_det

    def constrain(self, z: Tensor) -> Tensor:
        """States `x` at coordinates without bounds."""
        return self._outward(z)[0]

    def unconstrain(self, x: Tensor) -> Tensor:
        """Coordinates without bounds of states."""
        if self.bijector is None:
            return x
        if isinstance(self.bijector, torch.distributions.Transform):
            return self.bijector.inv(x)
        return self.bijector.inverse(x)[0]

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Exact draws of `x`, `(n, *event)`.

        Raises `CapabilityError` where none are known: then `chains` draws.
        """
        if self._sample is None:
            raise CapabilityError(
                f"no exact draws of {self.name} are known: take chains(), which draws from it"
            )
        if seed is not None:
            return self._sample(n, seed=seed)
        return self._sample(n, generator=generator)

    def start(
        self,
        n: int,
        spread: float = 2.0,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> Tensor:
        """`n` places for chains to start from, in coordinates without bounds.

        Draws of the base, or uniform on `[-spread, spread]`, as in Stan; those where the density
        vanishes or is not finite are drawn again. Raises `InputError` if that helps nowhere.
        """
        noise = resolve(seed, generator)
        found: list[Tensor] = []
        for _ in range(20):
            if self.base is not None:
                z = self.base.sample(n, generator=noise).to(dtype)
            else:
                u = torch.rand(n, *self.unbounded_shape, generator=noise, dtype=dtype)
                z = spread * (2 * u - 1)
            state = mcmc.evaluate(self, z)
            sound = state.log_p.isfinite() & state.gradient.flatten(1).isfinite().all(1)
            found.append(z[sound])
            if sum(map(len, found)) >= n:
                return torch.cat(found)[:n]
        raise InputError(
            f"{self.name} has no finite density near the origin: give the states to start from"
        )

    def chains(
        self,
        chains: int = 16,
        draws: int = 1000,
        *,
        x: Tensor | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> mcmc.ChainDraws:
        """Draws of states by Markov chains, `(draws, chains, *event)`.

        Args:
            chains: how many, in one batch.
            draws: of each, after warm-up.
            x: where they start, `(chains, *event)`; `start` by default.
            seed: for all randomness.
            options: of `mcmc.sample_chains`, such as `kernel` and `warmup`.

        Raises `InputError` for what is no density (`check`), and as `mcmc.sample_chains`.

        >>> target = Target(lambda x: -x.sum(-1), 1, bijector=torch.distributions.ExpTransform())
        >>> found = target.chains(8, 100, warmup=100, seed=0)
        >>> bool((found.x > 0).all()), found.x.shape
        (True, torch.Size([100, 8, 1]))
        """
        own = fresh_seed(seed)
        z = self.start(chains, seed=own) if x is None else self.unconstrain(x)
        self.check(z)
        found = mcmc.sample_chains(self, z, draws, seed=derived_seed(own, 1), **options)
        states = self.constrain(found.x.flatten(0, 1))
        return replace(found, x=states.view(*found.x.shape[:2], *self.event_shape))

    def check(self, z: Tensor) -> None:
        """Try the target on states `z`, `(B, *unbounded_shape)`.

        Raises `InputError` for states of another shape, values of another shape, a NaN or plus
        infinity, a value without derivative, a gradient that is no gradient, and rows that know of
        each other.
        """
        mcmc.check_states(z)
        if tuple(z.shape[1:]) != self.unbounded_shape:
            raise InputError(
                f"states of {self.name} have shape (B, {', '.join(map(str, self.unbounded_shape))})"
                f", not {tuple(z.shape)}"
            )
        z = z[:_PROBES]
        state = mcmc.evaluate(self, z)
        if bool((state.log_p.isnan() | (state.log_p == math.inf)).any()):
            bad = int((state.log_p.isnan() | (state.log_p == math.inf)).sum())
            raise InputError(
                f"log_prob of {self.name} is NaN or infinite at {bad} of {len(z)} states; where "
                "the density vanishes it is -inf, and where states have bounds a bijector= keeps "
                "to them"
            )
        sound = state.log_p.isfinite()
        if not_finite(state.gradient[sound]):
            raise InputError(f"the gradient of {self.name} is not finite where its density is")
        alone = torch.cat([mcmc.evaluate(self, row[None]).log_p for row in z])
        if not torch.allclose(alone, state.log_p, rtol=_SAME.get(z.dtype, 1e-2), atol=1e-5):
            raise InputError(
                f"log_prob of {self.name} gives a state another value alone than in a batch: rows "
                "do not interact"
            )
        if self.gradient is not None and bool(sound.any()):
            self._check_gradient(z[sound], state.gradient[sound])

    def _check_gradient(self, z: Tensor, gradient: Tensor) -> None:
        """The given gradient along a direction, beside central differences."""
        noise = torch.Generator().manual_seed(0)
        wide = z.double()
        step = 1e-5 * (1 + wide.flatten(1).norm(dim=1)).view(-1, *(1,) * (z.ndim - 1))
        v = torch.randn(z.shape, generator=noise, dtype=torch.float64).to(wide)
        v = v / v.flatten(1).norm(dim=1).view(-1, *(1,) * (z.ndim - 1))
        with torch.no_grad():
            up, down = (self(wide + sign * step * v).double() for sign in (1, -1))
        slope = (up - down) / (2 * step.flatten())
        own = per_event_sum(gradient.double() * v)
        wrong = (slope - own).abs() > 1e-3 * (1 + slope.abs() + own.abs())
        if bool(wrong.any()):
            raise InputError(
                f"the gradient that was given for {self.name} is not that of log_prob: along a "
                f"direction it is {float(own[wrong][0]):.6g}, and log_prob changes by "
                f"{float(slope[wrong][0]):.6g}"
            )

    def _outward(self, z: Tensor) -> tuple[Tensor, Tensor | None]:
        """States, and `log |det dx/dz|`, `(B,)`."""
        if self.bijector is None:
            return z, None
        if isinstance(self.bijector, torch.distributions.Transform):
            x = self.bijector(z)
            log_det = self.bijector.log_abs_det_jacobian(z, x)
            return x, log_det if log_det.ndim == 1 else per_event_sum(log_det)
        push = getattr(self.bijector, "push", None)
        if push is not None:
            found: tuple[Tensor, Tensor] = push(z)
            return found
        x = self.bijector(z)
        return x, -self.bijector.inverse(x)[1]

    def __repr__(self) -> str:
        return f"Target({self.name}, {self.event_shape})"


class _WithGradient(torch.autograd.Function):
    """A log-density with a gradient that was given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, log_prob: LogDensity, gradient: Any) -> Tensor:
        ctx.save_for_backward(x)
        ctx.gradient = gradient
        with torch.no_grad():
            return log_prob(x.detach())

    @staticmethod
    def backward(ctx: Any, *weights: Any) -> Any:
        (x,) = ctx.saved_tensors
        with torch.no_grad():
            slope = ctx.gradient(x.detach())
        if slope.shape != x.shape:
            raise InputError(
                f"gradient= of states {tuple(x.shape)} has their shape, not {tuple(slope.shape)}"
            )
        return weights[0].view(-1, *(1,) * (x.ndim - 1)) * slope, None, None
