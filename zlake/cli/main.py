"""Parsing the command line, and turning errors into exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Final

from zlake.cli import commands
from zlake.errors import ZlakeError

OK: Final = 0
DAMAGED: Final = 1
"""`zlake verify` found damage."""
FAILED: Final = 2
"""The command could not be carried out, or was not understood."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        What follows the command's name; by default those of the process.

    Returns
    -------
    int
        Exit code: 0, 1 if `verify` found damage, 2 after an error, whose message is one line on standard error.
    """
    options = _parser().parse_args(arguments)
    try:
        sound = options.run(options)
        sys.stdout.flush()
    except ZlakeError as error:
        sys.stderr.write(f"zlake: {' '.join(str(error).split())}\n")
        return FAILED
    except BrokenPipeError:
        # The reader (`head`, a pager) has seen enough. Python flushes once more when it exits, which must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return OK if sound else DAMAGED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zlake", description="Look at zlake datasets. Only gc changes one.")
    found = parser.add_subparsers(required=True, metavar="COMMAND")
    path = "path or URL, optionally with @branch, @tag or @commit; credentials are taken from the environment"

    info = found.add_parser("info", help="print the tensors, their shapes, and which version this is")
    info.add_argument("path", help=path)
    info.set_defaults(run=commands.info)

    log = found.add_parser("log", help="print the commits, newest first")
    log.add_argument("path", help=path)
    log.add_argument("--graph", action="store_true", help="draw merges, with the names of branches and tags")
    log.add_argument("--all", action="store_true", help="draw the graph of all branches and tags")
    log.set_defaults(run=commands.log)

    branches = found.add_parser("branches", help="print the branches, each with its newest commit")
    branches.add_argument("path", help=path)
    branches.add_argument("--deleted", action="store_true", help="print those that were deleted and can be restored")
    branches.set_defaults(run=commands.branches)

    tags = found.add_parser("tags", help="print the tags, each with its commit")
    tags.add_argument("path", help=path)
    tags.set_defaults(run=commands.tags)

    names = found.add_parser("ls", help="print the names of the tensors, one a line")
    names.add_argument("path", help=path)
    names.set_defaults(run=commands.ls)

    diff = found.add_parser("diff", help="print what differs between versions: tensors, rows, and the commits between")
    diff.add_argument("path", help=path)
    diff.add_argument(
        "a",
        nargs="?",
        help="branch, tag or commit to compare with; by default what PATH has uncommitted, or what the commit changed",
    )
    diff.add_argument("b", nargs="?", help="the version to compare A with; by default the one that PATH names")
    diff.set_defaults(run=commands.diff)

    verify = found.add_parser("verify", help="check every document that the dataset's branches and tags reach")
    verify.add_argument("path", help=path)
    verify.add_argument("--deep", action="store_true", help="read all samples too, and check them")
    verify.set_defaults(run=commands.verify)

    gc = found.add_parser(
        "gc",
        help="delete what nothing has needed for a grace period",
        description="Mark what no branch, tag, lease or open session needs, and delete what was marked a grace period "
        "ago and still is of no use. Call it now and then; others may use the dataset meanwhile.",
    )
    gc.add_argument("path", help="path or URL; credentials are taken from the environment")
    gc.add_argument(
        "--grace",
        type=_seconds,
        metavar="TIME",
        help="for how long everything stays that was in use: a number with s, m, h, d or w behind it, 7d by default; 0 "
        "deletes at once: only where nobody else uses the dataset",
    )
    gc.add_argument("--dry-run", action="store_true", help="change nothing, and print what would go")
    gc.set_defaults(run=commands.gc)
    return parser


def _seconds(text: str) -> float:
    """Return a length of time such as ``12h`` in seconds.

    Raises
    ------
    argparse.ArgumentTypeError
        If it is none.
    """
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw]?)", text.strip(), re.ASCII)
    if found is None or (not found[2] and float(found[1])):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no length of time: a number with s, m, h, d or w behind it is wanted, such as 12h or 7d"
        )
    return float(found[1]) * _UNITS.get(found[2], 0)
