"""The diff manifest: what a snapshot changed against its first parent, kept up flush by flush."""

from __future__ import annotations

from dataclasses import dataclass

from zlake import limits
from zlake.format.documents import Diff, IdRuns, Snapshot, TensorDiff, TensorState
from zlake.versions import idruns
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.draft import Draft
from zlake.versions.objects import Objects

_INLINE_RUNS_IN_ALL = 4096


@dataclass(slots=True)
class _Rows:
    """Changed ids of one tensor against the parent commit, being added up."""

    appended: idruns.Runs
    updated: idruns.Runs
    removed: idruns.Runs

    def add(self, rows: RowChanges) -> None:
        if rows.cleared:
            self.appended = self.updated = self.removed = idruns.EMPTY
        if len(rows.updated_ids):
            # a row that is new in this commit stays new, whatever happens to it before the commit
            updated = idruns.subtract(idruns.from_ids(rows.updated_ids), self.appended)
            self.updated = idruns.union(self.updated, updated)
        if len(rows.deleted_ids):
            deleted = idruns.from_ids(rows.deleted_ids)
            self.updated = idruns.subtract(self.updated, deleted)
            self.removed = idruns.union(self.removed, idruns.subtract(deleted, self.appended))
            self.appended = idruns.subtract(self.appended, deleted)
        if len(rows.appended_ids):
            self.appended = idruns.union(self.appended, idruns.from_ids(rows.appended_ids))


def read_ids(ids: IdRuns, objects: Objects) -> idruns.Runs:
    """Return the set of ids that a document holds or names."""
    return objects.id_runs(ids.page) if ids.page else idruns.from_pairs(ids.runs)


def accumulate(
    base: Snapshot, tensors: tuple[TensorState, ...], changes: Changes, objects: Objects, draft: Draft
) -> Diff:
    """Return the diff of a new snapshot against the commit that ``base`` is, or is staged on.

    Parameters
    ----------
    base
        The snapshot that the changes apply to.
    tensors
        The tensors after the changes.
    changes
        What changed.
    objects, draft
        Read and take pages of ids.
    """
    old = base.diff if base.kind == "staged" else Diff()
    if changes.is_empty:
        return old
    diffs = {diff.key: diff for diff in old.tensors}
    before = {state.key: state for state in base.tensors}
    for key in changes.deleted:
        known = diffs.pop(key, None)
        if known is None or not known.created:
            diffs[key] = TensorDiff(key=key, deleted=True)
    touched = {**changes.rows, **changes.tensors, **changes.tensor_info}
    inline = min(limits.INLINE_IDS, max(16, _INLINE_RUNS_IN_ALL // max(1, len(touched) + len(diffs))))
    after = {state.key: state for state in tensors}
    for key in touched:
        if key not in after:
            continue
        diff = _tensor(diffs.get(key), before.get(key), after[key], changes, objects, draft, inline)
        if diff == TensorDiff(key=key):
            diffs.pop(key, None)
        else:
            diffs[key] = diff
    created, deleted = set(old.groups_created), set(old.groups_deleted)
    if changes.groups is not None:
        now = set(changes.groups)
        was = (set(base.groups) - created) | deleted
        created, deleted = now - was, was - now
    return Diff(
        tensors=tuple(diffs.values()),
        info_updated=old.info_updated or changes.info is not None,
        groups_created=tuple(sorted(created)),
        groups_deleted=tuple(sorted(deleted)),
    )


def _tensor(
    old: TensorDiff | None,
    before: TensorState | None,
    after: TensorState,
    changes: Changes,
    objects: Objects,
    draft: Draft,
    inline: int,
) -> TensorDiff:
    key = after.key
    if old is None:
        old = TensorDiff(key=key, created=before is None)
    appended, updated, removed = old.appended, old.updated, old.removed
    cleared = old.cleared
    rows = changes.rows.get(key)
    if rows is not None and rows.only_appends and old == TensorDiff(key=key) and idruns.counts_up(rows.appended_ids):
        ids = rows.appended_ids
        appended = IdRuns(runs=((int(ids[0]), len(ids)),), count=len(ids))
    elif rows is not None and not rows.is_empty:
        sets = _Rows(*(read_ids(ids, objects) for ids in (appended, updated, removed)))
        was = (sets.appended, sets.updated, sets.removed)
        sets.add(rows)
        cleared = (cleared or rows.cleared) and not old.created
        now = (sets.appended, sets.updated, sets.removed)
        appended, updated, removed = (
            document if a is b else draft.id_runs(b, inline)
            for document, a, b in zip((appended, updated, removed), was, now, strict=True)
        )
    origin = old.renamed_from
    if before is not None and before.name != after.name and not old.created:
        origin = origin or before.name
    return TensorDiff(
        key=key,
        created=old.created,
        cleared=cleared,
        info_updated=old.info_updated or (key in changes.tensor_info and not old.created),
        renamed_from="" if origin == after.name else origin,
        appended=appended,
        updated=updated,
        removed=removed,
    )
