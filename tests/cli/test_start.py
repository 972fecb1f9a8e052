"""How the command starts: quickly, with completion, and with the names that there are."""

from __future__ import annotations

import subprocess
import sys

import pushforward as pf


def test_help_of_every_command(call) -> None:
    whole = call("--help")
    assert whole.code == 0
    for command in ("train", "sample", "evaluate", "logprob", "info", "list", "doctor"):
        assert command in whole.out
        assert call(command, "--help").out.startswith(f"Usage: pushforward {command}")
    assert call("--version").out == f"pushforward {pf.__version__}\n"


def test_completion_offers_names() -> None:
    code = (
        "import os; os.environ.update(_PUSHFORWARD_COMPLETE='complete_bash', "
        "COMP_WORDS='pushforward sample run --sampler unipc3', COMP_CWORD='4')\n"
        "from pushforward.cli import main; main([])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["unipc3"]
