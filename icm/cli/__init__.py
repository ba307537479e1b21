"""The command line, one file per verb."""

from icm.cli.entry import main

__all__ = ["main"]
