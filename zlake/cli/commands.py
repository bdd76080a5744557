"""What each command does. Each returns whether all is well."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from zlake.dataset.entry import load

_WIDTH = 100


def info(options: Namespace) -> bool:
    """Print the dataset as its repr shows it, and what identifies it."""
    ds = load(options.path, read_only=True)
    facts = {
        "dataset": ds.meta["dataset_id"],
        "commit": ds.commit_id or "none yet",
        "stored bytes": f"{ds.size_approx():,}",
        **{f"info {_short(key)}": _short(value) for key, value in ds.info.items()},
    }
    sys.stdout.write(f"{ds}\n" + "".join(f"  {name}: {value}\n" for name, value in facts.items()))
    return True


def _short(value: object) -> str:
    """Return a value as JSON that fits a line; JSON has no control characters that a terminal would obey."""
    text = json.dumps(value)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def log(options: Namespace) -> bool:
    """Print the commits."""
    load(options.path, read_only=True).log(options.graph or options.all, options.all)
    return True


def branches(options: Namespace) -> bool:
    """Print the branches, each with the commit that it names."""
    repository = load(options.path, read_only=True)._session.repository
    found = repository.deleted_branches() if options.deleted else repository.branches()
    width = max(map(len, found), default=0)
    for name, ref in found.items():
        staged = "  staged changes" if ref.staged is not None else ""
        sys.stdout.write(f"{name.ljust(width)}  {ref.commit or 'no commit yet'}{staged}\n")
    return True


def tags(options: Namespace) -> bool:
    """Print the tags, each with its commit."""
    found = load(options.path, read_only=True).tags
    width = max(map(len, found), default=0)
    sys.stdout.write("".join(f"{name.ljust(width)}  {commit}\n" for name, commit in found.items()))
    return True


def ls(options: Namespace) -> bool:
    """Print the names of the tensors, those in groups with their path."""
    sys.stdout.write("".join(f"{name}\n" for name in load(options.path, read_only=True).tensors))
    return True


def diff(options: Namespace) -> bool:
    """Print what differs between versions."""
    load(options.path, read_only=True).diff(options.a, options.b)
    return True


def verify(options: Namespace) -> bool:
    """Check the dataset and print what was found."""
    report = load(options.path, read_only=True).verify(deep=options.deep, progressbar=sys.stderr.isatty())
    sys.stdout.write(f"{report}\n")
    return bool(report)


def gc(options: Namespace) -> bool:
    """Collect garbage, or look what there is of it, and print what went and what stays."""
    ds = load(options.path, read_only=options.dry_run)
    sys.stdout.write(f"{ds.gc(options.grace, dry_run=options.dry_run)}\n")
    return True
