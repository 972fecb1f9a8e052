"""A picture beside the channels of the state."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward.config import build, describe
from pushforward.errors import InputError
from pushforward.nn import PictureContext, UNet


class _Shown(nn.Module):
    """Returns the last channel it is given: the context as it came."""

    def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return x[:, -1:]


def test_each_pixel_sees_what_was_measured_at_its_place() -> None:
    net = PictureContext(_Shown(), (1, 2, 2))
    x, t = torch.zeros(3, 1, 8, 8), torch.rand(3)
    c = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0], [2.0, 2.0, 2.0, 2.0]])
    shown = net(x, t, c)
    assert shown[0, 0, :4, :4].mean() > 5 * shown[0, 0, 4:, 4:].abs().mean()
    torch.testing.assert_close(shown[0].flip(1, 2), shown[1])
    torch.testing.assert_close(shown[2], torch.full((1, 8, 8), 2.0))
    # One context for all, and none: NaN, which is how training hides them.
    assert torch.equal(net(x, t, c[0]), shown[:1].expand(3, -1, -1, -1))
    c[1] = torch.nan
    assert torch.equal(net(x, t, c)[1], net(x, t)[1])
    assert torch.equal(net(x, t)[1], torch.zeros(1, 8, 8))


def test_what_does_not_fit_is_refused() -> None:
    net = PictureContext(UNet(2, width=8, out_channels=1), (1, 2, 2))
    x, t = torch.zeros(3, 1, 8, 8), torch.rand(3)
    for shape in ((3, 5), (2, 4), (3, 1, 4)):
        with pytest.raises(InputError, match=r"a context is a picture \(1, 2, 2\), flattened"):
            net(x, t, torch.zeros(shape))
    with pytest.raises(InputError, match="has shape"):
        PictureContext(UNet(2), (2, 2))
    for told in ({"context": 4}, {"num_classes": 3}):
        with pytest.raises(InputError, match="without num_classes= and context="):
            PictureContext(UNet(2, **told), (1, 2, 2))


def test_a_model_of_pairs_learns_from_it_and_is_saved(tmp_path) -> None:
    x = pf.data.load("digits", label=False).x[:64]
    low = pf.inverse.Downsample(4)(x)
    net = PictureContext(UNet(2, width=8, blocks=1, out_channels=1), (1, 2, 2))
    assert build(describe(net)).context_size == 4
    model = pf.FlowMatching(net)
    pf.fit(model, pf.data.Data(x, low.flatten(1)), steps=3, seed=0, progress=False, holdout=0.0)
    model.save(tmp_path / "model")
    drawn = [m.posterior(low[0].flatten()).sample(2, seed=0, steps=3)
             for m in (model, pf.load(tmp_path / "model"))]  # fmt: skip
    assert drawn[0].shape == (2, 1, 8, 8)
    assert torch.equal(*drawn)
