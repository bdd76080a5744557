"""The face of one tensor, or of some of its rows."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from zlake.dataset import addressing, show
from zlake.dataset.info import Info
from zlake.dataset.operators import Operator, Operators
from zlake.dataset.shape import ShapeInterval
from zlake.errors import InvalidOperationError, RowIndexError
from zlake.extents.selection import Selection, split_key
from zlake.session import append, diff, inplace, present, read, region, transfer, update
from zlake.session.column import Column
from zlake.types import IdArray, IntArray, Pending


class Tensor(Operators):
    """A tensor of a dataset, or the rows of it that were selected. Nothing is read before a value is asked for.

    Not made by hand: ``ds.images``, ``ds["images"]``, ``ds.images[10:20]``.

    Examples
    --------
    >>> import numpy as np, zlake
    >>> ds = zlake.empty("mem://tensor-doc", overwrite=True)
    >>> x = ds.create_tensor("x")
    >>> x.extend(np.arange(6).reshape(3, 2))
    >>> x[1:].numpy()
    array([[2, 3],
           [4, 5]])
    """

    __slots__ = ("_column", "_key", "_rows")

    def __init__(
        self, column: Column, rows: Selection | int | None = None, key: tuple[tuple[Any, ...], ...] = ()
    ) -> None:
        self._column = column
        self._rows = rows
        self._key = key

    # ------------------------------------------------------------ selecting

    def __getitem__(self, key: Any) -> Tensor:
        """Select rows, and axes within them: ``x[3]``, ``x[10:20, 2:4]``, ``x[[0, 5]]``, ``x[mask]``, ``x[...]``."""
        column, rows = self._column, self._rows
        if rows is None:
            if type(key) is int:
                length = len(column)
                if 0 <= key < length:
                    return Tensor(column, key)
            rows = Selection.all(len(column))
        elif isinstance(rows, int):
            return Tensor(column, rows, (*self._key, region.check(key if isinstance(key, tuple) else (key,))))
        first, inner = split_key(key)
        if self._key and inner:
            raise InvalidOperationError("index the axes of the samples once: x[rows, axis, axis]")
        chosen = rows[first]
        return Tensor(column, chosen, (region.check(inner),) if inner else self._key)

    def __len__(self) -> int:
        if self._rows is None:
            return len(self._column)
        return 1 if isinstance(self._rows, int) else len(self._rows)

    def __iter__(self) -> Iterator[Tensor]:
        if isinstance(self._rows, int):
            yield self
            return
        rows = range(len(self._column)) if self._rows is None else self._rows.array().tolist()
        for row in rows:
            yield Tensor(self._column, row, self._key)

    def _selected(self) -> slice | IntArray:
        if self._rows is None:
            return slice(0, len(self._column), 1)
        rows = np.array([self._rows]) if isinstance(self._rows, int) else self._rows.rows()
        last = int(rows.max()) + 1 if isinstance(rows, np.ndarray) and len(rows) else 0
        if isinstance(rows, slice) and (chosen := range(rows.start, rows.stop, rows.step or 1)):
            last = chosen[-1] + 1
        if last > len(self._column):
            raise RowIndexError(
                f"row {last - 1} is out of range for tensor {self.name!r}, which has {len(self._column)} rows"
            )
        return rows

    def _row_array(self) -> IntArray:
        rows = self._selected()
        return np.arange(rows.start, rows.stop, rows.step) if isinstance(rows, slice) else rows

    @property
    def sample_indices(self) -> Sequence[int]:
        """The selected rows, as numbers of rows of the whole tensor."""
        if self._rows is None:
            return range(len(self._column))
        return (self._rows,) if isinstance(self._rows, int) else self._rows.array().tolist()

    # ------------------------------------------------------------ reading

    def read(self, aslist: bool = False) -> Pending[Any]:
        """Begin to read and return at once: wait with ``.result()`` or ``await``. What `numpy` would return."""
        return present.read(self._column, self._rows, self._selected, self._key, aslist)

    def numpy(self, aslist: bool = False, fetch_chunks: bool = False) -> Any:
        """Return the selected samples, decoded.

        Parameters
        ----------
        aslist
            Return a list with one array a row, so that samples may differ in shape.
        fetch_chunks
            Accepted for Deep Lake's sake; whole chunks are always fetched and cached.

        Returns
        -------
        numpy.ndarray or list
            ``(n, *sample shape)``; the sample itself, owned by the caller, where one row was selected by number.

        Raises
        ------
        DynamicTensorNumpyError
            If samples differ in shape and ``aslist`` is false.
        """
        rows = self._rows
        if type(rows) is int and not self._key:
            return present.one(self._column, rows)
        return present.read(self._column, rows, self._selected, self._key, aslist).result()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        found = self.numpy()
        return found if dtype is None else np.asarray(found, dtype)

    def data(self, aslist: bool = False) -> builtins.dict[str, Any]:
        """Return the values with what belongs to them.

        Parameters
        ----------
        aslist
            As of `numpy`.

        Returns
        -------
        dict
            ``value``; of class labels with names also ``text``, of images also ``sample_info``.
        """
        return present.data(self._column, self._rows, self._selected, self._key, aslist)

    def text(self) -> Any:
        """Return the string of one selected row, or the list of strings of several."""
        return present.unwrapped(self._column, self._rows, self._selected, self._key, ("text",))

    def dict(self) -> Any:
        """Return the JSON value of one selected row, or the list of them."""
        return present.unwrapped(self._column, self._rows, self._selected, self._key, ("json",))

    def list(self) -> Any:
        """Return the list of one selected row of a list or tag tensor, or the list of them."""
        return present.unwrapped(self._column, self._rows, self._selected, self._key, ("list", "tag"))

    def tobytes(self) -> bytes:
        """Return the bytes of the one selected sample: as they are stored where it is encoded, else in C order.

        Raises
        ------
        InvalidOperationError
            If not exactly one row is selected.
        """
        if isinstance(self._rows, int):
            row = self._rows
        elif len(self) == 1:
            row = int(self._row_array()[0])
        else:
            raise InvalidOperationError(f"tobytes() returns one sample, but {len(self)} are selected; index one row")
        return present.one_bytes(self._column, row, self._key)

    def tensorstore(self) -> Any:
        """Return the whole dense tensor at this version as one `tensorstore.TensorStore`, ``(rows, *sample shape)``.

        Raises
        ------
        InvalidOperationError
            If the tensor is ragged, encoded or a sequence, or has rows that are not flushed yet.
        """
        return present.tensorstore(self._column)

    def modified_samples(self, target_id: str | None = None, return_indexes: bool = False) -> Any:
        """Return the rows that were added or updated since an earlier version.

        Parameters
        ----------
        target_id
            Commit id, tag or branch that leads to this version; by default the commit before it.
        return_indexes
            Return the row numbers too, in a list.

        Raises
        ------
        TensorModifiedError
            If the target does not lead to this version.
        """
        self._whole("modified_samples")
        rows = diff.modified_rows(self._column.session, self._column, target_id)
        found = Tensor(self._column, Selection(rows, len(self._column)))
        return (found, rows.tolist()) if return_indexes else found

    # ------------------------------------------------------------ describing

    @property
    def name(self) -> str:
        """Full name, with groups."""
        return self._column.name

    @property
    def key(self) -> str:
        """Full name, as Deep Lake calls it."""
        return self._column.name

    @property
    def htype(self) -> str:
        """What the samples are: ``generic``, ``image``, ``sequence[text]``, and so on."""
        return self._column.spec.text

    @property
    def base_htype(self) -> str:
        """The htype without ``sequence[...]``."""
        return self._column.spec.htype

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Dtype that `numpy` gives: str for text, object for json, list and tag; None until a sample has decided it."""
        return present.dtype(self._column)

    @property
    def ndim(self) -> int | None:
        """Number of axes, rows included."""
        inner = self._column.spec.ndim
        return None if inner is None else inner + 1 + self._column.state.sequence

    @property
    def is_sequence(self) -> bool:
        """Whether a row is a list of samples."""
        return self._column.state.sequence

    @property
    def is_dynamic(self) -> bool:
        """Whether the selected samples differ in shape."""
        return None in self.shape

    @property
    def hidden(self) -> bool:
        """Whether the tensor is left out of listings and rows."""
        return bool(self._column.state.options.get("hidden"))

    @property
    def num_samples(self) -> int:
        """Rows of the whole tensor."""
        return len(self._column)

    @property
    def is_empty_tensor(self) -> bool:
        """Whether the tensor has no rows."""
        return len(self._column) == 0

    @property
    def shape(self) -> tuple[int | None, ...]:
        """``(rows, *sample shape)``, None where samples differ; the sample's own shape for one row by number."""
        return ShapeInterval(*present.bounds(self._column, self._rows, self._selected, self._key)).shape

    @property
    def shape_interval(self) -> ShapeInterval:
        """The smallest and largest shape of the selected rows."""
        return ShapeInterval(*present.bounds(self._column, self._rows, self._selected, self._key))

    def shapes(self) -> IntArray:
        """Return the shape of every selected sample, ``(n, sample axes) int64``, without reading the samples."""
        return read.shapes(self._column, self._selected())

    def ids(self) -> IdArray:
        """Return the sample ids, ``(n,) uint64``: they stay with the samples across versions."""
        return read.ids(self._column, self._selected())

    @property
    def meta(self) -> builtins.dict[str, Any]:
        """The tensor's settings."""
        return present.meta(self._column)

    @property
    def sample_info(self) -> Any:
        """What encoded images say about themselves: a dictionary for one row by number, else a list of them."""
        return present.sample_info(self._column, self._rows, self._selected)

    @property
    def info(self) -> Info:
        """The tensor's own dictionary, saved with the dataset."""
        return Info(self._column.session, self._column)

    @info.setter
    def info(self, value: Mapping[str, Any]) -> None:
        self.info.replace_with(value)

    # ------------------------------------------------------------ changing

    def append(self, sample: Any) -> None:
        """Append one sample; None appends an empty one.

        Raises
        ------
        SampleAppendError
            If it does not fit; the tensor is as it was.
        """
        self._whole("append")
        if isinstance(sample, Tensor):
            sample = sample._plain(self._column)
        append.append_sample(self._column, sample)

    def extend(self, samples: Iterable[Any], progressbar: bool = False, ignore_errors: bool = False) -> None:
        """Append many samples, or none: an array's first axis, or a sequence of samples.

        Raises
        ------
        SampleExtendError
            If one does not fit; the tensor is as it was.
        """
        self._whole("extend")
        samples = addressing.plain(samples, self._column)
        append.extend_samples(self._column, samples, ignore_errors=ignore_errors, progressbar=progressbar)

    def pop(self, index: int | Sequence[int] | None = None) -> None:
        """Remove a row, several rows, or the last one. Other tensors keep theirs; `Dataset.pop` removes whole rows."""
        self._whole("pop")
        update.pop_each(self._column.session, [self._column], index)

    def clear(self) -> None:
        """Remove all rows."""
        self._whole("clear")
        update.clear(self._column)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Give rows new samples, or assign to a part of them: ``x[3] = a``, ``x[2:4] = [a, b]``, ``x[3, 0:2] = 7``."""
        one = self._rows is None and isinstance(key, (int, np.integer))
        target = self if one and int(key) >= len(self) else self[key]  # behind the end there is nothing to select
        if isinstance(value, Tensor) and target._same(value):
            return  # `x[0] += 1` assigns what it has changed in place
        value = addressing.plain(value, self._column)
        if one:
            update.write_row(self._column, int(key), value)
        elif len(target._key) > 1:
            raise InvalidOperationError("index the axes of the samples once: x[row, axis, axis] = value")
        elif target._key:
            inplace.assign_part(self._column, target._row_array(), target._key[0], value)
        else:
            values = [value] if isinstance(target._rows, int) else value
            update.update_rows(self._column.session, target._row_array(), {self.name: values})

    def _operate(self, function: Operator, value: Any) -> None:
        inplace.operate(self._column, self._row_array(), self._key, function, addressing.plain(value, None))

    def _same(self, other: Tensor) -> bool:
        """Whether both select the same of one tensor."""
        if self._column is not other._column or len(self._key) != len(other._key):
            return False
        same_key = all(region.same(a, b) for a, b in zip(self._key, other._key, strict=True))
        return same_key and np.array_equal(self._row_array(), other._row_array())

    def _plain(self, target: Column | None) -> Any:
        """Return what is selected as samples that can be given to another tensor."""
        if self._key:
            return self.numpy(aslist=not isinstance(self._rows, int))
        found = transfer.samples(self._column, self._selected(), target)
        return found[0] if isinstance(self._rows, int) else found

    def _whole(self, method: str) -> None:
        if self._rows is not None or self._key:
            raise InvalidOperationError(f"{method} method cannot be called on a Tensor view")

    # ------------------------------------------------------------ showing

    def summary(self) -> None:
        """Print what the tensor is."""
        print(repr(self))  # printing is what is asked for

    def __repr__(self) -> str:
        return show.tensor(self)

    def __reduce__(self) -> Any:
        return addressing.reopen_tensor, (self.name, self._rows, self._key, *addressing.pickled(self._column.session))

    def __eq__(self, other: object) -> Any:
        return self.numpy() == (other.numpy() if isinstance(other, Tensor) else other)

    __hash__ = object.__hash__
