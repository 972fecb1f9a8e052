"""The command line. Nothing here imports torch before a command runs."""

from pushforward.cli.app import main

__all__ = ["main"]
