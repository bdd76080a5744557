"""What makes one state out of another, by sample id (7.11), and the manifest that says so (5.5)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from tests.spec.second.dataset import Dataset, State, Tensor
from tests.spec.second.documents import Body
from tests.spec.second.writing import id_set


@dataclass
class Changes:
    """Sample ids of the rows of one tensor that differ, in the order of the rows."""

    added: list[int]
    updated: list[int]
    removed: list[int]

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.removed)


def compare(dataset: Dataset, before: State, after: State) -> dict[str, Changes]:
    """Return what became of the rows of each tensor, by key (7.11)."""
    found, times = {}, told(dataset, before, after)
    for key in {**before.tensors, **after.tensors}:
        old, new = (state.tensors.get(key, Tensor({})).rows for state in (before, after))
        elsewhere = [each for each in new if each in old and new[each] != old[each]]
        updated = [
            each
            for each in elsewhere
            if (count := times[key][each]) == 1 or (count > 1 and old[each].content != new[each].content)
        ]
        found[key] = Changes([e for e in new if e not in old], updated, [e for e in old if e not in new])
    return found


def told(dataset: Dataset, before: State, after: State) -> dict[str, dict[int, int]]:
    """Return what the manifests between two states tell of rows that lie elsewhere now (7.11 step 4).

    By tensor key and sample id: 0 if the row has but moved, 1 if it was updated, more if its content decides, which it
    always does where a state is not stored.
    """
    if before.snapshot is None or after.snapshot is None:
        return defaultdict(lambda: defaultdict(lambda: 2))
    one, other = ({s["id"], *(b["id"] for b in dataset.log(s))} for s in (before.snapshot, after.snapshot))
    times: dict[str, dict[int, int]] = defaultdict(Counter)
    for passed in one ^ other:
        for tensor in dataset.snapshot(passed).get("diff", {}).get("tensors", []):
            for member, weight in (("updated", 1), ("appended", 2)):
                for each in dataset.ids(tensor.get(member, {})):
                    times[tensor["key"]][each] += weight
    return times


def manifest(dataset: Dataset, before: State, after: State) -> Body:
    """Return what a new snapshot changed against its first parent (5.5)."""
    tensors = []
    for key, rows in compare(dataset, before, after).items():
        old, new = before.tensors.get(key), after.tensors.get(key)
        members = {"created": old is None, "deleted": new is None}
        if old is not None and new is not None:
            members["info_updated"] = old.fields["info"] != new.fields["info"]
            if old.fields["name"] != new.fields["name"]:
                members["renamed_from"] = old.fields["name"]
        if new is not None:
            sets = {"appended": rows.added, "updated": rows.updated, "removed": rows.removed}
            members |= {name: id_set(dataset, ids) for name, ids in sets.items()}
        if any(members.values()):
            tensors.append({"key": key, **{name: value for name, value in members.items() if value}})
    return {
        "tensors": tensors,
        "info_updated": before.info != after.info,
        "groups_created": [group for group in after.groups if group not in before.groups],
        "groups_deleted": [group for group in before.groups if group not in after.groups],
    }
