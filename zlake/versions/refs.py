"""Branches and tags: reading them, and replacing a branch by compare-and-swap."""

from __future__ import annotations

import difflib

from msgspec.structs import replace

from zlake import limits
from zlake.context import Context
from zlake.errors import (
    BranchDeletedError,
    CommitStateUnknownError,
    CorruptObjectError,
    FormatError,
    RefNotFoundError,
    StorageError,
    WriteStateUnknownError,
)
from zlake.format import decode, encode, paths
from zlake.format.documents import Ref, Tag
from zlake.format.names import ref_problem
from zlake.storage.store import Store, Versioned, Written


def next_ref(
    ref: Ref,
    commit: str | None,
    staged: str | None,
    context: Context,
    *,
    deleted: bool = False,
    dropped: bool = False,
    restarted: bool = False,
) -> Ref:
    """Return the branch document that follows ``ref``.

    Parameters
    ----------
    ref
        What the branch says now.
    commit, staged
        What it is to name.
    context
        Source of ids.
    deleted
        It is to be a tombstone.
    dropped
        What was staged is dropped: writers who knew it are told.
    restarted
        It is put elsewhere in history: writers who knew it before must not go on.
    """
    sequence = ref.sequence + 1
    return Ref(
        commit=commit,
        staged=staged,
        sequence=sequence,
        write_id=context.new_id(),
        previous=(ref.write_id, *ref.previous)[: limits.REF_WRITES],
        deleted=deleted,
        dropped=sequence if dropped else ref.dropped,
        restarted=sequence if restarted else ref.restarted,
    )


def first_ref(context: Context) -> Ref:
    """Return the document of a branch that names nothing yet."""
    return Ref(commit=None, staged=None, sequence=0, write_id=context.new_id())


def parse_branch(store: Store, name: str, data: bytes) -> Ref:
    """Return the branch in an object's bytes.

    Raises
    ------
    CorruptObjectError
        If they are damaged.
    """
    where = f"{store.url.rstrip('/')}/{paths.branch_key(name)}"
    ref = decode(Ref, data, where=where)
    if ref.name != name:
        raise CorruptObjectError(f"{where} holds the branch {ref.name!r}")
    return ref


def create_branch(store: Store, name: str, ref: Ref) -> bool:
    """Atomic: create the branch if there is none; say whether it is ours."""
    return isinstance(store.create(paths.branch_key(name), _encoded(name, ref)), Written)


def _encoded(name: str, ref: Ref) -> bytes:
    return encode(ref if ref.name == name else replace(ref, name=name))


def swap_branch(store: Store, name: str, ref: Ref, generation: bytes) -> Written | Versioned:
    """Atomic: replace the branch if it still has this generation, and find out how that ended where no answer says it.

    Returns
    -------
    Written or Versioned
        Where it landed, the generation to go on from: the old one if others have built upon ours already, which makes
        our next write find that out. Where it was lost, the branch document that is there instead; also where the
        storage says so, and so much has happened since that the branch no longer tells.

    Raises
    ------
    CommitStateUnknownError
        If no answer came and the branch cannot be read, or so much has happened since that it no longer tells.
    """
    doubt = None
    try:
        outcome = store.swap(paths.branch_key(name), _encoded(name, ref), generation)
        if isinstance(outcome, Written):
            return outcome
    except WriteStateUnknownError as error:
        doubt = error
    # Lost, or told so by a driver that met its own object when it tried again, or told nothing: the branch says it.
    try:
        found = store.read_versioned(paths.branch_key(name))
        now = None if found.value is None else parse_branch(store, name, found.value)
    except (StorageError, FormatError) as error:
        raise unknown(store, name, ref) from doubt or error
    won = now is not None and landed(ref.write_id, ref.sequence, now)
    if won is None and doubt is not None:
        raise unknown(store, name, ref) from doubt
    if not won:
        return found
    return Written(found.generation if now is not None and now.write_id == ref.write_id else generation)


def unknown(store: Store, branch: str, ref: Ref) -> CommitStateUnknownError:
    """Return the error that says what to look for."""
    named = ref.staged or ref.commit or ""
    what = "its deletion" if ref.deleted else named or "its beginning"
    return CommitStateUnknownError(
        f"{store.url}: it is not known whether branch {branch!r} was brought to {what}: the storage "
        "gave no answer, and the change may still come. Call refresh(), which settles it, and see whether the change "
        "is there before you repeat it",
        named,
        ref.write_id,
        ref.sequence,
        branch,
    )


def landed(write_id: str, sequence: int, now: Ref) -> bool | None:
    """Say whether our swap of a branch landed, judged by what the branch says now.

    Others may have built upon it since. None if so many swaps have passed that it cannot be known.

    Parameters
    ----------
    write_id, sequence
        Of the branch document that we sent.
    now
        The branch document that is there.
    """
    if write_id == now.write_id:
        return True
    behind = now.sequence - sequence
    if behind <= 0:
        return False
    if behind > len(now.previous):
        return None
    return now.previous[behind - 1] == write_id


def parse_tag(store: Store, name: str, data: bytes) -> Tag:
    """Return the tag in an object's bytes; raises `CorruptObjectError` if they are damaged."""
    where = f"{store.url.rstrip('/')}/{paths.tag_key(name)}"
    tag = decode(Tag, data, where=where)
    if tag.name != name:
        raise CorruptObjectError(f"{where} holds the tag {tag.name!r}")
    return tag


def find_tag(store: Store, name: str) -> Tag | None:
    """Return a tag, also the tombstone of one, or None if there never was one."""
    data = store.read(paths.tag_key(name))
    return None if data is None else parse_tag(store, name, data)


def branch_names(store: Store) -> list[str]:
    """Return the names of all branches, deleted ones too, sorted."""
    return _names(store, paths.BRANCHES)


def tag_names(store: Store) -> list[str]:
    """Return the names of all tags, deleted ones too, sorted."""
    return _names(store, paths.TAGS)


def _names(store: Store, prefix: str) -> list[str]:
    names = (paths.name_of(key, prefix) for key in store.list(prefix) if key.endswith(".json"))
    return sorted(name for name in names if not ref_problem(name))


def not_found(store: Store, name: str, kind: str) -> RefNotFoundError:
    """Return the error for a name that stands for nothing, with near matches where the storage can list.

    Of the names of one kind if ``kind`` is ``"branch"`` or ``"tag"``, else of both.
    """
    names = {"branch": branch_names(store), "tag": tag_names(store)} if store.capabilities.listable else {}
    known = names.get(kind, [each for some in names.values() for each in some])
    near = difflib.get_close_matches(name, known, 3)
    others = [each for each in names if each != kind and name in names[each]]
    if others:
        hint = f"; it is the name of a {others[0]}"
    elif near:
        hint = f"; did you mean {' or '.join(map(repr, near))}?"
    else:
        hint = f"; there are {known[:20]}" if known else ""
    return RefNotFoundError(f"{store.url} has no {kind} {name!r:.300}{hint}")


def branch_deleted(store: Store, name: str, ref: Ref) -> BranchDeletedError:
    """Return the error for a branch that is a tombstone."""
    held = f"; it named commit {ref.commit}" if ref.commit else ""
    return BranchDeletedError(
        f"{store.url}: branch {name!r} was deleted{held}; restore_branch({name!r}) brings it back as it was"
    )
