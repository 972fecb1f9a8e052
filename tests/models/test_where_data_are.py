"""Data on one device, a model on another: what `fit` leaves behind on a machine with a GPU.

No test machine has one: the device "meta" stands for it, which knows shapes and refuses to mix.
"""

from __future__ import annotations

import pytest
import torch
from pushforward.models.family import Family

import pushforward as pf
from pushforward.models import GaussianMixtureModel, KernelDensity, ProbabilisticPCA

X = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))


DATA = pf.data.Data(X)
FAMILIES = [
    pf.Diffusion,
    pf.EnergyModel,
    pf.GAN,
    pf.NormalizingFlow,
    pf.VAE,
    GaussianMixtureModel,
    KernelDensity,
    ProbabilisticPCA,
]


@pytest.mark.parametrize("family", FAMILIES)
def test_data_come_to_the_model(family: type[Family]) -> None:
    model = family.for_data(DATA)
    model.fit_units(X)
    model.to("meta")
    assert model.device.type == "meta"
    assert model.inward(X.double()).device.type == "meta"
    assert model.inward(X.double()).dtype == torch.float32


@pytest.mark.parametrize(
    ("family", "options"),
    [
        (pf.VAE, {"prior": "vamp", "components": 5}),
        (pf.EnergyModel, {"training": "pcd"}),
        (pf.NormalizingFlow, {"kind": "affine-coupling"}),
    ],
)
def test_a_model_is_prepared_by_data_elsewhere(family: type[Family], options: dict) -> None:
    model = family.for_data(DATA, **options)
    model.fit_units(X)
    model.to("meta").prepare(X, None)
