"""Which samples a line of history has appended since a state: whether rows have landed, wherever they lie by now."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from zlake import limits
from zlake.format.documents import Snapshot
from zlake.versions import history, idruns
from zlake.versions.diffing import read_ids
from zlake.versions.objects import Objects

_BATCH: Final = limits.READS_IN_FLIGHT

Ids = dict[str, idruns.Runs]
"""Sample ids by tensor key."""


class Appended:
    """Reads the diff manifests of the commits since a state, each once.

    Parameters
    ----------
    objects
        The dataset's objects.
    since
        Where to stop: ids of the state, and of the commit that it is staged on.
    """

    def __init__(self, objects: Objects, since: Collection[str]) -> None:
        self._objects = objects
        self._since = frozenset(since)
        self._read: dict[str, Ids] = {}

    def by(self, tip: Snapshot) -> list[tuple[str, Ids]]:
        """Return what each state that leads to ``tip`` along first parents has appended, newest first.

        Without the state that this began with, and those before it; all of history where that is none of them any
        more, because the branch was put elsewhere.
        """
        chain = [tip.id] if tip.kind == "staged" and tip.id else []
        for brief in history.log(tip, self._objects):
            if brief.id in self._since:
                break
            chain.append(brief.id)
        if tip.id:
            self._take(tip)
        unread = [each for each in chain if each not in self._read]
        for start in range(0, len(unread), _BATCH):
            for snapshot in self._objects.snapshots(unread[start : start + _BATCH]):
                self._take(snapshot)
        return [(each, self._read[each]) for each in chain]

    def _take(self, snapshot: Snapshot) -> None:
        if snapshot.id not in self._read:
            self._read[snapshot.id] = {
                diff.key: read_ids(diff.appended, self._objects) for diff in snapshot.diff.tensors
            }


def union(states: Iterable[tuple[str, Ids]]) -> Ids:
    """Return what several states have appended together."""
    parts: dict[str, list[idruns.Runs]] = {}
    for _, ids in states:
        for key, runs in ids.items():
            parts.setdefault(key, []).append(runs)
    return {key: idruns.union(*runs) for key, runs in parts.items()}
