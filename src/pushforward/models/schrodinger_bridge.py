"""Schrödinger bridges: the likeliest random way from one law of data to another."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from pushforward import nn as nets
from pushforward import registry
from pushforward._random import resolve
from pushforward.config import amend, configurable, made
from pushforward.errors import InputError
from pushforward.models.half_iterations import AT_ONCE, HalfIterated
from pushforward.models.model import Curve
from pushforward.models.parameter_vector import flattened, put_back
from pushforward.models.two_ended import End, TwoEnded
from pushforward.processes import Reference
from pushforward.protocols import Transport
from pushforward.schrodinger import DSBM, Halves, Method, Pinned, Refresh

__all__ = ["MarginalError", "SchrodingerBridge"]


class MarginalError(NamedTuple):
    """How far the ends of simulated paths are from the law that they should have.

    Args:
        half: the half-iteration that learned from these ends.
        end: `target` if the paths ran forward.
        value: the sliced Wasserstein distance, in units of the model.
        floor: that of as many states of the law itself, twice.
    """

    half: int
    end: End
    value: float
    floor: float


@configurable
class SchrodingerBridge(HalfIterated):
    r"""The law of random paths from a source to a target nearest to a reference motion.

    Iterated on its own simulations: in each half-iteration one direction is learned against paths
    that the other has simulated, so that exact states of both laws enter in turns. Networks say
    where the end ahead differs from where the reference would lead (`schrodinger.Steered`).

    Args:
        net: the network of the way forward, `net(x, t, c)`, which sees the elapsed time in [0, 1].
        backward: that of the way back; without one, `net` serves both and is told the direction as
            a label, 0 forward and 1 backward.
        reference: `processes.Bridge(sigma)` or `processes.OUBridge(sigma, rate)`, with `sigma` in
            data units; by default Brownian motion that goes as far as the laws are wide. An
            Ornstein-Uhlenbeck reference is drawn to the center of both laws.
        method: `dsbm-imf`, `dsbm-ipf`, `dsb`, `dsb-drift`, or a `schrodinger.Method`.
        halves: the schedule of half-iterations.
        refresh: when cached couplings are drawn anew.
        steps: of a simulated path in training.
        ema: the decay of the averaged weights that simulate, and that map states afterwards.
        event_shape: the shape of one data point, if known before training.
        source_rows: rows of the source that are kept, known after training.
        start_rows: couplings that are kept from a warm start.

    `fit(model, target, source=source, steps=model.halves.steps)` trains all half-iterations.
    Couplings are a function of the saved state, so that a resumed run is the one never stopped.

    >>> import pushforward as pf
    >>> model = pf.SchrodingerBridge(pf.nn.MLP(2, width=8, num_classes=2), event_shape=2)
    >>> model.forward(torch.zeros(3, 2), n=4, seed=0).shape
    torch.Size([4, 3, 2])
    """

    default_sampler = Pinned()

    loss_measures_quality = False

    def __init__(
        self,
        net: nn.Module,
        backward: nn.Module | None = None,
        reference: Reference | None = None,
        method: str | Method = "dsbm-imf",
        halves: Halves | None = None,
        refresh: Refresh | None = None,
        steps: int = 20,
        ema: float = 0.999,
        event_shape: int | tuple[int, ...] | None = None,
        source_rows: int = 0,
        start_rows: int = 0,
    ) -> None:
        network.check(net)
        if backward is None:
            if getattr(net, "num_classes", 2) != 2:
                raise InputError(
                    "one network for both directions is told the direction as a label: make it "
                    "with num_classes=2, or give a second network as backward="
                )
        else:
            network.check(backward)
        if reference is not None and not isinstance(reference, Reference):
            raise InputError(
                f"the reference is processes.Bridge(sigma) or processes.OUBridge(sigma, rate), not "
                f"{reference!r}"
            )
        if not 0 <= ema < 1:
            raise InputError(f"ema must lie in [0, 1), not {ema}")
        super().__init__(
            [net] if backward is None else [net, backward],
            reference,
            registry.resolve("bridges", method),
            halves or Halves(),
            refresh or Refresh(),
            checks.whole("steps", steps),
            ema,
            event_shape,
            source_rows,
            start_rows,
        )
        self._ready()

    @classmethod
    def for_data(
        cls, data: Any, *, labels: bool = True, shared: bool = False, **options: Any
    ) -> Self:
        """Two networks that fit the data, or one `shared`; `options` are the constructor's."""
        if not shared:
            options.setdefault("backward", _default_network(data.event_shape))
        net = _default_network(data.event_shape, 2 if shared else None)
        return made(cls, options, net=net)

    @torch.no_grad()
    def warm_start(self, other: TwoEnded) -> None:
        """Go on from another model between two laws; call it before `fit`.

        From a bridge with the same networks, of other laws, noise or method: both directions count
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
        if not isinstance(other, TwoEnded):
            raise InputError(
                f"a warm start is a model between two laws, not a {type(other).__name__}"
            )
        if not isinstance(other, SchrodingerBridge):
            self._start_from_pairs(other)
            return
        mine, theirs = ([*m.nets.parameters(), *m.nets.buffers()] for m in (self, other))
        if len(self.nets) != len(other.nets) or [t.shape for t in mine] != [
            t.shape for t in theirs
        ]:
            raise InputError("the other bridge has other networks: make them with the same sizes")
        for ours, buffer in zip(self.nets.buffers(), other.nets.buffers(), strict=True):
            ours.copy_(buffer)
        # The way back last: a shared network learns it first.
        for k, forward in enumerate((True, False)):
            known = bool(other.begun[k])
            vector = other._average(forward) if known else flattened(other._net(forward))
            self._average(forward).copy_(vector)
            put_back(self._net(forward), self._average(forward))
        self.begun.fill_(True)
        self.trained.fill_(True)
        if self.method.measures_spread:
            self.spread.copy_(other.spread)

    def _start_from_pairs(self, other: TwoEnded) -> None:
        """Keep the couplings of another model."""
        if not other.has_source:
            raise InputError(f"this {type(other).__name__} starts from noise: it couples no data")
        if not isinstance(self.method, DSBM):
            raise InputError(
                f"{self.method} learns from whole paths: a warm start from a "
                f"{type(other).__name__} needs dsbm-imf or dsbm-ipf"
            )
        a = other.source
        self.known_units(a)
        size = max(1, AT_ONCE // a[0].numel())
        b = other.forward(a, seed=0, batch_size=size)
        self.start_pairs = torch.stack([a, b]).to(self.known_units().shift)
        amend(self, start_rows=len(a))

    # -- what it says about itself ----------------------------------------------------------------

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

        In squared data units where there is a source. `random` paths instead are charged for the
        drift beyond the reference's, whose mean energy over `2 sigma^2` is the divergence of the
        bridge from the reference started at the source.
        """
        if not random:
            return super().path_energy(a, c, steps=steps, batch_size=batch_size)
        heading, reference = self._heading(True), self._reference()

        def steering(transport: Transport, x: Tensor, t: float) -> Tensor:
            remaining = 1 - t
            return heading(x, t) * (remaining / reference.span(remaining) if remaining else 1.0)

        drawn = resolve(seed, generator, self.device)
        return self._energy(a, c, self.default_sampler, steering, steps, batch_size, drawn)

    @property
    def marginal_errors(self) -> list[MarginalError]:
        """How far simulated ends were from their law, one for each half-iteration that has any."""
        found = []
        for half, (value, floor) in enumerate(self.marginals.tolist()):
            if value >= 0:
                # What learns the way back has simulated forward.
                end: End = "source" if half % 2 else "target"
                found.append(MarginalError(half, end, value, floor))
        return found

    def curves(self) -> list[Curve]:
        """The marginal errors over the half-iterations, by their floors."""
        errors = self.marginal_errors
        series: dict[str, list[tuple[float, float]]] = {}
        for e in errors:
            series.setdefault(f"at the {e.end}", []).append((e.half, e.value / max(e.floor, 1e-12)))
        if errors:
            series["floor"] = [(e.half, 1.0) for e in errors]
        note = (
            "How far the ends of simulated paths are from the law that they should have, in sliced "
            "Wasserstein distance: so many times as far as two samples of that law are from each "
            "other."
        )
        return [Curve("Marginals over the half-iterations", series, "half-iteration", note)]

    def warnings(self, x: Tensor) -> list[str]:
        """What the simulated ends say about the last half-iterations."""
        found = []
        advice = "Train longer half-iterations with larger batches, or take more steps per path."
        if self.method.starts_from_reference:
            advice += (
                f" {self.method} begins with paths of the reference: the less of the target these "
                "reach, the longer it takes, so raise its sigma, or begin as dsbm-imf does."
            )
        for e in self.marginal_errors[-2:]:
            if e.value > 3 * e.floor:
                found.append(
                    f"Simulated paths miss the {e.end}: their ends are {e.value:.3g} from it in "
                    f"half-iteration {e.half}, and two samples of it {e.floor:.3g} from each other."
                    f" {advice}"
                )
        if not bool(self.trained.any()):
            found.append(
                "Only one direction has learned: training ended within the first half-iteration. "
                f"All of them take {self.halves.steps} steps."
            )
        return found


def _default_network(event_shape: tuple[int, ...], num_classes: int | None = None) -> nn.Module:
    """The default network, with an affine part where there is no picture to see."""
    net = nets.default_network(event_shape, num_classes)
    return nets.AffineSkip(net) if isinstance(net, nets.MLP) else net
