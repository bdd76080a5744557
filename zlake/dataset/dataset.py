"""The face of a dataset, or of some of its rows, tensors or groups."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import EllipsisType, TracebackType
from typing import Any

import numpy as np

from zlake.dataset import addressing, listing, reserved, show
from zlake.dataset.info import Info
from zlake.dataset.maintained import Maintained
from zlake.dataset.tensor import Tensor
from zlake.dataset.versioned import Versioned
from zlake.errors import (
    CommitStateUnknownError,
    GroupInfoNotSupportedError,
    InvalidKeyTypeError,
    MissingDependencyError,
    SampleAppendError,
    SampleExtendError,
    SampleUpdateError,
    TensorDoesNotExistError,
)
from zlake.extents.selection import Selection
from zlake.session import append, named, update


class Dataset(Versioned, Maintained):
    """A versioned dataset of tensors; or a view of it: chosen rows, tensors, or one group.

    Made by `zlake.empty`, `zlake.load` and `zlake.dataset`. Views are made by indexing and share the dataset's state.

    Examples
    --------
    >>> import numpy as np, zlake
    >>> ds = zlake.empty("mem://dataset-doc", overwrite=True)
    >>> _ = ds.create_tensor("x")
    >>> with ds:
    ...     for i in range(3):
    ...         ds.append({"x": np.arange(i + 1)})
    >>> first = ds.commit("three ragged rows")
    >>> ds.x.numpy(aslist=True)
    [array([0]), array([0, 1]), array([0, 1, 2])]
    """

    __slots__ = ()

    # ------------------------------------------------------------ selecting

    def __getitem__(self, key: Any) -> Any:
        """Select: a name gives a tensor or group, a list of names some tensors, all else rows."""
        if isinstance(key, str):
            return self._named(key)
        if isinstance(key, tuple):
            if key and all(isinstance(part, str) for part in key):
                return Dataset(self._session, self._rows, self._group, self._full(key))
            return addressing.steps(self, key)
        if isinstance(key, list) and key and all(isinstance(part, str) for part in key):
            return Dataset(self._session, self._rows, self._group, self._full(key))
        if isinstance(key, EllipsisType):
            return self
        rows = self._rows
        if isinstance(rows, int):
            raise InvalidKeyTypeError(f"one row is selected already; {key!r} cannot select among it, a tensor name can")
        if rows is None:
            rows = Selection.all(self.max_len)
        return Dataset(self._session, rows[key], self._group, self._names)

    def _named(self, name: str) -> Any:
        full = name[1:] if name.startswith("/") else self._group + name
        column = self._session.columns.get(full)
        if column is not None:
            if self._names is not None and full not in self._names:
                raise TensorDoesNotExistError(f"tensor {full!r} is not among those of this view: {list(self._names)}")
            return Tensor(column, self._rows)
        if full in self._session.groups:
            return Dataset(self._session, self._rows, full + "/", self._names)
        self._session.column(full)
        raise AssertionError("unreachable: column() raised")

    def _full(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(column.name for name in names for column in listing.below(self._session, self._group + name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in reserved.LATER and self._group + name not in self._session.columns:
            raise AttributeError(f"this version of zlake has no Dataset.{name}; there is no tensor of this name either")
        return self._named(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __setitem__(self, key: Any, value: Any) -> None:
        """Give the selected rows of a tensor new samples: ``ds[3]["x"] = a``, ``ds[0:2].x = [a, b]``."""
        if not isinstance(key, str):
            raise InvalidKeyTypeError(f"rows cannot be assigned as a whole; use ds[{key!r}].update({{...}})")
        target = self._named(key)
        if not isinstance(target, Tensor):
            raise InvalidKeyTypeError(f"{key!r} is a group; assign to its tensors")
        if isinstance(self._rows, int):
            Tensor(target._column)[self._rows] = value
        else:
            target[:] = value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (
            self._group + name in self._session.columns or self._group + name in self._session.groups
        )

    def __iter__(self) -> Iterator[Dataset]:
        if isinstance(self._rows, int):
            yield self
            return
        rows = range(self.min_len) if self._rows is None else self._rows.array().tolist()
        for row in rows:
            yield Dataset(self._session, row, self._group, self._names)

    def __len__(self) -> int:
        if self._rows is not None:
            return 1 if isinstance(self._rows, int) else len(self._rows)
        rows = self.min_len
        if rows != self.max_len:
            warnings.warn(f"tensors have different lengths: len() is that of the shortest, {rows}", stacklevel=2)
        return rows

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *self.tensors, *self.groups]

    # ------------------------------------------------------------ structure

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The visible tensors by full name, in the order of their creation."""
        return {c.name[len(self._group) :]: Tensor(c, self._rows) for c in listing.visible(self._columns())}

    @property
    def groups(self) -> dict[str, Dataset]:
        """The groups directly below this one."""
        return {
            name: Dataset(self._session, self._rows, f"{self._group}{name}/", self._names)
            for name in listing.groups(self._session, self._group)
        }

    @property
    def root(self) -> Dataset:
        """The whole dataset."""
        return Dataset(self._session)

    @property
    def parent(self) -> Dataset | None:
        """The group above this one, None above the root."""
        if not self._group:
            return None
        above = self._group.rstrip("/").rpartition("/")[0]
        return Dataset(self._session, self._rows, f"{above}/" if above else "")

    @property
    def group_index(self) -> str:
        """Full name of this group, empty for the root."""
        return self._group.rstrip("/")

    @property
    def info(self) -> Info:
        """The dataset's own dictionary, saved with it."""
        if self._group:
            raise GroupInfoNotSupportedError(f"group {self.group_index!r} has no info; use ds.info or a tensor's info")
        return Info(self._session, None)

    @info.setter
    def info(self, value: Mapping[str, Any]) -> None:
        self.info.replace_with(value)

    # ------------------------------------------------------------ rows

    def append(self, sample: Mapping[str, Any], skip_ok: bool = False, append_empty: bool = False) -> None:
        """Append one row: one sample to each tensor.

        Durable when it returns; inside ``with ds:`` when the block ends.

        Parameters
        ----------
        sample
            Tensor name to sample; None stands for an empty sample.
        skip_ok
            Let tensors be left out, and become shorter than others.
        append_empty
            Append empty samples to tensors that are left out.

        Raises
        ------
        SampleAppendError
            If a sample does not fit, or a tensor is left out; no tensor was changed.
        """
        self._whole("append")
        if type(sample) is not dict or Tensor in map(type, sample.values()):
            sample = addressing.plain_row(self, sample, SampleAppendError)
        append.append_row(self._session, sample, skip_ok=skip_ok, append_empty=append_empty, group=self._group)

    def extend(
        self,
        samples: Mapping[str, Any],
        skip_ok: bool = False,
        append_empty: bool = False,
        ignore_errors: bool = False,
        progressbar: bool = False,
    ) -> None:
        """Append many rows, all or none: for each tensor a sequence of samples, or an array's first axis.

        Parameters
        ----------
        samples
            Tensor name to samples; all sequences have one length.
        skip_ok, append_empty
            As in `append`.
        ignore_errors
            Leave out rows that do not fit.
        progressbar
            Show progress.

        Raises
        ------
        SampleExtendError
            If a sample does not fit; no tensor was changed.
        """
        self._whole("extend")
        append.extend_rows(
            self._session,
            addressing.plain_row(self, samples, SampleExtendError),
            skip_ok=skip_ok,
            append_empty=append_empty,
            ignore_errors=ignore_errors,
            progressbar=progressbar,
            group=self._group,
        )

    def update(self, sample: Mapping[str, Any]) -> None:
        """Give the selected rows new samples, in all the named tensors or in none: ``ds[3].update({"x": a})``.

        Raises
        ------
        SampleUpdateError
            If a sample does not fit; nothing was changed.
        """
        sample = addressing.plain_row(self, sample, SampleUpdateError)
        rows = Selection.all(self.min_len) if self._rows is None else self._rows
        if isinstance(rows, int):
            values = {self._group + name: [value] for name, value in sample.items()}
            update.update_rows(self._session, np.array([rows]), values)
        else:
            values = {self._group + name: value for name, value in sample.items()}
            update.update_rows(self._session, rows.array(), values)

    def pop(self, index: int | Sequence[int] | None = None) -> None:
        """Remove a row, several rows, or the last one, from every tensor.

        Raises
        ------
        RowIndexError
            If there is no such row; nothing was changed.
        """
        self._whole("pop")
        update.pop_each(self._session, self._columns(), index)

    @property
    def min_len(self) -> int:
        """Rows of the shortest tensor."""
        return min((len(c) for c in listing.visible(self._columns())), default=0)

    @property
    def max_len(self) -> int:
        """Rows of the longest tensor."""
        return max((len(c) for c in listing.visible(self._columns())), default=0)

    @property
    def num_samples(self) -> int:
        """Rows of the shortest tensor, whatever is selected."""
        return self.min_len

    @property
    def sample_indices(self) -> Sequence[int]:
        """The selected rows, as numbers of rows of the whole dataset."""
        if self._rows is None:
            return range(self.max_len)
        return (self._rows,) if isinstance(self._rows, int) else self._rows.array().tolist()

    # ------------------------------------------------------------ durability

    def __enter__(self) -> Dataset:
        """Make everything in the block one flush (and one more whenever the buffer is full)."""
        self._session.enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.leave()

    def flush(self) -> None:
        """Make everything that was written durable now."""
        self._session.flush()

    def refresh(self, discard: bool = False) -> None:
        """See what other writers have flushed to the branch since this dataset was opened.

        What this dataset has not flushed is flushed first; with ``discard`` it is forgotten, which is the way on after
        a `ConflictError`.
        """
        self._session.refresh(discard)

    def landed(self, error: CommitStateUnknownError) -> bool:
        """Say whether a write landed that ended with an error which says that nobody knows.

        The dataset that was written through finds that out by itself. This is for another one, that was loaded after
        the error, perhaps in another process. If the write has not landed it never will: so it can be repeated, and is
        there once. If it has, `refresh` shows it.

        Parameters
        ----------
        error
            What was raised. It speaks of the last write to the storage alone: of a long ``with`` block the rows that
            were written before, when the buffer was full, are there.

        Raises
        ------
        CommitStateUnknownError
            The same one, if the storage gives no answer, or others have written so much since that it cannot be known.
        VersionControlError
            If it is no such error of a branch.
        """
        return named.landed(self._session, error)

    # ------------------------------------------------------------ the dataset as a whole

    @property
    def path(self) -> str:
        """Where the dataset lies."""
        return self._session.store.url

    @property
    def read_only(self) -> bool:
        """Whether changes are refused. May be set."""
        return self._session.read_only

    @read_only.setter
    def read_only(self, value: bool) -> None:
        self._session.set_read_only(value)

    @property
    def is_view(self) -> bool:
        """Whether rows or tensors were selected."""
        return self._rows is not None or self._names is not None

    @property
    def meta(self) -> dict[str, Any]:
        """Format version, dataset id, version and the names of tensors and groups."""
        return listing.meta(self._session, self._group)

    def summary(self, force: bool = False) -> None:
        """Print the tensors with htype, shape, dtype and compression; ``force`` reads the shapes of all samples."""
        show.summary(self, force)

    def __repr__(self) -> str:
        return show.text(self)

    def __str__(self) -> str:
        return show.text(self)

    def _repr_html_(self) -> str:
        return show.html(self)

    # ------------------------------------------------------------ training loops and other tools

    def pytorch(self, **options: Any) -> Any:
        """Return a `torch.utils.data.DataLoader` over the selected rows. See `zlake.loader.torch.dataloader`."""
        try:
            from zlake.loader.torch import dataloader
        except ModuleNotFoundError as error:
            raise MissingDependencyError("ds.pytorch() needs PyTorch: pip install 'zlake[torch]'") from error
        return dataloader(self._session, self._view(), **options)

    def zarr_store(self) -> Any:
        """Return a read-only `zarr.abc.store.Store` that presents this version or view as a Zarr v3 hierarchy."""
        from zlake.interop.zarr_store import ZlakeStore

        return ZlakeStore(self._session, self._view())

    def _view(self) -> Any:
        return listing.view(self._session, self._rows, self._group, self._names)

    def __reduce__(self) -> Any:
        return addressing.reopen, (*addressing.pickled(self._session), self._rows, self._group, self._names)
