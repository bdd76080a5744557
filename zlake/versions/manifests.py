"""What the commits between two states say that they changed: it tells rows that were updated from rows that moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from zlake import limits
from zlake.format.documents import Snapshot, TensorDiff
from zlake.types import IdArray
from zlake.versions import history, idruns
from zlake.versions.ancestors import ancestors
from zlake.versions.diffing import read_ids
from zlake.versions.objects import Objects

Mask = npt.NDArray[np.bool_]

_BATCH: Final = limits.READS_IN_FLIGHT
"""Documents read, and held in memory, at once."""


class Manifests:
    """The diff manifests of the states from which first parents lead to where two states meet. Read when asked for.

    Parameters
    ----------
    a, b
        The two states.
    objects
        Reads documents.
    """

    def __init__(self, a: Snapshot, b: Snapshot, objects: Objects) -> None:
        self._ends = (a, b)
        self._objects = objects
        self._sides: tuple[dict[str, list[TensorDiff]], dict[str, list[TensorDiff]]] | None = None

    def updated(self, key: str, ids: IdArray) -> tuple[Mask, Mask]:
        """Say which samples of tensor ``key``, all of them in both states, were given other content between them.

        Returns
        -------
        updated, unclear
            ``(n,) bool`` each, no sample in both: those that were, and those of which only their content can tell,
            because they were updated more than once, or taken over from elsewhere. All others did no more than move.
        """
        mine, other = (self._of(side, key) for side in (0, 1))
        left, right = (idruns.contains(updated, ids) for updated, _ in (mine, other))
        unclear = (left & right) | idruns.contains(mine[1], ids) | idruns.contains(other[1], ids)
        return (left | right) & ~unclear, unclear

    def _of(self, side: int, key: str) -> tuple[idruns.Runs, idruns.Runs]:
        """Return the samples that one side updated, and those that it updated twice or appended."""
        if self._sides is None:
            ahead = first_parents(*self._ends, self._objects)
            self._sides = (self._read(self._ends[0], ahead[0]), self._read(self._ends[1], ahead[1]))
        diffs = self._sides[side].get(key, ())
        each = [read_ids(diff.updated, self._objects) for diff in diffs]
        updated = idruns.union(*each)
        unclear = [read_ids(diff.appended, self._objects) for diff in diffs]
        if sum(map(idruns.count, each)) != idruns.count(updated):
            seen = idruns.EMPTY
            for ids in each:
                unclear.append(idruns.intersection(seen, ids))  # perhaps set back to what they were
                seen = idruns.union(seen, ids)
        return updated, idruns.union(*unclear)

    def _read(self, tip: Snapshot, ids: list[str]) -> dict[str, list[TensorDiff]]:
        found: dict[str, list[TensorDiff]] = {}
        for snapshot in _snapshots(tip, ids, self._objects):
            for diff in snapshot.diff.tensors:
                found.setdefault(diff.key, []).append(diff)
        return found


def _snapshots(tip: Snapshot, ids: list[str], objects: Objects) -> Iterator[Snapshot]:
    if ids[:1] == [tip.id]:
        yield tip
        ids = ids[1:]
    for start in range(0, len(ids), _BATCH):
        yield from objects.snapshots(ids[start : start + _BATCH])


def first_parents(a: Snapshot, b: Snapshot, objects: Objects) -> tuple[list[str], list[str]]:
    """Return the states from which first parents lead to where two states meet, newest first, the states included.

    Where they meet is the newest state that both chains of first parents have, and is not among them; where they have
    none, both chains are whole.
    """
    chains = (_chain(a, objects), _chain(b, objects))
    now = [next(chain, None) for chain in chains]
    passed: tuple[dict[str, int], dict[str, int]] = ({}, {})
    while True:
        step = _newer(now[0], now[1])
        if step is None or now[0] == now[1]:
            return list(passed[0]), list(passed[1])
        here = now[step]
        assert here is not None
        met = passed[1 - step].get(here[0])
        if met is not None:
            cut = [list(side) for side in passed]
            cut[1 - step] = cut[1 - step][:met]
            return cut[0], cut[1]
        passed[step][here[0]] = len(passed[step])
        now[step] = next(chains[step], None)


def _chain(tip: Snapshot, objects: Objects) -> Iterator[tuple[str, int]]:
    """Yield the states along first parents, each with its generation."""
    if tip.kind == "staged" and tip.id:
        yield tip.id, tip.generation + 1
    for brief in history.log(tip, objects):
        yield brief.id, brief.generation


def _newer(a: tuple[str, int] | None, b: tuple[str, int] | None) -> int | None:
    """Say on which side to go on: where generations are greater, so that neither goes far beyond where they meet."""
    if a is None or b is None:
        return 0 if a is not None else 1 if b is not None else None
    return 0 if a[1] >= b[1] else 1


def ahead(a: Snapshot, b: Snapshot, objects: Objects) -> list[str]:
    """Return the states along first parents of ``a`` that do not lead to ``b``, newest first, ``a`` itself included.

    Reads no further back than to where the histories meet.
    """
    if a.id == b.id:
        return []
    found = [a.id] if a.kind == "staged" and a.id else []
    theirs = ancestors(objects, b)
    met, waiting = set[str](), next(theirs, None)
    for brief in history.log(a, objects):
        while waiting is not None and waiting.generation >= brief.generation:
            met.add(waiting.id)
            waiting = next(theirs, None)
        if brief.id in met:
            break
        found.append(brief.id)
    return found
