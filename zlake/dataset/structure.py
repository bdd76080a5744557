"""The part of a dataset's face that creates, renames and deletes tensors and groups."""

from __future__ import annotations

from typing import Any, Self

from zlake.dataset import addressing, listing, reserved
from zlake.dataset.tensor import Tensor
from zlake.errors import InvalidOperationError
from zlake.extents.selection import Selection
from zlake.samples.spec import UNSPECIFIED
from zlake.session import schema
from zlake.session.session import Session


class Structure:
    """What a face of a dataset shows, and the methods that change which tensors and groups there are."""

    __slots__ = ("_group", "_names", "_rows", "_session")

    def __init__(
        self,
        session: Session,
        rows: Selection | int | None = None,
        group: str = "",
        names: tuple[str, ...] | None = None,
    ) -> None:
        self._session: Session
        self._rows: Selection | int | None
        self._group: str
        self._names: tuple[str, ...] | None
        object.__setattr__(self, "_session", session)
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_group", group)  # with its trailing slash
        object.__setattr__(self, "_names", names)  # full names, or None for all

    def create_tensor(
        self,
        name: str,
        htype: str = UNSPECIFIED,
        dtype: Any = None,
        sample_compression: str | None = UNSPECIFIED,
        chunk_compression: str | None = UNSPECIFIED,
        exist_ok: bool = False,
        **settings: Any,
    ) -> Tensor:
        """Create a tensor.

        Parameters
        ----------
        name
            Name below this group; ``/`` separates groups, which are created.
        htype
            What the samples are; by default the first one decides.
        dtype
            NumPy dtype of the samples; by default the htype or the first sample decides.
        sample_compression
            Codec of each sample (``"jpeg"``, ``"png"``); required for images, where None stores plain arrays.
        chunk_compression
            Codec of whole chunks (``"zstd"``, ``"blosc"``); excludes ``sample_compression``.
        exist_ok
            Return an existing tensor of the same settings.
        **settings
            Settings of the htype (``class_names=``, ``coords=``) and of storage (``hidden=``, ``tiling_threshold=``).

        Raises
        ------
        StructureError
            If the name is taken or malformed, or a setting is unknown; nothing was changed.
        """
        self._whole("create_tensor")
        given = {"dtype": dtype, "sample_compression": sample_compression, "chunk_compression": chunk_compression}
        given = {k: v for k, v in given.items() if not isinstance(v, str) or v != UNSPECIFIED}
        if dtype is None:
            del given["dtype"]
        return Tensor(
            schema.create_tensor(
                self._session,
                addressing.full_name(self._group, name),
                htype,
                reserved.members(type(self)),
                exist_ok,
                {**given, **settings},
            )
        )

    def create_tensor_like(self, name: str, source: Tensor) -> Tensor:
        """Create a tensor with the settings and the info of another one, without its rows."""
        self._whole("create_tensor_like")
        return addressing.tensor_like(self, name, source)

    def create_group(self, name: str, exist_ok: bool = False) -> Self:
        """Create a group and the groups above it."""
        self._whole("create_group")
        full = schema.create_group(
            self._session, addressing.full_name(self._group, name), reserved.members(type(self)), exist_ok
        )
        return type(self)(self._session, None, f"{full}/")

    def delete_tensor(self, name: str, large_ok: bool = False) -> None:
        """Delete a tensor from this version; commits made before keep it."""
        self._whole("delete_tensor")
        schema.delete_tensor(self._session, self._group + name, large_ok)

    def delete_group(self, name: str, large_ok: bool = False) -> None:
        """Delete a group with its tensors from this version; commits made before keep them."""
        self._whole("delete_group")
        schema.delete_group(self._session, self._group + name, large_ok)

    def rename_tensor(self, name: str, new_name: str) -> None:
        """Rename a tensor; no sample moves."""
        self._whole("rename_tensor")
        schema.rename_tensor(self._session, self._group + name, self._group + new_name, reserved.members(type(self)))

    def rename_group(self, name: str, new_name: str) -> None:
        """Rename a group; no sample moves."""
        self._whole("rename_group")
        schema.rename_group(self._session, self._group + name, self._group + new_name, reserved.members(type(self)))

    def _columns(self) -> list[Any]:
        return listing.selected(self._session, self._group, self._names)

    def _whole(self, method: str) -> None:
        if self._rows is not None or self._names is not None:
            raise InvalidOperationError(f"{method} method cannot be called on a Dataset view")
