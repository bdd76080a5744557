"""The part of a dataset's face that deals with its versions: commits, branches, tags, diff and merge."""

from __future__ import annotations

from typing import Any, Literal, overload

from zlake.dataset import show
from zlake.dataset.structure import Structure
from zlake.session import checkout, commit, diff, named
from zlake.session import merge as merging
from zlake.session.diff import Diff


class Versioned(Structure):
    """What a dataset can do with its versions."""

    __slots__ = ()

    def commit(self, message: str | None = None, allow_empty: bool = False, author: str | None = None) -> str:
        """Record the branch's staged state, with everything written so far, as a commit; return its id.

        What other writers have staged on the branch is recorded too.

        Parameters
        ----------
        message
            What `log` shows.
        allow_empty
            Commit although nothing has changed.
        author
            Who commits: by default the environment's ``ZLAKE_AUTHOR``, else git's author (``GIT_AUTHOR_NAME`` and
            ``GIT_AUTHOR_EMAIL``, or its configuration), else the user's name.

        Raises
        ------
        EmptyCommitError
            If nothing changed since the last commit and ``allow_empty`` is false.
        ConflictError
            If another writer changed the same rows; nothing is lost.
        CommitStateUnknownError
            If the storage stopped answering at the last step.
        """
        self._whole("commit")
        return commit.commit(self._session, message or "", author, allow_empty)

    def checkout(self, address: str, create: bool = False, reset: bool = False) -> str | None:
        """Go to another branch, tag or commit, and return the id of its newest commit (None before the first).

        What is staged on the branch that is left stays there, also for other processes; what is not flushed yet is
        flushed to it first, in a ``with`` block too. Of a tag or commit nothing can change: the first change there
        makes a branch ``auto_<id>`` by itself.

        Parameters
        ----------
        address
            Branch, tag, commit id, or the beginning of one (four characters or more).
        create
            Make a branch of this name here and go on on it. What is staged and not flushed is committed first. If the
            branch that is left was deleted or reset by others meanwhile, or they changed the same things, the new one
            takes on what this session knows of it, and what is buffered.
        reset
            Drop what is staged on the branch, if it is damaged and could not be opened otherwise.

        Raises
        ------
        RefNotFoundError
            If nothing has this name (near matches are named); its subclass `BranchDeletedError`, if it was deleted.
        AmbiguousRefError
            If several commits begin so.
        RefExistsError
            With ``create``: if there is a branch or tag of this name; nothing was changed.
        CheckoutError
            Base of these three.
        InvalidRefNameError
            If nothing can have this name.
        """
        self._whole("checkout")
        return checkout.checkout(self._session, address, create, reset)

    def reset(self, force: bool = False) -> None:
        """Drop what is staged on the branch, so that it is at its newest commit, and what is not flushed.

        The staged state belongs to the branch: what other writers have staged on it is dropped too, and they are told
        with a `StaleSessionError` when they write again. Commits are never dropped.

        Parameters
        ----------
        force
            Drop also what others have staged since this dataset was opened or refreshed; nothing staged is no error.

        Raises
        ------
        NothingToResetError
            If nothing is staged and nothing buffered.
        StaleSessionError
            If others have staged more, or committed it, since this dataset was opened or refreshed.
        """
        self._whole("reset")
        checkout.reset(self._session, force)

    @property
    def commit_id(self) -> str | None:
        """Id of the commit that this version is, or is based on; None before the first."""
        return commit.commit_id(self._session)

    @property
    def branch(self) -> str | None:
        """The branch that is open, or None at a past commit."""
        return self._session.head.branch

    @property
    def branches(self) -> list[str]:
        """Names of all branches, sorted."""
        return named.branches(self._session)

    def delete_branch(self, name: str) -> None:
        """Delete a branch, merged or not; `restore_branch` brings it back until what only it named is collected.

        Raises
        ------
        VersionControlError
            If it is ``main``, or open here.
        RefNotFoundError
            If there is no such branch.
        """
        self._whole("delete_branch")
        named.delete_branch(self._session, name)

    def restore_branch(self, name: str) -> None:
        """Bring a deleted branch back as it was, with what was staged on it.

        Raises
        ------
        RefNotFoundError
            If there never was such a branch, or what it named was collected.
        RefExistsError
            If it is not deleted, or a tag has its name now.
        """
        self._whole("restore_branch")
        named.restore_branch(self._session, name)

    def tag(self, name: str, commit: str | None = None) -> str:
        """Give a commit a name that never moves; return the commit's id.

        Parameters
        ----------
        name
            Of the tag: no branch, and no tag, deleted ones included, has it.
        commit
            Commit id, tag or branch; by default this version's newest commit. What is staged is no part of it.

        Raises
        ------
        RefExistsError
            If the name is taken; nothing was changed.
        VersionControlError
            If there is no commit yet.
        """
        self._whole("tag")
        return named.tag(self._session, name, commit)

    @property
    def tags(self) -> dict[str, str]:
        """Commit ids of all tags by name, sorted."""
        return self._session.repository.tags()

    def delete_tag(self, name: str) -> None:
        """Delete a tag; the commit stays. The name is not used again.

        Raises
        ------
        RefNotFoundError
            If there is no such tag.
        """
        self._whole("delete_tag")
        named.delete_tag(self._session, name)

    @property
    def pending_commit_id(self) -> str | None:
        """Id of the staged state that the next commit would record, None if nothing is staged.

        The commit itself gets an id of its own when it is made: what it records may grow until then, by other writers
        too.
        """
        return named.pending_commit_id(self._session)

    @property
    def is_head_node(self) -> bool:
        """Whether this is the newest state of a branch, and not a tag or past commit."""
        return self._session.head.branch is not None

    def get_commit_details(self, commit_id: str) -> dict[str, Any]:
        """Return a commit as in `commits`, and its ``parents``; a branch or tag stands for its newest commit.

        Raises
        ------
        RefNotFoundError
            If there is no such commit.
        """
        return named.details(self._session, commit_id)

    @property
    def has_head_changes(self) -> bool:
        """Whether anything was written since the last commit."""
        return commit.has_changes(self._session)

    @property
    def commits(self) -> list[dict[str, Any]]:
        """The commits of this version, newest first: ``commit``, ``author``, ``time`` (UTC), ``message``."""
        return commit.commits(self._session)

    def log(self, graph: bool = False, everything: bool = False) -> None:
        """Print the commits of this version, newest first.

        Parameters
        ----------
        graph
            Print one commit a line, those that were merged too, with the lines between them and the names of branches
            and tags.
        everything
            In the graph, start from all branches and tags.
        """
        show.log(self._session, graph, everything)

    @overload
    def diff(self, id_1: str | None = ..., id_2: str | None = ..., as_dict: Literal[False] = ...) -> Diff: ...

    @overload
    def diff(self, id_1: str | None = ..., id_2: str | None = ..., *, as_dict: Literal[True]) -> dict[str, Any]: ...

    def diff(self, id_1: str | None = None, id_2: str | None = None, as_dict: bool = False) -> Diff | dict[str, Any]:
        """Compare versions. What they share is never looked at, however large it is.

        Parameters
        ----------
        id_1
            Branch, tag or commit to compare with the present state, or with ``id_2`` if that is given. By default what
            a branch has that is not committed; at a commit what it changed, against the one before.
        id_2
            The version to compare ``id_1`` with.
        as_dict
            Return what each commit changed, in Deep Lake's shape: ``{"dataset": [...], "tensors": [...]}``, newest
            first. With ids each is a pair of lists, down to the commit that both versions follow: of the present state
            and of ``id_1``, or of ``id_1`` and of ``id_2``.

        Returns
        -------
        Diff or dict
            Printed too, where it is no dictionary. ``diff.rows(tensor)`` yields the samples that differ, one by one.

        Raises
        ------
        RefNotFoundError
            If nothing has this name; near matches are suggested.
        DiffError
            If ``id_2`` is given alone.
        """
        self._whole("diff")
        return diff.show(self._session, id_1, id_2, as_dict)

    def merge(
        self,
        target_id: str,
        conflict_resolution: merging.Resolution = None,
        delete_removed_tensors: bool = False,
        force: bool = False,
        message: str | None = None,
        author: str | None = None,
    ) -> str | None:
        """Merge another branch, tag or commit into this branch, sample by sample; no sample is copied.

        Samples that the target added come behind those that are here, and those that it changed or deleted are changed
        or deleted here. What is staged here becomes part of the merge commit; what is staged on the target is
        committed there first. A branch that has nothing of its own moves to the target's commit.

        Parameters
        ----------
        target_id
            Branch, tag or commit to merge.
        conflict_resolution
            Who wins where both sides changed the same thing: ``"ours"``, ``"theirs"``, or a function that is given each
            `MergeConflict` (with ``tensor``, ``sample_id``, ``kind``, and the samples as ``base``, ``ours`` and
            ``theirs``) and returns one of these, or None to leave it. By default nobody: that is an error.
        delete_removed_tensors
            Delete the tensors that the target deleted.
        force
            Take a tensor that the target renamed, and that is gone or has another new name here, as a new tensor; join
            tensors that have one new name on both sides; merge histories that have nothing in common.
        message, author
            Of the merge commit.

        Returns
        -------
        str or None
            Id of the commit that this branch is at; None if there was nothing to merge, which is printed.

        Raises
        ------
        MergeConflictError
            If both sides changed the same things; its ``conflicts`` lists them. Nothing was changed.
        MergeMismatchError
            If samples of one tensor have another dtype, rank, htype or compression on each side.
        MergeNotSupportedError
            If the histories have nothing in common, unless ``force``.
        RefNotFoundError
            If there is no such version.
        """
        self._whole("merge")
        return merging.merge(
            self._session, target_id, conflict_resolution, delete_removed_tensors, force, message, author
        )

    def cherry_pick(self, commit: str, conflict_resolution: merging.Resolution = None) -> str | None:
        """Make what one commit changed again on this branch, as a commit of its author and message.

        What is staged here stays staged. A merge commit counts as what it changed against its first parent.

        Parameters
        ----------
        commit
            Commit id, tag or branch.
        conflict_resolution
            As of `merge`: ``"ours"`` keeps what the branch has, ``"theirs"`` takes what the commit made.

        Returns
        -------
        str or None
            Id of the new commit; None if all of it is here already, which is printed.

        Raises
        ------
        MergeConflictError, MergeMismatchError
            As of `merge`; nothing was changed.
        RefNotFoundError
            If there is no such commit.
        """
        self._whole("cherry_pick")
        return merging.cherry_pick(self._session, commit, conflict_resolution)

    def revert(self, commit: str, conflict_resolution: merging.Resolution = None) -> str | None:
        """Undo what one commit changed, with a new commit; history stays as it is.

        Samples that it deleted come back at the end; if nothing was committed since, at their place. What is staged
        here stays staged. A merge commit counts as what it changed against its first parent.

        Parameters
        ----------
        commit
            Commit id, tag or branch.
        conflict_resolution
            As of `merge`: ``"ours"`` keeps what the branch has, ``"theirs"`` takes what was before the commit.

        Returns
        -------
        str or None
            Id of the new commit; None if nothing of it is left, which is printed.

        Raises
        ------
        MergeConflictError, MergeMismatchError
            If what it changed was changed again since; nothing was changed.
        RefNotFoundError
            If there is no such commit.
        """
        self._whole("revert")
        return merging.revert(self._session, commit, conflict_resolution)

    def rebase(self, onto: str, conflict_resolution: merging.Resolution = None) -> str | None:
        """Make the commits of this branch that ``onto`` does not contain again on top of it, one by one.

        They keep author and message, and get new ids; the branch is moved once, at the end. What is staged here stays
        staged, on top.

        Parameters
        ----------
        onto
            Branch, tag or commit.
        conflict_resolution
            As of `merge`, and as in git the sides are those of each commit that is made again: ``"ours"`` keeps what
            ``onto`` has, ``"theirs"`` takes what this branch's commit made.

        Returns
        -------
        str or None
            Id of the branch's newest commit; None if it was on top of ``onto`` already, which is printed.

        Raises
        ------
        MergeConflictError, MergeMismatchError
            If both sides changed the same things, naming the commit; nothing was changed.
        MergeNotSupportedError
            If the histories have nothing in common.
        RefNotFoundError
            If there is no such version.
        """
        self._whole("rebase")
        return merging.rebase(self._session, onto, conflict_resolution)
