"""The path of Dirichlet distributions from the uniform one to the corners of a simplex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pushforward import checks
from pushforward._draws import log_gamma_draw, uniform_doubles
from pushforward._precision import in_double, times_in_double
from pushforward._shapes import like, per_event_sum
from pushforward.config import configurable
from pushforward.distributions import Dirichlet
from pushforward.dynamics import Flow
from pushforward.processes._clock import check_clock
from pushforward.processes.process import GenerativeProcess, one_prediction
from pushforward.processes.reading import Reading
from pushforward.protocols import Time
from pushforward.schedules import Rectified, Schedule
from pushforward.spaces import Vertices

__all__ = ["DirichletPath", "dirichlet_speed"]


@configurable
@dataclass(frozen=True)
class DirichletPath(GenerativeProcess[Tensor, Tensor, Tensor]):
    r"""`x_t ~ Dirichlet(1 + s_t e_k)` at each site whose symbol is `k`: Dirichlet flow matching
    (Stark et al. 2024).

    The weight `s_t = reach alpha_t` grows from zero, the uniform distribution, to `reach`. The
    prediction is the logits of the symbols given the state, learned by cross-entropy; the flow is
    `sum_k p(k | x) C(x_k, s) (e_k - x)` with the speed of `dirichlet_speed`. At the end of the path
    the symbols are drawn from the prediction, which is exact for sites that are independent given
    the state; for the others the longer the path the better.

    A network is asked for the logits of the other sites alone: what a site says of its own symbol
    is known, `s log x_k`, and is added.

    Args:
        space: the symbols.
        reach: the largest weight.
        schedule: whose `alpha` grows to one towards the data.

    Raises `InputError` for a reach that is not positive, or a schedule under which data are never
    lost.

    >>> process = DirichletPath(Vertices(4))
    >>> process.prior((2, 4)).sample(1, seed=0).shape
    torch.Size([1, 2, 4])
    """

    space: Vertices
    reach: float = 8.0
    schedule: Schedule = field(default_factory=Rectified)

    def __post_init__(self) -> None:
        checks.positive("reach", self.reach)
        check_clock(self.schedule)

    supports = frozenset({"guidance"})
    sampler = "heun"
    steps = 100

    @property
    def clock(self) -> Schedule:
        """The schedule."""
        return self.schedule

    @property
    def interval(self) -> tuple[float, float]:
        """From the end, where the weight is zero."""
        return 1.0, self.schedule.t_min

    def weight(self, t: Time) -> Time:
        """`s_t`."""
        alpha, _ = self.schedule.values(t)
        return self.reach * alpha

    def reading(self, predict: Any = None) -> Reading[Tensor, Tensor]:
        """Logits of the symbols."""
        one_prediction("Dirichlet paths", predict, "logits")
        return _SymbolReading(self)

    def finish(
        self, pred: Tensor, x_t: Tensor, t: float, generator: torch.Generator | None = None
    ) -> Tensor:
        """Symbols drawn from the prediction in double precision, as corners."""
        # Single precision cannot draw numbers small enough for what is rare.
        logits = in_double(pred)
        u = uniform_doubles(logits, generator).clamp_min(1e-300)
        drawn = (logits - torch.log(-torch.log(u))).argmax(-1)
        return functional.one_hot(drawn, self.space.vocabulary).to(x_t)

    def prior(self, shape: tuple[int, ...], t: float = 1.0) -> Dirichlet:
        """Uniform at each site."""
        return Dirichlet(torch.ones(shape))

    def sample(self, z: Tensor, t: Time, generator: torch.Generator | None = None) -> Tensor:
        """Dirichlet numbers about the corners `z`, `(B, *sites, K)`."""
        s = like(times_in_double(self.weight(t), z), z)
        x = torch.softmax(log_gamma_draw(1 + s * in_double(z), generator), -1)
        return x.to(z).clamp_min(torch.finfo(z.dtype).tiny)

    def loss(self, pred: Tensor, z: Tensor, x_t: Tensor, t: Time) -> Tensor:
        """The cross-entropy of the symbols in nats, summed over the sites, `(B,)`."""
        return per_event_sum(-(z * functional.log_softmax(pred, -1)))

    def dynamics(self, pred: Tensor, x_t: Tensor, t: Time) -> Flow:
        """The flow of each symbol, weighted by its chance; there is no score."""
        k = self.schedule.at(t)
        s = times_in_double(self.reach * k.alpha, x_t)
        speed = dirichlet_speed(x_t, s).to(pred)
        pull = torch.softmax(pred, -1) * speed
        flow = pull - pull.sum(-1, keepdim=True) * x_t
        return Flow(self.space, (flow,), (self.reach * k.d_alpha,), None, 0.0)

    def tabulate(self, grid: Sequence[float]) -> None:
        """Compute the schedule on a grid at once."""
        self.schedule.tabulate(grid)


@dataclass(frozen=True)
class _SymbolReading(Reading[Tensor, Tensor]):
    """The output and what each site says of itself."""

    process: DirichletPath

    def output_shape(self, event_shape: Any) -> Any:
        """That of the state."""
        return event_shape

    def read(self, row: Time, output: Tensor, x_t: Tensor) -> Tensor:
        """Logits."""
        s = like(torch.as_tensor(self.process.weight(row)).to(x_t), x_t)
        return output + s * x_t.clamp_min(torch.finfo(x_t.dtype).tiny).log()


def dirichlet_speed(x: Tensor, s: Tensor, nodes: int = 16) -> Tensor:
    r"""The speed `C(x_k, s)` at which mass moves to a corner along `Dirichlet(1 + s e_k)`.

    From the equation of continuity, with `a = s + 1`, `b = K - 1` and the regularized incomplete
    beta function `I`,

        C = -dI_x(a, b)/da B(a, b) / (x^s (1 - x)^b)
          = int_x^1 u^s (1 - u)^{b-1} (log u - m) du / (x^s (1 - x)^b),

    where `m = psi(a) - psi(a + b)` is the mean of `log u`. No difference is taken: the integrand is
    positive for `x > e^m`, and below minus the integral from 0 to `x` is, so that nothing cancels.
    Either is a Gauss-Laguerre sum in `r`, with `1 - u = (1 - x) e^{-r/b}` or `u = x e^{-r/a}`.

    Args:
        x: shares `(B, ..., K)`.
        s: the weight, `()` or `(B,)`.
        nodes: of the sum; 16 are right to 3e-6, 32 to 1e-8, relative, up to 160 symbols.

    >>> x = torch.tensor([[0.25, 0.75]]).double()
    >>> dirichlet_speed(x, torch.tensor(0.0))  # -x log(x) / (1 - x) for two symbols
    tensor([[0.4621, 0.8630]], dtype=torch.float64)
    """
    b = x.shape[-1] - 1
    s = times_in_double(s, x)
    a = torch.as_tensor(like(s, x) + 1).expand(x.shape)
    mean = torch.digamma(a) - torch.digamma(a + b)
    share = in_double(x).clamp(1e-300, 1)
    high = share.log() > mean
    found = torch.empty_like(share)
    for where, integral in ((high, _above), (~high, _below)):
        # A table of nodes that stays in the cache of a processor is several times as fast.
        parts = zip(share[where].split(_AT_ONCE), a[where].split(_AT_ONCE), strict=True)
        found[where] = torch.cat(
            [integral(x.unsqueeze(1), own.unsqueeze(1), b, nodes) for x, own in parts]
        )
    return found


_AT_ONCE = 2048


def _above(x: Tensor, a: Tensor, b: int, nodes: int) -> Tensor:
    """From `x` to one, over `w = (1 - u) / (1 - x)`; all `(N, 1)`, to `(N,)`."""
    r, weights = (v.to(x) for v in _laguerre(nodes))
    mean = torch.digamma(a) - torch.digamma(a + b)
    log_u = torch.log1p(-(1 - x) * torch.exp(-r / b))
    return (weights * torch.exp((a - 1) * (log_u - x.log())) * (log_u - mean)).sum(1) / b


def _below(x: Tensor, a: Tensor, b: int, nodes: int) -> Tensor:
    """From zero to `x`, over `v = u / x`, with the other sign; all `(N, 1)`, to `(N,)`."""
    r, weights = (v.to(x) for v in _laguerre(nodes))
    mean = torch.digamma(a) - torch.digamma(a + b)
    log_v = -r / a
    power = (b - 1) * (torch.log1p(-x * log_v.exp()) - torch.log1p(-x))
    found = (weights * torch.exp(power) * (mean - x.log() - log_v)).sum(1)
    return found * (x / ((1 - x) * a)).squeeze(1)


@cache
def _laguerre(nodes: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss-Laguerre sums, by Golub & Welsch (1969)."""
    k = torch.arange(nodes, dtype=torch.float64)
    matrix = torch.diag(2 * k + 1) + torch.diag(k[1:], 1) + torch.diag(k[1:], -1)
    values, vectors = torch.linalg.eigh(matrix)
    return values, vectors[0].square()
