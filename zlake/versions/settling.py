"""Finding out how a swap ended that nobody answered, and making sure that it stays so."""

from __future__ import annotations

from zlake.context import Context
from zlake.errors import CommitError, CommitStateUnknownError, StorageUnavailableError
from zlake.storage.store import Written
from zlake.versions import refs
from zlake.versions.head import Head
from zlake.versions.objects import Objects
from zlake.versions.read_head import read_head

_ATTEMPTS = 16
"""Swaps of a branch, which nobody else changes, that may be lost in a row."""


def settle(objects: Objects, context: Context, branch: str, error: CommitStateUnknownError) -> Head | None:
    """Find out how a swap of a branch ended, which may still be on its way: two reads, and perhaps a write.

    If the branch is as the swap expects it, it might land at any later time, and whoever has looked and repeated the
    change would have it twice. So the branch is swapped to what it is, as another document: then it is too late.

    Parameters
    ----------
    objects, context
        The dataset's objects; source of ids.
    branch
        Its name.
    error
        What was said of the swap.

    Returns
    -------
    Head or None
        The branch as it is now, with what was written, and perhaps with what others wrote upon it, or deleted since;
        None if the swap did not land, and never will.

    Raises
    ------
    CommitStateUnknownError
        The same one, if so much has happened since that it can no longer be known.
    StorageError
        If the storage does not answer: it is as unknown as before.
    """
    store = objects.store
    for _ in range(_ATTEMPTS):
        head = read_head(objects, branch, deleted_ok=True)
        landed = refs.landed(error.write_id, error.sequence, head.ref)
        if landed is None:
            raise error
        if landed:
            return head
        if head.ref.sequence != error.sequence - 1:
            return None  # others have swapped it since, or what was sent makes a branch, which can be made only once
        same = refs.next_ref(head.ref, head.ref.commit, head.ref.staged, context, deleted=head.ref.deleted)
        try:
            if isinstance(refs.swap_branch(store, branch, same, head.generation), Written):
                return None
        except CommitError as doubt:
            raise StorageUnavailableError(
                f"{store.url}: it is still not known whether branch {branch!r} was brought to "
                f"{error.commit_id or 'its beginning'}: the storage gives no answer; try again"
            ) from doubt
    raise StorageUnavailableError(f"{store.url}: branch {branch!r} could not be swapped {_ATTEMPTS} times; try again")
