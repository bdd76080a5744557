"""Whether what receipts name is there."""

from __future__ import annotations

from collections.abc import Mapping

from zlake import limits
from zlake.errors import CorruptObjectError, ReceiptError
from zlake.format import check_seal
from zlake.format.paths import segment_prefix
from zlake.storage.store import Request, Store


def check_segments(store: Store, wanted: Mapping[str, str]) -> None:
    """Look whether segments are there: one small read each, many at once.

    The document that is read is written when everything else of its segment is durable, and is the first that a
    collector deletes.

    Parameters
    ----------
    store
        Where the dataset lies.
    wanted
        What to call the receipt that names it, by segment id.

    Raises
    ------
    ReceiptError
        If one is missing or damaged.
    """
    names = list(wanted.items())
    for start in range(0, len(names), limits.READS_IN_FLIGHT):
        batch = names[start : start + limits.READS_IN_FLIGHT]
        keys = [f"{segment_prefix(segment)}zarr.json" for segment, _ in batch]
        found = store.read_many([Request(key) for key in keys])
        for key, data, (segment, name) in zip(keys, found, batch, strict=True):
            if data is None:
                raise ReceiptError(
                    f"{name}: {store.url} has no object {key!r}, so its rows were deleted; nothing was committed: "
                    "write them again, or leave this receipt out"
                )
            try:
                check_seal(data, key)
            except CorruptObjectError as error:
                raise ReceiptError(f"{name}: {error}; nothing was committed: write its rows again") from error
            if f'"zlake":{{"segment":"{segment}"}}'.encode() not in data:
                raise ReceiptError(f"{name}: {key!r} is that of another segment; nothing was committed")
