"""A critic that tells samples from data at the end of a game is reported, whatever it compares."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward.models.game_faults import faults_of_critic

N = 4000
LABELS = torch.arange(N) % 2


def _normal(seed: int) -> Tensor:
    return torch.randn(N, 1, generator=torch.Generator().manual_seed(seed))


class _Shifted(nn.Module):
    """Samples `z + shift`, four further on for the second label."""

    def __init__(self, shift: float, num_classes: int | None) -> None:
        super().__init__()
        self.shift, self.num_classes = nn.Parameter(torch.tensor(shift)), num_classes

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        return z + self.shift if c is None else z + self.shift + 4 * c.unsqueeze(1)


class _Best(nn.Module):
    """A score that falls with the state, or features of it, relative to where its label is."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.slope = nn.Parameter(-torch.ones(outputs))

    def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        return self.slope * (x if c is None else x - 4 * c.unsqueeze(1))


def _trained(shift: float, discrepancy: str, labels: bool) -> pf.GAN:
    game = pf.registry.resolve("discrepancies", discrepancy)
    maker = _Shifted(shift, 2 if labels else None)
    model = pf.GAN(maker, _Best(game.outputs), game, None, latent=1, event_shape=1)
    model.prepare(torch.zeros(N, 1), LABELS, generator=torch.Generator())
    return model.eval()


@pytest.mark.parametrize("labels", [False, True], ids=["plain", "labels"])
@pytest.mark.parametrize(
    "discrepancy", ["jensen-shannon", "kl", "pearson", "wasserstein", "learned-mmd"]
)
def test_a_critic_that_sees_more_than_the_generator(discrepancy: str, labels: bool) -> None:
    c = LABELS if labels else None
    x = _normal(0) + (0 if c is None else 4 * c.unsqueeze(1))
    assert _trained(0.0, discrepancy, labels).warnings(x, c) == []
    # Data rank above samples in Phi(2 / sqrt 2) = 92 % of the pairs, or Phi(4 / sqrt 2) = 99.8 %.
    (told,) = _trained(2.0, discrepancy, labels).warnings(x, c)
    assert "9" in told.split("%")[0][-2:]
    assert "where 50% is chance: it tells samples from data" in told
    (won,) = _trained(4.0, discrepancy, labels).warnings(x, c)
    assert "100% of pairs: it has won" in won


def test_without_the_labels_of_the_data_the_critic_is_not_asked() -> None:
    x = _normal(0) + 4 * LABELS.unsqueeze(1)
    assert _trained(4.0, "jensen-shannon", True).warnings(x) == []


def test_chance_is_no_finding() -> None:
    for n, seed in ((20, 0), (40, 1), (500, 2)):
        scores = torch.randn(2, n, generator=torch.Generator().manual_seed(seed))
        assert list(faults_of_critic(*scores)) == []
    # Critics that do not look have no opinion, which is one half.
    assert list(faults_of_critic(torch.zeros(50), torch.zeros(50))) == []


def test_a_critic_that_knows_the_training_data_by_heart_is_judged_by_others() -> None:
    x = _normal(0)

    class ByHeart(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.zero = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor, c: Tensor | None = None) -> Tensor:
            known = _normal(0).flatten()
            return -(x - known).abs().amin(1, keepdim=True) + self.zero

    model = pf.GAN(_Shifted(0.0, None), ByHeart(), regularizer=None, latent=1, event_shape=1)
    assert "it has won" in model.warnings(x)[0]
    assert model.warnings(_normal(1)) == []
