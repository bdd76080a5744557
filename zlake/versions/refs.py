"""Branches and tags: reading them, and replacing a branch by compare-and-swap."""

from __future__ import annotations

import difflib
from typing import Final

from zlake import limits
from zlake.context import Context
from zlake.errors import RefNotFoundError
from zlake.format import decode, encode, paths
from zlake.format.documents import Ref, Tag
from zlake.format.names import is_id, ref_problem
from zlake.storage.store import Lost, Store, Written

_ID_LENGTH: Final = 26


def next_ref(ref: Ref, commit: str | None, staged: str | None, context: Context) -> Ref:
    """Return the branch document that follows ``ref``."""
    return Ref(
        commit=commit,
        staged=staged,
        sequence=ref.sequence + 1,
        write_id=context.new_id(),
        previous=(ref.write_id, *ref.previous)[: limits.REF_WRITES],
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
    return decode(Ref, data, where=f"{store.url.rstrip('/')}/{paths.branch_key(name)}")


def create_branch(store: Store, name: str, ref: Ref) -> bool:
    """Atomic: create the branch if there is none; say whether it is ours."""
    return isinstance(store.create(paths.branch_key(name), encode(ref)), Written)


def swap_branch(store: Store, name: str, ref: Ref, generation: bytes) -> Written | Lost:
    """Atomic: replace the branch if it still has this generation.

    Raises
    ------
    WriteStateUnknownError
        If no answer came and the branch cannot be read.
    """
    return store.swap(paths.branch_key(name), encode(ref), generation)


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


def find_tag(store: Store, name: str) -> Tag | None:
    """Return a tag, or None if there is none or it was deleted."""
    data = store.read(paths.tag_key(name))
    if data is None:
        return None
    tag = decode(Tag, data, where=f"{store.url.rstrip('/')}/{paths.tag_key(name)}")
    return None if tag.deleted else tag


def branch_names(store: Store) -> list[str]:
    """Return the names of all branches, sorted."""
    return _names(store, paths.BRANCHES)


def tag_names(store: Store) -> list[str]:
    """Return the names of all tags, deleted ones too, sorted."""
    return _names(store, paths.TAGS)


def _names(store: Store, prefix: str) -> list[str]:
    names = (key[len(prefix) : -len(".json")] for key in store.list(prefix) if key.endswith(".json"))
    return sorted(name for name in names if not ref_problem(name))


def not_found(store: Store, name: str, kind: str) -> RefNotFoundError:
    """Return the error for a name that stands for nothing, with near matches where the storage can list."""
    known = [*branch_names(store), *tag_names(store)] if store.capabilities.listable else []
    near = difflib.get_close_matches(name, known, 3)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; there are {known[:20]}" if known else ""
    if is_id(name.lower().ljust(_ID_LENGTH, "a")) and kind != "branch":
        hint += "; a commit is named by all 26 small letters and digits of its id"
    return RefNotFoundError(f"{store.url} has no {kind} {name!r:.300}{hint}")
