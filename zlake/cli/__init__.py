"""The command ``zlake``: look at datasets from a terminal. Only `zlake gc` changes one."""

from zlake.cli.main import main

__all__ = ["main"]
