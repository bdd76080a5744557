"""Leases, and what a collector of garbage may delete (4.6, 4.7, 7.10)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from tests.spec.second.dataset import Dataset
from tests.spec.second.documents import BARE, Body, is_id, new_id, opened, sealed

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


def marks(dataset: Dataset, now: float) -> Iterator[tuple[float, set[Object]]]:
    """Yield age and contents of what collectors noted (4.7)."""
    for key in dataset.folder.keys("gc/marks"):
        mark = key.split("/")[-1].removesuffix(".json")
        body, _ = opened(dataset.folder.read(key), BARE, "gc-mark/1", id=mark)
        yield now - dataset.folder.written(key), {(kind, each) for kind in KINDS for each in body.get(kind, [])}


def reached(dataset: Dataset, roots: set[str], *, in_part: bool = False) -> set[Object]:
    """Return all that snapshots reach (7.10); ``in_part`` where some of it may be missing."""
    found, waiting = set[Object](), list(roots)

    def walk(snapshot: Body) -> None:
        tensors = snapshot.get("tensors", [])
        for holder in [snapshot, *tensors]:
            if holder.get("info", {}).get("object"):
                found.add(("pages", holder["info"]["object"]))
        for tensor in snapshot.get("diff", {}).get("tensors", []):
            sets = (tensor.get(name, {}) for name in ("appended", "updated", "removed"))
            found.update(("pages", each["page"]) for each in sets if each.get("page"))
        page_id = snapshot.get("history")
        while page_id is not None and ("pages", page_id) not in found:
            found.add(("pages", page_id))
            page_id = dataset.history(page_id)["previous"]
        for table in (tensor["extents"] for tensor in tensors):
            found.update(("segments", entry["segment"]) for entry in table.get("segments", []))
            for page in table.get("pages", []):
                found.add(("pages", page["id"]))
                body, _ = dataset.page(page["id"], "extent-page/1")
                found.update(("segments", entry["segment"]) for entry in body["segments"])

    while waiting:
        each = waiting.pop()
        if ("commits", each) not in found:
            found.add(("commits", each))
            try:
                snapshot = dataset.snapshot(each)
                waiting += snapshot["parents"]
                walk(snapshot)
            except FileNotFoundError:
                if not in_part:
                    raise
    return found


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
    whole, partial = set[str](), set[str]()
    for name, branch in dataset.refs("branch").items():
        named = {branch["commit"], branch["staged"]} - {None}
        if not branch.get("deleted", False):
            whole |= named
        elif now - folder.written(f"refs/branches/{name}.json") < grace:
            partial |= named
    whole |= {tag["commit"] for tag in dataset.refs("tag").values() if not tag.get("deleted", False)}
    held = leases(dataset, now)
    partial |= {lease.newest["snapshot"] for lease in held} - {None}
    live = reached(dataset, whole) | reached(dataset, partial, in_part=True)
    oldest = min((lease.began for lease in held if lease.newest.get("writing", False)), default=now + 1)
    candidates = {each for each, at in written.items() if each not in live and now - at >= grace and at < oldest}
    noted = list(marks(dataset, now))
    old, young = (set().union(*(o for age, o in noted if (age >= grace) is is_old)) for is_old in (True, False))
    doomed = candidates if grace == 0 else candidates & old
    staying = {each for kind, each in written if kind == "commits" and (kind, each) not in live | doomed}
    doomed = doomed - reached(dataset, staying, in_part=True)
    return Verdict(candidates, doomed, candidates - doomed - young)
