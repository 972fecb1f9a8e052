"""A sampler whose step, network included, is compiled."""

from __future__ import annotations

import types
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pushforward import registry
from pushforward.config import configurable
from pushforward.errors import CapabilityError
from pushforward.processes import Gaussian
from pushforward.protocols import GaussianKernels, State, Transport, follows
from pushforward.samplers.rule import Rule
from pushforward.spaces import Euclidean

__all__ = ["Compiled"]


class _Row(NamedTuple):
    """A row of the sampler, floats turned into tensors, and how often its step draws noise."""

    row: Any
    draws: int


@configurable
@dataclass(frozen=True)
class Compiled(Rule):
    """Another sampler's step by `torch.compile`, as one graph: for large networks and long runs.

    What a step knows of the times goes in as tensors, so that all steps share their graphs, and so
    does its noise, which is drawn before: a seed gives the samples that it gives without
    compilation, up to rounding. The first run takes a minute to compile.

    Args:
        sampler: the sampler.
        backend: what `torch.compile` compiles with; `eager` traces only.

    Raises `CapabilityError` for a process that is not Gaussian, a sampler of adaptive steps, or
    where torch cannot compile.
    """

    sampler: Rule
    backend: str = "inductor"

    @property
    def evaluations(self) -> int:
        """Those of the sampler."""
        return self.sampler.evaluations

    def plan(self, process: Any, grid: Sequence[float]) -> list[_Row]:
        """The sampler's rows, and the draws of each, counted in a rehearsal on a single number."""
        if not follows(process, GaussianKernels) or not self.sampler.evaluations:
            raise CapabilityError(
                f"a step of {registry.called('samplers', self.sampler)} on "
                f"{type(process).__name__} cannot be compiled: that takes a Gaussian process and "
                "steps of a fixed size"
            )
        counter = _Counter()
        rehearsed = Transport(lambda x, t, c=None: x, Gaussian(process.schedule, counter))
        sampler = self.sampler.rehearsed()
        state = sampler.init(torch.zeros(1, 1))
        rows = []
        plans = (rule.plan(process, grid) for rule in (self.sampler, sampler))
        for row, other in zip(*plans, strict=True):
            before = counter.count
            state = sampler.step(rehearsed, state, other)
            rows.append(_Row(row, counter.count - before))
        return _as_tensors(rows)

    def init(self, x: Any) -> State:
        """The sampler's state."""
        return self.sampler.init(x)

    def step(
        self,
        transport: Transport,
        state: State,
        row: _Row,
        generator: torch.Generator | None = None,
    ) -> State:
        """The sampler's step, compiled at its first use."""
        model, process = transport
        from torch._dynamo.exc import BackendCompilerFailed

        noise = [process.space.randn(state.x, generator) for _ in range(row.draws)]
        try:
            return self._step(model, process.schedule, state, row.row, noise)
        except BackendCompilerFailed as error:
            raise CapabilityError(
                f"torch could not compile the step with {self.backend!r}: on a CPU that takes a "
                "C++ compiler, and torch installed in a path without spaces; use the sampler "
                f"as it is. What torch says ends with: {str(error).strip()[-200:]}"
            ) from error

    @cached_property
    def _step(self) -> Any:
        rule = self.sampler

        def step(model: Any, schedule: Any, state: State, row: Any, noise: list[Tensor]) -> State:
            return rule.step(Transport(model, Gaussian(schedule, _Drawn(noise))), state, row)

        # Forward-mode derivatives load modules at their first use, which cannot happen in a graph.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.zeros(()),))
        # Functions of one code share a limit on their graphs; this one gets a code of its own.
        own = types.FunctionType(step.__code__.replace(), globals(), None, None, step.__closure__)
        return torch.compile(own, fullgraph=True, backend=self.backend)


class _Counter(Euclidean):
    """Noise that is zero, and counted."""

    count: int = 0

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        object.__setattr__(self, "count", self.count + 1)
        return torch.zeros_like(x)


class _Drawn(Euclidean):
    """Noise that was drawn before, in order."""

    noise: list[Tensor]

    def __init__(self, noise: list[Tensor]) -> None:
        object.__setattr__(self, "noise", list(noise))

    def randn(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.noise.pop(0)


def _as_tensors(rows: list[_Row]) -> list[_Row]:
    """The rows with their floats as tensors, made all at once: one by one each costs a layer."""
    flat, spec = pytree.tree_flatten(rows)
    numbers = torch.tensor([x for x in flat if isinstance(x, float)], dtype=torch.float64)
    values = iter(numbers.unbind())
    return pytree.tree_unflatten([next(values) if isinstance(x, float) else x for x in flat], spec)
