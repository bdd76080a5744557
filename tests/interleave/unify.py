"""Whether what readers see is what the model says, where it does not know the ids of some commits and branches."""

from __future__ import annotations

from itertools import count
from typing import Any

_numbers = count()
_MADE = "made "
_AUTO = "auto_"


def made() -> str:
    """Return an id for a commit whose own id nobody is told."""
    return f"{_MADE}{next(_numbers)}"


def is_made(commit: str | None) -> bool:
    return commit is not None and commit.startswith(_MADE)


def alike(seen: Any, expected: Any) -> bool:
    """Whether both are the same, for some meaning of the ids that `made` gave, one for each."""
    return _alike(_plain(seen), _plain(expected), {})


def _plain(lines: dict[str, Any]) -> dict[str, Any]:
    """Give the branches that were made for changes of a past commit names that do not depend on chance."""
    autos = sorted((value for name, value in lines.items() if name.startswith(_AUTO)), key=repr)
    plain = {name: value for name, value in lines.items() if not name.startswith(_AUTO)}
    return plain | {f"{_AUTO}{number}": value for number, value in enumerate(autos)}


def _alike(seen: Any, expected: Any, meant: dict[str, str]) -> bool:
    if isinstance(expected, dict):
        return (
            isinstance(seen, dict)
            and seen.keys() == expected.keys()
            and all(_alike(seen[key], value, meant) for key, value in expected.items())
        )
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(seen, (list, tuple))
            and len(seen) == len(expected)
            and all(_alike(s, e, meant) for s, e in zip(seen, expected, strict=True))
        )
    if isinstance(expected, str) and expected.startswith(_MADE):
        return meant.setdefault(expected, seen) == seen and list(meant.values()).count(seen) == 1
    return bool(seen == expected)
