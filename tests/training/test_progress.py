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


def test_work_of_unknown_length_says_how_much_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("pushforward.training.progress.time.monotonic", lambda: clock[0])
    with Progress("temperatures", None) as progress:
        for done in range(1, 4):
            clock[0] += 6
            progress(done)
    # The first soon, and then one in ten seconds.
    assert capsys.readouterr().err.splitlines() == ["temperatures: 1, 6 s", "temperatures: 3, 18 s"]
    assert "value" not in progress._html("").html


def test_nobody_knows_how_long_it_takes_before_the_first_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("pushforward.training.progress.time.monotonic", lambda: clock[0])
    with Progress("training", 10, done=2) as progress:
        clock[0] = 6.0
        progress(2, note="simulating 5 couplings, 40%")
        clock[0] = 18.0
        progress(4)
    assert capsys.readouterr().err.splitlines() == [
        "training: 2/10, 6 s  simulating 5 couplings, 40%",
        "training: 4/10, 18 s, 54 s left",
    ]
