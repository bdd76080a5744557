from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zlake.versions.names import are_names, merge_names


@pytest.mark.parametrize(
    ("base", "onto", "carried", "merged", "mapping"),
    [
        ("ab", "ab", "abc", "abc", [0, 1, 2]),
        ("ab", "abx", "abc", "abxc", [0, 1, 3]),
        ("ab", "abxc", "abc", "abxc", [0, 1, 3]),
        ("ab", "abc", "abx", "abcx", [0, 1, 3]),
        ("ab", "aB", "abc", "aBc", [0, 1, 2]),  # renamed there
        ("ab", "abx", "aB", "aBx", [0, 1]),  # renamed here
        ("ab", "ba", "abc", "bac", [1, 0, 2]),  # another order there
        ("ab", "b", "ab", "ba", [1, 0]),
        ("", "x", "y", "xy", [1]),
        ("", "", "", "", []),
        ("ab", "abx", "ba", "abx", [1, 0]),
        ("a", "x", "ax", "xa", [1, 0]),
        ("a", "xy", "ab", "xyb", [0, 2]),  # renamed there, and one more
    ],
)
def test_names(base: str, onto: str, carried: str, merged: str, mapping: list[int]) -> None:
    found, numbers = merge_names(base, onto, carried)
    assert ("".join(found), numbers.tolist()) == (merged, mapping)


letters = st.lists(st.sampled_from("abcdefgh"), unique=True)


@given(letters, letters, letters)
def test_nothing_is_lost_or_doubled(base: list[str], onto: list[str], carried: list[str]) -> None:
    merged, mapping = merge_names(base, onto, carried)
    assert len(set(merged)) == len(merged)
    assert len(set(mapping.tolist())) == len(carried)
    renamed = {i for i, name in enumerate(onto) if merged[i] != name}
    assert all(i < len(base) and base[i] == onto[i] and base[i] not in carried for i in renamed)
    for i, name in enumerate(carried):
        assert merged[mapping[i]] == name or (base[i] == name and name not in onto and merged[mapping[i]] not in base)


def test_what_are_names() -> None:
    assert are_names(["a", "b"])
    assert are_names([])
    assert not are_names(["a", "a"])
    assert not are_names(["a", 1])
    assert not are_names("ab")
    assert not are_names(None)
