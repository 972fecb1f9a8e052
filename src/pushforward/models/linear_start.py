r"""The closed form of the linear case as the start of an autoencoder.

Where encoder, decoder and prior are linear and normal, the best autoencoder is probabilistic
principal components (Tipping & Bishop 1999, Lucas et al. 2019): with the eigenvalues `l_i` and axes
`u_i` of the covariance of the data, and a variance `s^2` of the decoder's noise,

    g(z) = sum_i z_i (l_i - s^2)^(1/2) u_i,    q(z_i | x) = N((1 - s^2 / l_i)^(1/2) y_i, s^2 / l_i)

with the scores `y_i = u_i . x / l_i^(1/2)`, and `q = N(0, 1)` where `l_i <= s^2`. A network that is
zero at first then learns what is not linear, and no latent starts collapsed.

With labels or contexts `c` the data are `x = r + C c + b` by least squares, and the above is of the
residuals `r`: latents, whose prior is the same for all `c`, are not to say what `c` does.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pushforward.latent.decoders import LEAST, START, Decoder, GaussianDecoder
from pushforward.latent.encoders import DiagonalEncoder, Encoder
from pushforward.latent.priors import MixturePrior, Prior
from pushforward.nn import LinearSkip

__all__ = ["linear_start"]

_ROWS = 10_000
"""Data points that the covariance is taken of, at most."""

_WIDE = 1000
"""Numbers of a data point beyond which as many data points have to do."""

_TINY = 1e-12

_NARROWEST = 1e-2
"""The least deviation that the decoder starts from."""


@torch.no_grad()
def linear_start(
    encoder: Encoder,
    decoder: Decoder,
    prior: Prior,
    z: Tensor,
    c: Tensor | None,
    generator: torch.Generator,
) -> None:
    """Put probabilistic principal components into the `LinearSkip` of encoder and decoder.

    A `MixturePrior` starts as a kernel density of the latents of some data points. Other encoders
    and decoders stay as they are, and a deviation of the decoder that is not learned.

    Args:
        encoder: with a `LinearSkip`, if it is to start so.
        decoder: the same.
        prior: of the latents.
        z: standardized data, `(N, *event)`.
        c: their labels or contexts, if the networks take them.
        generator: for the choice of data points.
    """
    if not (isinstance(encoder, DiagonalEncoder) and isinstance(decoder, GaussianDecoder)):
        return
    inward, outward = encoder.net, decoder.net
    if not (isinstance(inward, LinearSkip) and isinstance(outward, LinearSkip)) or z.is_meta:
        return
    scale, latent, size = decoder.scale, encoder.latent, z[0].numel()
    most = _ROWS if size <= _WIDE else _WIDE
    rows = torch.randperm(len(z), generator=generator)[:most].to(z.device)
    given = None if c is None else c[rows]
    # Some accelerators have no double precision.
    seen = inward.seen(z[rows], given).cpu().double()
    x, told = seen[:, :size], torch.cat([seen[:, size:], torch.ones_like(seen[:, :1])], 1)
    effect = torch.linalg.lstsq(told, x, driver="gelsd").solution
    values, axes, rest = _components(x - told @ effect, latent)
    noise = min(max(rest, _NARROWEST**2), START**2)
    if not scale.learned:
        noise = (LEAST + float(scale.log.exp())) ** 2
    count = len(values)
    values = values.clamp(min=noise)
    share = noise / values
    narrow = torch.ones(latent, dtype=values.dtype)
    narrow[:count] = share.sqrt()
    towards = (((1 - share) / values).sqrt() * axes).mT
    away = ((values - noise).sqrt() * axes).to(z)
    inward.linear.weight[:count] = torch.cat([towards, -towards @ effect[:-1].mT], 1).to(z)
    inward.linear.bias[:count] = (-towards @ effect[-1]).to(z)
    inward.linear.bias[latent:] = encoder.raw(narrow).to(z)
    outward.linear.weight[:size, :count] = away
    outward.linear.weight[:size, latent:] = effect[:-1].mT.to(z)
    outward.linear.bias[:size] = effect[-1].to(z)
    if scale.predicted:
        outward.linear.bias[size:] = math.log(noise) / 2 - float(scale.log)
    elif scale.learned:
        scale.start(noise**0.5)
    if isinstance(prior, MixturePrior):
        chosen = rows[torch.arange(len(prior.means), device=z.device) % len(rows)]
        prior.start(encoder(z[chosen], None if c is None else c[chosen]))


def _components(x: Tensor, count: int) -> tuple[Tensor, Tensor, float]:
    """The largest eigenvalues `(k,)` and axes `(d, k)` of the covariance of rows `(n, d)` of mean
    zero, and the mean of the others, or half of the least where there are none.
    """
    n, d = x.shape
    if d > n:
        # The products of rows have the same eigenvalues.
        values, sides = torch.linalg.eigh(x @ x.mT / n)
        axes = x.mT @ sides / (n * values.clamp(min=_TINY)).sqrt()
    else:
        values, axes = torch.linalg.eigh(x.mT @ x / n)
    values, axes = values.flip(0)[:count].clamp(min=0), axes.flip(1)[:, :count]
    # Rounding may not choose between an axis and its opposite.
    axes = axes * (axes.mT @ (1 / torch.arange(1, d + 1).to(axes))).sign()
    if len(values) == d:
        return values, axes, float(values[-1]) / 2
    left = float(x.square().sum()) / n - float(values.sum())
    return values, axes, left / (d - len(values))
