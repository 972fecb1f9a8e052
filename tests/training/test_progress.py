"""Lines of progress where there is no terminal."""

from __future__ import annotations

import pytest

from pushforward.training.progress import Progress


def test_the_end_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("likelihood", 1) as progress:
        progress(96, 96)
        progress(96, 96)
        progress(97, 97)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["likelihood: 96/96", "likelihood: 97/97"]
