"""Where each object of a dataset lies: keys relative to its URL, built from checked names and ids alone."""

from __future__ import annotations

from typing import Final

from zlake.format.names import check_id, check_ref_name, is_id, ref_problem

BRANCHES: Final = "refs/branches/"
TAGS: Final = "refs/tags/"
COMMITS: Final = "commits/"
PAGES: Final = "pages/"
SEGMENTS: Final = "segments/"
VIEWS: Final = "views/"


def root_key() -> str:
    """Return the key of the root document."""
    return "zarr.json"


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


def is_dataset_key(key: str) -> bool:
    """Whether a key is one that objects of datasets have, and practically nothing else."""
    for folder in (COMMITS, PAGES, SEGMENTS, VIEWS):
        if key.startswith(folder):
            return is_id(key[len(folder) :].partition("/")[0])
    for folder in (BRANCHES, TAGS):
        if key.startswith(folder) and key.endswith(".json"):
            return not ref_problem(key[len(folder) : -len(".json")])
    return key == root_key()
