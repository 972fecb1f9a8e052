"""What every call of a model keeps to: one that fails leaves no trace, odd options are named."""

from __future__ import annotations

import pytest
import torch

import pushforward as pf
from pushforward.errors import CapabilityError, InputError

MODELS = {
    "diffusion": lambda: pf.Diffusion(pf.nn.MLP(2, width=8)),
    "matching": lambda: pf.FlowMatching(pf.nn.MLP(2, width=8)),
    "energy": lambda: pf.EnergyModel(pf.nn.Perceptron(2, 1, width=8)),
    "score": lambda: pf.ScoreModel(pf.nn.MLP(2, width=8), "denoising-levels"),
}


CALLS = {
    "loss": lambda model, x: model.loss(x),
    "log_prob": lambda model, x: model.log_prob(x),
    "fit": lambda model, x: pf.fit(model, x, steps=2, batch_size=8, progress=False),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("call", CALLS)
def test_a_refused_call_leaves_the_model_as_it_was(name: str, call: str) -> None:
    model = MODELS[name]()
    before = model.describe()
    wrong = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises((InputError, RuntimeError, CapabilityError)):
        CALLS[call](model, wrong)
    assert model.event_shape is None
    assert model.units is None
    assert model.describe() == before
    pf.fit(model, wrong[:, :2], steps=2, batch_size=8, progress=False)
    assert model.event_shape == (2,)


def test_a_shape_that_is_known_stays() -> None:
    model = pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=2)
    with pytest.raises(InputError):
        model.loss(torch.zeros(4, 3))
    assert model.event_shape == (2,)


def test_options_that_a_model_lacks_are_named() -> None:
    model = pf.FlowMatching(pf.nn.MLP(2, width=8), event_shape=2)
    with pytest.raises(CapabilityError, match="FlowMatching has no classifier-free guidance"):
        model.sample(3, guidance=2.0)
    with pytest.raises(InputError, match="takes no step=: did you mean 'steps'"):
        model.sample(3, step=2)
    assert pf.Diffusion(pf.nn.MLP(2, width=8), event_shape=2).sample(3, steps=2).shape == (3, 2)
