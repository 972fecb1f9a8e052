r"""Divergences of two distributions, under one name each whatever is given.

`kl`, `total_variation`, `squared_hellinger`, `chi_square`, `jensen_shannon`, `alpha_divergence` and
any other `f_divergence`; `fisher_divergence`; `wasserstein`, `sliced_wasserstein`,
`max_sliced_wasserstein` and `sinkhorn_divergence`; `mmd` and `energy_distance`. Each takes two
distributions or two sets of samples, in this order `p` and `q`, and returns a `Divergence`: the
value with its error, how it was found, what is known of its bias and, from samples, what the same
number of points of one distribution give. What cannot be had from what is given is refused.

`gaussian` has the closed forms as functions of means and covariances, `variational_bound` the lower
bounds of f-divergences by a classifier. `compare_samples` has all of them for two samples, and one
`permutation_test` of whether these differ. The Fréchet distance of features, free of its bias, is
`metrics.frechet_infinity`.
"""

from pushforward.divergences import gaussian
from pushforward.divergences.comparison import (
    ColumnDifference,
    SampleComparison,
    compare_samples,
)
from pushforward.divergences.divergence import Divergence
from pushforward.divergences.f_divergences import (
    alpha_divergence,
    chi_square,
    f_divergence,
    jensen_shannon,
    kl,
    squared_hellinger,
    total_variation,
)
from pushforward.divergences.fisher import fisher_divergence
from pushforward.divergences.kernels import energy_distance, mmd
from pushforward.divergences.permutation import PermutationTest, permutation_test
from pushforward.divergences.transport import (
    max_sliced_wasserstein,
    sinkhorn_divergence,
    sliced_wasserstein,
    wasserstein,
)
from pushforward.divergences.variational import variational_bound

__all__ = [
    "ColumnDifference",
    "Divergence",
    "PermutationTest",
    "SampleComparison",
    "alpha_divergence",
    "chi_square",
    "compare_samples",
    "energy_distance",
    "f_divergence",
    "fisher_divergence",
    "gaussian",
    "jensen_shannon",
    "kl",
    "max_sliced_wasserstein",
    "mmd",
    "permutation_test",
    "sinkhorn_divergence",
    "sliced_wasserstein",
    "squared_hellinger",
    "total_variation",
    "variational_bound",
    "wasserstein",
]
