"""The part of a dataset's face that looks after what is stored: checking it, and how much it is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from zlake.dataset import listing
from zlake.dataset.structure import Structure
from zlake.session import gc as collecting
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

    def gc(self, grace: timedelta | float | None = None, *, dry_run: bool = False) -> Any:
        """Delete stored objects that no branch, tag, lease or open session has needed for a grace period.

        Works in two steps: a call marks what it finds unreachable, and deletes what was marked at least a grace period
        before and still is. So call it now and then; each call may be cut short, and several may run at once. Times are
        those of the storage; the clocks of machines do not matter. A deleted branch can be restored for the grace
        period.

        Parameters
        ----------
        grace
            A `datetime.timedelta`, or seconds; 7 days by default. It must be longer than any write takes. With 0
            everything unreachable goes at once: only where nobody else uses the dataset.
        dry_run
            Change nothing, and say what would be deleted and marked.

        Returns
        -------
        GcReport
            What is in use, what was deleted, marked and kept, and why; print it.

        Raises
        ------
        CollectionRefusedError
            If something that is in use is damaged, so that it cannot be known what it needs. Nothing was deleted.
        ReadOnlyModeError
            If the dataset is open read-only.
        """
        self._whole("gc")
        return collecting.collect(self._session, grace, dry_run)
