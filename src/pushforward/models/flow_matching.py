"""Flow matching: a velocity learned from pairs, from any distribution to any other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import config, registry, state
from pushforward import times as time_laws
from pushforward._random import generator_or_global
from pushforward.condition import Condition
from pushforward.config import configurable, made
from pushforward.couplings import Coupling, Independent, Paired
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance import conditioned
from pushforward.models.denoiser import NO_DENOISER, Denoiser, denoiser_of_flow
from pushforward.models.networks import networks_for
from pushforward.models.on_space import on_space_of
from pushforward.models.predictor import Predictor
from pushforward.models.scales import Scale, scale_of
from pushforward.models.source import Source
from pushforward.models.trainable import ERROR_OF_PREDICTION, Trainable
from pushforward.models.transport_map import TransportMap
from pushforward.processes import GenerativeProcess, Linear
from pushforward.protocols import Transport, matching_loss
from pushforward.spaces import Space
from pushforward.times import StepTimes

__all__ = ["FlowMatching"]


@configurable
class FlowMatching(TransportMap, Trainable):
    r"""A flow from a source to a target that follows a path between coupled pairs.

    On R^d the network learns `E[a' x_0 + b' x_1 | x_t]`, and `E[noise | x_t]` too where the path is
    noisy (`processes.StochasticInterpolant`): Lipman et al. 2023; Liu, Gong & Liu 2023; Albergo,
    Boffi & Vanden-Eijnden 2023. Without noise the flow is an ODE; with noise it is also an SDE of
    any diffusion level, the `churn` of the sampler. On a manifold it learns the velocity of
    geodesics (`processes.Geodesic`; Chen & Lipman 2024), on a product a tuple of these.

    Args:
        net: a module `net(x, t, c)`, with `t` from 1 at the source to 0 at the target, that returns
            the shape of `x`; for a noisy path twice as many entries along the first axis of the
            event, both predictions one after the other.
        path: `linear`, `trigonometric`, `scheduled`, `one-sided`, `bridge`, or a process between
            pairs: a path, a `Geodesic`, a product of these. Its noise is in data units, with
            `scale="columns"` in standardized ones, and without a source in those of the noise.
        coupling: which pairs: `independent`, `ot`, `sinkhorn`, `conditional`, `whole`,
            `paired`, or one of `couplings`.
        times: the distribution of training times; by default that of the path from noise, more of
            them near the data on spheres and rotations, see `processes.Geodesic`, and stratified
            uniform between data.
        label_dropout: the fraction of labels or contexts hidden in training, so that the model can
            also do without.
        event_shape: the shape of one data point, if known before training.
        source_rows: how many rows of a source are saved inside; training sets it.
        scale: `common`, one unit of distance for all columns, that of your data; or `columns`, each
            by its standard deviation. With a source only, without one it is always each.
        context_network: makes vectors of contexts, trained along: any module `c -> (B, context)`.

    States cross this class in data units. Without a source it starts from the prior of the path: a
    standard normal distribution on R^d, the uniform one on a manifold.

    Raises `InputError` for what fits no argument.

    >>> import pushforward as pf
    >>> model = pf.FlowMatching(pf.nn.MLP(2, width=16), coupling="ot", event_shape=(2,))
    >>> model.sample(3, steps=4, seed=0).shape
    torch.Size([3, 2])
    """

    takes_source = True
    loss_meaning = ERROR_OF_PREDICTION
    space_from, networks = "path", ("net",)

    keeps_source: bool = False
    """Trains on pairs that it made itself, which leave the source as it is."""

    def __init__(
        self,
        net: nn.Module,
        path: str | GenerativeProcess = "linear",
        coupling: str | Coupling = "independent",
        times: str | time_laws.TimeDistribution | None = None,
        label_dropout: float = 0.1,
        event_shape: int | state.EventShape | None = None,
        source_rows: int = 0,
        scale: Scale = "common",
        context_network: nn.Module | None = None,
    ) -> None:
        super().__init__(event_shape)
        self.scale = scale_of(scale)
        self.path = _path(path)
        self.space: Space = self.path.space
        self.coupling = registry.resolve("couplings", coupling)
        if not self.path.takes_source and not isinstance(self.coupling, Independent):
            raise InputError("a one-sided path has its noise for source: couple it independently")
        self._said_times: time_laws.TimeDistribution | None = (
            None if times is None else registry.resolve("times", times)
        )
        self.predictor = Predictor(net, self.path.for_flow_matching().reading())
        self.condition = Condition.of(net, label_dropout, anything=True)
        self.source = Source(source_rows, self._given_shape)
        self._ready(context_network)

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, net: Any = "auto", **options: Any) -> Self:
        """A model with a network that fits the data and the path; on the space that data say.

        `net` is `auto`, the short name of a network, or a network; `options` are the constructor's.
        """
        options = on_space_of(cls, options, data)
        process = _path(options.get("path", "linear")).for_flow_matching()
        nets = networks_for(net, process, process.reading(), data, labels, options)
        return made(cls, options, **nets)

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> Space:
        """That of the path."""
        space: Space = _path(options.get("path", "linear")).space
        return space

    # -- rectified flow -------------------------------------------------------------------------

    @property
    def reflows(self) -> bool:
        """Along straight lines without noise."""
        return self.path == Linear()

    def reflow(self, *, distill: bool = False) -> Self:
        """A copy that learns from the pairs that this flow makes (Liu, Gong & Liu 2023).

        It keeps the source and its units. With `distill` it learns the map of one step: velocities
        at the source only.
        """
        pupil = copy.deepcopy(self)
        pupil.keeps_source, pupil.coupling = True, Paired()
        pupil._said_times = StepTimes(1) if distill else self._said_times
        config.amend(pupil, coupling=pupil.coupling, times=pupil._said_times)
        return pupil

    @property
    def times(self) -> time_laws.TimeDistribution:
        """The distribution of training times."""
        if self._said_times is not None:
            return self._said_times
        if self.has_source:
            return time_laws.StratifiedTimes()
        return self.path.times(self.event_shape)

    # -- learning -------------------------------------------------------------------------------

    def keep_source(self, source: Any) -> None:
        """Keep up to 5,000 rows of the source, drawn once, and save them inside.

        Raises `InputError` for a path that has its own source, fewer than two rows, values that are
        not finite, or states of another shape than those known.
        """
        if not self.path.takes_source:
            raise InputError("a one-sided path starts from noise: take path='linear' for a source")
        if self.keeps_source:
            return
        super().keep_source(source)

    def couple(self, x: Any, c: Any, source: Any, generator: torch.Generator) -> Tensor | None:
        """The order of the source that the coupling says, for a batch."""
        if isinstance(self.coupling, Independent) or state.rows(x) < 2:
            return None
        sides = self._placed(source), self._placed(x), self._given(c)
        return self.coupling(*sides, generator=generator)

    def pair(self, x: Any, c: Any, source: Any) -> Tensor | None:
        """The partners of the whole data, for a coupling of whole sets."""
        return self.coupling.pair(self._placed(source), self._placed(x), self._given(c))

    def _given(self, c: Any) -> Tensor | None:
        """Labels as they are, contexts in the units of the model."""
        contexts = self.condition.contexts
        return c if c is None or contexts is None else contexts.placed(c)

    def _placed(self, x: Any) -> Tensor:
        """Numbers whose distances are those that a coupling goes by: in data units, or by column.

        A coupling's own noise is in the same units.
        """
        return self.coupling.numbers(self.space, self.inward(x) if self.scale == "columns" else x)

    def loss(
        self,
        x: Any,
        c: Any = None,
        *,
        source: Any = None,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The squared error of the velocity, and of the noise, per dimension, `(B,)`.

        Args:
            x: states of the target.
            c: labels or contexts, one each.
            source: the states of the source that they are joined with; draws of the prior, joined
                by the coupling, if there are none.
            generator: of times, noise and hidden labels; torch's global one by default.
            rows: a part of the batch only, as if it had been cut out of the whole.

        Raises `InputError` without a source, if the model has one.
        """
        z0 = self.inward(x)
        n, device, process = state.rows(z0), state.device(z0), self.process_in_units()
        t = self.times.sample(n, process.clock, generator=generator, device=device).to(self.dtype)
        context = self.condition.rows(c, n, device)
        z1 = self._joined(z0, context, generator) if source is None else self.inward(source)
        if self.training:
            context = self.condition.hidden(context, generator)
        loss = matching_loss(self.predictor, process, (z0, z1), t, context, generator, rows)
        more = self.times.weights(t[rows], process.clock)
        return loss if more is None else loss * more

    # -- given a measurement --------------------------------------------------------------------

    def denoiser(
        self, c: Any = None, n: int = 1, *, guidance: float = 1.0, root: Any = None
    ) -> Denoiser:
        """`E[x_0 | x_t]`, which the velocity from standard normal noise stands for."""
        if self.has_source:
            raise CapabilityError(f"this model starts from data, not from noise: {NO_DENOISER}")
        if guidance != 1.0:
            raise CapabilityError("flow matching has no classifier-free guidance: leave guidance=")
        transports = self._transport(self.condition.required(c, n, self.device))
        process = self.process_in_units()
        return denoiser_of_flow(process, transports, self.coupling, self.event_shape, root)

    # -- inside ---------------------------------------------------------------------------------

    def process_in_units(self) -> GenerativeProcess:
        """The path with velocity and noise as its prediction, in the units of the model."""
        process = self.path.for_flow_matching()
        return process.in_units(self.length) if self.has_source else process

    def _joined(self, z0: Any, c: Any, generator: torch.Generator | None) -> Any:
        """Noise for each state of a batch, joined by the coupling."""
        if self.has_source:
            raise InputError("this model starts from data: loss takes states of it as source=")
        n, device = state.rows(z0), state.device(z0)
        prior = self.process_in_units().prior(self.space.state_shape(self.event_shape))
        drawn = prior.sample(n, generator=generator_or_global(generator, device))
        z1 = state.to(drawn, device, self.dtype)
        if isinstance(self.coupling, Independent) or n < 2:
            return z1
        seed = int(torch.randint(1 << 31, (), generator=generator, device=device))
        space, numbers = self.space, self.coupling.numbers
        c = None if c is None else c.detach()
        return state.take(z1, self.coupling(numbers(space, z1), numbers(space, z0), c, seed=seed))

    def _transport(self, context: Any) -> Callable[[slice], Transport]:
        process = self.process_in_units()

        def of(rows: Any) -> Transport:
            own = None if context is None else state.take(context, rows)
            return Transport(conditioned(self.predictor, self.condition, own), process)

        return of


def _path(path: str | GenerativeProcess) -> GenerativeProcess:
    """A process between pairs from its short name, or the process itself."""
    found = registry.resolve("paths", path)
    if not isinstance(found, GenerativeProcess) or not found.paired:
        raise InputError(
            f"a path is a process between pairs, such as processes.Linear(), not {path!r}"
        )
    return found
