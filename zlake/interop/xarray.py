"""The engine ``zlake`` of xarray: ``xr.open_dataset(path, engine="zlake", ref=commit)``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Final

from xarray.backends import BackendEntrypoint
from xarray.backends.zarr import ZarrBackendEntrypoint

from zlake.errors import InvalidPathException
from zlake.interop.zarr_store import ZlakeStore
from zlake.limits import MIB
from zlake.session import opening
from zlake.session.view import View

if TYPE_CHECKING:
    from xarray import Dataset, DataTree, Variable

DASK_CHUNK_BYTES: Final = 16 * MIB
"""Chunks that the engine suggests to dask are about this large, or one shard."""

Decoders = bool | Mapping[str, bool] | None


class ZlakeBackend(BackendEntrypoint):
    """Opens datasets, at any version, lazily: values are read when they are asked for.

    Dense tensors are variables with the dimension ``sample``; tensors of other kinds are groups, for `open_datatree` or
    ``group=``. See `zlake.interop.zarr_store.ZlakeStore` for the layout and for the attributes; of those, objects,
    booleans and null become JSON text, so that everything can be saved as netCDF.
    """

    description: ClassVar[str] = "Open zlake datasets at any version"
    url: ClassVar[str] = "https://github.com/zlake-project/zlake"
    supports_groups: ClassVar[bool] = True

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        mask_and_scale: Decoders = True,
        decode_times: Any = True,
        concat_characters: Decoders = True,
        decode_coords: Any = True,
        use_cftime: Decoders = None,
        decode_timedelta: Any = None,
        ref: str | None = None,
        creds: Mapping[str, Any] | str | None = None,
        group: str | None = None,
    ) -> Dataset:
        """Open one group, by default the root.

        Parameters
        ----------
        filename_or_obj
            Path or URL of a dataset, optionally with ``@branch``, ``@tag`` or ``@commit``; or a `ZlakeStore`.
        drop_variables
            Names of variables to leave out.
        mask_and_scale, decode_times, concat_characters, decode_coords, use_cftime, decode_timedelta
            As of `xarray.open_dataset`: what CF attributes in a tensor's info mean.
        ref
            Branch, tag or commit; by default the branch ``main``.
        creds
            Credentials, as of `zlake.load`.
        group
            Group or ragged tensor to open instead of the root.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        DatasetNotFoundError
            If there is no dataset.
        RefNotFoundError
            If it has no such branch, tag or commit.
        """
        store: Any = store_of(filename_or_obj, ref, creds)  # xarray takes stores, though its types do not say so
        opened = ZarrBackendEntrypoint().open_dataset(
            store,
            drop_variables=drop_variables,
            mask_and_scale=mask_and_scale,
            decode_times=decode_times,
            concat_characters=concat_characters,
            decode_coords=decode_coords,
            use_cftime=use_cftime,
            decode_timedelta=decode_timedelta,
            group=group,
            consolidated=True,
        )
        return _for_people(opened)

    def open_groups_as_dict(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        mask_and_scale: Decoders = True,
        decode_times: Any = True,
        concat_characters: Decoders = True,
        decode_coords: Any = True,
        use_cftime: Decoders = None,
        decode_timedelta: Any = None,
        ref: str | None = None,
        creds: Mapping[str, Any] | str | None = None,
        group: str | None = None,
    ) -> dict[str, Dataset]:
        """Open a group and all groups below it. Parameters as of `open_dataset`.

        Returns
        -------
        dict
            From path to dataset.
        """
        store: Any = store_of(filename_or_obj, ref, creds)  # xarray takes stores, though its types do not say so
        found = ZarrBackendEntrypoint().open_groups_as_dict(
            store,
            drop_variables=drop_variables,
            mask_and_scale=mask_and_scale,
            decode_times=decode_times,
            concat_characters=concat_characters,
            decode_coords=decode_coords,
            use_cftime=use_cftime,
            decode_timedelta=decode_timedelta,
            group=group,
            consolidated=True,
        )
        return {path: _for_people(dataset) for path, dataset in found.items()}

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> DataTree:
        """Open a dataset with all its groups as a tree. Parameters as of `open_dataset`."""
        from xarray import DataTree

        return DataTree.from_dict(self.open_groups_as_dict(filename_or_obj, **options))

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Whether this is the path of a folder that holds a zlake dataset; URLs are not asked for."""
        if isinstance(filename_or_obj, ZlakeStore):
            return True
        if not isinstance(filename_or_obj, str | os.PathLike):
            return False
        try:
            path, _ = opening.split_address(os.path.expanduser(os.fspath(filename_or_obj)))
            with open(os.path.join(path, "zarr.json"), "rb") as document:
                return b'"zlake"' in document.read()
        except (OSError, InvalidPathException, ValueError):
            return False


def store_of(path: Any, ref: str | None, creds: Mapping[str, Any] | str | None) -> ZlakeStore:
    """Return a store over all visible tensors of a version; a `ZlakeStore` is returned as it is."""
    if isinstance(path, ZlakeStore):
        return path
    if not isinstance(path, str | os.PathLike):
        raise InvalidPathException(f"a dataset is opened by its path or URL, not by {path!r}")
    plain, address = opening.split_address(os.fspath(path))
    if ref is not None and address is not None:
        raise InvalidPathException(f"give the version once: the path says {address!r}, ref says {ref!r}")
    context = opening.make_context()
    session = opening.open_session(opening.store_at(plain, creds, context, True), context, ref or address, True)
    visible = [column.name for column in session.columns.values() if not column.state.options.get("hidden")]
    return ZlakeStore(session, View(None, tuple(visible)))


def _for_people(dataset: Dataset) -> Dataset:
    """Write attributes that netCDF cannot hold as JSON text, drop the list of conventions, suggest chunks for dask."""
    dataset.attrs.pop("zarr_conventions", None)
    for variable in dataset.variables.values():
        _prefer_large_chunks(variable)
    for attributes in (dataset.attrs, *(variable.attrs for variable in dataset.variables.values())):
        attributes.update({key: json.dumps(value) for key, value in attributes.items() if not _plain(value)})
    return dataset


def _prefer_large_chunks(variable: Variable) -> None:
    """Let ``chunks={}`` mean runs of whole chunks of some megabytes: one task for every stored chunk would be many."""
    chunks, shards = variable.encoding.get("chunks"), variable.encoding.get("shards")
    if chunks:
        unit = (shards or chunks)[0]
        row_bytes = max(1, variable.dtype.itemsize * prod(variable.shape[1:]))
        rows = max(unit, DASK_CHUNK_BYTES // row_bytes // unit * unit)
        variable.encoding["preferred_chunks"] = dict(zip(variable.dims, (rows, *chunks[1:]), strict=True))


def _plain(value: object) -> bool:
    """Whether netCDF holds the value: text, a number, a list of texts or a list of numbers."""
    items = value if isinstance(value, list) else [value]
    texts = sum(isinstance(item, str) for item in items)
    numbers = sum(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    return len(items) > 0 and len(items) in (texts, numbers)
