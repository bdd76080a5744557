"""Tables with many small pages, edited at random, against plain lists."""

from __future__ import annotations

from itertools import count
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.versions.support import Row, World
from zlake.context import Context
from zlake.extents.map import ExtentMap
from zlake.format.documents import ExtentTable
from zlake.storage.open import open_store
from zlake.versions import extent_store
from zlake.versions.draft import Draft
from zlake.versions.extent_store import TableEditor, load_extents
from zlake.versions.objects import Objects

_names = count()
CONTEXT = Context()
EDITS = st.sampled_from(["append", "append", "append many", "replace", "delete", "drop last", "move", "clear"])


@settings(max_examples=150, deadline=None)
@given(st.lists(EDITS, min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_edits(edits: list[str], random: np.random.Generator) -> None:
    store = open_store(f"mem://extent-store-{next(_names)}")
    world, values = World(), count()
    table, expected = ExtentTable(), list[Row]()

    def fresh(n: int) -> tuple[tuple, ExtentMap, list[Row]]:
        """Rows that lie backwards in two new segments."""
        rows = [(next(world.next_id), next(values)) for _ in range(n)]
        middle = n // 2
        segments = (*world.write(rows[:middle], CONTEXT), *world.write(rows[middle:], CONTEXT))
        lengths = [segment.rows for segment in segments]
        extents = ExtentMap.from_runs((s, r, 1) for s, m in reversed([*enumerate(lengths)]) for r in reversed(range(m)))
        return segments, extents, rows[::-1]

    for edit in edits:
        editor = TableEditor(table, Objects(store))
        n = len(expected)
        picked = sorted(random.sample(range(n), min(n, 3)))
        if edit.startswith("append"):
            segments, extents, rows = fresh(random.randint(1, 3) if edit == "append" else 20)
            editor.append(segments, extents)
            expected = expected + rows
        elif edit == "replace" and picked:
            segments, extents, rows = fresh(len(picked))
            editor.replace(np.array(picked), segments, extents)
            expected = list(expected)
            for row, new in zip(picked, rows, strict=True):
                expected[row] = new
        elif edit == "delete":
            editor.delete(np.array(picked, np.int64))
            expected = [row for i, row in enumerate(expected) if i not in picked]
        elif edit == "drop last":
            k = random.randint(0, n)
            editor.drop_last(k)
            expected = expected[: n - k]
        elif edit == "move" and n:
            k = random.randint(1, n)
            segments = world.write(expected[n - k :], CONTEXT)
            editor.drop_last(k)
            editor.append(segments, ExtentMap.from_runs([(0, 0, k)]))
        elif edit == "clear":
            editor.clear()
            expected = []
        assert editor.length == len(expected)
        before = {page.id for page in table.pages}
        draft = Draft(Objects(store), CONTEXT)
        with patch.object(extent_store, "EDITED_PAGE_BYTES", 2000):
            table = editor.store(draft, 1500)
        store.create_many(draft.pending)
        written = {key.split("/")[1] for key, _ in draft.pending}
        assert {page.id for page in table.pages} <= before | written
        assert all(page.rows > 0 for page in table.pages)
        segments, extents = load_extents(table, Objects(store))
        assert world.rows(segments, extents) == expected
        assert len({segment.segment for segment in segments}) == len(segments)
        used = {table.segments[extent.segment].segment for extent in table.extents}
        assert used == {segment.segment for segment in table.segments}
