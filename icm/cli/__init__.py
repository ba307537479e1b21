"""The command line, one file per verb."""

from icm.cli.entry import command, main

__all__ = ["command", "main"]
