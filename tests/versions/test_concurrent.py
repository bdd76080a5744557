"""Two writers on one branch: every cell of the rebase table, and swaps whose answer is lost."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.versions.support import Writer, ids_in, two_writers
from tests.versions.tap import Tap
from zlake import limits
from zlake.context import Context
from zlake.errors import CommitStateUnknownError, ConflictError, EmptyCommitError
from zlake.format.documents import Diff
from zlake.storage.store import Store
from zlake.versions import refs
from zlake.versions.changes import Changes, RowChanges
from zlake.versions.repository import Repository


@pytest.fixture
def pair(store: Store, context: Context) -> tuple[Writer, Writer, str]:
    ours, theirs, key = two_writers(store, context, "abcdef")
    return ours, theirs, key


def conflicts(writer: Writer) -> list[tuple[str, int | None, str]]:
    before = writer.repository.head()
    with pytest.raises(ConflictError) as caught:
        writer.flush()
    assert writer.repository.head() == before
    return list(caught.value.conflicts)


def test_appends_of_both_are_kept_theirs_first(pair: Any) -> None:
    ours, theirs, key = pair
    mine = ours.append(key, "xy")
    other = theirs.append(key, "zw")
    theirs.flush()
    ours.flush()
    assert ours.values(key) == list("abcdefzwxy")
    (diff,) = ours.head.snapshot.diff.tensors
    assert sorted(ids_in(diff.appended)) == sorted([*mine, *other])
    assert ours.world.ids_read == 0
    # and on, from heads that are old each time
    theirs.append(key, "1")
    theirs.flush()
    ours.append(key, "2")
    ours.commit("both")
    assert theirs.reopen().values(key) == list("abcdefzwxy12")


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("theirs_first", [False, True])
def test_append_and_update(pair: Any, committed: bool, theirs_first: bool) -> None:
    ours, theirs, key = pair
    ours.append(key, "x")
    theirs.update(key, 2, "C")
    first, second = (theirs, ours) if theirs_first else (ours, theirs)
    first.commit("c") if committed else first.flush()
    second.flush()
    assert second.values(key) == list("abCdefx")


@pytest.mark.parametrize("theirs_first", [False, True])
def test_append_and_delete(pair: Any, theirs_first: bool) -> None:
    ours, theirs, key = pair
    ours.append(key, "x")
    theirs.delete(key, 0, 5)
    first, second = (theirs, ours) if theirs_first else (ours, theirs)
    first.flush()
    second.flush()
    assert second.values(key) == list("bcdex")


def test_updates_of_different_rows(pair: Any) -> None:
    ours, theirs, key = pair
    ours.update(key, 0, "A")
    theirs.update(key, 5, "F")
    theirs.commit("theirs")
    ours.commit("ours")
    assert ours.values(key) == list("AbcdeF")
    (diff,) = ours.head.snapshot.diff.tensors
    assert ids_in(diff.updated) == [ours.stored(key)[0][0]]


def test_updates_of_one_row_conflict(pair: Any) -> None:
    ours, theirs, key = pair
    sample_id = ours.stored(key)[3][0]
    ours.update(key, 3, "ours")
    ours.update(key, 1, "B")
    theirs.update(key, 3, "theirs")
    theirs.flush()
    assert conflicts(ours) == [("x", sample_id, "updated here and there")]
    assert ours.reopen().values(key) == ["a", "b", "c", "theirs", "e", "f"]


def test_update_here_delete_there(pair: Any) -> None:
    ours, theirs, key = pair
    sample_id = ours.stored(key)[3][0]
    ours.update(key, 3, "ours")
    theirs.delete(key, 3)
    theirs.flush()
    assert conflicts(ours) == [("x", sample_id, "updated here, deleted there")]


def test_delete_here_update_there(pair: Any) -> None:
    ours, theirs, key = pair
    sample_id = ours.stored(key)[3][0]
    ours.delete(key, 3)
    theirs.update(key, 3, "theirs")
    theirs.flush()
    assert conflicts(ours) == [("x", sample_id, "deleted here, updated there")]


def test_one_row_deleted_on_both_sides_is_deleted_once(pair: Any) -> None:
    ours, theirs, key = pair
    ids = [i for i, _ in ours.stored(key)]
    ours.delete(key, 1, 3)
    theirs.delete(key, 3, 4)
    theirs.commit("theirs")
    ours.commit("ours")
    assert ours.values(key) == list("acf")
    (diff,) = ours.head.snapshot.diff.tensors
    assert ids_in(diff.removed) == [ids[1]]


def test_updates_and_deletes_of_different_rows(pair: Any) -> None:
    ours, theirs, key = pair
    ours.update(key, 4, "E")
    ours.delete(key, 5)
    theirs.delete(key, 0)
    theirs.update(key, 1, "B")
    theirs.append(key, "x")
    theirs.flush()
    ours.append(key, "y")
    ours.flush()
    assert ours.values(key) == list("BcdExy")


def test_clear_keeps_rows_that_came_after(pair: Any) -> None:
    ours, theirs, key = pair
    ids = [i for i, _ in ours.stored(key)]
    ours.clear(key)
    theirs.append(key, "x")
    theirs.commit("theirs")
    ours.append(key, "y")
    ours.flush()
    assert ours.values(key) == ["x", "y"]
    (diff,) = ours.head.snapshot.diff.tensors
    assert ids_in(diff.removed) == ids


def test_clear_and_rows_changed_there(pair: Any) -> None:
    ours, theirs, key = pair
    sample_id = ours.stored(key)[2][0]
    ours.clear(key)
    theirs.delete(key, 0)
    theirs.flush()
    ours.flush()
    assert ours.values(key) == []
    theirs = theirs.reopen()
    theirs.append(key, "xyz")
    theirs.flush()
    ours = theirs.reopen()
    sample_id = ours.stored(key)[1][0]
    ours.clear(key)
    theirs.update(key, 1, "Y")
    theirs.flush()
    assert conflicts(ours) == [("x", sample_id, "deleted here, updated there")]


def test_rows_that_others_gathered_are_found_again(store: Store, context: Context) -> None:
    ours, theirs, key = two_writers(store, context, "abcdef", coalesce=True)
    for value in "ghi":
        theirs.append(key, value)
        theirs.flush()
    ours = theirs.reopen()
    sample_id = ours.stored(key)[7][0]
    before = theirs.state(key).extents
    theirs.append(key, "j")
    theirs.flush()  # copies g, h, i beside j
    assert theirs.state(key).extents.extents != (*before.extents, theirs.state(key).extents.extents[-1])
    ours.update(key, 7, "H")
    ours.delete(key, 8)
    ours.append(key, "k")
    ours.flush()
    assert ours.values(key) == list("abcdefgHjk")
    late = ours.reopen()
    ours.update(key, 7, "HH")
    ours.flush()
    late.update(key, 7, "HHH")
    assert conflicts(late) == [("x", sample_id, "updated here and there")]


def test_gathering_is_dropped_if_rows_moved_there(store: Store, context: Context) -> None:
    ours, theirs, key = two_writers(store, context, "a", coalesce=True)
    for value in "bc":
        ours.append(key, value)
        ours.flush()
    theirs = ours.reopen()
    theirs.delete(key, 0)
    theirs.flush()
    ours.append(key, "d")
    assert ours.changes().rows[key].moved.length == 3
    ours.flush()
    assert ours.values(key) == list("bcd")


def test_gathering_survives_appends(store: Store, context: Context) -> None:
    ours, theirs, key = two_writers(store, context, "a", coalesce=True)
    for value in "bc":
        ours.append(key, value)
        ours.flush()
    theirs.coalesce = False
    theirs.append(key, "x")
    theirs.flush()
    ours.append(key, "d")
    ours.flush()
    assert ours.values(key) == list("abcxd")
    assert len(ours.state(key).extents.extents) == 3


def test_moving_all_rows_survives_appends(pair: Any) -> None:
    ours, theirs, key = pair
    theirs.append(key, "x")
    theirs.flush()
    stored = ours.stored(key)
    segments = ours.world.write(stored, ours.repository.context)
    from zlake.extents.map import ExtentMap

    moved = RowChanges(segments=segments, moved=ExtentMap.from_runs([(0, 0, len(stored))]))
    ours.head = ours.repository.flush(ours.head, Changes(rows={key: moved}), ours.world)
    assert ours.values(key) == list("abcdefx")
    assert segments[0] in ours.state(key).extents.segments
    (diff,) = ours.head.snapshot.diff.tensors
    assert diff.updated.count == diff.removed.count == 0


# ---------------------------------------------------------------- schema


def replaced(writer: Writer, key: str, **fields: Any) -> None:
    writer.tensors[key] = msgspec.structs.replace(writer.state(key), **fields)


def test_tensor_gone_there(pair: Any) -> None:
    ours, theirs, key = pair
    theirs.removed.append(key)
    theirs.flush()
    ours.append(key, "x")
    assert conflicts(ours) == [("x", None, "tensor deleted there, changed here")]
    ours.drop()
    replaced(ours, key, name="y")
    assert conflicts(ours) == [("x", None, "tensor deleted there, changed here")]
    ours.drop()
    ours.removed.append(key)
    ours.flush()
    assert ours.head.snapshot.tensors == ()


def test_tensor_deleted_here_and_changed_there(pair: Any) -> None:
    ours, theirs, key = pair
    theirs.append(key, "x")
    theirs.flush()
    ours.removed.append(key)
    assert conflicts(ours) == [("x", None, "tensor deleted here, changed there")]


def test_schema_fields_merge_one_by_one(pair: Any) -> None:
    ours, theirs, key = pair
    replaced(theirs, key, name="renamed")
    theirs.append(key, "x")
    theirs.flush()
    replaced(ours, key, chunk_compression="zstd")
    ours.append(key, "y")
    ours.flush()
    state = ours.state(key)
    assert (state.name, state.chunk_compression, ours.values(key)) == ("renamed", "zstd", list("abcdefxy"))


def test_first_samples_fix_the_dtype_once(store: Store, context: Context) -> None:
    ours, theirs, _ = two_writers(store, context)
    key = ours.create("y", dtype=None, ndim=None)
    ours.flush()
    theirs = ours.reopen()
    replaced(theirs, key, dtype="uint8", ndim=1)
    theirs.flush()
    replaced(ours, key, dtype="uint8", ndim=1)
    ours.flush()
    assert ours.state(key).dtype == "uint8"
    other = ours.reopen()
    ours.drop()
    replaced(ours, key, dtype="float32")
    ours.flush()
    replaced(other, key, dtype="int64")
    assert conflicts(other) == [("y", None, "dtype")]


def test_one_name_for_two_tensors(pair: Any) -> None:
    ours, theirs, key = pair
    theirs.create("y")
    theirs.flush()
    ours.create("y")
    assert conflicts(ours) == [("y", None, "two tensors of one name")]
    ours.drop()
    replaced(ours, key, name="y")
    assert conflicts(ours) == [("y", None, "two tensors of one name")]
    ours.drop()
    other = ours.create("z")
    ours.append(other, "1")
    ours.flush()
    assert [s.name for s in ours.head.snapshot.tensors] == ["x", "y", "z"]
    assert ours.values(other) == ["1"]


def test_infos_merge_key_by_key(pair: Any) -> None:
    ours, theirs, key = pair
    theirs.infos[key] = {"a": 1, "b": [1] * 3000}
    theirs.info = {"t": 1}
    theirs.flush()
    ours.infos[key] = {"c": 2}
    ours.info = {"u": 2}
    ours.flush()
    load = ours.repository.load_info
    assert load(ours.state(key).info) == {"a": 1, "b": [1] * 3000, "c": 2}
    assert load(ours.head.snapshot.info) == {"t": 1, "u": 2}
    theirs = ours.reopen()
    theirs.infos[key] = {"a": 5, "c": 2}
    theirs.flush()
    ours.infos[key] = {"a": 6}
    assert conflicts(ours) == [("x", None, "info 'a' changed here and there")]
    ours.drop()
    ours.infos[key] = {"a": 1, "b": [1] * 3000}
    ours.flush()
    assert load(ours.state(key).info) == {"a": 5}


def test_groups_merge(pair: Any) -> None:
    ours, theirs, _ = pair
    theirs.groups = ("g", "h")
    theirs.flush()
    ours.groups = ("i",)
    ours.flush()
    assert ours.head.snapshot.groups == ("g", "h", "i")
    theirs = ours.reopen()
    theirs.create("g/t")
    theirs.flush()
    ours.groups = ("h", "i")
    assert conflicts(ours) == [("g/t", None, "group deleted")]


# ---------------------------------------------------------------- commits


def test_a_commit_takes_in_what_others_staged(pair: Any) -> None:
    ours, theirs, key = pair
    theirs.append(key, "x")
    theirs.flush()
    ours.append(key, "y")
    commit = ours.commit("both")
    assert theirs.reopen().head.commit_id == commit
    assert theirs.reopen().values(key) == list("abcdefxy")
    (diff,) = ours.head.snapshot.diff.tensors
    assert diff.appended.count == 2
    # theirs was taken in, and may still be committed in name
    mine = theirs.commit("theirs")
    assert theirs.head.snapshot.parents == (commit,)
    assert theirs.head.snapshot.diff == Diff()
    assert [c.id for c in theirs.repository.log(theirs.head.snapshot)][:2] == [mine, commit]


def test_a_session_that_changed_nothing_cannot_commit(pair: Any) -> None:
    ours, theirs, key = pair
    ours.append(key, "y")
    ours.flush()
    idle = theirs.reopen()
    ours.commit("both")
    with pytest.raises(EmptyCommitError):
        idle.commit("nothing")


# ---------------------------------------------------------------- lost answers


def test_a_swap_that_landed_and_was_built_upon(store: Store, context: Context) -> None:
    tap = Tap(store)
    ours, _, key = two_writers(tap, context, "ab")
    theirs = Writer(Repository.open(store, context), ours.world)

    def build_on_it() -> None:
        late = theirs.reopen()
        assert late.values(key) == ["a", "b", "x"]
        late.append(key, "y")
        late.flush()

    tap.after_swap = build_on_it
    ours.append(key, "x")
    ours.flush()
    assert ours.values(key) == ["a", "b", "x"]
    ours.append(key, "z")
    ours.flush()  # from a head that is old now
    tap.after_swap = lambda: theirs.reopen().commit("theirs", allow_empty=True) and None
    commit = ours.commit("ours")
    assert [c.message for c in ours.repository.log(theirs.reopen().head.snapshot)] == ["theirs", "ours", "start"]
    assert ours.head.commit_id == commit
    ours.append(key, "w")
    ours.flush()
    assert ours.values(key) == ["a", "b", "x", "y", "z", "w"]


def test_state_unknown(store: Store, context: Context) -> None:
    tap = Tap(store)
    ours, _, key = two_writers(tap, context, "ab")
    tap.unknown_swap = True
    ours.append(key, "x")
    with pytest.raises(CommitStateUnknownError) as caught:
        ours.commit("lost?")
    tap.unknown_swap = tap.silent = False
    assert ours.repository.head().commit_id == caught.value.commit_id


@pytest.mark.parametrize("committed", [False, True])
def test_an_answer_that_was_lost_is_found_in_the_branch(store: Store, context: Context, committed: bool) -> None:
    tap = Tap(store)
    ours, _, key = two_writers(tap, context, "ab")
    tap.unknown_swap = tap.answers_reads = True
    ours.append(key, "x")
    ours.commit("found") if committed else ours.flush()
    tap.unknown_swap = False
    ours.append(key, "y")
    ours.flush()
    assert ours.reopen().values(key) == ["a", "b", "x", "y"]


def test_landed_is_known_for_as_many_swaps_as_the_ref_remembers(context: Context) -> None:
    first = refs.first_ref(context)
    ours = refs.next_ref(first, None, None, context)
    lost = refs.next_ref(first, None, None, context)
    now = ours
    for _ in range(limits.REF_WRITES):
        now = refs.next_ref(now, None, None, context)
        assert refs.landed(ours.write_id, ours.sequence, now) is True
        assert refs.landed(lost.write_id, lost.sequence, now) is False
    assert refs.landed(ours.write_id, ours.sequence, first) is False
    assert refs.landed(ours.write_id, ours.sequence, refs.next_ref(now, None, None, context)) is None


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("others", ["commit", "flush"])
@pytest.mark.parametrize("many", [limits.REF_WRITES + 1, 150])
def test_a_session_that_others_have_long_overtaken(
    store: Store, context: Context, committed: bool, others: str, many: int
) -> None:
    """Its swap is lost, and the branch does not remember that far back: that is no reason for doubt."""
    ours, theirs, key = two_writers(store, context, "ab")
    for i in range(many):
        theirs.append(key, [i])
        theirs.commit("theirs") if others == "commit" else theirs.flush()
    ours.append(key, "x")
    ours.update(key, 0, "A")
    ours.commit("ours") if committed else ours.flush()
    assert ours.values(key) == ["A", "b", *range(many), "x"]
    assert len({i for i, _ in ours.stored(key)}) == many + 3


@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("others", ["commit", "flush"])
def test_a_swap_that_landed_and_was_long_overtaken_before_it_was_said_to_be_lost(
    store: Store, context: Context, committed: bool, others: str
) -> None:
    """By a driver whose first attempt was not answered; nothing is there twice."""
    tap = Tap(store)
    ours, theirs, key = two_writers(tap, context, "ab")
    theirs.repository.objects.store = store
    theirs.repository.store = store
    many = limits.REF_WRITES + 5

    def overtake() -> None:
        late = theirs.reopen()
        for i in range(many):
            late.append(key, [i])
            late.commit("theirs") if others == "commit" else late.flush()

    tap.after_swap = overtake
    ours.append(key, "x")
    commit = ours.commit("ours") if committed else ours.flush()
    assert theirs.reopen().values(key) == ["a", "b", "x", *range(many)]
    log = [c.message for c in ours.repository.log(theirs.reopen().head.snapshot)]
    assert log.count("ours") == committed
    if committed:
        assert commit in [c.id for c in ours.repository.log(theirs.reopen().head.snapshot)]
    ours.append(key, "y")
    ours.flush()
    assert ours.values(key) == ["a", "b", "x", *range(many), "y"]


@pytest.mark.parametrize("coalesce", [False, True])
def test_threads_that_append_all_keep_their_rows(store: Store, context: Context, coalesce: bool) -> None:
    ours, _, key = two_writers(store, Context(), (), coalesce=coalesce)
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            writer = ours.reopen()
            for i in range(15):
                writer.append(key, [f"{name}{i}"])
                writer.commit(name) if i % 3 == 2 else writer.flush()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    values = ours.reopen().values(key)
    assert sorted(values) == sorted(f"{name}{i}" for name in "abcd" for i in range(15))
    for name in "abcd":
        assert [v for v in values if v[0] == name] == [f"{name}{i}" for i in range(15)]
    last = ours.reopen()
    assert len(list(last.repository.log(last.head.snapshot))) == 4 * 5 + 1
    assert len(np.unique([i for i, _ in last.stored(key)])) == 60


def test_one_update_made_on_both_sides_is_no_conflict(pair: Any) -> None:
    ours, theirs, key = pair
    theirs.update(key, 3, "same")
    theirs.update(key, 4, "theirs")
    theirs.flush()
    ours.update(key, 3, "same")
    ours.update(key, 0, "ours")
    ours.flush()
    assert ours.values(key) == ["ours", "b", "c", "same", "theirs", "f"]


@pytest.mark.parametrize("committed", [False, True])
def test_trying_again_after_an_unknown_outcome_doubles_nothing(store: Store, context: Context, committed: bool) -> None:
    tap = Tap(store)
    ours, _, key = two_writers(tap, context, "abc")
    ours.append(key, "xy")
    ours.update(key, 0, "A")
    ours.delete(key, 1)
    new = ours.create("new")
    ours.append(new, "n")
    tap.unknown_swap = True
    with pytest.raises(CommitStateUnknownError):
        ours.commit("lost?") if committed else ours.flush()
    tap.unknown_swap = tap.silent = False
    assert ours.reopen().values(key) == list("Acxy")  # it had landed
    ours.append(key, "z")
    ours.flush()
    assert ours.values(key) == list("Acxyz")
    assert len({i for i, _ in ours.stored(key)}) == 5
    assert ours.values(new) == ["n"]


def test_rows_in_pages_are_found_again(store: Store, context: Context) -> None:
    ours, theirs, key = two_writers(store, context)
    for batch in range(3):
        for row in range(600):
            ours.append(key, [(batch, row)])
        ours.flush()
    for row in range(0, 1800, 2):
        ours.update(key, row, -row)
    ours.commit("paged")
    assert ours.state(key).extents.pages
    theirs = ours.reopen()
    expected: list[Any] = ours.values(key)
    theirs.delete(key, 10, 900)
    theirs.update(key, 1500, "theirs")
    theirs.append(key, ["x"])
    theirs.flush()
    ours.update(key, 11, "ours")
    ours.update(key, 1799, "last")
    ours.delete(key, 0, 900)
    ours.flush()
    expected[11], expected[1500], expected[1799] = "ours", "theirs", "last"
    wanted = [value for row, value in enumerate(expected) if row not in (0, 10, 900)]
    assert ours.values(key) == [*wanted, "x"]
    assert ours.reopen().values(key) == ours.values(key)
