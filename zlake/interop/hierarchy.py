"""A view as a Zarr v3 hierarchy: its groups, its arrays, their documents, and the keys of their chunks."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import product
from operator import lt
from typing import Any, Final

import msgspec

from zlake.interop.attributes import dataset_attributes, tensor_attributes
from zlake.interop.dimensions import SAMPLE, DimensionNames
from zlake.interop.nodes import ArrayNode, Index, chunk_key
from zlake.interop.tensor import TensorArrays
from zlake.segments import metadata
from zlake.segments.layout import IDS, OFFSETS, SEQUENCE_OFFSETS, SHAPES, VALUES
from zlake.session.column import Column
from zlake.session.session import Session
from zlake.session.view import View
from zlake.types import JSON, IntArray

DOCUMENT: Final = "zarr.json"

_DIGITS: Final = re.compile("[0-9]{1,18}")


class Hierarchy:
    """The groups and arrays of a view. Making one reads extent maps, and offsets where extents cut segments.

    Parameters
    ----------
    session
        A session without unflushed changes.
    view
        Rows and tensors; rows that a tensor does not have are left out of it.
    branch
        The branch to name in the attributes.
    """

    def __init__(self, session: Session, view: View, branch: str | None) -> None:
        self.arrays: dict[str, ArrayNode] = {}
        groups: dict[str, dict[str, JSON]] = {"": {}}
        tensors, left_out = {}, []
        for column in view.columns(session):
            if column.encoded or column.spec.dtype is not None:
                tensors[view.label(column)] = TensorArrays(column, rows_of(view, column))
            else:
                left_out.append(view.label(column))
        groups |= {name: {} for name in _groups(session, view)}
        variables = {name.rpartition("/")[2] for name in tensors} | {VALUES, OFFSETS, SHAPES, SEQUENCE_OFFSETS, IDS}
        names = DimensionNames((tensor.rows.length for tensor in tensors.values()), variables)
        for name, tensor in tensors.items():
            if tensor.plain:
                self._add_array(name, tensor, names)
            else:
                groups[name] = self._add_group(name, tensor, names)
        groups[""] = dataset_attributes(session, branch, left_out)
        self.documents = _documents(groups, self.arrays)

    def _add_array(self, name: str, tensor: TensorArrays, names: DimensionNames) -> None:
        flat = name.replace("/", "_")

        def dimension(stored: str, size: int) -> str:
            if stored == SAMPLE:
                return names.sample(flat, size)
            return names.other(f"{flat}_dim_{int(stored.removeprefix('axis_')) + 1}", size)

        self.arrays[name] = tensor.nodes(dimension, tensor_attributes(tensor.column))[VALUES]

    def _add_group(self, name: str, tensor: TensorArrays, names: DimensionNames) -> dict[str, JSON]:
        flat = name.replace("/", "_")

        def dimension(stored: str, size: int) -> str:
            return names.sample(flat, size) if stored == SAMPLE else names.other(f"{flat}_{stored}", size)

        for array, node in tensor.nodes(dimension, {}).items():
            self.arrays[f"{name}/{array}"] = node
        return tensor_attributes(tensor.column) | metadata.tensor_attributes(tensor.entry, tensor.dtype)

    # ------------------------------------------------------------ keys

    def find(self, key: str) -> bytes | tuple[ArrayNode, Index] | None:
        """Return a document, or an array and the index of one of its chunks, or None where there is nothing."""
        document = self.documents.get(key)
        if document is not None:
            return document
        path, _, chunk = key.rpartition("/")
        node = self.arrays.get(path)
        index = None if node is None else _parse(chunk, node.layout.objects)
        return None if node is None or index is None else (node, index)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Yield all keys that start with the prefix."""
        yield from (key for key in self.documents if key.startswith(prefix))
        for path in self.arrays:
            if f"{path}/".startswith(prefix) or prefix.startswith(f"{path}/"):
                yield from (key for key in self._chunks(path) if key.startswith(prefix))

    def children(self, path: str) -> Iterator[str]:
        """Yield the names directly below a path, each once."""
        prefix = f"{path}/" if path else ""
        yield from sorted({key[len(prefix) :].partition("/")[0] for key in self.documents if key.startswith(prefix)})
        if path in self.arrays:
            yield from (key[len(prefix) :] for key in self._chunks(path))

    def _chunks(self, path: str) -> Iterator[str]:
        objects = self.arrays[path].layout.objects
        return (f"{path}/{chunk_key(index)}" for index in product(*map(range, objects)))


def rows_of(view: View, column: Column) -> slice | IntArray | None:
    """Return the rows of a tensor that a view names, or None for all of them."""
    if view.rows is None or (view.rows.is_all and view.rows.total >= len(column)):
        return None
    rows = view.rows.rows()
    if isinstance(rows, slice):
        return slice(*rows.indices(len(column)))
    return rows[rows < len(column)]


def _groups(session: Session, view: View) -> set[str]:
    """Return the groups above the tensors, and those that hold no tensor at all."""
    inside = {name[len(view.group) :] for name in session.groups if name.startswith(view.group)}
    shown = {view.label(column) for column in view.columns(session)}
    others = {name[len(view.group) :] for name in session.columns if name.startswith(view.group)}
    return {
        group
        for group in inside
        if any(name.startswith(f"{group}/") for name in shown) or not any(n.startswith(f"{group}/") for n in others)
    }


def _parse(chunk: str, objects: Index) -> Index | None:
    """Return the index of a chunk as its key says it, or None where there is no such chunk."""
    parts = chunk.split(".")[1:]
    if len(parts) != len(objects) or not all(_DIGITS.fullmatch(part) for part in parts):
        return None
    index = tuple(map(int, parts))
    return index if all(map(lt, index, objects)) and chunk_key(index) == chunk else None


def _documents(groups: dict[str, dict[str, JSON]], arrays: dict[str, ArrayNode]) -> dict[str, bytes]:
    """Return the ``zarr.json`` of every node by key; a group's holds those of all nodes below it."""
    nodes: dict[str, dict[str, Any]] = {
        name: {"zarr_format": 3, "node_type": "group", "attributes": attributes} for name, attributes in groups.items()
    }
    for path, node in arrays.items():
        nodes[path] = metadata.array_metadata(node.layout) | {"attributes": node.attributes}
    names = sorted(nodes)
    found = {}
    for path, document in nodes.items():
        prefix = f"{path}/" if path else ""
        extra = {}
        if path not in arrays:
            first = bisect_left(names, prefix)
            last = bisect_left(names, f"{path}0") if path else len(names)  # "0" is the character after "/"
            below = {name[len(prefix) :]: nodes[name] for name in names[first:last] if name}
            extra = {"consolidated_metadata": {"kind": "inline", "must_understand": False, "metadata": below}}
        found[prefix + DOCUMENT] = msgspec.json.encode(document | extra)
    return found
