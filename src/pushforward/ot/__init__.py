"""Optimal transport: plans, distances and maps between two laws.

`sinkhorn` for the entropic plan of point clouds, with gradients, `sinkhorn_cost` of cost matrices
and `sinkhorn_grid` of histograms; `exact` for the plan without
entropy; `wasserstein_1d` and `GaussianPlan` in closed form; `sinkhorn_divergence` and the sliced
distances as losses; `ipf` for the theory of the iteration.
"""

from pushforward.ot.costs import Cost, PowerNorm, SquaredEuclidean
from pushforward.ot.divergence import sinkhorn_divergence
from pushforward.ot.entropic_map import EntropicMap
from pushforward.ot.exact import ExactPlan, assignment, exact
from pushforward.ot.gaussian import GaussianBridge, GaussianPlan
from pushforward.ot.ipf import Fits, ipf, ipf_gaussian
from pushforward.ot.plan import Plan
from pushforward.ot.sinkhorn import mean_cost, sinkhorn, sinkhorn_cost, sinkhorn_grid
from pushforward.ot.sliced import max_sliced_wasserstein, sliced_wasserstein, wasserstein_1d

__all__ = [
    "Cost",
    "EntropicMap",
    "ExactPlan",
    "Fits",
    "GaussianBridge",
    "GaussianPlan",
    "Plan",
    "PowerNorm",
    "SquaredEuclidean",
    "assignment",
    "exact",
    "ipf",
    "ipf_gaussian",
    "max_sliced_wasserstein",
    "mean_cost",
    "sinkhorn",
    "sinkhorn_cost",
    "sinkhorn_divergence",
    "sinkhorn_grid",
    "sliced_wasserstein",
    "wasserstein_1d",
]
