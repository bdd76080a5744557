"""PyTorch loaders that read whole blocks ahead on threads, or in forkserver workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from zlake.errors import LoaderError
from zlake.loader.collate import TorchBatches
from zlake.loader.epoch import Reader
from zlake.loader.options import Collate, Options, Transform, check_columns, narrowed, whole
from zlake.loader.order import Order, batch_count, rank_batches
from zlake.session.opening import Portable
from zlake.session.session import Session
from zlake.session.view import View
from zlake.storage import fork


def dataloader(
    session: Session,
    view: View,
    transform: Transform = None,
    tensors: Sequence[str] | None = None,
    num_workers: int = 0,
    batch_size: int = 1,
    drop_last: bool = False,
    collate_fn: Collate = None,
    pin_memory: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    return_index: bool = True,
    decode_method: Mapping[str, str] | None = None,
    transform_kwargs: Mapping[str, Any] | None = None,
    num_threads: int | None = None,
    prefetch_factor: int = 2,
    persistent_workers: bool = False,
    distributed: bool = False,
    rank: int | None = None,
    world_size: int | None = None,
    progressbar: bool = False,
) -> ZlakeLoader:
    """Return a loader of batches over a view, on the snapshot that the dataset has now.

    What is not flushed yet is flushed first. The order of the rows depends on the snapshot, the view, ``seed`` and
    the epoch alone: not on threads, workers or ranks.

    Parameters
    ----------
    session, view
        What to load.
    transform
        A function of a row (a dictionary of arrays), or a function (None for none) for each tensor to take. It is
        called on several threads; give ``num_threads=1`` where it must not be.
    tensors
        Names of the tensors to load; all by default.
    num_workers
        Processes; 0, the default and mostly the fastest, reads and decodes on threads of this process. Worker
        processes are started by ``forkserver``, so a script that asks for them needs ``if __name__ == "__main__"``.
    batch_size
        Rows in a batch.
    drop_last
        Leave out a last batch that is not full.
    collate_fn
        Makes a batch of a list of rows. By default samples of one shape are stacked to a tensor, others stay a list.
    pin_memory
        Copy batches to page-locked memory, where there is an accelerator.
    shuffle
        Yield a full random permutation, another one each epoch, the same for the same seed.
    seed
        Seed of the shuffle, not negative.
    return_index
        Add the row numbers as ``index``, ``(batch,) int64``.
    decode_method
        For each tensor ``numpy``, ``tobytes`` or ``pil``.
    transform_kwargs
        Further arguments for ``transform``.
    num_threads
        Threads that decode and call ``transform``, in each process; by default one for each processor.
    prefetch_factor
        Blocks (of a batch at least) read ahead; with workers also the batches that each keeps ready.
    persistent_workers
        Keep worker processes between epochs.
    distributed
        Take rank and world size from ``torch.distributed``.
    rank, world_size
        Yield every ``world_size``-th batch, beginning with batch ``rank``, so that several processes share an epoch.
        Each rank yields as many batches as the others: where they do not divide evenly, the first ones are yielded
        once more at the end, or with ``drop_last`` the last ones left out.
    progressbar
        Show progress.

    Returns
    -------
    ZlakeLoader
        A `torch.utils.data.DataLoader` of `Batch` dictionaries, which unpack into their values.

    Raises
    ------
    EmptyTensorError
        If a tensor has no rows.
    TensorDoesNotExistError
        If a name is no tensor.
    LoaderError
        If an option makes no sense.
    MemoryDatasetCanNotBePickledError
        If workers are asked for and the dataset lies in this process's memory.

    Examples
    --------
    >>> import zlake
    >>> ds = zlake.empty("mem://loader-example", overwrite=True)
    >>> _ = ds.create_tensor("x", dtype="int32")
    >>> ds.extend({"x": [1, 2, 3]})
    >>> [batch["x"].tolist() for batch in ds.pytorch(batch_size=2)]
    [[1, 2], [3]]
    """
    whole("num_workers", num_workers, 0)
    view = narrowed(session, view, tensors, transform)
    check_columns(session, view, decode_method or {}, index=return_index)
    rank, ranks = _rank(distributed, rank, world_size)
    options = Options(
        batch_size=batch_size,
        drop_last=drop_last,
        shuffle=shuffle,
        seed=seed,
        rank=rank,
        ranks=ranks,
        return_index=return_index,
        decode_method=dict(decode_method or {}),
        transform=transform,
        transform_kwargs=dict(transform_kwargs or {}),
        collate_fn=collate_fn,
        threads=max(1, session.context.threads // max(num_workers, 1)) if num_threads is None else num_threads,
        ahead=prefetch_factor,
    )
    pinned = session.pinned()
    if num_workers:
        Portable.of(pinned)  # raises where the dataset cannot travel
        _prepare_forkserver()
    pin = pin_memory and torch.accelerator.is_available()
    stream = BatchStream(pinned, view, options, pin=pin and not num_workers)
    return ZlakeLoader(
        stream,
        num_workers=num_workers,
        persistent_workers=persistent_workers and num_workers > 0,
        pin_memory=pin,
        progressbar=progressbar,
    )


def _rank(distributed: bool, rank: int | None, world_size: int | None) -> tuple[int, int]:
    """Return which of how many ranks this process is."""
    if (rank is None) != (world_size is None):
        raise LoaderError(f"rank and world_size go together, not rank={rank!r} and world_size={world_size!r}")
    if not distributed:
        return (0, 1) if rank is None or world_size is None else (rank, world_size)
    if rank is not None:
        raise LoaderError("distributed=True takes rank and world_size from torch.distributed; leave them out")
    import torch.distributed as dist

    if not (dist.is_available() and dist.is_initialized()):
        raise LoaderError(
            "distributed=True needs torch.distributed.init_process_group() first; or give rank= and world_size="
        )
    return dist.get_rank(), dist.get_world_size()


def _prepare_forkserver() -> None:
    """Let the server that forks workers import what they need instead of the script.

    That is quick, and a script that opens a dataset at its top level would leave the server with threads of
    TensorStore, after which its children could not use it. What the user asked the server to import stays.
    """
    from multiprocessing import forkserver

    if getattr(forkserver._forkserver, "_preload_modules", None) == ["__main__"]:
        forkserver.set_forkserver_preload([__name__])


class BatchStream(IterableDataset[Any]):
    """The batches of a view; each iteration is an epoch. Pickles as a path, a snapshot id and rows.

    Parameters
    ----------
    session, view, options
        What to read, and what batches to make of it.
    pin
        Copy batches to page-locked memory.

    Attributes
    ----------
    epoch
        The epoch that the next iteration yields.
    """

    def __init__(self, session: Session, view: View, options: Options, *, pin: bool) -> None:
        self._session: Session | None = session
        self._portable: Portable | None = None
        self._view = View(None, view.names, view.group)
        self._rows: Order = view.selection(session).index
        self.options = options
        self.epoch = 0
        self._pin = pin
        self._started = 0
        self._shared = torch.zeros(2, dtype=torch.int64)
        """Epochs of the last two iterations of a parent process, seen by its workers."""

    def __len__(self) -> int:
        count = batch_count(len(self._rows), self.options.batch_size, self.options.drop_last)
        return len(rank_batches(count, self.options.rank, self.options.ranks, self.options.drop_last))

    def __getstate__(self) -> dict[str, Any]:
        portable = self._portable if self._session is None else Portable.of(self._session)
        return {**self.__dict__, "_session": None, "_portable": portable}

    def announce(self) -> None:
        """Tell workers which epoch the iteration that is about to start yields, and count it."""
        self._shared.share_memory_()  # type: ignore[no-untyped-call]
        self._shared[self._started % 2] = self.epoch

    def advance(self) -> int:
        """Return the epoch of an iteration that starts, and go on to the next."""
        self._started += 1
        self.epoch += 1
        return self.epoch - 1

    def __iter__(self) -> Iterator[Any]:
        fork.check()
        worker = get_worker_info()
        if worker is not None:
            # Workers that live on learn of a chosen epoch through shared memory; the parent cannot be two ahead.
            self.epoch = int(self._shared[self._started % 2])
        if self._session is None:
            assert self._portable is not None
            self._session = self._portable.open()
        reader = Reader(self._session, self._view, self.options, TorchBatches(self._pin))
        place = (0, 1) if worker is None else (worker.id, worker.num_workers)
        return reader.epoch(self._rows, self.advance(), *place)


class ZlakeLoader(DataLoader[Any]):
    """A `torch.utils.data.DataLoader` over a `BatchStream`; each iteration is the next epoch.

    Parameters
    ----------
    stream
        The batches.
    num_workers, persistent_workers, pin_memory
        As of `torch.utils.data.DataLoader`.
    progressbar
        Show progress.
    """

    def __init__(
        self, stream: BatchStream, *, num_workers: int, persistent_workers: bool, pin_memory: bool, progressbar: bool
    ) -> None:
        super().__init__(
            stream,
            batch_size=None,
            num_workers=num_workers,
            collate_fn=_identity,
            multiprocessing_context="forkserver" if num_workers else None,
            persistent_workers=persistent_workers,
            prefetch_factor=stream.options.ahead if num_workers else None,
            pin_memory=pin_memory,
        )
        self.stream = stream
        self.progressbar = progressbar

    def __iter__(self) -> Any:
        batches = self._batches()
        if not self.progressbar:
            return batches
        from tqdm.auto import tqdm

        return iter(tqdm(batches, total=len(self), unit="batch"))

    def _batches(self) -> Iterator[Any]:
        if self.num_workers == 0:
            # straight from the threads: DataLoader's own iterator costs more than reading a batch of small samples
            return iter(self.stream)
        self.stream.announce()
        batches = super().__iter__()
        self.stream.advance()
        return batches

    def __len__(self) -> int:
        return len(self.stream)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, and so the shuffle, that the next iteration yields."""
        whole("epoch", epoch, 0)
        self.stream.epoch = epoch


def _identity(batch: Any) -> Any:
    return batch
