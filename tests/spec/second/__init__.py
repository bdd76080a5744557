"""A second implementation of the format, written from the chapters of ``spec/`` alone: it imports nothing of zlake.

It is as short as the specification allows: whole objects, one request after the other, rows as a dictionary of sample
id to place. It reads everything; it writes uncompressed arrays, text and JSON.

- ``storage``: a folder as a key-value store (chapter 2)
- ``documents``: envelopes, checksums, chunks (chapter 3)
- ``dataset``: root, refs, snapshots, pages, log (chapters 4 and 5)
- ``segments``, ``writing``: samples (chapter 6)
- ``diff``, ``merge``, ``writer``, ``refs``, ``garbage``: what chapter 7 does with them
"""

from __future__ import annotations

from tests.spec.second.dataset import Dataset, State, Tensor
from tests.spec.second.diff import compare
from tests.spec.second.garbage import Lease, Verdict, judge
from tests.spec.second.merge import carry, common_ancestors
from tests.spec.second.refs import (
    RefError,
    create,
    delete_branch,
    delete_tag,
    make_branch,
    make_tag,
    restore_branch,
)
from tests.spec.second.writer import ConflictError, Writer

__all__ = [
    "ConflictError",
    "Dataset",
    "Lease",
    "RefError",
    "State",
    "Tensor",
    "Verdict",
    "Writer",
    "carry",
    "common_ancestors",
    "compare",
    "create",
    "delete_branch",
    "delete_tag",
    "judge",
    "make_branch",
    "make_tag",
    "restore_branch",
]
