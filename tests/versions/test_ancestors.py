from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.scale import times
from tests.versions.tap import Tap
from zlake.context import Context, random_id
from zlake.errors import DatasetCorruptError, RefNotFoundError
from zlake.format.documents import Ref, Snapshot
from zlake.versions.ancestors import ancestors, is_ancestor, merge_base, merge_bases
from zlake.versions.changes import NO_CHANGES
from zlake.versions.commit import build_commit
from zlake.versions.draft import Draft
from zlake.versions.head import EMPTY_SNAPSHOT, Head
from zlake.versions.objects import Objects
from zlake.versions.protocol import write_pages, write_snapshot

Commit = Callable[..., Snapshot]


@pytest.fixture
def commit(tap: Tap, context: Context) -> Commit:
    """Makes an empty commit on others, without any branch."""
    objects = Objects(tap)

    def make(*parents: Snapshot, message: str = "") -> Snapshot:
        first = parents[0] if parents else EMPTY_SNAPSHOT
        ref = Ref(commit=first.id or None, staged=None, sequence=0, write_id=random_id())
        draft = Draft(objects, context)
        snapshot = build_commit(
            Head("main", ref, b"", first),
            NO_CHANGES,
            draft,
            objects,
            context,
            message=message,
            author="",
            allow_empty=True,
            merged=parents[1:],
        ).snapshot
        write_pages(tap, draft)
        write_snapshot(tap, snapshot)
        return snapshot

    return make


def chain(commit: Commit, start: Snapshot | None, n: int) -> list[Snapshot]:
    found = [] if start is None else [start]
    for _ in range(n):
        found.append(commit(*found[-1:]))
    return found if start is None else found[1:]


def test_generation_is_one_more_than_the_greatest_of_all_parents(commit: Commit) -> None:
    root = commit()
    long, short = chain(commit, root, 5), commit(root)
    assert root.generation == 1
    assert [each.generation for each in long] == [2, 3, 4, 5, 6]
    assert commit(short, long[-1]).generation == 7
    assert commit(short, long[-1]).parents == (short.id, long[-1].id)


@pytest.mark.parametrize(("n", "left", "right"), [(1, 0, 0), (5, 0, 3), (40, 20, 0), (40, 20, 50), (300, 7, 90)])
def test_base_of_two_branches(commit: Commit, tap: Tap, n: int, left: int, right: int) -> None:
    trunk = chain(commit, None, n)
    a = [trunk[-1], *chain(commit, trunk[-1], left)][-1]
    b = [trunk[-1], *chain(commit, trunk[-1], right)][-1]
    assert merge_base(Objects(tap), a, b) == merge_base(Objects(tap), b, a) == trunk[-1].id


def test_base_reads_no_further_than_to_it(commit: Commit, tap: Tap) -> None:
    trunk = chain(commit, None, 500)
    a, b = chain(commit, trunk[-1], 10)[-1], chain(commit, trunk[-1], 3)[-1]
    tap.take()
    assert merge_base(Objects(tap), a, b) == trunk[-1].id
    assert len(tap.take()) == 0
    c = chain(commit, trunk[100], 1)[-1]
    tap.take()
    assert merge_base(Objects(tap), c, trunk[-1]) == trunk[100].id
    assert len(tap.take()) <= 399 // 48 + 2


def test_staged_snapshots_count_as_the_commit_that_they_lie_on(commit: Commit, tap: Tap, context: Context) -> None:
    a, b = chain(commit, None, 2)
    staged = Snapshot(
        id=random_id(), kind="staged", write_id=random_id(), parents=(a.id,), time=0.0, generation=a.generation
    )
    assert merge_base(Objects(tap), staged, b) == a.id
    assert merge_base(Objects(tap), b, staged) == a.id
    assert is_ancestor(Objects(tap), a.id, staged)
    assert not is_ancestor(Objects(tap), b.id, staged)


def test_no_history_has_no_base(commit: Commit, tap: Tap) -> None:
    a, b = chain(commit, None, 3)[-1], commit()
    assert merge_base(Objects(tap), a, b) is None
    assert merge_base(Objects(tap), a, EMPTY_SNAPSHOT) is None
    assert merge_bases(Objects(tap), EMPTY_SNAPSHOT, EMPTY_SNAPSHOT) == []
    assert list(ancestors(Objects(tap), EMPTY_SNAPSHOT)) == []


def test_crosswise_merges_have_two_bases(commit: Commit, tap: Tap) -> None:
    root = commit()
    a, b = commit(root), commit(root)
    left, right = commit(a, b), commit(b, a)
    assert merge_bases(Objects(tap), left, right) == [b.id, a.id]  # the newer first
    assert merge_bases(Objects(tap), right, left) == [b.id, a.id]
    longer = commit(a)
    assert merge_bases(Objects(tap), commit(longer, b), commit(b, longer)) == [longer.id, b.id]


def test_a_merged_branch_has_its_tip_as_base(commit: Commit, tap: Tap) -> None:
    root = commit()
    ours, theirs = chain(commit, root, 4)[-1], chain(commit, root, 2)[-1]
    merged = commit(ours, theirs)
    assert merge_base(Objects(tap), merged, theirs) == theirs.id
    more = chain(commit, theirs, 3)[-1]
    assert merge_base(Objects(tap), chain(commit, merged, 2)[-1], more) == theirs.id


@pytest.mark.parametrize("seed", range(times(40)))
def test_random_graphs_against_sets(commit: Commit, tap: Tap, seed: int) -> None:
    rng = random.Random(seed)
    made = [commit()]
    up: dict[str, set[str]] = {made[0].id: {made[0].id}}
    for _ in range(rng.randrange(5, 60)):
        parents = rng.sample(made[-rng.randrange(1, 12) :], k=1) + (rng.sample(made, k=1) if rng.random() < 0.4 else [])
        parents = list({each.id: each for each in parents}.values())
        if rng.random() < 0.03:
            parents = []
        made.append(commit(*parents))
        up[made[-1].id] = {made[-1].id}.union(*(up[each.id] for each in parents))
    by_id = {each.id: each for each in made}
    for _ in range(25):
        a, b = rng.choice(made), rng.choice(made)
        common = up[a.id] & up[b.id]
        best = {i for i in common if not any(i in up[j] - {j} for j in common)}
        expected = sorted(best, key=lambda i: (-by_id[i].generation, -by_id[i].time, i))
        assert merge_bases(Objects(tap), a, b) == expected
        assert merge_base(Objects(tap), a, b) == next(iter(expected), None)
        assert is_ancestor(Objects(tap), a.id, b) == (a.id in up[b.id])
        walked = [each.id for each in ancestors(Objects(tap), a)]
        assert set(walked) == up[a.id]
        assert len(walked) == len(set(walked))
        place = {i: n for n, i in enumerate(walked)}
        assert all(place[i] < place[parent] for i in walked for parent in by_id[i].parents)


def test_ancestry_of_what_is_not_there(commit: Commit, tap: Tap) -> None:
    head = chain(commit, None, 3)[-1]
    with pytest.raises(RefNotFoundError, match="has no commit 'aaaaaaaaaaaaaaaaaaaaaaaaaa'"):
        is_ancestor(Objects(tap), "a" * 26, head)


def test_ancestry_of_an_old_commit_reads_pages(commit: Commit, tap: Tap) -> None:
    trunk = chain(commit, None, 1000)
    tap.take()
    assert is_ancestor(Objects(tap), trunk[0].id, trunk[-1])
    assert len(tap.take()) <= 1000 // 48 + 2
    other = commit(trunk[-2])
    tap.take()
    assert not is_ancestor(Objects(tap), other.id, trunk[-1])
    assert len(tap.take()) <= 1


def test_walking_is_lazy(commit: Commit, tap: Tap) -> None:
    trunk = chain(commit, None, 1009)  # the last one has 16 in its document
    tap.take()
    walk = ancestors(Objects(tap), trunk[-1])
    assert [next(walk).id for _ in range(15)] == [each.id for each in trunk[:-16:-1]]
    assert len(tap.take()) == 0
    assert [each.id for each in walk] == [each.id for each in trunk[-16::-1]]
    assert len(tap.take()) <= 1000 // 48 + 2


def test_a_missing_parent_is_named(commit: Commit, tap: Tap) -> None:
    a, b = commit(), commit()
    merged = commit(a, b)
    tap.delete(f"commits/{b.id}/zarr.json")
    with pytest.raises(DatasetCorruptError, match=b.id):
        list(ancestors(Objects(tap), merged))
