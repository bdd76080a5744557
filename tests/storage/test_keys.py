from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zlake.errors import InvalidKeyError
from zlake.storage.keys import check_key, check_prefix, is_key
from zlake.testing.store_tests import BAD_KEYS


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys(key):
    assert not is_key(key)
    with pytest.raises(InvalidKeyError, match="invalid key"):
        check_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "zarr.json",
        "commits/abc234/zarr.json",
        "segments/x/t/values-data/c/0/1",
        "refs/branches/feature/größe-2.json",
        ".zattrs",
        "a..b",
        "...",
        "雪",
        "हिन्दी",
        "x" * 248,
        "/".join(["é" * 100] * 5),
    ],
)
def test_good_keys(key):
    assert is_key(key)
    check_key(key)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/", "refs/branches/m"])
def test_good_prefixes(prefix):
    check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["/", "a//", "../", "a/../", ".", "\0"])
def test_bad_prefixes(prefix):
    with pytest.raises(InvalidKeyError):
        check_prefix(prefix)


@given(st.text(st.sampled_from("ab.-_/\\ \0é\u0301*"), max_size=12))
def test_a_key_never_leaves_its_folder(text):
    if is_key(text):
        segments = text.split("/")
        assert not {"", ".", ".."} & set(segments)
        assert not {"\\", "\0"} & set(text)
