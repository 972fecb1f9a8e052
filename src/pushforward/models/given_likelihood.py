"""Log-densities of functions at some points, given their values at others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from pushforward import samplers, state
from pushforward._random import derived_seed, fresh_seed, resolve
from pushforward.errors import CapabilityError, InputError
from pushforward.estimates import LogProb
from pushforward.guidance import conditioned
from pushforward.models.batch_size import rows_in_memory
from pushforward.models.denoiser import white_process
from pushforward.models.diffusion import Diffusion
from pushforward.models.function_diffusion import FunctionDiffusion
from pushforward.models.given_values import GivenValues, partly_known
from pushforward.models.simulation import times_of
from pushforward.nn import TakesGaps
from pushforward.protocols import GaussianKernels, Time, Transport, follows
from pushforward.spaces import Functions

__all__ = ["log_prob_given"]


@torch.no_grad()
def log_prob_given(
    model: Any,
    x: Tensor,
    given: Tensor | None = None,
    c: Any = None,
    *,
    steps: int = 64,
    divergence: samplers.DivergenceMethod = "auto",
    probes: int = 8,
    tolerance: float | None = None,
    stop: float | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LogProb:
    r"""`log p(targets | contexts)` of functions, in nats and data units, joint over all targets.

    By the probability flow of the values at the targets alone, whose noise is that of these points:
    exact but for the network and the steps. A `FunctionDiffusion` knows the flow given the
    contexts. Any other model has `log p(targets, contexts) - log p(contexts)`, two flows with
    errors of their own. Without contexts it is the density of the values that are there, which
    `log_prob` does not have where some are missing.

    Args:
        model: of functions, a `Diffusion` or a `FunctionDiffusion` with a Gaussian process.
        x: targets `(B, C, *sizes)`, NaN elsewhere.
        given: contexts of the same shape, NaN elsewhere.
        c: labels or contexts of the model, as for `log_prob`.
        steps, divergence, probes, tolerance, stop, batch_size, progress: as for `log_prob`.
        seed: of the probes.

    Raises `CapabilityError` for a model of other states, or whose network takes no missing values
    where there are any; `InputError` for shapes that differ, or a value that is target and context.

    >>> import pushforward as pf
    >>> space = pf.spaces.Functions(axes=[[0.0, 1.0, 2.0]])
    >>> net = pf.nn.FourierOperator(1, width=8, depth=1, masked=True, given=True)
    >>> process = pf.processes.Gaussian(space=space)
    >>> model = pf.models.FunctionDiffusion(net, process, event_shape=(1, 3))
    >>> nan = torch.nan
    >>> targets, contexts = torch.tensor([[[nan, 0.3, nan]]]), torch.tensor([[[0.1, nan, nan]]])
    >>> log_prob_given(model, targets, contexts, steps=4).value.shape
    torch.Size([1])
    """
    process: Any = model.process if isinstance(model, Diffusion) else None
    if not follows(process, GaussianKernels) or not isinstance(process.space, Functions):
        raise CapabilityError(
            f"{model} has no densities of functions at some points: those are of a Diffusion or a "
            "FunctionDiffusion on spaces.Functions"
        )
    z = model.inward(x)
    told = torch.full_like(z, torch.nan) if given is None else partly_known(model, given)
    if told.shape != z.shape:
        raise InputError(f"contexts have shape {tuple(told.shape)}, targets {tuple(z.shape)}")
    targets, contexts = ~z.isnan(), ~told.isnan()
    if bool((targets & contexts).any()):
        k = int((targets & contexts).flatten(1).any(1).int().argmax())
        raise InputError(f"function {k} has a value that is both a target and a context")
    amortized = isinstance(model, FunctionDiffusion)
    if not amortized and bool(contexts.any()):
        both = torch.where(contexts, told, z)
        parts = [both, torch.where(contexts, told, torch.nan)]
    else:
        parts = [torch.where(targets, z, told)]
    net = model.predictor.net
    takes_gaps = isinstance(net, TakesGaps) and net.masked
    if not takes_gaps and any(bool(part.isnan().any()) for part in parts):
        raise CapabilityError(
            f"the {type(net).__name__} of this model takes no missing values: "
            "train model=function-diffusion, or on functions with gaps, or with net=point-attention"
        )
    context = model.condition.required(c, len(z), model.device)
    times = times_of(process, process.grid, steps, None, stop)[::-1]
    options: dict[str, Any] = {"divergence": divergence, "probes": probes, "tolerance": tolerance}
    hidden = contexts if amortized else torch.zeros_like(contexts)
    groups = [
        (sign, _Values(model, part, rows, at, known, context))
        for sign, part in zip((1, -1), parts, strict=False)
        for rows, at, known in _alike(~part.isnan() & ~hidden, hidden)
    ]
    value, seed, nfe = z.new_zeros(3, len(z), dtype=torch.float64), fresh_seed(seed), 0
    for k, (sign, values) in enumerate(groups):
        found = values.log_prob(times, batch_size, derived_seed(seed, k), options)
        value[0, values.rows] += sign * found.value.double()
        value[1, values.rows] += found.stderr.double().square()
        if found.error is not None:
            value[2, values.rows] += found.error.double()
        nfe = max(nfe, found.nfe)
        if progress is not None:
            progress(k + 1, len(groups))
    total, variance, error = value.to(z)
    return LogProb(total, variance.sqrt(), "ode", len(parts) * nfe, error)


def _alike(at: Tensor, known: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Rows with values at the same points: their numbers, and where their values and those that
    they are given are."""
    both = torch.cat([at.flatten(1), known.flatten(1)], 1)
    patterns, which = both.unique(dim=0, return_inverse=True)
    for k in range(len(patterns)):
        rows = (which == k).nonzero()[:, 0]
        if bool(at[rows[0]].any()):
            yield rows, at[rows[0]], known[rows[0]]


class _Values:
    """The values of some functions at points of theirs, in coordinates in which noise is white.

    Args:
        model: of functions.
        z: all functions in the units of the model, `(B, C, *sizes)`.
        rows: the numbers of some that have values at the same points.
        at: whose values are looked at, `(C, *sizes)`.
        known: which values are given.
        c: the contexts of all rows, or `None`.
    """

    def __init__(
        self, model: Any, z: Tensor, rows: Tensor, at: Tensor, known: Tensor, c: Any
    ) -> None:
        self.model, self.rows, self.z = model, rows, z[rows]
        self.at, self.known = at.flatten(), known
        self.c = None if c is None else state.take(c, rows)
        self.white = white_process(model.process)
        n, there = at[0].numel(), at.flatten(1).cpu()
        eye = torch.eye(n, dtype=torch.float64).reshape(n, *at.shape[1:])
        colors = model.process.space.root(tuple(at.shape[1:])).color(eye).reshape(n, n)
        covariances = [colors[:, own].mT @ colors[:, own] for own in there]
        factor = torch.block_diag(*(torch.linalg.cholesky(each) for each in covariances))
        scale = model.known_units().scale.double().cpu().reshape(-1, 1).expand(-1, n)[there]
        self.log_volume = -float(factor.diagonal().log().sum() + scale.log().sum())
        self.factor = factor.to(z.device)
        self.w = self._whitened(self.z.flatten(1)[:, self.at])

    def log_prob(
        self, times: list[float], batch_size: int | None, seed: int, options: dict[str, Any]
    ) -> LogProb:
        """By the flow along some times, in data units."""
        prior = self.white.prior((self.w.shape[1],), times[-1])
        found: list[LogProb] = []
        with self.model.evaluating():
            size = batch_size or rows_in_memory(self._velocity, self.w[:1].expand(2, -1))
            for rows in torch.arange(len(self.w)).split(size):
                noise = resolve(derived_seed(seed, len(found)), None, self.z.device)
                flow, own = self._transport(rows), self.w[rows]
                found.append(samplers.log_prob(flow, prior, own, times, generator=noise, **options))
        errors = [part.error for part in found if part.error is not None]
        return LogProb(
            torch.cat([part.value for part in found]) + self.log_volume,
            torch.cat([part.stderr for part in found]),
            "ode",
            max(part.nfe for part in found),
            torch.cat(errors) if errors else None,
        )

    def _transport(self, rows: Tensor) -> Transport:
        z = self.z[rows]
        own = None if self.c is None else state.take(self.c, rows)
        predictor: Any = self.model.predictor
        if isinstance(self.model, FunctionDiffusion):
            predictor = GivenValues(predictor, z, self.known.expand_as(z))
        model = conditioned(predictor, self.model.condition, own)

        def predict(x_t: Tensor, t: Time, c: Any = None) -> Tensor:
            whole = z.new_full((len(z), self.at.numel()), torch.nan)
            whole[:, self.at] = (x_t.double() @ self.factor.mT).to(z)
            pred = model(whole.reshape(z.shape), t)
            return self._whitened(pred.flatten(1)[:, self.at])

        return Transport(predict, self.white)

    def _velocity(self, w: Tensor) -> Any:
        """At half of the time, of one function several times, for the memory that it takes."""
        rows = torch.zeros(len(w), dtype=torch.long)
        return self._transport(rows).dynamics(w, 0.5).velocity

    def _whitened(self, values: Tensor) -> Tensor:
        back = torch.linalg.solve_triangular(self.factor, values.double().mT, upper=False)
        return back.mT.to(values)
