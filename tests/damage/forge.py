"""Documents changed on purpose and sealed again: what only somebody who means it, or another program, would write."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from zlake.format import seal
from zlake.format.seal import ARRAY_PREFIX, BARE_PREFIX, GROUP_PREFIX, PLACEHOLDER

Change = Callable[[dict[str, Any]], None]


def sealed(document: dict[str, Any], data: bytes) -> bytes:
    """Return a document in the envelope of ``data``, with a right checksum."""
    prefix = next(prefix for prefix in (GROUP_PREFIX, ARRAY_PREFIX, BARE_PREFIX) if data.startswith(prefix))
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    assert text.startswith(prefix)
    return seal(prefix + PLACEHOLDER + text[len(prefix) + 8 :])


def forge(data: bytes, change: Change) -> bytes:
    """Return a document whose body was changed."""
    document = json.loads(data)
    change(document["zlake"] if "zlake" in document else document["attributes"]["zlake"])
    return sealed(document, data)


def forge_whole(data: bytes, change: Change) -> bytes:
    """Return a document that was changed outside its body."""
    document = json.loads(data)
    change(document)
    return sealed(document, data)


def put(*path: Any, value: Any) -> Change:
    """Set one member, deep in a body."""

    def change(body: dict[str, Any]) -> None:
        target: Any = body
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return change
