"""The application: global options, the commands, and what happens when something goes wrong."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from pushforward import __version__
from pushforward.cli.bridge import bridge
from pushforward.cli.calibrate import calibrate
from pushforward.cli.certify import certify
from pushforward.cli.compare import compare
from pushforward.cli.compare_samples import compare_samples
from pushforward.cli.compress import compress, decompress
from pushforward.cli.doctor import doctor
from pushforward.cli.downscale import downscale
from pushforward.cli.evaluate import evaluate
from pushforward.cli.forecast import forecast
from pushforward.cli.info import info
from pushforward.cli.listing import list_names
from pushforward.cli.logprob import logprob
from pushforward.cli.logz import logz
from pushforward.cli.mcmc import mcmc
from pushforward.cli.posterior import posterior
from pushforward.cli.refusals import Commands, forgiving_streams, told
from pushforward.cli.sample import sample
from pushforward.cli.simulate import simulate
from pushforward.cli.train import train
from pushforward.cli.translate import translate
from pushforward.cli.wording import in_words_of
from pushforward.errors import PushforwardError, SamplingError, TrainingError

__all__ = ["app", "command_of", "main"]

_HELP = """Deep generative modeling as transport of measures.

Train a model on data, draw new samples, and measure how good they are:

  pushforward train digits --out runs/digits --steps 1500

  pushforward evaluate runs/digits

  pushforward sample runs/digits -n 64 --out digits.png

Exit codes: 0 done, 1 unexpected failure, 2 bad input, or a file or memory that the system refuses,
3 training or sampling broke off, 130 interrupted (what was trained so far is saved; go on with
--resume), 141 the reader of what is printed has left.
"""

app = typer.Typer(
    name="pushforward",
    cls=Commands,
    help=_HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(train)
app.command()(bridge)
app.command()(translate)
app.command()(downscale)
app.command()(forecast)
app.command()(sample)
app.command()(posterior)
app.command()(evaluate)
app.command()(calibrate)
app.command()(certify)
app.command()(compare)
app.command("compare-samples")(compare_samples)
app.command()(compress)
app.command()(decompress)
app.command()(logprob)
app.command()(mcmc)
app.command()(logz)
app.add_typer(simulate, name="simulate")
app.command()(info)
app.command("list")(list_names)
app.command()(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pushforward {__version__}")
        raise typer.Exit


@app.callback()
def _global(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    pass


@functools.cache
def _commands() -> Any:
    """The tree of commands, made once: typer reads the annotations of every command for it."""
    return typer.main.get_command(app)


def command_of(words: Sequence[str]) -> Any:
    """The command that words of a shell call, the first that names one; `None` without one."""
    commands, found = _commands().commands, None
    for word in words:
        if word in commands:
            found = commands[word]
            # A group has commands of its own.
            commands = getattr(found, "commands", {})
    return found


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Mistakes of the user end with one line and code 2; `--debug` shows where they were found.
    """
    words = sys.argv[1:] if arguments is None else arguments
    usual: Any = warnings.formatwarning
    command = command_of(words)

    def one_line(message: Warning | str, *_: Any) -> str:
        """A warning as a person reads it, without the place in the code."""
        return f"warning: {in_words_of(command, str(message))}\n"

    warnings.formatwarning = one_line  # type: ignore[assignment]
    try:
        with forgiving_streams():
            _run(words, command)
    finally:
        warnings.formatwarning = usual


def _run(words: list[str], command: Any) -> None:
    """Run the command line; a fault that has a cure is one line."""
    try:
        _commands()(args=words, prog_name="pushforward")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        message = str(error) if isinstance(error, PushforwardError) else told(error)
        if message is None or "--debug" in words:
            raise
        print(f"error: {in_words_of(command, message)}", file=sys.stderr)
        raise SystemExit(3 if isinstance(error, TrainingError | SamplingError) else 2) from None
