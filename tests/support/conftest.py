"""A diffusion model whose network is the exact posterior mean of a known support."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn

import pushforward as pf
from pushforward.processes import Gaussian
from pushforward.schedules import VP
from pushforward.support import KnownSupport


class ExactMean(nn.Module):
    """`E[x_0 | x_t]` under variance-preserving noise."""

    def __init__(self, support: KnownSupport) -> None:
        super().__init__()
        self.support = support

    def forward(self, x_t: Tensor, t: Tensor, c: Any = None) -> Tensor:
        """States of one time."""
        alpha, sigma = (float(value) for value in VP().values(float(t.flatten()[0])))
        return self.support.posterior_mean(x_t / alpha, sigma / alpha)


@pytest.fixture
def exact_diffusion() -> Callable[[KnownSupport], pf.Diffusion]:
    """The model of a support, in its units."""

    def make(support: KnownSupport) -> pf.Diffusion:
        net = ExactMean(support)
        return pf.Diffusion(net, Gaussian(VP()), predict="data", event_shape=(support.ambient,))

    return make
