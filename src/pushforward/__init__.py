"""Deep generative modeling as transport of measures.

Names resolve on first use (PEP 562): `import pushforward` does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Diffusion": "models",
    "EnergyModel": "models",
    "FlowMatching": "models",
    "GAN": "models",
    "GaussianMixtureModel": "models",
    "KernelDensity": "models",
    "LearnedSampler": "models",
    "LogProb": "estimates",
    "NormalizingFlow": "models",
    "PosteriorVariance": "models",
    "ProbabilisticPCA": "models",
    "SchrodingerBridge": "models",
    "ScoreModel": "models",
    "Transport": "protocols",
    "VAE": "models",
    "build": "config",
    "certify": "certificates",
    "compare": "report",
    "configurable": "config",
    "describe": "config",
    "evaluate": "metrics",
    "fit": "training",
    "load": "models",
    "matching_loss": "protocols",
    "rectify": "training",
}

__all__ = [
    "Diffusion",
    "EnergyModel",
    "FlowMatching",
    "GAN",
    "GaussianMixtureModel",
    "KernelDensity",
    "LearnedSampler",
    "LogProb",
    "NormalizingFlow",
    "PosteriorVariance",
    "ProbabilisticPCA",
    "SchrodingerBridge",
    "ScoreModel",
    "Transport",
    "VAE",
    "analytic",
    "build",
    "certificates",
    "certify",
    "compare",
    "compression",
    "configurable",
    "couplings",
    "data",
    "describe",
    "discrepancies",
    "distributions",
    "divergences",
    "downscaling",
    "dynamics",
    "energy_training",
    "errors",
    "evaluate",
    "evidence",
    "filtering",
    "fit",
    "fluids",
    "forecasting",
    "grids",
    "guidance",
    "inverse",
    "latent",
    "learned_samplers",
    "load",
    "matching_loss",
    "mcmc",
    "metrics",
    "models",
    "molecules",
    "nn",
    "ot",
    "parallel",
    "parametrizations",
    "path_space",
    "processes",
    "rectify",
    "registry",
    "report",
    "samplers",
    "sbi",
    "schedules",
    "schrodinger",
    "score_matching",
    "simulation",
    "spaces",
    "state",
    "support",
    "targets",
    "theory",
    "times",
    "training",
    "transforms",
    "weightings",
]

if TYPE_CHECKING:
    from pushforward import (
        analytic,
        certificates,
        compression,
        couplings,
        data,
        discrepancies,
        distributions,
        divergences,
        downscaling,
        dynamics,
        energy_training,
        errors,
        evidence,
        filtering,
        fluids,
        forecasting,
        grids,
        guidance,
        inverse,
        latent,
        learned_samplers,
        mcmc,
        metrics,
        models,
        molecules,
        nn,
        ot,
        parallel,
        parametrizations,
        path_space,
        processes,
        registry,
        report,
        samplers,
        sbi,
        schedules,
        schrodinger,
        score_matching,
        simulation,
        spaces,
        state,
        support,
        targets,
        theory,
        times,
        training,
        transforms,
        weightings,
    )
    from pushforward.certificates import certify
    from pushforward.config import build, configurable, describe
    from pushforward.estimates import LogProb
    from pushforward.metrics import evaluate
    from pushforward.models import (
        GAN,
        VAE,
        Diffusion,
        EnergyModel,
        FlowMatching,
        GaussianMixtureModel,
        KernelDensity,
        LearnedSampler,
        NormalizingFlow,
        PosteriorVariance,
        ProbabilisticPCA,
        SchrodingerBridge,
        ScoreModel,
        load,
    )
    from pushforward.protocols import Transport, matching_loss
    from pushforward.report import compare
    from pushforward.training import fit, rectify


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
