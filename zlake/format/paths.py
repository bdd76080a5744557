"""Where each object of a dataset lies: keys relative to its URL, built from checked names and ids alone."""

from __future__ import annotations

import re
from typing import Final

from zlake.format.names import check_id, check_ref_name, is_id, ref_problem

BRANCHES: Final = "refs/branches/"
TAGS: Final = "refs/tags/"
COMMITS: Final = "commits/"
PAGES: Final = "pages/"
SEGMENTS: Final = "segments/"
VIEWS: Final = "views/"
LEASES: Final = "leases/"
GC_MARKS: Final = "gc/marks/"
GC_SWEEPS: Final = "gc/sweeps/"
GC_PROBES: Final = "gc/probe-"


def root_key() -> str:
    """Return the key of the root document."""
    return "zarr.json"


def copying_key() -> str:
    """Return the key of the note that a copy is being made."""
    return "copying.json"


def branch_key(name: str) -> str:
    """Return the key of a branch; raises `InvalidRefNameError`."""
    check_ref_name(name)
    return f"{BRANCHES}{name}.json"


def tag_key(name: str) -> str:
    """Return the key of a tag; raises `InvalidRefNameError`."""
    check_ref_name(name)
    return f"{TAGS}{name}.json"


def snapshot_key(snapshot_id: str) -> str:
    """Return the key of a commit or staged snapshot; raises `FormatError` for what is no id."""
    check_id(snapshot_id)
    return f"{COMMITS}{snapshot_id}/zarr.json"


def page_prefix(page_id: str) -> str:
    """Return the prefix, ending in ``/``, below which a page lies; raises `FormatError` for what is no id."""
    check_id(page_id)
    return f"{PAGES}{page_id}/"


def page_key(page_id: str) -> str:
    """Return the key of a page's document; raises `FormatError` for what is no id."""
    return page_prefix(page_id) + "zarr.json"


def segment_prefix(segment_id: str) -> str:
    """Return the prefix, ending in ``/``, below which a segment lies; raises `FormatError` for what is no id."""
    check_id(segment_id)
    return f"{SEGMENTS}{segment_id}/"


def tensor_prefix(segment_id: str, tensor_key: str) -> str:
    """Return the prefix, ending in ``/``, of one tensor in one segment; raises `FormatError` for what is no id."""
    check_id(tensor_key)
    return f"{segment_prefix(segment_id)}{tensor_key}/"


def lease_prefix(lease_id: str) -> str:
    """Return the prefix, ending in ``/``, of a lease's documents; raises `FormatError` for what is no id."""
    check_id(lease_id)
    return f"{LEASES}{lease_id}/"


def lease_key(lease_id: str, number: int) -> str:
    """Return the key of one document of a lease; raises `FormatError` for what is no id."""
    return f"{lease_prefix(lease_id)}{number}.json"


def mark_key(mark_id: str) -> str:
    """Return the key of a collector's mark; raises `FormatError` for what is no id."""
    check_id(mark_id)
    return f"{GC_MARKS}{mark_id}.json"


def sweep_key(sweep_id: str) -> str:
    """Return the key of a collector's note that it is deleting; raises `FormatError` for what is no id."""
    check_id(sweep_id)
    return f"{GC_SWEEPS}{sweep_id}.json"


def lease_of(key: str) -> tuple[str, int] | None:
    """Return the lease that a key belongs to and the number of its document; None for another key."""
    match = _LEASE.fullmatch(key)
    return None if match is None else (match[1], int(match[2]))


def owner_of(key: str) -> tuple[str, str] | None:
    """Return the folder and id of the snapshot, page or segment that a key belongs to.

    None for every other key: also for one in the folder of a segment that no segment has, as other tools leave them.
    """
    match = _OWNED.fullmatch(key)
    if match is None:
        return None
    folder, _, rest = key.partition("/")
    return f"{folder}/", rest.partition("/")[0]


_ID: Final = "[a-z2-7]{26}"
_LEASE: Final = re.compile(rf"{LEASES}({_ID})/(0|[1-9]\d{{0,15}})\.json", re.ASCII)
_ARRAY: Final = r"[a-z-]{1,64}/(zarr\.json|c(\.\d{1,16})*)"
_OWNED: Final = re.compile(
    rf"{COMMITS}{_ID}/zarr\.json|{PAGES}{_ID}/(zarr\.json|c\.0\.0)|{SEGMENTS}{_ID}/(zarr\.json|{_ID}/(zarr\.json|{_ARRAY}))",
    re.ASCII,
)
_NOTE: Final = re.compile(rf"({GC_MARKS}|{GC_SWEEPS}){_ID}\.json|{GC_PROBES}{_ID}", re.ASCII)


def name_of(key: str, folder: str) -> str:
    """Return the name or id that the key of a document ``<folder><name>.json`` gives it."""
    return key[len(folder) : -len(".json")]


def is_dataset_key(key: str) -> bool:
    """Whether a key is one that objects of datasets have, and practically nothing else."""
    for folder in (COMMITS, PAGES, SEGMENTS, VIEWS):
        if key.startswith(folder):
            return is_id(key[len(folder) :].partition("/")[0])
    for folder in (BRANCHES, TAGS):
        if key.startswith(folder) and key.endswith(".json"):
            return not ref_problem(name_of(key, folder))
    return key in (root_key(), copying_key()) or lease_of(key) is not None or _NOTE.fullmatch(key) is not None
