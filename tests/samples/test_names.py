from __future__ import annotations

import pytest

from zlake.errors import TensorMetaInvalidHtypeOverwriteValue
from zlake.samples import ClassNames


def test_unknown_names_are_added_and_remembered() -> None:
    names = ClassNames(["cat", "dog"])
    assert (names.index_of("dog"), names.changed) == (1, False)
    before = names.copy()
    assert (names.index_of("bird"), names.changed, names.values) == (2, True, ["cat", "dog", "bird"])
    assert (before.values, before.changed, before.find("bird")) == (["cat", "dog"], False, None)
    assert len(names) == 3
    assert before == ClassNames(["cat", "dog"]) != names
    assert repr(before) == "ClassNames(['cat', 'dog'])"


@pytest.mark.parametrize(
    ("values", "why"), [("cat", "list of names"), (["a", 1], "strings; got 1"), (["a", "a"], "'a' twice")]
)
def test_bad_names(values: list[str], why: str) -> None:
    with pytest.raises(TensorMetaInvalidHtypeOverwriteValue, match=why):
        ClassNames(values)
