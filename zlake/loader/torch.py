"""PyTorch loaders that read whole blocks ahead on threads, or in forkserver workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from zlake.errors import EmptyTensorError, LoaderError, TransformFailedError, ZlakeError
from zlake.loader.ahead import work_ahead
from zlake.loader.block import Field, batches_per_block, read_block
from zlake.loader.order import batch_bounds, epoch_order
from zlake.session.opening import Portable
from zlake.session.session import Session
from zlake.session.view import View
from zlake.storage import fork
from zlake.types import Array, IntArray

_UPCAST = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64, np.dtype(np.uint64): np.int64}
_REMOTE_AHEAD = 12
_METHODS = ("numpy", "tobytes", "pil")

Transform = Callable[..., Any] | Mapping[str, Callable[[Any], Any] | None] | None


class Batch(dict[str, Any]):
    """A batch by tensor name that unpacks into its values: ``images, labels = batch``."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())


def dataloader(
    session: Session,
    view: View,
    transform: Transform = None,
    tensors: Sequence[str] | None = None,
    num_workers: int = 0,
    batch_size: int = 1,
    drop_last: bool = False,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    pin_memory: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    return_index: bool = True,
    decode_method: Mapping[str, str] | None = None,
    transform_kwargs: Mapping[str, Any] | None = None,
    num_threads: int | None = None,
    prefetch_factor: int = 2,
    persistent_workers: bool = False,
) -> ZlakeLoader:
    """Return a loader of batches over a view, on the snapshot that the dataset has now.

    Parameters
    ----------
    session, view
        What to load.
    transform
        A function of a row (a dictionary of arrays), or a function (None for none) for each tensor to take.
    tensors
        Names of the tensors to load; all by default.
    num_workers
        Processes; 0, the default and mostly the fastest, reads and decodes on threads of this process. Worker
        processes are started by ``forkserver``.
    batch_size
        Rows in a batch.
    drop_last
        Leave out a last batch that is not full.
    collate_fn
        Makes a batch of a list of rows. By default samples of one shape are stacked to a tensor, others stay a list.
    pin_memory
        Copy batches to page-locked memory.
    shuffle
        Yield a full random permutation, another one each epoch, the same for the same seed.
    seed
        Seed of the shuffle.
    return_index
        Add the row numbers as ``index``, ``(batch,) int64``.
    decode_method
        For each tensor ``numpy``, ``tobytes`` or ``pil``.
    transform_kwargs
        Further arguments for ``transform``.
    num_threads
        Threads that read and decode, in each process.
    prefetch_factor
        Blocks read ahead for each thread.
    persistent_workers
        Keep worker processes between epochs.

    Returns
    -------
    ZlakeLoader
        A `torch.utils.data.DataLoader` of `Batch` dictionaries.

    Raises
    ------
    EmptyTensorError
        If a tensor has no rows.
    TensorDoesNotExistError
        If a name is no tensor.
    LoaderError
        If an option makes no sense.
    """
    if batch_size < 1 or num_workers < 0:
        raise LoaderError(f"batch_size must be at least 1 and num_workers at least 0, not {batch_size}, {num_workers}")
    if isinstance(transform, Mapping):
        if tensors is not None:
            raise LoaderError("a transform by tensor names the tensors already; leave tensors= out")
        tensors = list(transform)
    if tensors is not None:
        for name in tensors:
            session.column(view.group + name)
        view = View(view.rows, tuple(view.group + name for name in tensors), view.group)
    for name, method in (decode_method or {}).items():
        if method not in _METHODS or view.group + name not in view.names:
            raise LoaderError(f"decode_method {name!r}: {method!r} is not one of {_METHODS} for a loaded tensor")
    for column in view.columns(session):
        if not len(column):
            raise EmptyTensorError(f"tensor {column.name!r} has no samples; leave it out with tensors=")
    pinned = session.pinned()
    rows = view.selection(pinned).array()
    stream = BatchStream(
        Portable.of(pinned) if num_workers else pinned,
        View(None, view.names, view.group),
        rows,
        batch_size=batch_size,
        drop_last=drop_last,
        shuffle=shuffle,
        seed=seed,
        return_index=return_index,
        decode_method=dict(decode_method or {}),
        transform=transform,
        transform_kwargs=dict(transform_kwargs or {}),
        collate_fn=collate_fn,
        threads=num_threads or session.context.threads,
        ahead=prefetch_factor,
        pin_memory=pin_memory,
    )
    return ZlakeLoader(stream, num_workers, persistent_workers)


class ZlakeLoader(DataLoader[Any]):
    """A `torch.utils.data.DataLoader` over a `BatchStream`."""

    def __init__(self, stream: BatchStream, num_workers: int, persistent_workers: bool) -> None:
        super().__init__(
            stream,
            batch_size=None,
            num_workers=num_workers,
            collate_fn=_identity,
            multiprocessing_context="forkserver" if num_workers else None,
            persistent_workers=persistent_workers and num_workers > 0,
        )
        self.stream = stream

    def __iter__(self) -> Any:
        if self.num_workers == 0:
            # straight from the threads: DataLoader's own iterator costs more than reading a batch of small samples
            return iter(self.stream)
        iterator = super().__iter__()
        self.stream.epoch += 1
        return iterator

    def __len__(self) -> int:
        return len(self.stream)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, and so the shuffle, that the next iteration yields."""
        self.stream.epoch = epoch


def _identity(batch: Any) -> Any:
    return batch


class BatchStream(IterableDataset[Any]):
    """The batches of a view; each iteration is an epoch. Pickles as a path, a snapshot id and rows."""

    def __init__(
        self,
        source: Session | Portable,
        view: View,
        rows: IntArray,
        *,
        batch_size: int,
        drop_last: bool,
        shuffle: bool,
        seed: int,
        return_index: bool,
        decode_method: dict[str, str],
        transform: Transform,
        transform_kwargs: dict[str, Any],
        collate_fn: Callable[[list[Any]], Any] | None,
        threads: int,
        ahead: int,
        pin_memory: bool,
    ) -> None:
        self.source = source
        self.view = view
        self.rows = rows
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.shuffle = shuffle
        self.seed = seed
        self.epoch = 0
        self.return_index = return_index
        self.decode_method = decode_method
        self.transform = transform
        self.transform_kwargs = transform_kwargs
        self.collate_fn = collate_fn
        self.threads = threads
        self.ahead = ahead
        self.pin_memory = pin_memory

    def __len__(self) -> int:
        return len(batch_bounds(len(self.rows), self.batch_size, self.drop_last))

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        session = self.source.open() if isinstance(self.source, Portable) else self.source
        fork.check()
        order = epoch_order(self.rows, self.shuffle, self.seed, self.epoch)
        if worker is None:
            self.epoch += 1
        bounds = batch_bounds(len(order), self.batch_size, self.drop_last)
        # worker w takes batches w, w + n, …: torch takes from the workers in turn, so the order stays the same
        mine = bounds if worker is None else bounds[worker.id :: worker.num_workers]
        fields = [
            Field(self.view.label(c), c, self.decode_method.get(self.view.label(c), "numpy"))
            for c in self.view.columns(session)
        ]
        step = batches_per_block(fields, self.batch_size)
        if worker is not None:
            step = 1
        blocks = [mine[i : i + step] for i in range(0, len(mine), step)]
        local = session.store.local_path("zarr.json") is not None
        threads = self.threads if local else max(self.threads, _REMOTE_AHEAD)

        def make(block: list[tuple[int, int]]) -> list[Any]:
            return self._batches(fields, order, block)

        for batches in work_ahead(make, blocks, threads, threads * self.ahead if local else threads):
            yield from batches

    def _batches(self, fields: list[Field], order: IntArray, bounds: list[tuple[int, int]]) -> list[Any]:
        """Read consecutive batches at once and cut them apart."""
        first, last = bounds[0][0], bounds[-1][1]
        if last - first != sum(b - a for a, b in bounds):
            return [batch for bound in bounds for batch in self._batches(fields, order, [bound])]
        rows = order[first:last]
        block = read_block(fields, rows)
        made = []
        for start, stop in bounds:
            part = {name: values[start - first : stop - first] for name, values in block.items()}
            index = rows[start - first : stop - first]
            made.append(self._one_batch(part, index))
        return made

    def _one_batch(self, part: Mapping[str, Array | list[Any]], index: IntArray) -> Any:
        if self.transform is None and self.collate_fn is None:
            batch = Batch((name, _collate(values)) for name, values in part.items())
            if self.return_index:
                batch["index"] = torch.from_numpy(np.array(index))
        else:
            batch = self._by_row(part, index)
        return _pinned(batch) if self.pin_memory else batch

    def _by_row(self, part: Mapping[str, Array | list[Any]], index: IntArray) -> Any:
        """Apply the user's functions row by row."""
        rows = []
        for i, number in enumerate(index.tolist()):
            row: Any = Batch((name, values[i]) for name, values in part.items())
            try:
                if callable(self.transform):
                    row = self.transform(row, **self.transform_kwargs)
                elif self.transform is not None:
                    for name, function in self.transform.items():
                        if function is not None:
                            row[name] = function(row[name])
            except ZlakeError:
                raise
            except Exception as error:
                raise TransformFailedError(f"transform failed at row {number}: {error!r}") from error
            if self.return_index and isinstance(row, dict):
                row["index"] = number
            rows.append(row)
        if self.collate_fn is not None:
            return self.collate_fn(rows)
        if isinstance(rows[0], dict):
            return Batch((name, _collate([row[name] for row in rows])) for name in rows[0].keys())  # noqa: SIM118
        if isinstance(rows[0], tuple):
            return tuple(_collate(list(column)) for column in zip(*rows, strict=True))
        return _collate(rows)


def _collate(values: Array | list[Any]) -> Any:
    """Return one tensor where the samples share shape and dtype, else a list of tensors or other objects."""
    if isinstance(values, np.ndarray):
        return _to_torch(values)
    if values and all(isinstance(value, np.ndarray) for value in values):
        first = values[0]
        if all(value.shape == first.shape and value.dtype == first.dtype for value in values):
            return _to_torch(np.stack(values))
        return [_to_torch(value) for value in values]
    if values and all(isinstance(value, torch.Tensor) for value in values):
        if all(value.shape == values[0].shape for value in values):
            return torch.stack(values)
        return values
    if values and all(isinstance(value, (bool, int, float, np.generic)) for value in values):
        return torch.as_tensor(values)
    return values


def _to_torch(array: Array) -> Any:
    """Return a tensor that shares the array's memory; torch lacks some unsigned types, which are widened."""
    if array.dtype.kind in "OUS":
        return array.tolist()
    wider = _UPCAST.get(array.dtype)
    return torch.from_numpy(array if wider is None else array.astype(wider))


def _pinned(batch: Any) -> Any:
    if isinstance(batch, torch.Tensor):
        return batch.pin_memory()
    if isinstance(batch, Batch):
        return Batch((name, _pinned(value)) for name, value in batch.items())
    if isinstance(batch, (list, tuple)):
        return type(batch)(_pinned(value) for value in batch)
    return batch
