"""The learned variance of the reverse steps of a diffusion model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import config, samplers
from pushforward._random import fresh_seed, resolve
from pushforward._shapes import like, per_event_mean
from pushforward.config import configurable
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models.diffusion import Diffusion
from pushforward.models.model import GenerativeModel, parts_of
from pushforward.models.predictor import check_network
from pushforward.models.trainable import Trainable
from pushforward.protocols import Time
from pushforward.spaces import Units

__all__ = ["PosteriorVariance"]

Progress = Callable[[int, int], None]

_WIDEST = 12.0
"""The largest logarithm of the ratio to a normal distribution's variance: constant features have no
least one, and their likelihood no bound."""


@configurable
class PosteriorVariance(GenerativeModel, Trainable):
    r"""`Var[x_0 | x_t]` of each coordinate, learned for a trained diffusion model.

    The mean stays that of the model, frozen; a network learns the logarithm of the variance over
    that of standard normal data, `sigma^2 / (alpha^2 + sigma^2)`, so that an untrained network
    starts near the latter. Its loss is the term `L_0` of chains whose first time is `t`, for random
    `t`: up to a factor and a constant `e / v + log v`, with the squared error `e = (x_0 - m)^2` of
    the model's mean `m`, least at `v = E[e | x_t]`. There the term `L_k` of a step from `t` to any
    `s` is least too, which has `std^2 + gain^2 e` in the place of `e` and `std^2 + gain^2 v` in
    that of `v` (`samplers.step_variance`): one function serves all grids,
    where an interpolation of two bounds (Nichol & Dhariwal 2021) is tied to the steps of one chain.
    Where `m` is exact, `v` is the posterior variance (Bao et al. 2022a); elsewhere it has the
    squared bias of `m` in it (Bao et al. 2022b).

    Args:
        diffusion: the trained model; a copy is kept and saved inside.
        net: any network like that of `Diffusion`.

    Raises `InputError` unless the model knows its event shape, `CapabilityError` if its noise is
    colored.

    >>> import pushforward as pf
    >>> model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=(2,)).eval()
    >>> variance = PosteriorVariance(model, pf.nn.MLP(2, width=8))
    >>> variance.sample(3, steps=4, seed=0).shape
    torch.Size([3, 2])
    """

    def __init__(self, diffusion: Diffusion, net: nn.Module) -> None:
        super().__init__(None)
        if not isinstance(diffusion, Diffusion):
            raise InputError(f"a posterior variance is learned for a Diffusion, not {diffusion!r}")
        if diffusion.event_shape is None:
            raise InputError("the diffusion model has no event shape yet: train it first")
        space = diffusion.process.space
        if not space.white:
            raise CapabilityError(
                f"the variance of a coordinate is one of white noise, not of {type(space).__name__}"
            )
        check_network(net)
        self.diffusion = copy.deepcopy(diffusion).requires_grad_(False).eval()
        config.amend(self, diffusion=self.diffusion)
        self.net = net
        self.condition, self.space = self.diffusion.condition, self.diffusion.space

    @property
    def event_shape(self) -> tuple[int, ...] | None:
        """The shape of one data point, that of the diffusion model."""
        shape: tuple[int, ...] | None = self.diffusion.event_shape
        return shape

    @property
    def capabilities(self) -> Capabilities:
        """Samples, the variational bound, labels if the diffusion model takes them."""
        return Capabilities(
            True, "bound", self.diffusion.capabilities.conditional, variational_bound=True
        )

    def train(self, mode: bool = True) -> PosteriorVariance:
        """Training mode for the variance alone."""
        super().train(mode)
        self.diffusion.eval()
        return self

    def fit_units(self, x: Tensor, source: Tensor | None = None) -> None:
        """Keep the units of the diffusion model; `InputError` for another shape."""
        self.known_units(x)

    def fit_contexts(self, c: Any) -> None:
        """Keep those of the diffusion model too."""

    def forward(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The variances at states `(B, *event)` and times, in the units of the process."""
        return self._normal(t, x_t) * self._log_ratio(x_t, t, c).exp()

    def at(self, c: Any = None, n: int = 1) -> samplers.Variance:
        """The variances in a context, of `n` states if there is one, for samplers and bounds."""
        return self._at(self.condition.required(c, n, self.device))

    def _at(self, context: Any) -> samplers.Variance:
        return lambda x_t, t: self(x_t, t, context)

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The negative log-likelihood of the model's errors, per dimension, up to a constant.

        Of data `(B, *event)`, shape `(B,)`; `rows` as in `Diffusion.loss`.
        """
        model = self.diffusion
        z, clock = model.inward(x), model.process.clock
        t = model.times.sample(len(z), clock, generator=generator, device=z.device).to(z.dtype)
        c = self.condition.rows(c, len(z), z.device)
        if self.training:
            c = self.condition.hidden(c, generator)
        x_t = model.process.sample(z, t, generator)
        z, t, x_t, c = z[rows], t[rows], x_t[rows], None if c is None else c[rows]
        with torch.no_grad():
            residual = (model.predictor(x_t, t, c) - z).square() / self._normal(t, x_t)
        log_ratio = self._log_ratio(x_t, t, c)
        return per_event_mean(residual * (-log_ratio).exp() + log_ratio)

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        steps: int = 20,
        churn: float = 1.0,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
        **options: Any,
    ) -> Tensor:
        """Draw `n` states `(n, *event)` by ancestral steps of the right variance.

        `churn` is that of `samplers.Ancestral`; other options are those of `Diffusion.sample`.
        """
        if "sampler" in options:
            raise InputError("the sampler is the ancestral one: others take no variance")
        # One seed for all parts, whose rows then have the noise that they would have together.
        seed = fresh_seed(seed, generator)
        labels = self.condition.required(c, n, self.device)
        parts = parts_of(n, batch_size, rows)
        out = []
        with self.evaluating():
            for k, part in enumerate(parts, start=1):
                context = None if labels is None else labels[part]
                sampler = samplers.Ancestral(churn, self._at(context))
                # The sampler knows the rows of this part, which is not to be cut again.
                asked: dict[str, Any] = {"sampler": sampler, "steps": steps, "rows": part}
                asked["batch_size"] = n
                out.append(self.diffusion.sample(n, c, seed=seed, **asked, **options))
                if progress is not None:
                    progress(k, len(parts))
        return torch.cat(out)

    @torch.no_grad()
    def variational_bound(
        self,
        x: Tensor,
        c: Any = None,
        *,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> samplers.VariationalBound:
        """The bound of `-log p(x)` with the learned variances; see `Diffusion`."""
        generator = resolve(seed, generator, self.device)
        rows = parts_of(len(x), batch_size)
        parts = []
        with self.evaluating():
            for k, part in enumerate(rows, start=1):
                told = self.condition.of_rows(c, len(x), part)
                size = part.stop - part.start
                parts.append(
                    self.diffusion.variational_bound(
                        x[part],
                        told,
                        variance=self.at(told, size),
                        generator=generator,
                        batch_size=size,
                        **options,
                    )
                )
                if progress is not None:
                    progress(k, len(rows))
        return samplers.VariationalBound.concatenated(parts)

    @torch.no_grad()
    def log_prob(
        self,
        x: Tensor,
        c: Any = None,
        *,
        steps: int = 100,
        stop: float | None = None,
        draws: int = 4,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> LogProb:
        """The lower bound of the log-density in nats, `(B,)`, in the mean over noise.

        `draws` is how often the noise of the bound is drawn; their spread gives the standard error.
        Raises `InputError` for fewer than two.
        """
        if draws < 2:
            raise InputError(f"a standard error needs at least two draws, not {draws}")
        asked: dict[str, Any] = {
            "steps": steps,
            "stop": stop,
            "batch_size": batch_size,
            "generator": resolve(seed, generator, self.device),
        }
        totals = []
        for k in range(1, draws + 1):
            totals.append(self.variational_bound(x, c, **asked).total)
            if progress is not None:
                progress(k, draws)
        value = -torch.stack(totals)
        return LogProb(value.mean(0), value.std(0) / draws**0.5, "bound", nfe=draws * steps)

    def _normal(self, t: Time, x: Tensor) -> Any:
        """The posterior variance of standard normal data."""
        alpha, sigma = self.diffusion.process.clock.values(t)
        return like(sigma**2 / (alpha**2 + sigma**2), x)

    def _log_ratio(self, x_t: Tensor, t: Time, c: Any) -> Tensor:
        alpha, sigma = self.diffusion.process.clock.values(t)
        scaled = x_t * like((alpha**2 + sigma**2) ** -0.5, x_t)
        time = torch.as_tensor(t, dtype=x_t.dtype, device=x_t.device).expand(len(x_t))
        out: Tensor = self.net(scaled, time.clone(), c)
        if out.shape != x_t.shape:
            raise InputError(
                f"{type(self.net).__name__} returned {tuple(out.shape)} for states of shape "
                f"{tuple(x_t.shape)}: a variance has the shape of the state"
            )
        return _WIDEST * torch.tanh(out / _WIDEST)

    def known_units(self, x: Tensor | None = None) -> Units:
        """Those of the diffusion model."""
        return self.diffusion.known_units(x)
