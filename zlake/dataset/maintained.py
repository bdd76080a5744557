"""The part of a dataset's face that looks after what is stored: checking it, and how much it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from zlake.dataset import copying, listing
from zlake.dataset.structure import Structure
from zlake.session import gc as collecting
from zlake.session import optimize as optimizing
from zlake.session import verify as verifying
from zlake.session.optimize import OptimizeReport


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
        """Check every object that this dataset's refs reach, and every checksum of every sample.

        Parameters
        ----------
        deep
            False leaves out the samples, which takes much less time: then it is not even noticed if they are gone.
        progressbar
            Show progress.

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

    def optimize(
        self,
        tensors: str | Iterable[str] | None = None,
        *,
        message: str | None = None,
        num_workers: int = 0,
        progressbar: bool = False,
    ) -> OptimizeReport:
        """Bring samples that lie in many small pieces together, so that they are read with few requests.

        After many small appends, updates and deletions a tensor lies in many small runs. Where it pays they are
        written anew, into segments of many megabytes; runs that are long already stay where they are, and a second call
        finds nothing to do. Segments of which less than half is still in use are written anew too.

        No sample changes, and each keeps its id. It is recorded as a commit whose diff is empty; what is staged stays
        staged, on top of it. Others may write meanwhile: nothing of theirs is lost, and what they have updated or
        deleted stays so. Older versions keep the old segments, until `gc` finds that no version needs them.

        Parameters
        ----------
        tensors
            Names of tensors or groups; all tensors by default, hidden ones too.
        message
            Of the commit.
        num_workers
            Threads that write segments while others are read: each takes as much memory as a flush. With 0 one
            segment is written after the other.
        progressbar
            Show progress, if it takes more than a second.

        Returns
        -------
        OptimizeReport
            How many segments and extents there were and are, bytes written and the commit; false if there was nothing
            to do. Print it.

        Raises
        ------
        TensorDoesNotExistError
            If there is no tensor or group of a name.
        ReadOnlyModeError
            If the dataset is open read-only.
        InvalidOperationError
            If a past version is open, this is a view, or ``num_workers`` is negative.
        CommitStateUnknownError
            If the storage stopped answering at the last step; the call can be made again.
        """
        self._whole("optimize")
        names = listing.chosen(self._session, self._group, tensors)
        return optimizing.optimize(self._session, names, False, message, num_workers, "threaded", progressbar)

    def rechunk(
        self,
        tensors: str | Iterable[str] | None = None,
        num_workers: int = 0,
        scheduler: str = "threaded",
        progressbar: bool = True,
    ) -> OptimizeReport:
        """Write all samples of tensors anew, in row order and with the tensors' present settings.

        As `optimize`, but whether it pays or not.

        Parameters
        ----------
        tensors, num_workers, progressbar
            As for `optimize`.
        scheduler
            ``"threaded"``, or another one that Deep Lake knows; the work is done by threads in any case.

        Returns
        -------
        OptimizeReport
            As of `optimize`, which says too what is raised.
        """
        self._whole("rechunk")
        names = listing.chosen(self._session, self._group, tensors)
        return optimizing.optimize(self._session, names, True, None, num_workers, scheduler, progressbar)

    def copy(self, dest: Any, tensors: Iterable[str] | None = None, overwrite: bool = False, **options: Any) -> Any:
        """Copy this version, or this view of it, to a dataset of its own, without history. See `zlake.copy`."""
        return copying.copy(self, dest, tensors, overwrite, **copying.renamed(options))  # type: ignore[arg-type]

    def deepcopy(self, dest: Any, overwrite: bool = False, **options: Any) -> Any:
        """Copy the whole dataset: branches, what is staged on them, tags, views, history. See `zlake.deepcopy`."""
        return copying.deepcopy(self, dest, None, overwrite, **copying.renamed(options))  # type: ignore[arg-type]

    def push(self, dest: Any, branch: str | None = None, force: bool = False, **options: Any) -> Any:
        """Send the commits of a branch to another clone of this dataset, or make a new clone with it.

        Only what the other clone lacks travels, then its branch is swapped to the newest commit of ours. What is not
        committed stays here. A call that was cut short is gone on with by the next one.

        Parameters
        ----------
        dest
            An open dataset or a path: a clone (what `deepcopy` or a push made), or nothing yet.
        branch
            The branch; by default the one that is open.
        force
            Overwrite the other clone's branch, although it has commits that ours lacks, or staged changes.
        into : str, optional
            Name of the branch in the other clone, where it is another one.
        tags : bool
            Send the tags of these commits, and of those before them, too.
        creds
            As in `zlake.empty`.
        num_workers, progressbar, hard_links, single_writer
            As in `zlake.copy`.

        Returns
        -------
        Exchanged
            What the branch named before and names now, and how much travelled.

        Raises
        ------
        DivergedError
            If the other clone's branch has commits that ours lacks; nothing was changed there.
        StagedChangesError
            If it has staged changes.
        UnrelatedDatasetsError
            If it is a dataset, but no clone of this one.
        """
        self._whole("push")
        return copying.push(self, dest, branch, force, **options)  # type: ignore[arg-type]

    def pull(self, src: Any, branch: str | None = None, force: bool = False, **options: Any) -> Any:
        """Fetch the commits of a branch from another clone of this dataset.

        Only what is missing here travels, then our branch is swapped to the newest commit of theirs. If it is the
        branch that is open this dataset goes on from there, and what is staged or buffered here stays on top of it.

        Parameters
        ----------
        src
            An open dataset or a path: a clone.
        branch
            The branch; by default the one that is open.
        force
            Overwrite our branch, although it has commits that theirs lacks; what is staged on it is dropped.
        into : str, optional
            Name of our branch, where it is another one: ``ds.pull(other, "main", into="theirs")``, then
            ``ds.merge("theirs")``.
        tags : bool
            Fetch the tags of these commits, and of those before them, too.
        creds
            As in `zlake.empty`.
        num_workers, progressbar, hard_links
            As in `zlake.copy`.

        Returns
        -------
        Exchanged
            What the branch named before and names now, and how much travelled.

        Raises
        ------
        DivergedError
            If our branch has commits that theirs lacks; nothing was changed.
        ConflictError
            If what is staged here changes the same rows as their commits; nothing was changed.
        UnrelatedDatasetsError
            If it is a dataset, but no clone of this one.
        """
        self._whole("pull")
        return copying.pull(self, src, branch, force, **options)  # type: ignore[arg-type]
