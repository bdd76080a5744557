"""What a peer may be asked to do.

An adapter has the methods of `Peer` that its library can do, and no others: what is missing is reported as "cannot".
Methods that read return a callable, so that opening lies outside the timing and each call of the callable is one pass.
Every batch that a peer hands out must own its memory, as a training loop needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np

Batches: TypeAlias = Callable[[], Iterable[Any]]
Gather: TypeAlias = Callable[[np.ndarray], Any]
Single: TypeAlias = Callable[[int], Any]


@dataclass(frozen=True)
class Options:
    """How a workload wants its data stored.

    Attributes
    ----------
    codec
        None for raw values, or "zstd".
    s3
        Where an S3 server listens on this machine (endpoint, bucket and keys), or empty for local disk.
    durable
        Whether writes wait for the device, where a library lets its user choose.
    """

    codec: str | None = None
    s3: dict[str, str] = field(default_factory=dict)
    durable: bool = True


class Numbers(Protocol):
    """A committed column of numbers, open to be changed; a library that cannot do one of these has no such method."""

    def update(self, rows: np.ndarray, values: np.ndarray) -> None: ...
    def remove(self, rows: np.ndarray) -> None: ...
    def read(self) -> np.ndarray: ...


class Peer(Protocol):
    """The union of what adapters do; a path is a folder, or a key prefix when `Options.s3` is given."""

    def version(self) -> str: ...

    # (n, 32, 32, 3) uint8 images with int64 labels
    def write_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None: ...
    def append_fixed(self, path: str, images: np.ndarray, labels: np.ndarray) -> None: ...
    def epoch_fixed(self, path: str, batch: int) -> Batches: ...
    def shuffled_fixed(self, path: str, batch: int) -> Batches: ...
    def gather_fixed(self, path: str) -> Gather: ...
    def single_fixed(self, path: str) -> Single: ...
    # the same rows, each appended on its own and durable on its own
    def write_single_rows(self, path: str, images: np.ndarray, labels: np.ndarray) -> None: ...
    # append and commit the rows given; images alone where not labelled
    def committer(self, path: str, labelled: bool = True) -> Callable[[np.ndarray, np.ndarray], None]: ...
    # a column of int64 numbers, committed, whose rows are then changed or removed, each time in one call and commit
    def numbers(self, path: str, values: np.ndarray) -> Numbers: ...

    # float32 rows of any length
    def write_ragged(self, path: str, rows: list[np.ndarray]) -> None: ...
    def epoch_ragged(self, path: str, batch: int) -> Batches: ...
    def gather_ragged(self, path: str) -> Gather: ...
    def single_ragged(self, path: str) -> Single: ...

    # JPEG files
    def write_jpeg(self, path: str, files: Sequence[bytes]) -> None: ...
    def epoch_jpeg(self, path: str, batch: int) -> Batches: ...
    def shuffled_jpeg(self, path: str, batch: int) -> Batches: ...
    def single_jpeg(self, path: str) -> Single: ...


def decode(data: bytes) -> np.ndarray:
    """Decode one JPEG to (height, width, 3) uint8, the same way for every peer that leaves decoding to its user."""
    import simplejpeg

    return simplejpeg.decode_jpeg(data)


_POOL = ThreadPoolExecutor(2)


def decode_many(files: Iterable[bytes]) -> list[np.ndarray]:
    """Decode a batch with two threads: what a careful user of a peer without a decoder of its own would write."""
    return list(_POOL.map(decode, files))
