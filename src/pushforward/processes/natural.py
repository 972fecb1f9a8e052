"""The process that goes with a space where nothing more is said: how data get lost there."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from pushforward.errors import InputError
from pushforward.processes.bridge import Bridge
from pushforward.processes.brownian import Brownian
from pushforward.processes.cox_ingersoll_ross import CoxIngersollRoss
from pushforward.processes.dirichlet_path import DirichletPath
from pushforward.processes.gaussian import Gaussian
from pushforward.processes.geodesic import Geodesic
from pushforward.processes.interpolants import Linear
from pushforward.processes.jump_diffusion import JumpDiffusion
from pushforward.processes.manifold_bridge import ManifoldBridge
from pushforward.processes.masking import Masking
from pushforward.processes.process import GenerativeProcess
from pushforward.processes.product import ProductProcess
from pushforward.processes.token_bridge import TokenBridge
from pushforward.spaces import (
    Centered,
    Euclidean,
    Fields,
    FisherRao,
    Functions,
    LinearSpace,
    LogRatios,
    Manifold,
    Orthant,
    PointCloud,
    Product,
    Simplex,
    Tokens,
    Vertices,
)

__all__ = ["bridge_on", "noising_on", "path_on"]

_FIELDS_SIGMA = 0.3**0.5
"""Of the reference of fields, in standard deviations of each variable."""


@singledispatch
def noising_on(space: Any) -> GenerativeProcess:
    """From data to noise on a space: Gaussian noise on a linear one, Brownian motion on a manifold,
    masking of tokens, and on a product that of each factor. Compositions get it in their
    log-ratios, amounts from the Cox-Ingersoll-Ross diffusion, sets of points a jump diffusion.

    >>> from pushforward.spaces import Sphere
    >>> noising_on(Sphere())
    Brownian(space=Sphere(dim=None), schedule=VE(sigma_min=0.02, sigma_max=5.0))

    Raises `InputError` for a space with several, or none.
    """
    raise InputError(f"no one process goes with {space}: say which, process= of a diffusion model")


@noising_on.register
def _(space: LinearSpace) -> GenerativeProcess:
    return Gaussian(space=space)


@noising_on.register
def _(space: Manifold) -> GenerativeProcess:
    return Brownian(space)


@noising_on.register
def _(space: Tokens) -> GenerativeProcess:
    return Masking(space)


@noising_on.register
def _(space: PointCloud) -> GenerativeProcess:
    return JumpDiffusion(space=space)


@noising_on.register
def _(space: Simplex) -> GenerativeProcess:
    return Gaussian(space=LogRatios(parts=space.parts))


@noising_on.register
def _(space: Orthant) -> GenerativeProcess:
    return CoxIngersollRoss(space=space)


@noising_on.register
def _(space: Vertices) -> GenerativeProcess:
    return DirichletPath(space)


@noising_on.register
def _(space: Product) -> GenerativeProcess:
    return ProductProcess(tuple(noising_on(factor) for factor in space.factors))


@singledispatch
def path_on(space: Any) -> GenerativeProcess:
    """Between pairs on a space: lines in R^d and about a center, geodesics on a manifold, those of
    Fisher and Rao between compositions, and on a product those of each factor.

    >>> from pushforward.spaces import Torus
    >>> type(path_on(Torus())).__name__
    'Geodesic'

    Raises `InputError` for a space with several, or none.
    """
    raise InputError(f"no path goes with {space}: say which, path= of flow matching")


@path_on.register
def _(space: Euclidean) -> GenerativeProcess:
    return Linear()


@path_on.register
def _(space: Centered | Fields | Functions) -> GenerativeProcess:
    return Linear(space=space)


@path_on.register
def _(space: Manifold) -> GenerativeProcess:
    return Geodesic(space)


@path_on.register
def _(space: Simplex) -> GenerativeProcess:
    return Geodesic(FisherRao(space.parts))


@path_on.register
def _(space: Product) -> GenerativeProcess:
    return ProductProcess(tuple(path_on(factor) for factor in space.factors))


@singledispatch
def bridge_on(space: Any) -> GenerativeProcess | None:
    """The reference of a Schrödinger bridge on a space: Brownian motion, uniform jumps of tokens;
    `None` on R^d, where it goes as far as the distributions are wide.

    Of fields and functions it is Brownian motion whose variance is .3 of that of each variable, of
    the covariance that noise has there. Shi et al. (2023) have .3 too, of fields that are scaled
    between extremes.

    >>> from pushforward.spaces import Sphere
    >>> bridge_on(Sphere())
    ManifoldBridge(space=Sphere(dim=None), sigma=1.0)

    Raises `InputError` for a space without one.
    """
    raise InputError(
        f"there is no Schrödinger bridge on {space}, only on R^d, of fields, on compact manifolds "
        "and of tokens: take FlowMatching (--model matching), which joins two distributions there"
    )


@bridge_on.register
def _(space: Euclidean) -> GenerativeProcess | None:
    return None


@bridge_on.register
def _(space: Fields | Functions) -> GenerativeProcess | None:
    return Bridge(_FIELDS_SIGMA, space)


@bridge_on.register
def _(space: Manifold) -> GenerativeProcess | None:
    return ManifoldBridge(space)


@bridge_on.register
def _(space: Tokens) -> GenerativeProcess | None:
    return TokenBridge(space)
