"""The library on one screen: what a process, a model, a sampler and a grid step are to each other.

A process takes data to noise; a model predicts what was lost; a sampler goes back. Everything else
is a choice of one of the three. The protocols are structural: a class that has the methods fits.

* Learning: what generation needs at `(x_t, t)` is a conditional expectation given `x_t`. It is the
  minimizer of a proper score, so one loss (`matching_loss`) serves every space.
* Generation: the process turns the prediction into local characteristics (`Dynamics`) that know
  their own first-order step, so one loop (`pushforward.samplers.run`) serves every space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from pushforward import state

__all__ = [
    "Augmented",
    "Bridged",
    "Distribution",
    "Dynamics",
    "Evidenced",
    "GaussianKernels",
    "Guided",
    "GuidedModel",
    "LinearFlow",
    "Model",
    "Process",
    "Redrawn",
    "Sampler",
    "State",
    "Time",
    "Together",
    "Transport",
    "follows",
    "matching_loss",
]

X = TypeVar("X")
"""A batch of states: a tensor, or the (named) tuple that a space has."""

Z = TypeVar("Z", contravariant=True)
"""What a process is tractable given: a batch of data, or a coupled pair of batches."""

P = TypeVar("P", contravariant=True)
"""The prediction of a process: a tensor like the state, logits, points that are missing."""

X_contra = TypeVar("X_contra", contravariant=True)
P_co = TypeVar("P_co", covariant=True)

Time = float | Tensor
"""A float, or a tensor `()` or `(B,)`, in [0, 1]: 0 is data, 1 is the prior."""


class Distribution(Protocol[X]):
    """A distribution of states, or a batch of `B` of them.

    A conditional one is a function of its condition that returns one, as the encoder and the
    decoder of a `VAE` are.
    """

    def sample(
        self, n: int, *, seed: int | None = None, generator: torch.Generator | None = None
    ) -> X:
        """`n` independent states, batch first; of a batch `(n, B, *event)`."""

    def log_prob(self, x: X) -> Tensor:
        """The log-density of each state in nats, `(n,)`; of a batch `(n, B)`."""


class Dynamics(Protocol[X]):
    """The local characteristics of a Markov process at one `(x_t, t)`: velocity, score, rates."""

    def advance(
        self, x: X, h: float, churn: float = 0.0, generator: torch.Generator | None = None
    ) -> X:
        """One first-order step of signed size `h`; `h < 0` runs towards the data.

        The part that transports the distribution is signed by `h`; `churn` adds an equilibrium part
        that leaves the distribution at time `t` invariant: 0 is the least random dynamics with
        these marginals, 1 the exact time reversal (Anderson 1982).
        """


class Process(Protocol[X, Z, P]):
    """Distributions `p_t`, tractable given an endpoint `z`: the data, or a coupled pair."""

    def prior(self, shape: tuple[int, ...]) -> Distribution[X]:
        """The distribution at `t = 1` for events of a shape."""

    def sample(self, z: Z, t: Time, generator: torch.Generator | None = None) -> X:
        """`x_t ~ p_t(. | z)`."""

    def loss(self, pred: P, z: Z, x_t: X, t: Time) -> Tensor:
        """A proper score `(B,)`, least in expectation at the right conditional expectation."""

    def dynamics(self, pred: P, x_t: X, t: Time) -> Dynamics[X]:
        """The characteristics that the prediction implies; time reversal lives here only."""

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute once what the steps of a grid will look up."""


@runtime_checkable
class Bridged(Process[X, Z, P], Protocol[X, Z, P]):
    """A process whose steps towards the data are exact given the endpoint.

    Like the protocols below it is asked for by `follows`: a process declares what it can do by
    having the methods.
    """

    def bridge(
        self,
        pred: P,
        x_t: X,
        t: float,
        s: float,
        churn: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> X:
        """`x_s ~ p(x_s | x_t, z)` for `s < t`, with the prediction in the place of `z`."""


@runtime_checkable
class Together(Process[X, Z, P], Protocol[X, Z, P]):
    """A process that asks for more in training than a state at one time.

    A network that sees the parts of a sequence one after the other can be asked for all of them at
    once, so that one evaluation teaches what many states along the path would. Where the process
    supports a `bound`, the expectation of the loss of what is asked together is one of `-log p` in
    nats: see `samplers.block_evidence_bound`.
    """

    def for_training(self, z: Z, t: Time, generator: torch.Generator | None = None) -> Any:
        """What the network reads, and `loss` understands, in the place of a state `x_t`."""


@runtime_checkable
class Evidenced(Process[X, Z, P], Protocol[X, Z, P]):
    """A process whose models bound the probability of data, in nats: see `samplers.evidence_bound`.

    What data cost is the sum of three costs, `(B,)` each, on average over `x_t ~ p_t(. | z)`.
    """

    def prior_cost(self, z: Z, t: float) -> Tensor:
        """The relative entropy of `p_t(. | z)` from the prior, at the first time of a sampler."""

    def cost_rate(self, pred: P, z: Z, x_t: X, t: Time) -> Tensor:
        """The cost of the prediction per unit of time."""

    def data_cost(self, pred: P, z: Z, x_t: X, t: float) -> Tensor:
        """`-log p(z | x_t)`, of the data at once from the last time of a sampler."""


@runtime_checkable
class Births(Process[X, Z, P], Protocol[X, Z, P]):
    """A process that deletes the points of sets, whose reversal lets them be born one at a time."""

    @property
    def clock_of_births(self) -> Any:
        """The schedule of the chance that a point is still there."""

    def carried(self, pred: P, x_t: X, t: Tensor, s: Tensor, generator: Any = None) -> X:
        """The present points at times `s` of their own sets, from times `t`, `(B,)`."""

    def arriving(self, pred: P, x_t: X, t: Tensor) -> Any:
        """The law of the number of missing points, and of one of them as it stands at the time."""

    def filled_one(
        self, arriving: Any, x_t: X, born: Tensor, u: Tensor, generator: Any = None
    ) -> X:
        """One more point in the sets of which one is `born`, `(B,)`, in a slot by uniform `u`."""


@runtime_checkable
class Augmented(Process[X, Z, P], Protocol[X, Z, P]):
    """A process whose draws pass through something between data and state, given which the state
    is tractable, and which its loss takes in the place of the data.
    """

    def descend(self, z: Z, t: Time, generator: torch.Generator | None = None) -> tuple[Any, X]:
        """What `loss` takes, and `x_t ~ p_t(. | z)`."""


@runtime_checkable
class Redrawn(Process[X, Z, P], Protocol[X, Z, P]):
    """A process of tokens whose sites can be drawn anew, and whose reversed rates are bounded."""

    def redrawn(self, pred: P, x_t: X, t: float, generator: torch.Generator | None = None) -> X:
        """A new token for each site given all others, which leaves `p_t` alone one at a time."""

    def rate_bound(self, t: float) -> float:
        """More than the reversed rate of any site at a time."""


@runtime_checkable
class LinearFlow(Process[X, Z, P], Protocol[X, Z, P]):
    """A process whose flow is linear in state and prediction, with weights that depend on the time
    alone: a sampler computes them before its loop.
    """

    def flow_weights(self, t: Time) -> Any:
        """The weights at a time, `dynamics.FlowWeights`."""

    def flow(self, pred: P, x_t: X, weights: Any) -> Any:
        """The `dynamics` at the time of some weights."""


@runtime_checkable
class GaussianKernels(
    LinearFlow[Tensor, Tensor, Tensor], Bridged[Tensor, Tensor, Tensor], Protocol
):
    """`x_t = alpha_t x_0 + sigma_t noise`: all kernels are normal, with weights of the time alone.

    The prediction is the posterior mean of `x_0`. Multistep integrators, correctors and bounds need
    no more than the schedule, and a space that says what noise is.
    """

    @property
    def schedule(self) -> Any:
        """`alpha` and `sigma`."""

    @property
    def space(self) -> Any:
        """A linear space."""

    def transition(self, s: float, t: float) -> Any:
        """The forward kernel from `s` to a later `t`."""

    def pinned(self, t: float, s: float, churn: float = 1.0) -> Any:
        """The kernel from `t` to `s` given the endpoint."""

    def draw(
        self, kernel: Any, x: Tensor, pred: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """A draw of a kernel."""


class Model(Protocol[X_contra, P_co]):
    """A network, a closed form, or a guidance wrapper around either."""

    def __call__(self, x_t: X_contra, t: Time, c: Any = None) -> P_co:
        """The canonical prediction of the process at `(x_t, t)` in context `c`."""


class Guided(NamedTuple):
    """What a model that is guided by a measurement `y` knows at one `(x_t, t)`.

    Args:
        free: the prediction without the measurement, `E[x_0 | x_t]`.
        guided: with it, an approximation of `E[x_0 | x_t, y]`.
        log_likelihood: an approximation of `log p(y | x_t)`, up to a function of the time, `(B,)`.
        residual: what an iterative solver has left of its right-hand side, relative, `(B,)`; `None`
            where nothing is iterated.
    """

    free: Tensor
    guided: Tensor
    log_likelihood: Tensor
    residual: Tensor | None = None


@runtime_checkable
class GuidedModel(Protocol):
    """A model that knows how likely a measurement is: the twist of `samplers.TwistedSMC`."""

    def __call__(self, x_t: Tensor, t: Time, c: Any = None) -> Tensor:
        """The guided prediction."""

    def guide(self, x_t: Tensor, t: Time, c: Any = None) -> Guided:
        """Both predictions and the likelihood, from one evaluation of the model."""

    def log_likelihood(self, x_0: Tensor, c: Any = None) -> Tensor:
        """`log p(y | x_0)` of data, exactly, `(B,)`."""


class Transport(NamedTuple, Generic[X, P]):
    """A model and its process: what a sampler integrates."""

    model: Model[X, P]
    process: Any

    def dynamics(self, x: X, t: Time) -> Any:
        """The characteristics at `(x, t)`, one evaluation of the model."""
        return self.process.dynamics(self.model(x, t), x, t)


class State(NamedTuple, Generic[X]):
    """Everything the next step needs, nothing more."""

    x: X
    memory: Any = ()


class Sampler(Protocol[X]):
    """A rule for the steps along a grid; each step is a pure function of its explicit state."""

    @property
    def evaluations(self) -> int:
        """Evaluations of the model per step; 0 if a step takes as many as it needs."""

    def plan(self, process: Any, grid: Sequence[float]) -> Sequence[Any]:
        """One row per step: all that depends on the times alone, computed once.

        A row holds floats, or tuples of them, so that a compiled step can take it as an input.
        """

    def init(self, x: X) -> State[X]:
        """The state before the first step."""

    def step(
        self,
        transport: Transport[X, Any],
        state: State[X],
        row: Any,
        generator: torch.Generator | None = None,
    ) -> State[X]:
        """The state at the end of a step, from the state at its beginning."""


def matching_loss(
    model: Model[X, P],
    process: Process[X, Z, P],
    z: Z,
    t: Time,
    c: Any = None,
    generator: torch.Generator | None = None,
    rows: slice = slice(None),
) -> Tensor:
    """The one loss: noise the data, predict what was lost, score the prediction; `(B,)`.

    `rows` asks for a part of the batch only. Noise is drawn for the whole batch all the same, so
    that the loss of a batch does not depend on how it is cut over processes and micro-batches.

    >>> from pushforward.processes import Gaussian
    >>> from pushforward.schedules import VP
    >>> z, t = torch.zeros(3, 2), torch.full((3,), 0.5)
    >>> matching_loss(lambda x, t, c: torch.zeros_like(x), Gaussian(VP()), z, t)
    tensor([0., 0., 0.])
    """
    known: Any = process
    if follows(process, Augmented):
        # What is known of the way beside its start makes for a target with less noise.
        z, x_t = known.descend(z, t, generator)
    else:
        noised = known.for_training if follows(process, Together) else process.sample
        x_t = noised(z, t, generator)
    if rows != slice(None):
        z, x_t = state.take(z, rows), state.take(x_t, rows)
        t = t[rows] if isinstance(t, Tensor) and t.ndim else t
        c = None if c is None else state.take(c, rows)
    return process.loss(model(x_t, t, c), z, x_t, t)


_FOLLOWED: dict[Any, WeakKeyDictionary[type, bool]] = {}


def follows(value: Any, protocol: Any) -> bool:
    """Whether something has the members of a protocol: `isinstance`, asked once for each type.

    Python compares all members every time, which takes as long as a small layer of a network.

    >>> from pushforward.processes import Gaussian, Masking
    >>> follows(Gaussian(), GaussianKernels), follows(Masking(3), GaussianKernels)
    (True, False)
    """
    known = _FOLLOWED.setdefault(protocol, WeakKeyDictionary())
    found = known.get(type(value))
    if found is None:
        found = known[type(value)] = isinstance(value, protocol)
    return found
