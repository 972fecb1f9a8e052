"""Optimal transport: plans, distances and maps between two distributions.

`sinkhorn` for the entropic plan, with gradients, of `PointClouds`, a `CostMatrix` or the histograms
on a `CartesianGrid`, and `sinkhorn_batch` for many weight vectors at once; `exact` for the plan
without entropy; `wasserstein_1d` and `GaussianPlan` in closed form; `sinkhorn_divergence` and the
sliced distances as losses; `ipf` for the theory of the iteration.
"""

from pushforward.ot.batch import Plans, sinkhorn_batch
from pushforward.ot.costs import Cost, PowerNorm, SquaredEuclidean
from pushforward.ot.divergence import sinkhorn_divergence
from pushforward.ot.entropic_map import EntropicMap
from pushforward.ot.exact import ExactPlan, assignment, exact
from pushforward.ot.gaussian import GaussianBridge, GaussianPlan
from pushforward.ot.geometry import CostMatrix, Geometry, PointClouds
from pushforward.ot.grid import CartesianGrid
from pushforward.ot.ipf import Fits, ipf, ipf_gaussian
from pushforward.ot.plan import Plan, Scalings
from pushforward.ot.sinkhorn import sinkhorn
from pushforward.ot.sliced import (
    max_sliced_direction,
    max_sliced_wasserstein,
    sliced_wasserstein,
    wasserstein_1d,
)

__all__ = [
    "CartesianGrid",
    "Cost",
    "CostMatrix",
    "EntropicMap",
    "ExactPlan",
    "Fits",
    "GaussianBridge",
    "GaussianPlan",
    "Geometry",
    "Plan",
    "Plans",
    "PointClouds",
    "PowerNorm",
    "Scalings",
    "SquaredEuclidean",
    "assignment",
    "exact",
    "ipf",
    "ipf_gaussian",
    "max_sliced_direction",
    "max_sliced_wasserstein",
    "sinkhorn",
    "sinkhorn_batch",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "wasserstein_1d",
]
