"""Processes that commit to one branch on disk without knowing of each other: nothing lost, nothing doubled."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np

from tests.versions.support import World, Writer, ids_in
from zlake.context import Context
from zlake.storage.open import open_store
from zlake.versions.repository import Repository

PROCESSES, COMMITS, ROWS = 3, 8, 5


def work(path: str, key: str, number: int) -> None:
    world = World()
    world.next_id = iter(range(number * 1_000_000, 10**9, 2))  # type: ignore[assignment]
    writer = Writer(Repository.open(open_store(path), Context()), world)
    for i in range(COMMITS):
        writer.append(key, range(ROWS))
        if i % 2:
            writer.flush()
        writer.commit(f"{number}-{i}")


def test_processes(tmp_path: Path) -> None:
    path = str(tmp_path / "set")
    store = open_store(path)
    writer = Writer(Repository.create(store, Context()), World())
    key = writer.create()
    writer.commit("start")
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=work, args=(path, key, number)) for number in range(1, PROCESSES + 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    repository = Repository.open(store, Context())
    head = repository.head()
    commits = list(repository.log(head.snapshot))
    assert [brief.parents for brief in commits] == [*((brief.id,) for brief in commits[1:]), ()]
    expected = {f"{number}-{i}" for number in range(1, PROCESSES + 1) for i in range(COMMITS)}
    assert sorted(brief.message for brief in commits) == sorted({*expected, "start"})
    (state,) = head.snapshot.tensors
    assert state.length == PROCESSES * COMMITS * ROWS
    ids = [
        sample_id
        for brief in commits
        for diff in repository.snapshot(brief.id).diff.tensors
        for sample_id in ids_in(diff.appended)
    ]
    assert len(ids) == len(np.unique(ids)) == state.length
    assert not head.has_staged_changes
