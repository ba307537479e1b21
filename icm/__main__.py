"""`python -m icm`, the same as the command `icm`."""

from icm.cli import command

command()
