"""Metrics: judges that see samples only, each with its standard error.

Every two-sample metric is called alike, `metric(x, y, seed=0)` with `x` to be judged by `y`, and
gives an `Estimate`. `evaluate` calls those that take the features of any state and puts beside each
what real data reach. Pictures are also judged by a classifier of the real ones, from
`train_features`: the Fréchet distance of its features, and the share of conditional samples that
show the class asked for. Posteriors are judged by `calibrate`: SBC, TARP, expected coverage, the
local classifier test, contraction. Restored pictures are compared with the true ones by `psnr`
and `ssim`. Ensembles of forecasts have fair scores, `fair_crps`, `energy_score`, `spread_skill` and
`rank_histogram`, and fields have spectra, `energy_spectrum`. `intrinsic_dimension` says on how many
coordinates points depend. Molecules have `atom_stability`, `molecule_stability`, `uniqueness` and
`strain`, each to be read beside that of real ones.
"""

from pushforward.metrics.block_bootstrap import (
    BlockMeans,
    MeanBand,
    block_means,
    decorrelation_time,
    mean_band,
)
from pushforward.metrics.c2st import c2st, c2st_of_each
from pushforward.metrics.calibrating import Calibration, calibrate
from pushforward.metrics.classifier import classifier_accuracy
from pushforward.metrics.contraction import PosteriorContraction, contraction
from pushforward.metrics.crps import fair_crps, skill_score
from pushforward.metrics.cumulants import cumulants
from pushforward.metrics.energy_distance import energy_distance
from pushforward.metrics.ensemble_reliability import RankHistogram, rank_histogram, spread_skill
from pushforward.metrics.ensemble_scores import energy_score, variogram_score
from pushforward.metrics.estimate import Estimate
from pushforward.metrics.evaluating import evaluate
from pushforward.metrics.evaluation import Evaluation, Row
from pushforward.metrics.expected_coverage import ExpectedCoverage, expected_coverage
from pushforward.metrics.features import FeatureClassifier, class_accuracy, train_features
from pushforward.metrics.field_distances import (
    kolmogorov_smirnov,
    kolmogorov_smirnov_error,
    source_distance,
    source_squares,
)
from pushforward.metrics.fractions_skill import fractions_skill
from pushforward.metrics.frechet import frechet_distance, frechet_infinity, frechet_of_moments
from pushforward.metrics.frequencies import frequencies
from pushforward.metrics.functional import band_depth, central_region, lag_covariance
from pushforward.metrics.grams import gram_distance, gram_entropy, longest_copies
from pushforward.metrics.intrinsic_dimension import (
    DimensionAtScale,
    dimension_by_scale,
    intrinsic_dimension,
    seen_dimensions,
)
from pushforward.metrics.likelihood import bits_per_dimension, dequantized, negative_log_likelihood
from pushforward.metrics.local_c2st import LocalC2ST, local_c2st, local_c2st_of_latents
from pushforward.metrics.memorization import memorization, near_copies
from pushforward.metrics.mmd import mmd
from pushforward.metrics.mode_coverage import ModeCoverage, mode_coverage, mode_shares
from pushforward.metrics.molecular_stability import atom_stability, molecule_stability
from pushforward.metrics.molecular_validity import Strain, strain, uniqueness
from pushforward.metrics.order import observed_order
from pushforward.metrics.point_patterns import PointPattern, point_pattern
from pushforward.metrics.precision_recall import precision, recall
from pushforward.metrics.quantile_band import quantile_band
from pushforward.metrics.rank_uniformity import RankUniformity, rank_uniformity
from pushforward.metrics.restoration import psnr, ssim
from pushforward.metrics.sbc import SBC, sbc
from pushforward.metrics.set_distances import chamfer, hausdorff
from pushforward.metrics.sliced_wasserstein import sliced_wasserstein
from pushforward.metrics.spatial_correlation import autocovariance, correlation_of
from pushforward.metrics.spectra import (
    SpectralRatio,
    energy_spectrum,
    last_wavenumber,
    ratio_of_energies,
    spectral_ratio,
)
from pushforward.metrics.tarp import TARP, reference_points, tarp
from pushforward.metrics.total_variation import total_variation
from pushforward.metrics.units import training_units

__all__ = [
    "point_pattern",
    "SBC",
    "TARP",
    "BlockMeans",
    "Calibration",
    "DimensionAtScale",
    "PointPattern",
    "PosteriorContraction",
    "Estimate",
    "Evaluation",
    "ExpectedCoverage",
    "FeatureClassifier",
    "LocalC2ST",
    "MeanBand",
    "ModeCoverage",
    "RankHistogram",
    "RankUniformity",
    "Row",
    "SpectralRatio",
    "autocovariance",
    "Strain",
    "atom_stability",
    "bits_per_dimension",
    "block_means",
    "c2st",
    "c2st_of_each",
    "calibrate",
    "chamfer",
    "class_accuracy",
    "classifier_accuracy",
    "contraction",
    "correlation_of",
    "cumulants",
    "decorrelation_time",
    "dequantized",
    "dimension_by_scale",
    "energy_distance",
    "energy_score",
    "band_depth",
    "central_region",
    "energy_spectrum",
    "lag_covariance",
    "evaluate",
    "expected_coverage",
    "fair_crps",
    "fractions_skill",
    "frechet_distance",
    "frechet_infinity",
    "frechet_of_moments",
    "frequencies",
    "hausdorff",
    "intrinsic_dimension",
    "kolmogorov_smirnov",
    "kolmogorov_smirnov_error",
    "local_c2st",
    "local_c2st_of_latents",
    "gram_distance",
    "gram_entropy",
    "longest_copies",
    "mean_band",
    "memorization",
    "mmd",
    "mode_coverage",
    "mode_shares",
    "molecule_stability",
    "near_copies",
    "negative_log_likelihood",
    "observed_order",
    "precision",
    "quantile_band",
    "rank_histogram",
    "rank_uniformity",
    "last_wavenumber",
    "ratio_of_energies",
    "recall",
    "reference_points",
    "sbc",
    "seen_dimensions",
    "skill_score",
    "sliced_wasserstein",
    "source_distance",
    "source_squares",
    "spectral_ratio",
    "spread_skill",
    "strain",
    "tarp",
    "total_variation",
    "train_features",
    "training_units",
    "uniqueness",
    "variogram_score",
    "psnr",
    "ssim",
]
