"""Diffusion of functions, trained so that their values at any points can be given."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import checks, grids, registry, state
from pushforward import times as time_laws
from pushforward._random import fresh_seed, generator_or_global, normal, start_noise, uniform
from pushforward.config import configurable
from pushforward.errors import InputError
from pushforward.guidance import conditioned
from pushforward.models.diffusion import Diffusion
from pushforward.models.given_values import GivenValues, partly_known
from pushforward.models.model import Progress, finite
from pushforward.models.objective import weighted
from pushforward.models.simulation import simulate, times_of
from pushforward.models.trainable import ERROR_OF_PREDICTION
from pushforward.parametrizations import Parametrization
from pushforward.processes import GenerativeProcess
from pushforward.protocols import GaussianKernels, Sampler, Transport, follows, matching_loss
from pushforward.spaces import Functions
from pushforward.spaces.data_space import space_of
from pushforward.state import EventShape
from pushforward.weightings import Weighting

__all__ = ["FunctionDiffusion"]


@configurable
class FunctionDiffusion(Diffusion):
    r"""A diffusion of functions that also learns what they are given their values at some points.

    In a share of the training functions values are given: at scattered points, of scattered
    channels, or on one side of a line, as in a forecast. The network is told which, sees them
    without noise, and predicts the others, as neural processes do (Garnelo et al. 2018) and neural
    diffusion processes may (Dutordoir et al. 2023). So `infill` draws from the conditional
    distribution with one evaluation a step and without the approximations of guidance, and
    `models.log_prob_given` has its density. In another share some points are left out: then what is
    learned of few points does not depend on others, which densities at few points ask for.

    Args:
        net: a network that takes booleans `known` after its context and missing values, such as
            `nn.FourierOperator(..., masked=True, given=True)` or `nn.PointAttention(..., given=
            True)`.
        process: `processes.Gaussian` on `spaces.Functions`, in the `l2` norm.
        predict, times, weight, label_dropout, grid, event_shape, context_network: as of
            `Diffusion`.
        given: the share of training functions of which values are given.
        most: up to which share of its values are given of one of these.
        left_out: the share of training functions of which points are left out.

    Raises `InputError` for another process or space, or shares outside of 0 to 1.

    >>> import pushforward as pf
    >>> data = pf.data.load(torch.rand(20, 1) + torch.linspace(0, 3, 8).sin(), kind="functions")
    >>> model = FunctionDiffusion.for_data(data)
    >>> model.fit_units(data.x)
    >>> part = torch.full((1, 1, 8), torch.nan)
    >>> part[0, 0, 2] = 0.5
    >>> model.infill(part, steps=2, seed=0)[0, 0, 2]
    tensor(0.5000)
    """

    learns_functions = True
    loss_meaning = (
        ERROR_OF_PREDICTION + " Values that are given are not predicted: the more are given, the "
        "lower is the loss."
    )

    def __init__(
        self,
        net: nn.Module,
        process: GenerativeProcess,
        predict: str | Parametrization | None = None,
        times: str | time_laws.TimeDistribution = "stratified",
        weight: str | Weighting = "output",
        label_dropout: float = 0.1,
        given: float = 0.75,
        most: float = 1.0,
        left_out: float = 0.25,
        grid: str | grids.Grid | None = None,
        event_shape: int | EventShape | None = None,
        context_network: nn.Module | None = None,
    ) -> None:
        super().__init__(
            net, process, predict, times, weight, label_dropout, grid, event_shape, context_network
        )
        self.given, self.most, self.left_out = (
            checks.number(name, value, least=0, most=1)
            for name, value in (("given", given), ("most", most), ("left_out", left_out))
        )
        space = process.space
        if not follows(process, GaussianKernels) or not isinstance(space, Functions):
            raise InputError(
                f"a FunctionDiffusion is one of processes.Gaussian on spaces.Functions, not of "
                f"{process}"
            )
        if space.norm != "l2":
            raise InputError(
                f"values that are given have no part in the loss, and norm={space.norm} is of "
                "complete functions: leave norm= out"
            )

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, net: Any = "auto", **options: Any) -> Self:
        """A model with a network for functions that were read with `kind="functions"`.

        Raises `InputError` for other data.
        """
        space = getattr(options.get("process"), "space", None) or space_of(data)
        if not isinstance(space, Functions):
            raise InputError(
                f"a {cls.__name__} learns functions, and {data.name} was read without: load it "
                "with kind='functions' (--space functions)"
            )
        if not isinstance(net, nn.Module):
            net = _told_network(net, list(space.networks(data.event_shape)))
        found: Self = super().for_data(data, labels=labels, net=net, **options)
        return found

    def loss(
        self,
        x: Any,
        c: Any = None,
        *,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """That of `Diffusion`, over the values that are neither given nor left out, `(B,)`."""
        z = self.inward(x)
        n, device, clock = len(z), z.device, self.process.clock
        generator = generator_or_global(generator, device)
        t = self.times.sample(n, clock, generator=generator, device=device).to(self.dtype)
        c = self.condition.rows(c, n, device)
        if self.training:
            c = self.condition.hidden(c, generator)
        z, known = self.drawn_values(z, generator)
        told: Any = GivenValues(self.predictor, z[rows], known[rows])
        model, process = weighted(told, self.process, self.weight)
        loss = matching_loss(model, process, z, t, c, generator, rows)
        more = self.times.weights(t[rows], clock)
        return loss if more is None else loss * more

    def drawn_values(self, z: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Functions with points left out, NaN, and which of their values are given: booleans.

        One value at least of each is neither. How many are given is uniform up to `most`.
        """
        n, points = len(z), z[0, 0].numel()
        place = self.space.unit_points(tuple(z.shape[2:])).to(z)  # type: ignore[attr-defined]
        way = normal((n, place.shape[1]), generator, dtype=z.dtype, device=z.device)
        side = (way @ place.mT).argsort(1).argsort(1) / points
        chance = uniform((n, 5), generator, dtype=z.dtype, device=z.device)
        each, other = (
            uniform(tuple(z.flatten(2).shape), generator, dtype=z.dtype, device=z.device)
            for _ in range(2)
        )
        form = (3 * chance[:, 0]).long().reshape(-1, 1, 1)
        at_points = torch.where(form == 0, side.unsqueeze(1), each[:, :1])
        order = torch.where(form == 2, each, at_points)
        share = torch.where(chance[:, 1] < self.given, self.most * chance[:, 2], 0.0)
        kept = torch.where(chance[:, 3] < self.left_out, chance[:, 4], 1.0)
        there = ~z.flatten(2).isnan()
        known = there & (order < share.reshape(-1, 1, 1))
        gone = ~known & (other > kept.reshape(-1, 1, 1))
        # What would be given last is to be predicted, whatever was drawn.
        last = torch.where(there, order, -1.0).flatten(1).argmax(1, keepdim=True)
        known = known.flatten(1).scatter(1, last, False).reshape(z.shape)
        gone = gone.flatten(1).scatter(1, last, False).reshape(z.shape)
        return torch.where(gone, torch.nan, z), known

    @torch.no_grad()
    def infill(
        self,
        x: Tensor,
        c: Any = None,
        *,
        sampler: str | Sampler | None = None,
        steps: int | None = None,
        guidance: float = 1.0,
        seed: int | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Functions whose values are those of `x` where it has some, and drawn given these where it
        is NaN: one draw for each row.

        The options are those of `sample`. Raises `InputError` for functions of another shape.
        """
        z = partly_known(self, x)
        n, known = len(z), ~z.isnan()
        context = self.condition.required(c, n, self.device)
        steps = checks.whole("steps", self.process.steps if steps is None else steps, 2)
        times = times_of(self.process, self.grid, steps - 1)
        seed = fresh_seed(seed)

        def transport(rows: slice) -> Transport:
            told = GivenValues(self.predictor, z[rows], known[rows])
            own = None if context is None else state.take(context, rows)
            return Transport(conditioned(told, self.condition, own, guidance), self.process)

        prior = self._prior(n, start_noise(seed, slice(0, n), self.device), times[0])
        with self.evaluating():
            drawn = simulate(
                registry.resolve("samplers", sampler or self.process.sampler), transport, prior,
                times, seed=seed, batch_size=batch_size, finish=True, progress=progress,
            )  # fmt: skip
        found = self.outward(finite(drawn))
        return torch.where(x.isnan().to(found.device), found, x.to(found))


def _told_network(net: Any, suited: list[str]) -> Any:
    """A network of functions that is told which values are given, and takes missing ones.

    Raises `InputError` for one that is none of those suited.
    """
    kind = suited[0] if net == "auto" else net
    kind = registry.find("networks", kind) if isinstance(kind, str) else kind
    if getattr(kind, "func", kind) not in [registry.find("networks", name) for name in suited]:
        raise InputError(
            f"net={net!r} is not told which values are given: take {' or '.join(suited)}, or a "
            "module net(x, t, c, known)"
        )
    masked = {"masked": True} if "masked" in inspect.signature(kind).parameters else {}
    return functools.partial(kind, given=True, **masked)
