"""Data on one device, a model on another: what `fit` leaves behind on a machine with a GPU.

No test machine has one: the device "meta" stands for it, which knows shapes and refuses to mix.
"""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.models import GaussianMixtureModel, KernelDensity, ProbabilisticPCA, Trainable

X = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))


DATA = pf.data.Data(X)
MODELS = [
    pf.Diffusion,
    pf.EnergyModel,
    pf.GAN,
    pf.NormalizingFlow,
    pf.VAE,
    GaussianMixtureModel,
    KernelDensity,
    ProbabilisticPCA,
]


@pytest.mark.parametrize("kind", MODELS)
def test_data_come_to_the_model(kind: type[Trainable]) -> None:
    model = kind.for_data(DATA)
    model.fit_units(X)
    model.to("meta")
    assert model.device.type == "meta"
    assert model.inward(X.double()).device.type == "meta"
    assert model.inward(X.double()).dtype == torch.float32


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (pf.VAE, {"prior": "vamp", "components": 5}),
        (pf.EnergyModel, {"training": "pcd"}),
        (pf.NormalizingFlow, {"kind": "affine-coupling"}),
    ],
)
def test_a_model_is_prepared_by_data_elsewhere(kind: type[Trainable], options: dict) -> None:
    model = kind.for_data(DATA, **options)
    model.fit_units(X)
    model.to("meta").prepare(X, None, generator=torch.Generator())
