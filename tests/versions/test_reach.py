from __future__ import annotations

from typing import Any

import pytest

from tests.versions.support import World, Writer
from tests.versions.tap import Tap
from zlake.context import Context
from zlake.errors import CorruptObjectError, DatasetCorruptError
from zlake.format import decode, encode, paths
from zlake.format.documents import Snapshot
from zlake.storage.store import Store
from zlake.versions.draft import Draft
from zlake.versions.objects import Objects
from zlake.versions.protocol import write_pages, write_snapshot
from zlake.versions.reach import Reach, reach
from zlake.versions.repository import Repository


def commits(writer: Writer, key: str, n: int) -> list[str]:
    made = []
    for i in range(n):
        writer.append(key, [i])
        made.append(writer.commit(f"commit {i}"))
    return made


def keys_of(store: Store, found: Reach) -> set[str]:
    """Keys of stored documents and pages that a reach holds, and those that are its."""
    return {key for key in store.list() if key.startswith(("commits/", "pages/")) and key in found}


def chain(store: Store, context: Context, n: int) -> tuple[Writer, str, list[str]]:
    writer = Writer(Repository.create(store, context), World())
    key = writer.create()
    return writer, key, commits(writer, key, n)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 33, 90, 200])
def test_everything_of_a_linear_history(tap: Tap, context: Context, n: int) -> None:
    writer, _, made = chain(tap, context, n)
    staged = [key for key in tap.list("commits/") if key.split("/")[1] not in made]
    assert not staged
    found = reach(writer.repository.objects, [made[-1]])
    assert found.commits == set(made)
    assert keys_of(tap, found) == {key for key in tap.list() if key.startswith(("commits/", "pages/"))}
    assert found.segments == set(writer.world.segments)
    prefixes = list(found.prefixes())
    assert len(prefixes) == len(found) == len(set(prefixes))
    assert prefixes[0].startswith("segments/")
    assert prefixes[-1].startswith("commits/")


def test_documents_are_read_once_and_many_at_a_time(tap: Tap, context: Context) -> None:
    _, _, made = chain(tap, context, 300)
    batches: list[int] = []
    read_many = tap.read_many

    def counting(requests: Any) -> Any:
        batches.append(len(requests))
        return read_many(requests)

    tap.read_many = counting  # type: ignore[method-assign]
    tap.take()
    found = reach(Objects(tap), [made[-1]])
    read = [key for op, key, _ in tap.take() if op == "read"]
    assert len(read) == len(set(read)) == len(found.commits) + len(found.pages)
    assert max(batches) <= 64
    assert len(batches) < 40  # not one after another, though each names its parent alone


def test_stops_at_known_commits(tap: Tap, context: Context) -> None:
    writer, _, made = chain(tap, context, 120)
    objects = writer.repository.objects
    whole = reach(objects, [made[-1]])
    for at in (0, 1, 17, 60, 102, 103, 104, 117, 118, 119):
        before = reach(objects, [made[at]])
        after = reach(objects, [made[-1]], known=[made[at]])
        assert after.commits == set(made[at + 1 :])
        # both together are everything: who has what the known commit reaches lacks nothing
        before.update(after)
        assert (before.commits, before.pages, before.segments) == (whole.commits, whole.pages, whole.segments)
    tap.take()
    few = reach(Objects(tap), [made[-1]], known=set(made[:-2]))
    assert few.commits == set(made[-2:])
    assert sum(op == "read" for op, _, _ in tap.take()) <= 6
    assert not len(reach(objects, [made[3]], known={made[3]}))


def test_all_parents_are_walked(store: Store, context: Context) -> None:
    writer, key, made = chain(store, context, 5)
    other = Writer(Repository.open(store, context), writer.world)
    side = commits(other, key, 40)
    snapshot = writer.repository.snapshot(made[-1])
    draft = Draft(writer.repository.objects, context)
    merged = Snapshot(
        id=context.new_id(),
        kind="commit",
        write_id=context.new_id(),
        parents=(made[-1], side[-1]),
        time=1.0,
        tensors=snapshot.tensors,
        info=draft.info({"names": ["x" * 10] * 1000}),
        generation=99,
    )
    write_pages(store, draft)
    write_snapshot(store, merged)
    found = reach(Objects(store), [merged.id])
    assert found.commits == {merged.id, *made, *side}
    assert merged.info.object in found.pages
    assert merged.info.object not in found.arrays
    assert reach(Objects(store), [merged.id], known=[made[-1]]).commits == {merged.id, *side}


def test_pages_of_extents_and_of_ids(store: Store, context: Context) -> None:
    writer = Writer(Repository.create(store, context), World())
    key = writer.create()
    writer.append(key, range(3000))
    writer.commit("many")
    for row in range(0, 3000, 2):
        writer.update(key, row, -row)
    last = writer.commit("every other")
    table = writer.state(key).extents
    assert table.pages
    assert writer.head.snapshot.diff.tensors[0].updated.page
    found = reach(Objects(store), [last])
    assert {page.id for page in table.pages} <= found.arrays
    assert writer.head.snapshot.diff.tensors[0].updated.page in found.arrays
    assert found.segments == set(writer.world.segments)
    for page in found.arrays:
        assert f"pages/{page}/c.0.0" in set(store.list("pages/"))


def test_staged_states(store: Store, context: Context) -> None:
    writer, key, made = chain(store, context, 20)
    writer.append(key, [1, 2])
    staged = writer.flush().snapshot.id
    assert reach(Objects(store), [staged]).commits == {staged, *made}
    assert reach(Objects(store), [staged], known=made).commits == {staged}


def test_nothing(store: Store) -> None:
    found = reach(Objects(store), [])
    assert len(found) == 0
    assert list(found.prefixes()) == []
    assert "zarr.json" not in found
    assert "views/x" not in found


def test_what_is_missing_or_damaged_raises_or_is_told(store: Store, context: Context) -> None:
    _, _, made = chain(store, context, 120)
    page = next(key for key in store.list("pages/"))
    for key in (paths.snapshot_key(made[50]), page):
        data = store.read(key)
        assert data is not None
        store.delete(key)
        with pytest.raises(DatasetCorruptError, match="is missing"):
            reach(Objects(store), [made[-1]])
        told: dict[str, Exception] = {}
        found = reach(Objects(store), [made[-1]], on_damage=told.__setitem__)
        assert list(told) == [key]
        assert set(made) == found.commits  # briefs and other snapshots name those behind it
        flipped = bytearray(data)
        flipped[-5] ^= 1
        store.create(key, bytes(flipped))
        with pytest.raises(CorruptObjectError, match="checksum"):
            reach(Objects(store), [made[-1]])
        store.delete(key)
        store.create(key, data)
    swapped = store.read(paths.snapshot_key(made[3]))
    store.delete(paths.snapshot_key(made[4]))
    store.create(paths.snapshot_key(made[4]), swapped or b"")
    with pytest.raises(CorruptObjectError, match=made[3]):
        reach(Objects(store), [made[-1]])


def test_a_cycle_ends(store: Store, context: Context) -> None:
    _, _, made = chain(store, context, 3)
    key = paths.snapshot_key(made[0])
    first = decode(Snapshot, store.read(key) or b"", where=key)
    store.delete(key)
    forged = Snapshot(id=first.id, kind="commit", write_id=first.write_id, parents=(made[2],), time=1, generation=9)
    store.create(key, encode(forged))
    assert reach(Objects(store), [made[2]]).commits == set(made)
