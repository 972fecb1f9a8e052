r"""The losses, one number per example, `(B,)`.

All have the factor 1/2 and the sign that is minimized: for data `x ~ p` and a score `s`,

    E loss = E |s - grad log p|^2 / 2 + constant.

The constant is `-E |grad log p|^2 / 2` for the implicit and the sliced losses, which need second
derivatives of an energy but no noise. Denoising learns the distribution `p_sigma` of `x + sigma
noise`, has the factor `sigma^2` and the constant
`E |noise|^2 / 2 - sigma^2 E |grad log p_sigma|^2 / 2`. Losses are differentiable in the network's
weights, not in `x`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward._autograd import quadratic_forms
from pushforward._random import categories, normal_like, probe_like, resolve
from pushforward._shapes import like, per_event_sum
from pushforward.checks import positive, whole
from pushforward.errors import InputError
from pushforward.mcmc import check_states
from pushforward.score_matching.checks import ScoreFunction, evaluate
from pushforward.score_matching.levels import check_levels
from pushforward.spaces import Manifold
from pushforward.spaces.space import coordinate_axes

__all__ = [
    "antithetic",
    "denoising",
    "denoising_levels",
    "implicit",
    "sliced",
    "sliced_variance_reduced",
]

MEANING = (
    "The loss is the squared error of the score, but for a constant that no model changes: it may "
    "be negative, and zero means nothing."
)


def implicit(score: ScoreFunction, x: Tensor, *, space: Manifold | None = None) -> Tensor:
    r"""`tr grad s + |s|^2 / 2` (Hyvärinen 2005), with the exact trace.

    Costs one backward pass per coordinate of the event. Rows must not interact in the network, and
    activations must be smooth: the trace is a derivative, and is trained.

    Args:
        score: a network `s(x)` that returns the shape of `x`.
        x: data `(B, *event)`.
        space: the manifold that the data are on (De Bortoli et al. 2022): scores are projected to
            its tangent spaces, and the trace is the divergence of its metric. No heat kernel is
            needed and nothing is approximated; the density of data on a lower-dimensional set, as
            of copies, has no score, and the loss then falls without bound.

    Raises `InputError` for states that are not finite floating-point `(B, *event)`, or a score of
    another shape or without derivatives.

    >>> implicit(lambda x: -x, torch.ones(2, 3)).detach()
    tensor([-1.5000, -1.5000])
    """
    check_states(x)
    if space is None:
        basis = coordinate_axes(x).transpose(0, 1)
        value, forms = _forms(score, x, basis)
        return forms.sum(0) + per_event_sum(value.square()) / 2
    value, forms = _tangent_forms(score, x, space.frame(x).transpose(0, 1), space)
    slope = space.volume_slope(x, value)
    return forms.sum(0) + slope + space.inner(x, value, value) / 2


def sliced(
    score: ScoreFunction,
    x: Tensor,
    projections: int = 1,
    *,
    generator: torch.Generator | None = None,
    space: Manifold | None = None,
) -> Tensor:
    r"""`v^T grad s v + (v^T s)^2 / 2`, averaged over random `v` (Song et al. 2019, eq. 7).

    The entries of each projection `v` are -1 or 1, so that `E v v^T` is the identity and the
    expectation is that of `implicit`, at one backward pass per projection.

    Args:
        score: a network `s(x)` that returns the shape of `x`.
        x: data `(B, *event)`.
        projections: how many `v` per example.
        generator: for the projections.
        space: a manifold, as for `implicit`; projections are then tangent.

    Raises `InputError` as `implicit`, and for fewer than one projection.

    >>> sliced(lambda x: -x, torch.ones(2, 1)).detach()
    tensor([-0.5000, -0.5000])
    """
    probes = _probes(x, projections, generator, space)
    if space is not None:
        value, forms = _tangent_forms(score, x, probes, space)
        parts = torch.stack([space.inner(x, probe, value) for probe in probes])
        return (forms + parts.square() / 2).mean(0) + space.volume_slope(x, value)
    value, forms = _forms(score, x, probes)
    along = torch.stack([per_event_sum(probe * value) for probe in probes])
    return (forms + along.square() / 2).mean(0)


def sliced_variance_reduced(
    score: ScoreFunction,
    x: Tensor,
    projections: int = 1,
    *,
    generator: torch.Generator | None = None,
    space: Manifold | None = None,
) -> Tensor:
    r"""`v^T grad s v + |s|^2 / 2`, averaged over random `v` (Song et al. 2019, eq. 8).

    As `sliced`, with the expectation of `(v^T s)^2` in its place; prefer this one.

    >>> sliced_variance_reduced(lambda x: -x, torch.ones(2, 3)).detach()
    tensor([-1.5000, -1.5000])
    """
    probes = _probes(x, projections, generator, space)
    if space is not None:
        value, forms = _tangent_forms(score, x, probes, space)
        return forms.mean(0) + space.volume_slope(x, value) + space.inner(x, value, value) / 2
    value, forms = _forms(score, x, probes)
    return forms.mean(0) + per_event_sum(value.square()) / 2


def denoising(
    score: ScoreFunction, x: Tensor, sigma: float, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""`sigma^2 |s(x + sigma n) + n / sigma|^2 / 2` with `n ~ N(0, I)` (Vincent 2011).

    The conditional score of `x + sigma n` given `x` is `-n / sigma`. The factor `sigma^2` makes the
    target of unit size at every level: the loss of the zero score is half the dimension.

    Args:
        score: a network `s(x)` that returns the shape of `x`.
        x: data `(B, *event)`.
        sigma: the noise level, positive.
        generator: for the noise.

    Raises `InputError` for states that are not finite floating-point `(B, *event)`, a level that is
    not positive and finite, or a score of another shape.

    >>> g = torch.Generator().manual_seed(0)
    >>> float(denoising(torch.zeros_like, torch.ones(1000, 2), 0.5, generator=g).mean().round())
    1.0
    """
    check_states(x)
    level = positive("sigma", sigma)
    noise = normal_like(x, resolve(generator=generator, device=x.device))
    value = evaluate(score, x + level * noise)
    return per_event_sum((level * value + noise).square()) / 2


def antithetic(
    score: ScoreFunction, x: Tensor, sigma: float, *, generator: torch.Generator | None = None
) -> Tensor:
    r"""`(|s_+|^2 + |s_-|^2) / 4 + n . (s_+ - s_-) / (2 sigma)`, `s_+- = s(x +- sigma n)`.

    Denoising with both signs of the noise (Boffi & Vanden-Eijnden 2023), less `|n|^2 / 2` and over
    `sigma^2`: as `sigma` falls it becomes `sliced_variance_reduced` with normal probes, where the
    variance of `denoising` grows as `1 / sigma^2`. It takes no derivatives, so that networks may
    have kinks, and learns the score of `x + sigma n`.

    Args:
        score: a network `s(x)` that returns the shape of `x`.
        x: data `(B, *event)`.
        sigma: the noise level, positive.
        generator: for the noise.

    Raises `InputError` as `denoising`.

    >>> x, g = torch.ones(20_000, 3), torch.Generator().manual_seed(0)
    >>> float(antithetic(lambda x: -x, x, 0.01, generator=g).mean().round(decimals=1))
    -1.5
    """
    check_states(x)
    level = positive("sigma", sigma)
    noise = normal_like(x, resolve(generator=generator, device=x.device))
    plus, minus = evaluate(score, x + level * noise), evaluate(score, x - level * noise)
    return per_event_sum(
        (plus.square() + minus.square()) / 4 + noise * (plus - minus) / (2 * level)
    )


def denoising_levels(
    score: ScoreFunction,
    x: Tensor,
    sigmas: Sequence[float],
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    r"""`sigma^2 |s(x + sigma n, sigma) + n / sigma|^2 / 2` at random levels (Song & Ermon 2019).

    One level per example, each with the same chance; the weight `sigma^2` of the paper.

    Args:
        score: a network `s(x, sigma)`, `sigma` of shape `(B,)`, that returns the shape of `x`.
        x: data `(B, *event)`.
        sigmas: the levels, positive, largest first, for example `geometric(1.0, 0.01, 10)`.
        generator: for the levels and the noise.

    Raises `InputError` for states that are not finite floating-point `(B, *event)`, levels that are
    not positive or do not decrease, or a score of another shape.

    >>> zero = lambda x, sigma: torch.zeros_like(x)
    >>> denoising_levels(zero, torch.ones(4, 2), (1.0, 0.1)).shape
    torch.Size([4])
    """
    check_states(x)
    levels = torch.tensor(check_levels(sigmas), dtype=x.dtype, device=x.device)
    generator = resolve(generator=generator, device=x.device)
    sigma = levels[categories(torch.ones_like(levels), len(x), generator)]
    noise = normal_like(x, generator)
    value = evaluate(score, x + like(sigma, x) * noise, sigma)
    return per_event_sum((like(sigma, x) * value + noise).square()) / 2


def _probes(
    x: Tensor, projections: int, generator: torch.Generator | None, space: Manifold | None
) -> Tensor:
    check_states(x)
    whole("projections", projections)
    generator = resolve(generator=generator, device=x.device)
    if space is None:
        return probe_like(x, projections, generator)
    frame = space.frame(x)
    numbers = probe_like(x.new_zeros(frame.shape[:2]), projections, generator)
    return torch.einsum("pbk,bk...->pb...", numbers, frame)


def _tangent_forms(
    score: ScoreFunction, x: Tensor, probes: Tensor, space: Manifold
) -> tuple[Tensor, Tensor]:
    """The score's tangent part, and `<e, D s[e]>` of each tangent probe."""
    covectors = torch.stack([space.covector(x, probe) for probe in probes])
    return _forms(lambda x: space.project(x, score(x)), x, probes, covectors)


def _forms(
    score: ScoreFunction, x: Tensor, probes: Tensor, covectors: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The score `(B, *event)` and `e^T grad s e` of each probe `(P, B)`, with graphs in training.

    Validation runs without gradients; the derivative in `x` is taken all the same.
    """

    def differentiable(x: Tensor) -> Tensor:
        value = evaluate(score, x)
        if not value.requires_grad:
            raise InputError(
                "the score has no derivative in x: compute it from x by differentiable "
                "operations, without detach() or no_grad()"
            )
        return value

    learning = torch.is_grad_enabled()
    value, forms = quadratic_forms(
        differentiable, x, probes, create_graph=learning, covectors=covectors
    )
    return (value, forms) if learning else (value.detach(), forms)
