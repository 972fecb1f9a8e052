"""Schrödinger bridges: the likeliest random way from one distribution of data to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from pushforward import checks, registry, state
from pushforward._random import even_rows, fresh_seed, generator_or_global
from pushforward.condition import Condition
from pushforward.config import amend, configurable, made
from pushforward.errors import InputError
from pushforward.models.bridge_data import BothEnds, BridgeData, drawing
from pushforward.models.bridge_reference import BridgeReference, reading_of, require_fit, space_of
from pushforward.models.conditional_source import ConditionalSource
from pushforward.models.directions import NUMBERS_AT_ONCE, Directions
from pushforward.models.marginal_errors import MarginalError
from pushforward.models.model import Curve
from pushforward.models.networks import bridge_network
from pushforward.models.on_space import on_space_of
from pushforward.models.outer_loop import OuterLoop
from pushforward.models.predictor import check_network
from pushforward.models.scales import Scale, scale_of
from pushforward.models.source import Source
from pushforward.models.trainable import Trainable
from pushforward.models.transport_map import End, TransportMap
from pushforward.processes import Bridge, ControlledReference
from pushforward.protocols import Transport
from pushforward.schrodinger import (
    DSBM,
    ControlledDiffusion,
    Controls,
    CouplingCache,
    Method,
    OuterIterations,
)
from pushforward.schrodinger.controlled import drift_gain
from pushforward.spaces import Space

__all__ = ["SchrodingerBridge"]


@configurable
class SchrodingerBridge(TransportMap, Trainable):
    r"""The random paths from a source to a target that are nearest to a reference motion.

    Iterated on its own simulations (DSBM, Shi et al. 2023; DSB, De Bortoli et al. 2021): in each
    outer iteration one direction is learned against paths that the other has simulated, so that
    exact states of both distributions enter in turns. Networks predict where the end ahead differs
    from where the reference would lead (`schrodinger.ControlledDiffusion`).

    Two networks with contexts or labels make it conditional (CDSB, Shi et al. 2022): `c` stays with
    its row on all paths, which join the source with `p(x | c)`. Begun with
    `OuterIterations(first="forward")` and `dsbm-ipf` or `dsb`, the first outer iteration is a
    conditional diffusion.

    Args:
        net: the network of the way forward, `net(x, t, c)`, with `t` from 1 at the source to 0 at
            the target.
        backward: that of the way back; without one, `net` serves both and is told the direction as
            a label, 0 forward and 1 backward.
        reference: `processes.Bridge(sigma)` or `processes.OUBridge(sigma, rate)`, with `sigma` in
            data units; by default Brownian motion that goes as far as the distributions are wide.
            An Ornstein-Uhlenbeck reference is drawn to the center of both. On a manifold
            `processes.ManifoldBridge(space, sigma)`, of sequences `processes.TokenBridge(space)`,
            both with `dsbm-imf` and `dsbm-ipf`. `sigma` of fields is in standard deviations.
        method: `dsbm-imf`, `dsbm-ipf`, `dsb`, `dsb-drift`, or a `schrodinger.Method`.
        iterations: the outer iterations, `schrodinger.OuterIterations`.
        cache: when simulated couplings are drawn anew, and how many: `schrodinger.CouplingCache`.
        steps: of a simulated path in training.
        ema: the decay of the averaged weights that simulate, and that map states afterwards.
        event_shape: the shape of one data point, if known before training.
        source_rows: rows of the source that are kept, known after training.
        start_rows: couplings that are kept from a warm start.
        start: a source that depends on the context, in the place of noise (CDSB-C), such as
            `models.RegressedSource()`. It is fitted to the training data.
        label_dropout: the fraction of labels or contexts hidden in training, so that the model can
            also do without.
        scale: `common`, one unit of distance for all columns, that of your data; or `columns`, each
            by its standard deviation, in whose units `sigma` is then given.

    `fit(model, target, source=source, steps=model.iterations.total_steps)` trains all outer
    iterations. Couplings are a function of the saved state, so that a resumed run is the one never
    stopped. Without a source the bridge starts from a standard normal distribution.

    >>> import pushforward as pf
    >>> model = pf.SchrodingerBridge(pf.nn.MLP(2, width=8, num_classes=2), event_shape=2)
    >>> model.forward(torch.zeros(3, 2), n=4, seed=0).shape
    torch.Size([4, 3, 2])
    """

    takes_source = True
    space_from, networks = "reference", ("net", "backward")
    loss_measures_quality = False
    loss_meaning = (
        "Each outer iteration has targets of its own: its loss cannot be compared with that of "
        "another one."
    )

    def __init__(
        self,
        net: nn.Module,
        backward: nn.Module | None = None,
        reference: BridgeReference | None = None,
        method: str | Method = "dsbm-imf",
        iterations: OuterIterations | None = None,
        cache: CouplingCache | None = None,
        steps: int = 20,
        ema: float = 0.999,
        event_shape: int | tuple[int, ...] | None = None,
        source_rows: int = 0,
        start_rows: int = 0,
        scale: Scale = "common",
        start: ConditionalSource | None = None,
        label_dropout: float = 0.0,
    ) -> None:
        super().__init__(event_shape)
        self.scale = scale_of(scale)
        check_network(net)
        if backward is None and getattr(net, "num_classes", 2) != 2:
            raise InputError(
                "one network for both directions is told the direction as a label: make it with "
                "num_classes=2, or give a second network as backward="
            )
        self.space = space_of(reference)
        self.reference: BridgeReference | None = reference
        fitting: Method = registry.resolve("bridges", method)
        require_fit(reference, fitting)
        networks = [net] if backward is None else [net, backward]
        # One network for both takes the direction in the place of a label.
        self.condition = Condition() if backward is None else Condition.of(networks, label_dropout)
        if start is not None and (self.condition.context_size is None or label_dropout > 0):
            raise InputError(
                "a source that depends on the context needs two networks that are told contexts, "
                "such as nn.MLP(2, context=5), and label_dropout=0"
            )
        self.start = start
        self.source = Source(source_rows, self._given_shape)
        self.loop = OuterLoop(
            Directions(networks, checks.fraction("ema", ema), reading_of(reference)),
            fitting,
            iterations or OuterIterations(),
            cache or CouplingCache(),
            checks.whole("steps", steps),
        )
        # Pairs of target and source, of a warm start.
        self.initial_couplings = Source(start_rows, self._given_shape and (self._given_shape,) * 2)
        self._ready()

    @classmethod
    def for_data(
        cls,
        data: Any,
        *,
        labels: bool = True,
        shared: bool = False,
        net: Any = "auto",
        iterations: int | OuterIterations = 20,
        train_steps: int | None = None,
        **options: Any,
    ) -> Self:
        """Two networks that fit the data, or one `shared`; `options` are the constructor's.

        `net` may name another network. Two are told the contexts of the data, but no labels. A
        number of `iterations` share the `train_steps`; fewer of them raise `InputError`.
        """
        if not isinstance(iterations, OuterIterations):
            iterations = OuterIterations.sharing(
                checks.whole("iterations", iterations), train_steps
            )
        options = on_space_of(cls, options, data)
        size = data.context_size if labels and not shared else None
        space, reading = cls.space_for(options), reading_of(options.get("reference"))
        if not shared:
            options.setdefault("backward", bridge_network(data, space, reading, None, size, net))
        ahead = bridge_network(data, space, reading, 2 if shared else None, size, net)
        return made(cls, {**options, "iterations": iterations}, net=ahead)

    @classmethod
    def space_for(cls, options: dict[str, Any]) -> Space:
        """That of the reference."""
        return space_of(options.get("reference"))

    # -- what it is -----------------------------------------------------------------------------

    @property
    def iterations(self) -> OuterIterations:
        """The outer iterations of its training."""
        return self.loop.iterations

    def process_in_units(self) -> ControlledDiffusion | ControlledReference:
        """The controlled reference, with the variances of ends that were measured."""
        return self.loop.process(self._reference())

    def _reference(self) -> BridgeReference:
        return Bridge(1.0) if self.reference is None else self.reference.in_units(self.length)

    @property
    def starts_from_noise(self) -> bool:
        """Unless it has a source, of data or one that depends on the context."""
        return super().starts_from_noise and self.start is None

    def _times(self, steps: int | None, towards: End = "target") -> list[float]:
        """Times that are finer towards the end of a path, whichever it is."""
        there = super()._times(steps)
        return there if towards == "target" else [1 - t for t in there]

    def _transport(self, context: Any) -> Callable[[slice], Transport]:
        directions, process = self.loop.directions, self.process_in_units()

        def of(rows: slice) -> Transport:
            own = None if context is None else context[rows]
            controls = Controls(*(directions.control(way, own) for way in (True, False)))
            return Transport(controls, process)

        return of

    @property
    def marginal_errors(self) -> list[MarginalError]:
        """How far simulated ends were from their distribution, for each outer iteration."""
        return self.loop.marginals.found()

    @property
    def converged(self) -> bool | None:
        """Whether the last outer iterations meet source and target; `None` if none was measured."""
        return not self.loop.marginals.missed() if self.marginal_errors else None

    def curves(self) -> list[Curve]:
        """The marginal errors over the outer iterations, by their floors."""
        return self.loop.marginals.curves()

    def warnings(self, x: Any, c: Any = None) -> list[str]:
        """What the simulated ends say about the last outer iterations."""
        return super().warnings(x) + self.loop.warnings()

    @torch.no_grad()
    def path_energy(
        self,
        a: Tensor,
        c: Any = None,
        *,
        steps: int = 50,
        batch_size: int | None = None,
        random: bool = False,
        seed: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """`int |v|^2 dt` along the ODE from states of the source `(B, *event)`, `(B,)`.

        In squared data units where there is a source, those of standardized columns with
        `scale="columns"`. `random` paths instead are charged for the
        drift beyond the reference's, whose mean energy over `2 sigma^2` is the divergence of the
        bridge from the reference started at the source.
        """
        if not random:
            return super().path_energy(a, c, steps=steps, batch_size=batch_size)
        reference = self._reference()

        def drift(transport: Transport, x: Tensor, t: float) -> Tensor:
            found: Tensor = transport.model(x, t)[0]
            return found * drift_gain(reference, t)

        drawn = fresh_seed(seed, generator)
        return self._energy(a, c, self._rule(None), drift, steps, batch_size, drawn)

    # -- learning -------------------------------------------------------------------------------

    @torch.no_grad()
    def warm_start(self, other: TransportMap) -> None:
        """Go on from another model between two distributions; call it before `fit`.

        From a bridge with the same networks, of other data, noise or method: both directions count
        as learned, and the first couplings are simulated. From any other model, such as a
        `FlowMatching`: the first couplings are its own, of the rows of its source, and are saved
        inside; this needs a method that learns from couplings.

        Raises `InputError` for networks that differ, and for what does not start from data.

        >>> import pushforward as pf
        >>> nets = [pf.nn.MLP(2, width=8, num_classes=2) for _ in range(2)]
        >>> first, second = (pf.SchrodingerBridge(net, event_shape=2) for net in nets)
        >>> second.warm_start(first)
        >>> torch.equal(nets[0].first.weight, nets[1].first.weight)
        True
        """
        if not isinstance(other, TransportMap):
            raise InputError(
                f"a warm start is a model between two distributions, not a {type(other).__name__}"
            )
        if isinstance(other, SchrodingerBridge):
            self.loop.go_on_from(other.loop)
            return
        if self.condition.conditional:
            raise InputError(
                f"a {type(other).__name__} keeps rows of its source without contexts: a "
                "conditional bridge goes on from another bridge"
            )
        if not other.has_source:
            raise InputError(f"this {type(other).__name__} starts from noise: it couples no data")
        if not isinstance(self.loop.method, DSBM):
            raise InputError(
                f"{self.loop.method} learns from whole paths: a warm start from a "
                f"{type(other).__name__} needs dsbm-imf or dsbm-ipf"
            )
        a = other.source.x
        self.known_units(a)
        size = max(1, NUMBERS_AT_ONCE // a[0].numel())
        b = other.forward(a, seed=0, batch_size=size)
        # In the units of the data, which this model does not know yet.
        self.initial_couplings.keep((b, a), next(self.parameters()))
        amend(self, start_rows=len(a))

    def prepare(self, x: Tensor, c: Any = None, *, generator: torch.Generator) -> None:
        """Draw the seed of all simulations; forget other trainings; fit a source to the contexts.

        Raises `InputError` for data that are not finite, and for two sources.
        """
        if self.start is not None:
            if self.has_source:
                raise InputError("give a source of data or start=, not both")
            self.start.fit(x, self.condition.as_given(self.condition.rows(c, len(x), self.device)))
        if bad := int((~state.finite_rows(x)).sum()):
            raise InputError(f"{bad} of {len(x)} rows of the target are not finite")
        drawn = torch.randint(1 << 62, (), generator=generator, device=generator.device)
        self.loop.restart(int(drawn))

    def frozen_parameters(self) -> list[nn.Parameter]:
        """The network of the direction that is not being learned."""
        learning = self.loop.learning
        if self.loop.directions.shared or not self.training or learning is None:
            return []
        return list(self.loop.directions.network(not learning.forward).parameters())

    @torch.no_grad()
    def on_step(self, step: int, source: Tensor | None, target: Tensor, c: Any = None) -> None:
        """Average weights, turn to the other direction, draw couplings: what is due at a step."""

        def start(context: Any, n: int, order: torch.Generator) -> Tensor:
            if source is None:
                return self._drawn_source(context, n, order)
            return self.inward(state.take(source, even_rows(n, len(source), order)))

        data = BridgeData(
            self._reference(),
            drawing(target, c, self.condition, self.inward, start),
            None if source is None else len(source),
            len(target),
            state.numel(self.event_shape),
            self._initial if len(self.initial_couplings) else None,
        )
        self.loop.on_step(step, data, self.tell)

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        source: Tensor | None = None,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The loss of the direction that is being learned, `(B,)`; or of some rows of the batch.

        In training, on rows of the cached couplings, which stand in for the batch; otherwise on
        paths simulated from the batch, the sum of both directions. Without a generator, torch's
        global one is read.
        """
        context = self.condition.required(c, len(x), self.device)
        generator = generator_or_global(generator, self.device)
        if self.training and self.loop.simulated is not None:
            return self.loop.loss(len(x), generator, rows)
        target = self.inward(x)
        drawn = source is None
        start = self._drawn_source(context, len(x), generator) if drawn else self.inward(source)
        ends = BothEnds(start, target, context)
        return self.loop.loss_of_both(self._reference(), ends, generator)[rows]

    def _initial(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Couplings of a warm start in the units of the model, each as often as any other."""
        b, a = self.initial_couplings.draw(n, generator)
        return self.inward(b), self.inward(a)

    def _drawn_source(self, context: Any, n: int, generator: torch.Generator) -> Tensor:
        """States of a source that is no data, in some contexts, in the units of the model."""
        if self.start is not None:
            drawn = self.start.sample(self.condition.as_given(context), generator)
            return cast(Tensor, self.inward(drawn))
        drawn = self.process_in_units().prior(self.event_shape).sample(n, generator=generator)
        return state.to(drawn, self.device, self.dtype)

    def _starts(self, n: int, noise: torch.Generator, seed: int, context: Any = None) -> Any:
        if self.start is None or self.has_source:
            return super()._starts(n, noise, seed, context)
        return self._drawn_source(context, n, noise)
