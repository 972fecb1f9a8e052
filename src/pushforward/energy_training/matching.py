"""Score matching of an energy: no chains, and no normalizing constant."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward import registry
from pushforward._random import part_of
from pushforward.config import configurable
from pushforward.energy_training.training import EnergyFunction, Training
from pushforward.errors import InputError
from pushforward.score_matching import Matching, score_of
from pushforward.score_matching.losses import MEANING

__all__ = ["ScoreMatching"]


@configurable
class ScoreMatching(Training):
    """A loss of `score_matching` for the score `-grad E` of an energy.

    It sees the energy's slope where the data are: the weights of modes that lie far apart stay
    undetermined.

    Args:
        matching: `denoising`, `sliced`, `sliced-vr`, `implicit`, or such an object of
            `score_matching`; noise is in units of the standardized data.

    Raises `InputError` for a loss of many noise levels, whose energy would be told the level.

    >>> x = torch.ones(5, 2)
    >>> ScoreMatching("implicit")(lambda x, c: x.square().sum(-1) / 2, x, None, None).shape
    torch.Size([5])
    """

    meaning = MEANING

    def __init__(self, matching: str | Matching = "denoising") -> None:
        super().__init__()
        self.matching: Matching = registry.resolve("score-matching", matching)
        if self.matching.sigmas:
            raise InputError(
                "an energy model has no noise levels: train "
                "ScoreModel(score_matching.Energy(net), 'denoising-levels')"
            )

    def forward(
        self,
        energy: EnergyFunction,
        x: Tensor,
        c: Tensor | None,
        generator: torch.Generator | None,
        rows: slice = slice(None),
    ) -> Tensor:
        """The score matching loss of data, `(B,)`."""
        x, c, generator = part_of(x, c, generator, rows)
        score = score_of(lambda x: energy(x, c))
        return self.matching(score, x, generator)
