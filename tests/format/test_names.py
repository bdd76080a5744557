"""The grammar of tensor names, refs and ids, and the keys that are built from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zlake.context import random_id
from zlake.errors import FormatError, InvalidRefNameError, InvalidTensorGroupNameError, InvalidTensorNameError
from zlake.format import paths
from zlake.format.names import check_group_name, check_id, check_ref_name, check_tensor_name, is_id, name_problem
from zlake.storage.keys import check_key

ID = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    "name", ["x", "images", "a/b/c", "Bild größe", "画像", "a.b", "_id", "a-b", "1", "…", "x" * 255]
)
def test_good_tensor_names(name: str) -> None:
    check_tensor_name(name)
    check_group_name(name)


BAD_NAMES = {
    "": "empty",
    "/": "empty",
    "/a": "empty",
    "a/": "empty",
    "a//b": "empty",
    ".": "no part",
    "..": "no part",
    "../a": "no part",
    "a/../b": "no part",
    "a/.": "no part",
    " a": "white space",
    "a /b": "white space",
    "a\x00": "control",
    "a\nb": "control",
    "a\x7f": "control",
    "a\u2028": "control",
    "\ud800": "control",
    "x" * 256: "255 bytes",
    "ü" * 128: "255 bytes",
}


@pytest.mark.parametrize(("name", "why"), BAD_NAMES.items(), ids=map(ascii, BAD_NAMES))
def test_bad_tensor_names_say_why(name: str, why: str) -> None:
    with pytest.raises(InvalidTensorNameError, match=f"cannot be a tensor name: .*{why}"):
        check_tensor_name(name)
    with pytest.raises(InvalidTensorGroupNameError, match=why):
        check_group_name(name)


@pytest.mark.parametrize("name", ["main", "v1.0", "feature/x", "a_b-c+d=e", "2024-01-01", "x" * 240, "HEAD", "a.b.c"])
def test_good_ref_names(name: str) -> None:
    check_ref_name(name)
    assert paths.branch_key(name) == f"refs/branches/{name}.json"
    assert paths.tag_key(name) == f"refs/tags/{name}.json"
    check_key(paths.branch_key(name))
    check_key(paths.tag_key(name))


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/../b", ".a", "a/.b", "a.", "a..b", "a.lock", "a.json/b"),
        *("a b", "a:b", "a\\b", "a*", "ä", "a\x00", "a\n", "a@b", "a~", "a^", "a?b", "a#b", "a%2fb", "x" * 241, ID),
    ],
)
def test_bad_ref_names(name: str) -> None:
    with pytest.raises(InvalidRefNameError, match="cannot name a branch or tag"):
        check_ref_name(name)
    with pytest.raises(InvalidRefNameError):
        paths.branch_key(name)
    with pytest.raises(InvalidRefNameError):
        paths.tag_key(name)


@given(st.text(max_size=30))
def test_no_text_leads_out_of_the_prefix(text: str) -> None:
    try:
        key = paths.branch_key(text)
    except InvalidRefNameError:
        return
    check_key(key)
    assert key.startswith("refs/branches/")
    assert ".." not in key


def test_two_refs_never_need_a_file_and_a_folder_of_one_name() -> None:
    assert paths.branch_key("a") == "refs/branches/a.json"
    assert paths.branch_key("a/b") == "refs/branches/a/b.json"
    with pytest.raises(InvalidRefNameError):
        paths.branch_key("a.json/b")


def test_ids() -> None:
    for _ in range(20):
        check_id(random_id())
    for bad in ("", ID[:-1], ID + "a", ID.upper(), ID[:-1] + "1", ID[:-1] + "/", ID[:-1] + "\n", ID + "\n"):
        assert not is_id(bad)
        for key in (
            paths.snapshot_key,
            paths.page_key,
            paths.segment_prefix,
            lambda text: paths.tensor_prefix(ID, text),
        ):
            with pytest.raises(FormatError, match="is not an id"):
                key(bad)


def test_keys() -> None:
    assert paths.root_key() == "zarr.json"
    assert paths.snapshot_key(ID) == f"commits/{ID}/zarr.json"
    assert paths.page_key(ID) == f"pages/{ID}/zarr.json"
    assert paths.page_prefix(ID) == f"pages/{ID}/"
    assert paths.segment_prefix(ID) == f"segments/{ID}/"
    assert paths.tensor_prefix(ID, ID) == f"segments/{ID}/{ID}/"


def test_a_name_of_the_wrong_type_is_refused_by_its_type() -> None:
    for bad in (None, 3, b"a"):
        with pytest.raises(InvalidTensorNameError, match=type(bad).__name__):
            check_tensor_name(bad)
        with pytest.raises(InvalidRefNameError, match=type(bad).__name__):
            check_ref_name(bad)
        with pytest.raises(FormatError, match="is not an id"):
            check_id(bad)
    assert name_problem("a") == ""


def test_keys_of_leases_and_collectors() -> None:
    assert paths.lease_key(ID, 12) == f"leases/{ID}/12.json"
    assert paths.mark_key(ID) == f"gc/marks/{ID}.json"
    assert paths.sweep_key(ID) == f"gc/sweeps/{ID}.json"
    assert paths.lease_of(paths.lease_key(ID, 12)) == (ID, 12)
    for key in (f"leases/{ID}/01.json", f"leases/{ID}/-1.json", f"leases/{ID}/1", f"leases/{ID[1:]}/1.json"):
        assert paths.lease_of(key) is None
        assert not paths.is_dataset_key(key)
    for key in (paths.lease_key(ID, 0), paths.mark_key(ID), paths.sweep_key(ID), f"gc/probe-{ID}"):
        check_key(key)
        assert paths.is_dataset_key(key)
        assert paths.owner_of(key) is None


@pytest.mark.parametrize(
    ("key", "folder"),
    [
        (f"commits/{ID}/zarr.json", "commits/"),
        (f"pages/{ID}/zarr.json", "pages/"),
        (f"pages/{ID}/c.0.0", "pages/"),
        (f"segments/{ID}/zarr.json", "segments/"),
        (f"segments/{ID}/{ID}/zarr.json", "segments/"),
        (f"segments/{ID}/{ID}/values-data/zarr.json", "segments/"),
        (f"segments/{ID}/{ID}/values-data/c.0.12.3", "segments/"),
        (f"segments/{ID}/{ID}/ids/c.0", "segments/"),
        (f"commits/{ID}/zarr.json~", None),
        (f"commits/{ID}/notes/zarr.json", None),
        (f"commits/{ID[1:]}/zarr.json", None),
        (f"commits/{ID}", None),
        (f"pages/{ID}/c.0.0.0", None),
        (f"segments/{ID}/.DS_Store", None),
        (f"segments/{ID}/readme.txt", None),
        (f"segments/{ID}/{ID}/values-data/c.x", None),
        (f"segments/{ID}/{ID}/values-data/more/c.0", None),
        (f"views/{ID}/zarr.json", None),
        (f"other/{ID}/zarr.json", None),
        ("zarr.json", None),
    ],
)
def test_what_a_key_belongs_to(key: str, folder: str | None) -> None:
    assert paths.owner_of(key) == (None if folder is None else (folder, ID))
