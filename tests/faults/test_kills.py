"""Kills at random moments: a few here, two hundred by the command of the campaign."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kills import WORK, killed


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_what_was_complete_stays_and_what_goes_on_ends_the_same(tmp_path: Path) -> None:
    found = list(killed(2 * len(WORK), tmp_path))
    assert {kill.work for kill in found} == set(WORK)
    assert [kill for kill in found if kill.fault] == []
