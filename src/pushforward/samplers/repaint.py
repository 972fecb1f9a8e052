"""Inpainting with jumps (RePaint; Lugmayr et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import checks
from pushforward._shapes import combine
from pushforward.errors import CapabilityError, InputError
from pushforward.inverse import ExactConstraint, Measurement, Selection
from pushforward.processes import Kernel
from pushforward.protocols import GaussianKernels, State, Transport, follows
from pushforward.samplers.ancestral import Ancestral
from pushforward.samplers.rule import Rule

__all__ = ["RePaint"]


class _Move(NamedTuple):
    """A kernel, with the levels that the known part has at its end; none on the way to noise."""

    kernel: Kernel
    levels: tuple[float, float] | None


@dataclass(frozen=True)
class RePaint(Rule):
    """Ancestral steps whose known part is replaced, with jumps back to reconcile the rest.

    After a step from `t` to `s` the known part is drawn anew at the level of `s`,
    `alpha_s x_known + sigma_s noise`. After every `length` steps the state is noised again to where
    they began, and they are made once more, `jumps` times in all (Lugmayr et al. 2022, where these
    are `r` and `j`): without, the rest is made for the known part of the step before.

    Exactness: a heuristic. The known part of the result is exact if the grid ends at 0; the rest is
    drawn as if the noised known part told nothing of the noise that it has.

    Cost: `jumps` evaluations of the model a step, and no derivative of it.

    Args:
        known: states, `(*event)` or `(B, *event)`; what is not known is not read.
        mask: where they are known, booleans `(*event)`.
        jumps: how often each step is made.
        length: steps in a jump.
        chain: the ancestral sampler whose steps are made. By default its variance is that of the
            forward kernel, right for data of unit variance: that of DDPM is too small for few
            steps, and jumps make more of it.

    Raises `InputError` for a mask of another shape, or settings out of range.

    >>> from pushforward import Transport, processes, samplers
    >>> transport = Transport(lambda x, t, c=None: 0 * x, processes.Gaussian())
    >>> sampler = RePaint(torch.tensor([1.0, 5.0]), torch.tensor([True, False]), jumps=2)
    >>> samplers.run(sampler, transport, torch.zeros(1, 2), [1.0, 0.5, 0.0], seed=0).abs()
    tensor([[1., 0.]])
    """

    known: Tensor
    mask: Tensor
    jumps: int = 10
    length: int = 10
    chain: Ancestral = field(default_factory=lambda: Ancestral(variance="beta"))

    def __post_init__(self) -> None:
        checks.whole("jumps", self.jumps)
        checks.whole("length", self.length)
        if self.chain.variance not in ("posterior", "beta"):
            raise InputError(
                "the steps of repaint have the variance 'posterior' or 'beta', not "
                f"{self.chain.variance!r}"
            )
        shape = tuple(self.mask.shape)
        if self.mask.dtype != torch.bool or shape not in (
            tuple(self.known.shape),
            tuple(self.known.shape[1:]),
        ):
            raise InputError(
                f"the mask of known numbers holds booleans of the shape of a state, not "
                f"{self.mask.dtype} {shape} for states {tuple(self.known.shape)}"
            )

    @classmethod
    def of(cls, measurement: Measurement, **options: Any) -> RePaint:
        """For the measurement of some numbers of a state, without noise.

        Raises `CapabilityError` for other operators, or noise.
        """
        if not isinstance(measurement.operator, Selection) or not isinstance(
            measurement.noise, ExactConstraint
        ):
            raise CapabilityError(
                "repaint takes some numbers of the state as they are (a mask, a crop or columns) "
                "and without noise (noise='exact'), not "
                f"{type(measurement.operator).__name__} with {type(measurement.noise).__name__}: "
                "method='pigdm' and method='diffpir' take Gaussian noise, method='projection' any "
                "linear operator without noise"
            )
        y = measurement.y
        nothing = y.new_zeros(len(y) if measurement.batched else 1, *measurement.event_shape)
        seen = measurement.adjoint(torch.ones_like(measurement.residual(nothing)))
        mask = seen[0] != 0
        scale = torch.where(mask, seen[0], 1.0)
        known = measurement.adjoint(measurement.residual(nothing)) / scale.square()
        return cls(known if measurement.batched else known[0], mask, **options)

    @property
    def evaluations(self) -> int:
        """As many as `jumps`."""
        return self.jumps

    def plan(self, process: Any, grid: Sequence[float]) -> list[list[_Move]]:
        """The moves of each step: those of a jump come with its last one."""
        if not follows(process, GaussianKernels):
            raise CapabilityError(
                f"repaint runs on Gaussian processes, not on {type(process).__name__}"
            )
        if grid[-1] > grid[0]:
            raise InputError(f"repaint runs towards the data, not from {grid[0]} to {grid[-1]}")
        made: Any = self.chain.plan(process, grid)
        kernels = [row.kernel for row in made]
        levels = process.schedule.values
        steps = [_Move(k, tuple(levels(s))) for k, s in zip(kernels, grid[1:], strict=True)]
        rows: list[list[_Move]] = []
        for first in range(0, len(steps), self.length):
            block = steps[first : first + self.length]
            last = first + len(block)
            back = _Move(process.transition(grid[last], grid[first]), None)
            rows += [[step] for step in block]
            rows[-1] = rows[-1] + (self.jumps - 1) * [back, *block]
        return rows

    def step(
        self,
        transport: Transport,
        state: State,
        row: list[_Move],
        generator: torch.Generator | None = None,
    ) -> State:
        """One step, and at the end of a block its jumps."""
        (model, process), x = transport, state.x
        mask = self.mask.to(x.device)
        for kernel, levels in row:
            if levels is None:
                # Towards the noise there is no endpoint in the kernel.
                x = process.draw(kernel, x, x, generator)
                continue
            x = process.draw(kernel, x, model(x, kernel.t), generator)
            noise = process.space.randn(x, generator)
            x = torch.where(mask, combine(levels, (self.known.to(x).expand_as(x), noise)), x)
        return State(x)
