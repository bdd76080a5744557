"""Making a dataset, and swapping its refs: branches, tags, tombstones (4.1 to 4.4, 7.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.spec.second.dataset import Dataset
from tests.spec.second.documents import BARE, GROUP, Body, new_id, sealed
from tests.spec.second.garbage import Lease, still_whole
from tests.spec.second.storage import Folder

DAY = 86_400
CONVENTION = {
    "uuid": "e2d9c1f4-3a53-4a8f-b1c6-7f0a6d0b8e21",
    "name": "dataset:",
    "spec_url": "https://github.com/zlake-project/zlake/blob/main/spec/09-conventions.md",
    "description": "A versioned dataset of named tensors",
}


class RefError(Exception):
    """A branch or tag cannot be made, deleted or found."""


def create(path: Path) -> Dataset:
    """Make a dataset in an empty folder (7.1)."""
    folder = Folder(path)
    assert not [key for key in folder.keys("") if not key.startswith("probe-")]
    now = datetime.now(UTC)
    root = {"document": "root/1", "format_version": 1, "dataset_id": new_id(), "created": now.timestamp()}
    shown = {"zarr_conventions": [CONVENTION], "dataset:id": root["dataset_id"], "dataset:format_version": 1}
    shown["dataset:created"] = f"{now:%Y-%m-%dT%H:%M:%S}Z"
    folder.create("zarr.json", sealed(GROUP, root, shown))
    folder.create("refs/branches/main.json", sealed(BARE, begun("main", None)))
    return Dataset(path)


def begun(name: str, commit: str | None) -> Body:
    """Return the document of a branch that was never there (4.2)."""
    body: Body = {"document": "branch/1", "commit": commit, "staged": None, "sequence": 0, "write_id": new_id()}
    return body | {"name": name}


def swapped(before: Body, *counted: str, **members: Any) -> Body:
    """Return the document of a branch after a swap; ``counted`` members are set to its sequence (4.3, 7.4 step 5)."""
    sequence = before["sequence"] + 1
    previous = [before["write_id"], *before.get("previous", [])][:32]
    after = before | members | {"sequence": sequence, "write_id": new_id(), "previous": previous}
    return after | dict.fromkeys(counted, sequence)


def swap(dataset: Dataset, name: str, data: bytes | None, body: Body) -> bool:
    """Write the document of a branch if it is still the one that was read; say whether that was so."""
    key, new = f"refs/branches/{name}.json", sealed(BARE, body)
    return dataset.folder.create(key, new) if data is None else dataset.folder.swap(key, data, new)


def change_branch(dataset: Dataset, name: str, *counted: str, **members: Any) -> Body:
    """Swap a branch that is there, from the reading on when the swap is lost (4.3)."""
    while True:
        before, data = dataset.ref("branch", name)
        if data is None or before.get("deleted", False):
            raise RefError(f"there is no branch {name!r}")
        if swap(dataset, name, data, after := swapped(before, *counted, **members)):
            return after


def make_branch(dataset: Dataset, name: str, commit: str | None) -> None:
    """Make a branch at a commit that some ref reaches (4.3)."""
    _refuse(dataset, "tag", name)
    before, data = dataset.ref("branch", name)
    if not before.get("deleted", False):
        raise RefError(f"there is a branch {name!r}")
    after = begun(name, commit)
    if data is not None:  # over a tombstone
        after = swapped(before, "restarted", commit=commit, staged=None, deleted=False)
    _must_swap(dataset, name, data, after)
    try:
        _refuse(dataset, "tag", name)
    except RefError:
        delete_branch(dataset, name)
        raise


def delete_branch(dataset: Dataset, name: str) -> None:
    """Leave a tombstone of a branch (4.3)."""
    if name == "main":
        raise RefError("main cannot be deleted")
    change_branch(dataset, name, deleted=True)


def restore_branch(dataset: Dataset, name: str) -> None:
    """Bring a deleted branch back, with what was staged on it, unless that was collected (4.3, 7.10)."""
    _refuse(dataset, "tag", name)
    before, data = dataset.ref("branch", name)
    if data is None or not before.get("deleted", False):
        raise RefError(f"no branch {name!r} was deleted")
    named = before["staged"] or before["commit"]
    lease = Lease(dataset, named, DAY)  # a collector that begins now spares it
    try:
        if named is not None and not still_whole(dataset, named):
            raise RefError(f"what the branch {name!r} named was collected, or is being collected")
        _must_swap(dataset, name, data, swapped(before, deleted=False))
    finally:
        lease.end()


def _must_swap(dataset: Dataset, name: str, data: bytes | None, body: Body) -> None:
    if not swap(dataset, name, data, body):
        raise RefError(f"somebody else has changed the branch {name!r}")


def make_tag(dataset: Dataset, name: str, commit: str) -> None:
    """Make a tag at a commit that some ref reaches (4.4)."""
    _refuse(dataset, "branch", name)
    carried = {"commit": commit, "snapshot": dataset.snapshot(commit, "commit")}
    body = {"document": "tag/1", "name": name, "write_id": new_id(), **carried}
    if not dataset.folder.create(f"refs/tags/{name}.json", sealed(BARE, body)):
        raise RefError(f"there is, or was, a tag {name!r}")
    try:
        _refuse(dataset, "branch", name)
    except RefError:
        delete_tag(dataset, name)
        raise


def delete_tag(dataset: Dataset, name: str) -> None:
    """Leave a tombstone of a tag (4.4)."""
    before, data = dataset.ref("tag", name)
    if data is None or before.get("deleted", False):
        raise RefError(f"there is no tag {name!r}")
    after = {**before, "deleted": True, "write_id": new_id()}
    del after["snapshot"]
    dataset.folder.swap(f"refs/tags/{name}.json", data, sealed(BARE, after))


def _refuse(dataset: Dataset, kind: str, name: str) -> None:
    if not dataset.ref(kind, name)[0].get("deleted", False):
        raise RefError(f"there is a {kind} {name!r}")
