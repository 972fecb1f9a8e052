"""What models between two laws share: maps in both directions, densities, and energies of paths."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from pushforward import registry, samplers
from pushforward._autograd import ProbeLaw
from pushforward._random import RowNoise, resolve
from pushforward._shapes import per_event_sum
from pushforward.distributions import Normal
from pushforward.errors import CapabilityError
from pushforward.estimates import Capabilities, LogProb
from pushforward.models import requests
from pushforward.models.batch_size import rows_in_memory
from pushforward.models.reversal import reversal
from pushforward.models.two_laws import TwoLaws
from pushforward.protocols import Sampler, Transport
from pushforward.samplers.adaptive import Adaptive

__all__ = ["End", "TwoEnded", "one_seed"]

End = Literal["source", "target"]
Progress = Callable[[int, int], None]


class TwoEnded(TwoLaws):
    r"""A model that carries one law to another: the source at `t = 0`, the target at `t = 1`.

    A subclass says what moves the states, `_transport`, and what its network is told, `_context`.
    """

    default_sampler: Sampler = samplers.Heun()
    """What maps are computed with unless told otherwise."""

    @abstractmethod
    def _transport(self, context: Tensor | None, towards: End) -> Transport:
        """The model, closed over its context, and the process that moves states `towards` an end.

        In standardized units, at times from 0 at the source to 1 at the target, both included.
        """

    @abstractmethod
    def _context(self, c: Any, n: int) -> Tensor | None:
        """What the network is told beside the time, one row per state, checked."""

    # -- what it is -----------------------------------------------------------------------------

    @property
    def _conditional(self) -> bool:
        return False

    @property
    def capabilities(self) -> Capabilities:
        """Samples; log-densities by the ODE where the density of the source is known."""
        return Capabilities(True, "none" if self.has_source else "ode", self._conditional)

    # -- the maps -------------------------------------------------------------------------------

    @torch.no_grad()
    def forward(
        self,
        a: Tensor,
        c: Any = None,
        *,
        n: int | None = None,
        sampler: str | Sampler | None = None,
        steps: int = 20,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Where states of the source `(B, *event)` go, in data units; `model(a)` is the same.

        Args:
            a: states of the source; of a model that starts from noise, standard normal states.
            c: a label or context for all, or one for each.
            n: draw each state so many times, `(n, B, *event)`; one `(B, *event)` by default.
            sampler: a short name or a sampler: with `churn` random, else deterministic.
            steps: of the sampler; those of an adaptive one follow from its tolerance, and from the
                row of a batch that is hardest to follow.
            seed: or a `generator` on the model's device. What happens to row `k` depends on the
                seed and on `k`, not on the other rows.
            batch_size: states per evaluation of the network; all at once by default.
            progress: called with the number of finished and of all sampler steps.

        Warns if results are not finite. Raises `InputError` for states that do not fit.
        """
        return self._mapped(
            a, c, "target", n, sampler, steps, resolve(seed, generator, self.device), batch_size,
            progress,
        )  # fmt: skip

    @torch.no_grad()
    def backward(
        self,
        b: Tensor,
        c: Any = None,
        *,
        n: int | None = None,
        sampler: str | Sampler | None = None,
        steps: int = 20,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Where states of the target `(B, *event)` come from; the rest as for `forward`."""
        return self._mapped(
            b, c, "source", n, sampler, steps, resolve(seed, generator, self.device), batch_size,
            progress,
        )  # fmt: skip

    @torch.no_grad()
    def sample(
        self,
        n: int,
        c: Any = None,
        *,
        sampler: str | Sampler | None = None,
        steps: int = 20,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        rows: slice = slice(None),
        progress: Progress | None = None,
    ) -> Tensor:
        """Draw `n` states of the target in data units, `(n, *event)`.

        They start from rows of the source that the model keeps, each as often as any other, or from
        a standard normal law. Neither start nor noise of a state depends on `batch_size` or `rows`.

        Args:
            n: how many.
            c: a label or context for all, or one for each.
            sampler: a short name (`pushforward list samplers`) or a sampler.
            steps: of the sampler.
            seed: or a `generator` on the model's device.
            batch_size: states per evaluation of the network; all at once by default.
            rows: draw this part of the `n` states only, as one of several processes does.
            progress: called with the number of finished and of all sampler steps.

        Warns if states are not finite. Raises `InputError` for arguments that do not fit.
        """
        parts = requests.batches(n, batch_size, rows)
        generator = resolve(seed, generator, self.device)
        start = self._starts(n, generator)
        x = self._carried(start, parts, self._context(c, n), "target", sampler, steps,
                          one_seed(generator), progress)  # fmt: skip
        return self._units()(requests.finite(x))

    @torch.no_grad()
    def log_prob(
        self,
        x: Tensor,
        c: Any = None,
        *,
        divergence: samplers.DivergenceMethod = "auto",
        probes: int = 8,
        probe_law: ProbeLaw = "rademacher",
        steps: int = 64,
        tolerance: float | None = None,
        seed: int | None = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> LogProb:
        """Log-densities of the target at states `(B, *event)` in nats, in data units.

        By the ODE, back to the standard normal law of the source: see `samplers.log_prob` for the
        divergence, a `tolerance` in the place of `steps`, and the error that comes back. States go
        through the network by `batch_size`, by default as many as keep a GiB for their derivatives.

        Raises `CapabilityError` if the source is data, whose density is not known, `InputError` for
        states that are not finite, or arguments that do not fit.
        """
        if self.has_source:
            raise CapabilityError(
                "this model starts from data, whose density is not known: train it without a "
                "source to have log_prob"
            )
        z, units = self._finite(x), self._units()
        generator = resolve(seed, generator, self.device)
        steps = requests.solver_steps(steps, False)
        times = [1 - t for t in reversed(self._grid(steps))]
        context, parts = self._context(c, len(z)), []

        def flow(rows: slice) -> Transport:
            told = None if context is None else context[rows]
            return reversal(self._transport(told, "source"))

        def velocity(z: Tensor) -> Tensor:
            return flow(slice(0, len(z))).dynamics(z, 0.5).velocity

        with self._evaluating():
            size = batch_size or (rows_in_memory(velocity, z[:2]) if len(z) > 1 else 1)
            rows = requests.batches(len(z), size)
            for k, part in enumerate(rows, start=1):
                parts.append(
                    samplers.log_prob(
                        flow(part), Normal(units.event_shape), z[part], times,
                        divergence=divergence, probes=probes, probe_law=probe_law,
                        tolerance=tolerance, generator=generator,
                    )
                )  # fmt: skip
                if progress is not None:
                    progress(k, len(rows))
        return LogProb(
            torch.cat([p.value for p in parts]) + units.log_det_inverse(),
            torch.cat([p.stderr for p in parts]),
            "ode",
            parts[0].nfe,
            torch.cat([p.error for p in parts if p.error is not None]),
        )

    @torch.no_grad()
    def path_energy(
        self, a: Tensor, c: Any = None, *, steps: int = 50, batch_size: int | None = None
    ) -> Tensor:
        """`int |v|^2 dt` along the ODE from states of the source `(B, *event)`, `(B,)`.

        In squared data units where there is a source, and otherwise in those of the noise. By
        Heun's method and the trapezoidal rule on the same steps. At least the squared distance of
        the two ends; its mean is at least `W_2^2` of the two laws (Benamou & Brenier 2000), as
        much for transport that is optimal.
        """

        def rate(transport: Transport, x: Tensor, t: float) -> Tensor:
            flow: Any = transport.dynamics(x, t)
            velocity: Tensor = flow.velocity
            return velocity

        return self._energy(a, c, samplers.Heun(), rate, steps, batch_size, None)

    # -- inside ---------------------------------------------------------------------------------

    def _grid(self, steps: int) -> list[float]:
        """Times from the source to the target."""
        return [k / steps for k in range(steps + 1)]

    def _energy(
        self,
        a: Tensor,
        c: Any,
        rule: Sampler,
        rate: Callable[[Transport, Tensor, float], Tensor],
        steps: int,
        batch_size: int | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """The integral of the squared rate along paths from the source, in squared data units."""
        z, times = self._entered(a), self._grid(requests.solver_steps(steps, False))
        context, found = self._context(c, len(z)), []
        with self._evaluating():
            for part in requests.batches(len(z), batch_size):
                told = None if context is None else context[part]
                transport = self._transport(told, "target")
                powers: list[Tensor] = []

                def note(t: float, x: Tensor) -> None:
                    powers.append(per_event_sum(rate(transport, x, t).square()))  # noqa: B023

                note(times[0], z[part])
                samplers.run(
                    rule, transport, z[part], times, generator=generator,
                    callback=lambda k, t, state: note(t, state.x),
                )  # fmt: skip
                at = torch.tensor(times, dtype=z.dtype, device=z.device)
                found.append(torch.trapezoid(torch.stack(powers), at, dim=0))
        return torch.cat(found) * self.scale**2

    def _mapped(
        self,
        x: Tensor,
        c: Any,
        towards: End,
        n: int | None,
        sampler: str | Sampler | None,
        steps: int,
        generator: torch.Generator,
        batch_size: int | None,
        progress: Progress | None,
    ) -> Tensor:
        if n is not None:
            requests.batches(n, None)
        z = self._entered(x) if towards == "target" else self._finite(x)
        parts = requests.batches(len(z), batch_size)
        context, draws, first = self._context(c, len(z)), [], one_seed(generator)
        for draw in range(n or 1):
            each = None if progress is None else _part_of(progress, draw, n or 1)
            draws.append(
                self._carried(z, parts, context, towards, sampler, steps, first + draw, each)
            )
        end = requests.finite(torch.stack(draws) if n is not None else draws[0])
        if towards == "source" and not self.has_source:
            return end
        return self._units()(end)

    def _carried(
        self,
        z: Tensor,
        parts: list[slice],
        context: Tensor | None,
        towards: End,
        sampler: str | Sampler | None,
        steps: int,
        seed: int,
        progress: Progress | None,
    ) -> Tensor:
        """States carried to an end, in the units of the model."""
        rule = self.default_sampler if sampler is None else registry.resolve("samplers", sampler)
        steps = requests.solver_steps(steps, False)
        times = [0.0, 1.0] if isinstance(rule, Adaptive) else self._grid(steps)
        if towards == "source":
            times = times[::-1]
        done, total = 0, len(parts) * (len(times) - 1)

        def report(k: int, t: float, state: Any) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        # Nothing to draw is a share too, if there are more processes than states.
        out = [z[:0]]
        with self._evaluating():
            for part in parts:
                told = None if context is None else context[part]
                noise = RowNoise(seed, part, z.device)
                transport = self._transport(told, towards)
                out.append(
                    samplers.run(
                        rule, transport, z[part], times, generator=noise, callback=report
                    )
                )  # fmt: skip
        return torch.cat(out)


def one_seed(generator: torch.Generator) -> int:
    """A seed from where a generator stands."""
    return int(torch.randint(1 << 31, (), generator=generator, device=generator.device))


def _part_of(progress: Progress, k: int, n: int) -> Progress:
    return lambda done, total: progress(k * total + done, n * total)
