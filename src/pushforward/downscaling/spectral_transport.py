r"""Optimal transport between homogeneous Gaussian fields, wave by wave, in closed form."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from pushforward._precision import in_double
from pushforward._random import normal_like
from pushforward._row_noise import RowNoise
from pushforward.downscaling.debiasing import Debiasing, check_sides, fitted

__all__ = ["SpectralTransport"]

_EMPTY = 1e-9
"""Power of a wave over that of the strongest, below which a source has none of it: rounding of
single precision is `1e-14`."""

_ROUNDING = 1e-9
"""Of the power of a wave in the target."""


class SpectralTransport(Debiasing):
    r"""The optimal plan between Gaussian fields on a periodic domain, homogeneous but for means.

    Each cell has a mean of its own, and goes from that of the source to that of the target. Waves
    of homogeneous deviations are independent. Those of number `k` have covariances `S(k)` and
    `T(k)` between the variables, and the plan is, wave by wave, that of two normal distributions
    (Gelbrich 1990),

        x(k) -> S^{-1/2} (S^{1/2} T S^{1/2})^{1/2} S^{-1/2} x(k),

    for one variable the factor `sqrt(T / S)`. Where the source has no power the plan is no map: the
    rest of `T` is drawn at random, independent of the source, so that spectra, and those between
    variables, are the target's whatever the source lacks. Distances are in standard deviations of
    each variable of the target. Exact for Gaussian fields; of others it corrects means and spectra,
    and keeps all else, such as variances that differ from place to place.

    >>> g = torch.Generator().manual_seed(0)
    >>> x = torch.randn(400, 1, 8, 8, generator=g)
    >>> y = SpectralTransport().fit(x, 2 * x + 1)(x)
    >>> torch.allclose(y, 2 * x + 1, atol=1e-4)
    True
    """

    needs_periods = True
    means: tuple[Tensor, Tensor] | None = None
    """Of each cell of source and target, `(C, H, W)` each."""
    gain: Tensor | None = None
    """The matrices of the map, `(H, W, C, C)`."""
    rest: Tensor | None = None
    """Square roots of the covariances that are left to draw, of the same shape."""

    def fit(self, source: Tensor, target: Tensor) -> Self:
        """From the mean fields and the cross spectra of both sides, in double precision."""
        check_sides(source, target)
        a, b = in_double(source), in_double(target)
        means = a.mean(0), b.mean(0)
        # In units of the target, so that no variable outweighs another.
        unit = (b - means[1]).square().mean((0, 2, 3)).sqrt()
        unit = torch.where(unit > 0, unit, 1.0)
        s, t = (
            _cross_spectra((x - mean) / unit[:, None, None])
            for x, mean in zip((a, b), means, strict=True)
        )
        gain, left = _plan(s, t)
        back = unit[:, None] / unit
        self.means, self.gain, self.rest = means, gain * back, _root(left) * unit[:, None]
        return self

    def __call__(self, x: Tensor, *, seed: int = 0) -> Tensor:
        """Where fields go; what the source has no power for is drawn with the seed."""
        y = in_double(x)
        mean, to = (field.to(x.device) for field in fitted(self.means))
        gain, rest = (fitted(part).to(x.device) for part in (self.gain, self.rest))
        found = _applied(gain, torch.fft.fft2(y - mean))
        if bool((rest != 0).any()):
            noise = normal_like(y, RowNoise(seed, slice(0, len(y)), y.device))
            # White noise of unit variance has waves of variance one in this norm, as `_root` has.
            found = found + _applied(rest, torch.fft.fft2(noise, norm="ortho"))
        return (to + torch.fft.ifft2(found).real).to(x.dtype)


def _cross_spectra(x: Tensor) -> Tensor:
    """`E x(k) x(k)^*` of deviations from the mean of `N` fields `(N, C, H, W)`, `(H, W, C, C)`."""
    waves = torch.fft.fft2(x)
    return torch.einsum("nchw,ndhw->hwcd", waves, waves.conj()) / (len(x) - 1)


def _applied(matrices: Tensor, waves: Tensor) -> Tensor:
    return torch.einsum("hwcd,ndhw->nchw", matrices.to(waves.dtype), waves)


def _plan(s: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The map between the waves of two laws, and the covariance that it leaves over."""
    values, axes = torch.linalg.eigh(s)
    there = values > _EMPTY * values.max()
    roots = torch.where(there, values, 0.0).sqrt()
    inverse = torch.where(there, 1 / torch.where(there, roots, 1.0), 0.0)
    root, back = ((axes * part[..., None, :]) @ axes.mH for part in (roots, inverse))
    gain = back @ _root(root @ t @ root) @ back
    left = t - gain @ s @ gain.mH
    # What is left of a wave that the source has is rounding of its power in the target.
    total = torch.linalg.eigvalsh(t).sum(-1)
    return gain, left - _ROUNDING * total[..., None, None] * torch.eye(t.shape[-1]).to(t)


def _root(a: Tensor) -> Tensor:
    """The square root of Hermitian matrices, without their negative part."""
    values, axes = torch.linalg.eigh((a + a.mH) / 2)
    return (axes * values.clamp(min=0).sqrt()[..., None, :]) @ axes.mH
