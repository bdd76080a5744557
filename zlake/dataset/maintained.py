"""The part of a dataset's face that looks after what is stored: checking it, and how much it is."""

from __future__ import annotations

from typing import Any

from zlake.dataset import listing
from zlake.dataset.structure import Structure
from zlake.session import verify as verifying


class Maintained(Structure):
    """What a dataset can do with its stored bytes."""

    __slots__ = ()

    def size_approx(self) -> int:
        """Return the stored bytes of this version's samples: of every object of the segments that its tensors lie in.

        A segment counts once, and whole even where only some of its rows are left. Not counted are the documents of
        versions and segments, a few kilobytes each. Rows that are not flushed count as they are in memory.
        """
        return listing.stored_bytes(self._columns())

    def verify(self, deep: bool = True, progressbar: bool = False) -> Any:
        """Check every object that this dataset's refs reach, with ``deep`` every checksum of every sample.

        Returns
        -------
        Report
            What was checked and what is damaged; true if nothing is.
        """
        return verifying.verify(self._session, deep, progressbar)
