"""Windows of a world whose forecasts are known."""

from __future__ import annotations

import pytest
from tests.forecasting.linear_waves import series

import pushforward as pf


@pytest.fixture(scope="module")
def waves() -> pf.data.Data:
    """Windows of two frames and the three after them."""
    return pf.data.load(series(1600), forecast="2:3")
