"""Selections against NumPy indexing of the row numbers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zlake.errors import InvalidKeyTypeError, RowIndexError
from zlake.extents.selection import Selection, split_key


def keys(n: int) -> st.SearchStrategy[Any]:
    lists = st.lists(st.integers(-n, n - 1), max_size=8) if n else st.just([])
    return st.one_of(
        st.slices(n),
        lists,
        lists.map(lambda rows: np.array(rows, dtype=np.int32)),
        lists.map(tuple),
        st.lists(st.booleans(), min_size=n, max_size=n).map(lambda m: np.array(m, dtype=bool)),
        st.just(Ellipsis),
    )


@given(st.integers(0, 12), st.data())
def test_composed_keys(n: int, data: st.DataObject) -> None:
    selection = Selection.all(n)
    expected = np.arange(n)
    for _ in range(data.draw(st.integers(0, 4))):
        key = data.draw(keys(len(expected)))
        selection = selection[key]
        expected = expected[np.array(key, dtype=int) if isinstance(key, list | tuple) else key]
        assert isinstance(selection, Selection)
        assert selection.array().tolist() == expected.tolist()
        assert np.arange(n)[selection.rows()].tolist() == expected.tolist()
        assert len(selection) == len(expected)
        assert selection.is_all == (isinstance(selection.index, range) and expected.tolist() == list(range(n)))
    for i in range(-len(expected), len(expected)):
        row = selection[i]
        assert type(row) is int
        assert row == expected[i] == selection[np.int16(i)]
    for bad in (len(expected), -len(expected) - 1):
        with pytest.raises(RowIndexError, match=str(bad)):
            selection[bad]
        with pytest.raises(RowIndexError, match=str(bad)):
            selection[[bad]]


def test_mask_of_wrong_length_names_both() -> None:
    with pytest.raises(RowIndexError, match=r"mask of 2 values .* 3 rows"):
        Selection.all(3)[[True, False]]


@pytest.mark.parametrize(
    "key",
    [None, 1.0, "x", b"x", True, object(), {"a": 1}, [1.5], ["a"], [[1, 2]], [[1], [1, 2]], [True, 2], slice("a", None),
     slice(0, True), np.zeros((2, 2), int), np.array(1.5), 1j, [2**70]],
)  # fmt: skip
def test_keys_of_other_types(key: Any) -> None:
    with pytest.raises(InvalidKeyTypeError):
        Selection.all(5)[key]


def test_slice_with_step_zero() -> None:
    with pytest.raises(RowIndexError, match="step 0"):
        Selection.all(5)[::0]


def test_nothing_to_index() -> None:
    with pytest.raises(RowIndexError, match="Row 0 is out of range: there are no rows"):
        Selection.all(0)[0]


@pytest.mark.parametrize(
    ("key", "rows", "inner"),
    [
        (3, 3, ()),
        ((3,), 3, ()),
        ((), slice(None), ()),
        ((0, slice(2, 4), ...), 0, (slice(2, 4), ...)),
        ((..., 0), slice(None), (..., 0)),
        ((...,), slice(None), ()),
        ([1, 2], [1, 2], ()),
        ((slice(None), [0, 2]), slice(None), ([0, 2],)),
    ],
)
def test_split_key(key: Any, rows: Any, inner: tuple[Any, ...]) -> None:
    assert split_key(key) == (rows, inner)
