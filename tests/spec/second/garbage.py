"""Leases, and what a collector of garbage may delete (4.6, 4.7, 7.10)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from tests.spec.second.dataset import Dataset
from tests.spec.second.documents import BARE, Body, is_id, new_id, opened, sealed

SWEEP = 600
"""Seconds after which a sweep is that of a collector that was stopped."""
KINDS = ("commits", "pages", "segments")
Object = tuple[str, str]
"""Kind (the first part of a key) and id of a snapshot, page or segment."""


class Lease:
    """A lease that this process holds (4.6)."""

    def __init__(self, dataset: Dataset, snapshot: str | None, seconds: int, *, writing: bool = False) -> None:
        self.dataset = dataset
        self.id = new_id()
        self.number = -1
        self.body = {"snapshot": snapshot, "seconds": seconds, "writing": writing}
        self.renew()

    def renew(self) -> None:
        """Write the next document."""
        self.number += 1
        body = {"document": "lease/1", "id": self.id, "number": self.number, **self.body}
        assert self.dataset.folder.create(f"leases/{self.id}/{self.number}.json", sealed(BARE, body))

    def end(self) -> None:
        """Delete all documents, from the newest to the first."""
        for number in range(self.number, -1, -1):
            self.dataset.folder.delete(f"leases/{self.id}/{number}.json")


class Held(NamedTuple):
    """A lease that holds: when it began, and the newest of its documents."""

    began: float
    newest: Body


def leases(dataset: Dataset, now: float) -> list[Held]:
    """Return the leases that hold at a time of the storage (4.6)."""
    numbers = defaultdict[str, list[int]](list)
    for key in dataset.folder.keys("leases"):
        _, lease, name = key.split("/")
        numbers[lease].append(int(name.removesuffix(".json")))
    found = []
    for lease, documents in numbers.items():
        first, last = (f"leases/{lease}/{number}.json" for number in (min(documents), max(documents)))
        body, _ = opened(dataset.folder.read(last), BARE, "lease/1", id=lease, number=max(documents))
        if now - dataset.folder.written(last) <= body["seconds"]:
            found.append(Held(dataset.folder.written(first), body))
    return found


def marks(dataset: Dataset, now: float) -> Iterator[tuple[str, float, set[Object]]]:
    """Yield key, age and contents of what collectors noted (4.7)."""
    for key in dataset.folder.keys("gc/marks"):
        mark = key.split("/")[-1].removesuffix(".json")
        body, _ = opened(dataset.folder.read(key), BARE, "gc-mark/1", id=mark)
        objects = {(kind, each) for kind in KINDS for each in body.get(kind, [])}
        yield key, now - dataset.folder.written(key), objects


def reached(dataset: Dataset, roots: set[str], *passed_over: type[Exception]) -> set[Object]:
    """Return all that snapshots reach (7.10); errors of objects that are missing or damaged may be passed over."""
    found, waiting = set[Object](), [("commits", each, "snapshot") for each in roots]
    while waiting:
        kind, each, document = waiting.pop()
        if (kind, each) not in found:
            found.add((kind, each))
            with suppress(*passed_over):
                waiting += named(dataset, each, document)
    return found


def named(dataset: Dataset, each: str, document: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind and id of what an object names, and what document it is if it names others in turn."""
    if document == "history":
        if (previous := dataset.history(each)["previous"]) is not None:
            yield "pages", previous, "history"
    elif document == "extents":
        for entry in dataset.page(each, "extent-page/1")[0]["segments"]:
            yield "segments", entry["segment"], ""
    elif document == "snapshot":
        snapshot = dataset.snapshot(each)
        tensors = snapshot.get("tensors", [])
        for parent in snapshot["parents"]:
            yield "commits", parent, "snapshot"
        if snapshot.get("history") is not None:
            yield "pages", snapshot["history"], "history"
        for info in (holder.get("info", {}) for holder in (snapshot, *tensors)):
            if info.get("object"):
                yield "pages", info["object"], ""
        for tensor in snapshot.get("diff", {}).get("tensors", []):
            for ids in (tensor.get(name, {}) for name in ("appended", "updated", "removed")):
                if ids.get("page"):
                    yield "pages", ids["page"], ""
        for table in (tensor["extents"] for tensor in tensors):
            for entry in table.get("segments", []):
                yield "segments", entry["segment"], ""
            for page in table.get("pages", []):
                yield "pages", page["id"], "extents"


class Verdict(NamedTuple):
    """What a collector finds: what is unreachable and old enough, what of it may go now, and what is to be marked."""

    candidates: set[Object]
    doomed: set[Object]
    marked: set[Object]


def judge(dataset: Dataset, grace: float, now: float) -> Verdict:
    """Decide what a collector that reads the time ``now`` marks and deletes (7.10 steps 2 to 5)."""
    folder = dataset.folder
    assert not folder.keys("views")
    written: dict[Object, float] = defaultdict(float)
    for key in (key for kind in KINDS for key in folder.keys(kind)):
        kind, each, *_ = key.split("/")
        if is_id(each):
            written[kind, each] = max(written[kind, each], folder.written(key))
    held = leases(dataset, now)  # before the refs: who ends a lease has written a ref
    whole, partial = set[str](), {lease.newest["snapshot"] for lease in held} - {None}
    for name, branch in dataset.refs("branch").items():
        named = {branch["commit"], branch["staged"]} - {None}
        if not branch.get("deleted", False):
            whole |= named
        elif now - folder.written(f"refs/branches/{name}.json") < grace:
            partial |= named
    whole |= {tag["commit"] for tag in dataset.refs("tag").values() if not tag.get("deleted", False)}
    live = reached(dataset, whole) | reached(dataset, partial, FileNotFoundError)
    oldest = min((lease.began for lease in held if lease.newest.get("writing", False)), default=now + 1)
    candidates = {each for each, at in written.items() if each not in live and now - at >= grace and at < oldest}
    noted = list(marks(dataset, now))
    old, young = (set().union(*(o for _, age, o in noted if (age >= grace) is is_old)) for is_old in (True, False))
    doomed = candidates if grace == 0 else candidates & old
    staying = {each for kind, each in written if kind == "commits" and (kind, each) not in live | doomed}
    doomed = doomed - reached(dataset, staying, FileNotFoundError, AssertionError)
    return Verdict(candidates, doomed, candidates - doomed - young)


def still_whole(dataset: Dataset, snapshot: str) -> bool:
    """Say whether a snapshot that a lease keeps since a moment ago may be named by a ref again (7.10 steps 2 to 4)."""
    folder = dataset.folder
    now = folder.now(f"gc/probe-{new_id()}")
    if any(now - folder.written(key) < SWEEP for key in folder.keys("gc/sweeps")):
        return False
    noted = {key: objects for key, _, objects in marks(dataset, now)}
    try:
        live = reached(dataset, {snapshot})
    except FileNotFoundError:
        return False
    if any(folder.get(f"{kind}/{each}/zarr.json") is None for kind, each in live):
        return False
    for key in [key for key, objects in noted.items() if objects & live]:
        folder.delete(key)
    return True
