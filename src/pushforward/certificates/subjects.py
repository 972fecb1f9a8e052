"""Models as a certificate sees them: a prediction, a process, and units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pushforward import checks, grids
from pushforward._shapes import flatten
from pushforward.certificates.given_laws import GivenLaw
from pushforward.certificates.laws import ExactLaw, KnownLaw, NormalLaw
from pushforward.distributions import GaussianMixture
from pushforward.errors import CapabilityError, InputError
from pushforward.models import Diffusion
from pushforward.models.evaluation_mode import evaluation_mode
from pushforward.processes import Gaussian
from pushforward.protocols import Transport

__all__ = ["RowContexts", "Subject", "contexts_of", "law_in_units", "noise_in_units", "subject_of"]


class Subject(NamedTuple):
    """What is certified.

    Args:
        predict: `E[x_0 | x]` of vectors `(B, d)` in float64 and a time, in units of the process.
        process: a Gaussian process with white noise.
        grid: where samplers step.
        inward: data in units of the process.
        outward: and back.
        origin: the state zero.
    """

    predict: Callable[[Tensor, float], Tensor]
    process: Gaussian
    grid: str | grids.Grid
    inward: Callable[[Tensor], Tensor]
    outward: Callable[[Tensor], Tensor]
    origin: Tensor


class RowContexts(NamedTuple):
    """What samples are told: the same for all rows of data, or something of its own for each.

    Args:
        one: a label or context for all of them.
        rows: or one for each row of the data, `(n, ...)`.
    """

    one: Any = None
    rows: Tensor | None = None

    def of(self, chosen: Tensor) -> RowContexts:
        """Of some rows of the data."""
        return (
            self if self.rows is None else RowContexts(rows=self.rows[chosen.to(self.rows.device)])
        )


def contexts_of(model: Diffusion | Transport, c: Any, n: int) -> RowContexts:
    """Labels or contexts of `n` rows: one for all, or one for each.

    Raises `InputError` for as many as there are neither.
    """
    if not isinstance(c, Tensor):
        return RowContexts(one=c)
    vector = isinstance(model, Diffusion) and model.condition.context_size is not None
    if c.ndim <= int(vector):
        return RowContexts(one=c)
    if len(c) != n:
        raise InputError(
            f"there is one label or context, or one for each of {n} rows, not {len(c)}"
        )
    return RowContexts(rows=c)


def subject_of(model: Diffusion | Transport, given: RowContexts, dtype: torch.dtype) -> Subject:
    """The parts of a model, asked in its own precision, or a `Transport` in one that is given.

    States that the subject is asked about are one for each row where each is told its own. Raises
    `CapabilityError` for a model that has no certificate.
    """
    if isinstance(model, Transport):
        return _bare(model, given, dtype)
    if not isinstance(model, Diffusion) or not isinstance(model.process, Gaussian):
        name = type(model).__name__
        if isinstance(model, Diffusion):
            name += f" on {type(model.process).__name__}"
        raise CapabilityError(
            f"a certificate is that of a Diffusion on a Gaussian process, whose sampler follows a "
            f"reverse SDE, not of {name}: judge it by samples and likelihoods, as evaluate does"
        )
    _white(model.process)
    shape, units = tuple(model.event_shape), model.known_units()
    own = given.rows is not None
    told, number = (given.one, 1) if given.rows is None else (given.rows, len(given.rows))
    denoiser = model.denoiser(told, number)

    def predict(x: Tensor, t: float) -> Tensor:
        parts = []
        with evaluation_mode(model):
            for start in range(0, len(x), _ROWS):
                rows = slice(start, start + _ROWS)
                # One label for all: whatever the number of rows, the context is that of the first.
                denoised = denoiser.model(rows if own else slice(0, 1))
                part = x[rows].to(model.device, model.dtype).reshape(-1, *shape)
                parts.append(denoised(part, t))
        return torch.cat(parts).reshape(x.shape).to(x)

    return Subject(
        predict, model.process, model.grid, model.inward, lambda z: units(z.to(model.dtype)),
        torch.zeros(shape, dtype=model.dtype),
    )  # fmt: skip


_ROWS = 512
"""States that go through a network at a time."""


def _bare(transport: Transport, given: RowContexts, dtype: torch.dtype) -> Subject:
    process = transport.process
    if not isinstance(process, Gaussian):
        raise CapabilityError(
            f"a certificate is that of a Gaussian process, not of {type(process).__name__}"
        )
    _white(process)

    c = given.one if given.rows is None else given.rows

    def predict(x: Tensor, t: float) -> Tensor:
        at = x.to(dtype)
        return (transport.model(at, t) if c is None else transport.model(at, t, c)).to(x)

    def same(x: Tensor) -> Tensor:
        return x

    return Subject(predict, process, process.grid, same, same, torch.zeros(1))


def _white(process: Gaussian) -> None:
    if not process.space.white:
        raise CapabilityError(
            f"certificates are for white noise so far, not for that of {process.space}"
        )


def law_in_units(
    law: GaussianMixture | Sequence[GaussianMixture],
    subject: Subject,
    z: Tensor,
    rows: Tensor | None = None,
) -> ExactLaw:
    """A law in units of the data as one in units of the process, in double precision.

    For rows that are told something of their own: of states and contexts side by side, or one for
    each label. Raises `InputError` for one of another dimension than the data.
    """
    laws = [law] if isinstance(law, GaussianMixture) else list(law)
    for one in laws:
        if not isinstance(one, GaussianMixture):
            raise InputError(f"the law is a distributions.GaussianMixture, not {one!r:.60}")
    d = z[0].numel()
    if rows is None:
        if len(laws) != 1:
            raise InputError(f"{len(laws)} laws are for rows with a label each, c=")
        known = _moved(laws[0], d, subject, z)
        return NormalLaw(known) if len(known.means) == 1 else KnownLaw(known)
    if not isinstance(law, GaussianMixture):
        return GivenLaw.of_labels([_moved(one, d, subject, z) for one in laws], rows)
    contexts = flatten(rows) if rows.ndim > 1 else rows[:, None]
    wide = d + contexts.shape[1]
    return GivenLaw.of_joint(_moved(law, wide, subject, z), contexts.to(z.device))


def noise_in_units(noise: float | Sequence[float], subject: Subject, z: Tensor) -> NormalLaw:
    """Normal noise in units of the data, in those of the process.

    Raises `InputError` for standard deviations that are neither one nor as many as the numbers.
    """
    d = z[0].numel()
    each = [noise] * d if isinstance(noise, int | float) else list(noise)
    if len(each) != d:
        raise InputError(f"noise is one number, or one for each of {d}, not {len(each)}")
    stds = [checks.positive("noise", std) for std in each]
    law = GaussianMixture(
        torch.zeros(1, d, dtype=torch.float64),
        torch.tensor([stds], dtype=torch.float64).square(),
    )
    return NormalLaw(_moved(law, d, subject, z))


def _moved(law: GaussianMixture, d: int, subject: Subject, z: Tensor) -> GaussianMixture:
    """A law whose first numbers are a state, with that in units of the process."""
    wide, own = law.means.shape[1], z[0].numel()
    if wide != d:
        beside = f" and {d - own} beside" if d > own else ""
        raise InputError(f"the law is one of {wide} numbers, and the data have {own} each{beside}")
    eye = torch.eye(own, dtype=torch.float64)
    corners = torch.cat([0 * eye[:1], eye]).reshape(-1, *z.shape[1:])
    moved = subject.inward(corners).double().reshape(-1, own)
    offset, matrix = law.means.new_zeros(wide).double(), torch.eye(wide, dtype=torch.float64)
    offset[:own], matrix[:own, :own] = moved[0], (moved[1:] - moved[0]).mT
    means = offset + law.means.double() @ matrix.mT
    plain = law.rotation is None and bool((matrix == torch.eye(wide)).all())
    covariances = law.variances.double()
    if not plain:
        covariances = matrix @ law.component_covariances.double() @ matrix.mT
    return GaussianMixture(means, covariances, law.weights.double())
