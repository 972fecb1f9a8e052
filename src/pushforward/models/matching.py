"""Flow matching: a velocity learned from pairs, from any law to any other."""

from __future__ import annotations

import math
from typing import Any, Self

import torch
from torch import Tensor, nn

from pushforward import nn as nets
from pushforward import processes
from pushforward import times as time_laws
from pushforward._random import normal_like
from pushforward.config import configurable, named
from pushforward.couplings import Coupling, Independent, Sinkhorn
from pushforward.couplings import resolve_coupling as resolved
from pushforward.errors import CapabilityError, InputError
from pushforward.guidance import given
from pushforward.models import network, requests
from pushforward.models.two_ended import End, TwoEnded
from pushforward.processes import Motion, OneSided, Path, Reference
from pushforward.processes.motion import MARGIN, inside
from pushforward.protocols import Time, Transport
from pushforward.schedules import Rectified

__all__ = ["PATHS", "FlowMatching"]

PATHS = {
    name: processes.NAMES[name]
    for name in ("linear", "trigonometric", "scheduled", "one-sided", "bridge")
}

_CLOCK = Rectified()
"""Distributions of training times have the data at 0, where our target is at 1."""


@configurable
class FlowMatching(TwoEnded):
    r"""A flow from a source to a target that follows a path between coupled pairs.

    The network learns `E[a' x_0 + b' x_1 | x_t]`, and `E[noise | x_t]` too where the path is noisy
    (`processes.Motion`): Lipman et al. 2023; Liu et al. 2023; Albergo, Boffi & Vanden-Eijnden 2023.
    Without noise the flow is an ODE; with noise it is also an SDE of any diffusion level, the
    `churn` of the sampler. `path=Bridge(sigma)` with `coupling="sinkhorn"` is [SF]2M (Tong et al.
    2024), whose SDE is the Schrödinger bridge; so it is over an `OUBridge`.

    Args:
        net: a module `net(x, t, c)` that returns the shape of `x`, with `t` from 0 at the source to
            1 at the target; for a noisy path it is given the states twice along the first axis of
            the event, and returns both predictions there, so make it for that shape.
        path: `linear`, `trigonometric`, `scheduled`, `one-sided`, `bridge`, or a path of
            `processes`. Its noise is in data units, or without a source in those of the noise.
        coupling: which pairs: `independent`, `ot`, `sinkhorn`, `conditional`, `whole`,
            `paired`, or one of `couplings`.
        times: the distribution of training times; stratified uniform by default.
        label_dropout: the fraction of labels or contexts hidden in training, so that the model can
            also do without.
        event_shape: the shape of one data point, if known before training.
        source_rows: how many rows of a source are saved inside; training sets it.

    States cross this class in data units. Without a source it starts from a standard normal law.

    Raises `InputError` for what fits no argument.

    >>> import pushforward as pf
    >>> model = pf.FlowMatching(pf.nn.MLP(2, width=16), coupling="ot", event_shape=(2,))
    >>> model.sample(3, steps=4, seed=0).shape
    torch.Size([3, 2])
    """

    def __init__(
        self,
        net: nn.Module,
        path: str | Path = "linear",
        coupling: str | Coupling = "independent",
        times: str | time_laws.TimeDistribution = "stratified",
        label_dropout: float = 0.1,
        event_shape: int | tuple[int, ...] | None = None,
        source_rows: int = 0,
    ) -> None:
        super().__init__(event_shape, source_rows)
        network.check(net)
        self.path: Path = named(path, PATHS, "path")
        if not isinstance(self.path, Path):
            raise InputError(f"a path is one of processes, such as Linear(), not {path!r}")
        if coupling == "sinkhorn" and isinstance(self.path, Reference):
            # The coupling of the bridge itself: its density has x_0 x_1 / (sigma^2 S(1)) for the
            # exponent, beside what depends on one end alone.
            strength = 2 * self.path.sigma**2 * self.path.span(1.0)
            self.coupling: Coupling = Sinkhorn(strength)
        else:
            self.coupling = resolved(coupling)
        if isinstance(self.path, OneSided) and not isinstance(self.coupling, Independent):
            raise InputError("a one-sided path has its noise for source: couple it independently")
        if not 0 <= label_dropout < 1:
            raise InputError(f"label_dropout is a fraction in [0, 1), not {label_dropout}")
        self.label_dropout = label_dropout
        self.times: time_laws.TimeDistribution = named(
            times, time_laws.NAMES, "distribution of training times"
        )
        self.heads = Heads(net, Motion(self.path).heads)
        self._begin()

    @classmethod
    def for_data(cls, data: Any, *, labels: bool = True, **options: Any) -> Self:
        """A U-Net or a perceptron that fits the data; `options` are the constructor's."""
        heads = Motion(named(options.get("path", "linear"), PATHS, "path")).heads
        first, *rest = data.event_shape
        classes = data.num_classes if labels else None
        net = nets.default_network((heads * first, *rest), num_classes=classes)
        return requests.made(cls, options, net=net)

    # -- what it is -----------------------------------------------------------------------------

    @property
    def num_classes(self) -> int | None:
        """The number of labels that the network knows, `None` if it takes none."""
        return getattr(self.heads.net, "num_classes", None)

    @property
    def context_size(self) -> int | None:
        """The length of the contexts that the network takes, `None` if it takes none."""
        return getattr(self.heads.net, "context_size", None)

    @property
    def _conditional(self) -> bool:
        return self.num_classes is not None or self.context_size is not None

    def start_from(self, source: Tensor) -> None:
        """Keep rows of the source. Raises `InputError` for a one-sided path, which has its own."""
        if isinstance(self.path, OneSided):
            raise InputError("a one-sided path starts from noise: take path='linear' for a source")
        super().start_from(source)

    # -- learning -------------------------------------------------------------------------------

    def couple(
        self, x: Tensor, c: Tensor | None, source: Tensor, generator: torch.Generator
    ) -> Tensor | None:
        """The order of the source that the coupling says, for a batch."""
        if isinstance(self.coupling, Independent) or len(x) < 2:
            return None
        return self.coupling(source, x, c, generator=generator)

    def pair(self, x: Tensor, c: Tensor | None, source: Tensor) -> Tensor | None:
        """The partners of the whole data, for a coupling of whole sets."""
        return self.coupling.pair(source, x, c)

    def loss(
        self,
        x: Tensor,
        c: Any = None,
        *,
        source: Tensor | None = None,
        generator: torch.Generator | None = None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The squared error of the motion, and of the noise, per dimension, `(B,)`.

        Args:
            x: states of the target `(B, *event)`.
            c: labels or contexts, one each.
            source: the states of the source that they are joined with; standard normal ones, joined
                by the coupling, if there are none.
            generator: of times, noise and hidden labels.
            rows: a part of the batch only, as if it had been cut out of the whole.

        Raises `InputError` without a source, if the model has one.
        """
        z1 = self._inward(x)
        t = self.times.sample(len(z1), _CLOCK, generator=generator, device=z1.device).to(z1.dtype)
        t = (1 - t).clamp(MARGIN, 1 - MARGIN)
        told = self._context(c, len(z1))
        z0 = self._joined(z1, told, generator) if source is None else self._inward(source)
        process = self._process()
        z: tuple[Tensor, ...] = (z0, z1)
        if process.heads == 2:
            # A one-sided path has no other source than its noise.
            z = (*z, z0 if isinstance(self.path, OneSided) else normal_like(z1, generator))
        if self.training:
            told = network.hidden(self.heads.net, told, self.label_dropout, generator)
        x_t = process.sample(z, t)
        if rows != slice(None):
            x_t, t, z = x_t[rows], t[rows], tuple(part[rows] for part in z)
            told = None if told is None else told[rows]
        loss = process.loss(self.heads(x_t, t, told), z, x_t, t)
        more = self.times.weights(1 - t, _CLOCK)
        return loss if more is None else loss * more

    # -- inside ---------------------------------------------------------------------------------

    def _joined(self, z1: Tensor, c: Any, generator: torch.Generator | None) -> Tensor:
        """Noise for each state of a batch, joined by the coupling."""
        if self.has_source:
            raise InputError("this model starts from data: loss takes states of it as source=")
        z0 = normal_like(z1, generator)
        if isinstance(self.coupling, Independent) or len(z1) < 2:
            return z0
        device = "cpu" if generator is None else generator.device
        drawn = torch.randint(1 << 31, (), generator=generator, device=device)
        return z0[self.coupling(z0, z1, c, seed=int(drawn))]

    def _process(self) -> Motion:
        noisy = self.heads.count == 2
        return Motion(self.path, self.scale if noisy else 1.0)

    def _transport(self, context: Tensor | None, towards: End) -> Transport:
        if context is None and self._conditional and self.label_dropout == 0:
            raise CapabilityError(
                "this model never trained without labels (label_dropout=0): give c=, or train it "
                "with label_dropout=0.1"
            )
        model = self.heads if context is None else given(self.heads, context)
        return Transport(model, self._process())

    def _context(self, c: Any, n: int) -> Tensor | None:
        return network.context(self.heads.net, c, n, self.device)

    def _grid(self, steps: int) -> list[float]:
        if self.heads.count == 1:
            return super()._grid(steps)
        # Equal steps of the angle whose sine is the noise of a bridge: finer towards both ends.
        return [math.sin(0.5 * math.pi * k / steps) ** 2 for k in range(steps + 1)]


class Heads(nn.Module):
    """A network with one output, or with two along the first axis of the event."""

    def __init__(self, net: nn.Module, count: int) -> None:
        super().__init__()
        self.net, self.count = net, count
        self._shares_time = getattr(net, "shares_time", False)

    def forward(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The prediction of a `Motion` at states `(B, *event)`, `(B, count * first, *rest)`.

        Raises `InputError` if the network was made for another shape.
        """
        time = torch.as_tensor(inside(t), dtype=x_t.dtype, device=x_t.device)
        if not self._shares_time and time.ndim == 0:
            time = time.repeat(len(x_t))
        if self.count == 1:
            return network.call(self.net, x_t, time, c)
        twice = torch.cat([x_t, x_t], 1)
        try:
            return network.call(self.net, twice, time, c)
        except (InputError, RuntimeError) as error:
            raise InputError(
                "a noisy path needs a network with two outputs, made for states of shape "
                f"{tuple(twice.shape[1:])}, or FlowMatching.for_data, which makes one: {error}"
            ) from error
