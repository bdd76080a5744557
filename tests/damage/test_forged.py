"""Documents with right checksums that lie: newer ones, absurd numbers, ids that would lead elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import zlake
from tests.damage.dataset import CONTEXTS, Original, load_document, read
from tests.damage.forge import forge, forge_whole, put
from zlake.errors import CorruptObjectError, DatasetCorruptError, UnsupportedFormatError, ZlakeError

HUGE = 2**53 - 1


def tip(original: Original) -> str:
    """The snapshot that readers of the branch open."""
    return f"commits/{zlake.load(original.folder)._session.head.snapshot.id}/zarr.json"


def tensor(original: Original, name: str) -> int:
    body = json.loads(original.objects[tip(original)])["attributes"]["zlake"]
    return [state["name"] for state in body["tensors"]].index(name)


# ---------------------------------------------------------------- newer versions


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("root", put("format_version", value=2), "format version 2.*upgrade zlake"),
        ("root", put("features", value=["sparse"]), "'sparse'.*upgrade zlake"),
        ("root", put("document", value="root/2"), "version 2.*upgrade zlake"),
        ("branch", put("document", value="branch/2"), "version 2.*upgrade zlake"),
        ("tag", put("document", value="tag/2"), "version 2.*upgrade zlake"),
        ("tip", put("document", value="snapshot/2"), "version 2.*upgrade zlake"),
        ("tip", put("tensors", 0, "extents", "segments", 0, "codec", value="fsst"), "'fsst'.*upgrade zlake"),
        ("history", put("document", value="history/7"), "version 7.*upgrade zlake"),
        ("info", put("document", value="info/2"), "version 2.*upgrade zlake"),
        ("extent-page", put("document", value="extent-page/2"), "version 2.*upgrade zlake"),
        ("id-page", put("document", value="id-page/2"), "version 2.*upgrade zlake"),
    ],
    ids=str,
)
def test_a_newer_version_is_told_from_damage(original: Original, kind: str, change: Any, message: str) -> None:
    key = key_of(original, kind)
    with original.changed(key, forge(original.objects[key], change)) as folder:
        with pytest.raises(UnsupportedFormatError, match=message):
            load_document(folder, key)
        if kind == "root":
            with pytest.raises(UnsupportedFormatError, match="upgrade zlake"):
                zlake.load(folder, read_only=False)
            assert zlake.exists(folder)
            with pytest.raises(zlake.errors.DatasetExistsError):
                zlake.empty(folder)


def key_of(original: Original, kind: str) -> str:
    if kind == "tip":
        return tip(original)
    if kind in ("root", "branch", "tag"):
        return original.keys(kind)[0]
    return next(key for key in original.keys("page") if f'"document":"{kind}/1"'.encode() in original.objects[key])


def test_members_that_this_version_does_not_know_are_refused_not_dropped(original: Original) -> None:
    for kind in ("root", "branch", "tag", "tip", "history", "info", "extent-page", "id-page"):
        key = key_of(original, kind)
        with (
            original.changed(key, forge(original.objects[key], put("surprise", value=1))) as folder,
            pytest.raises((CorruptObjectError, DatasetCorruptError), match="surprise"),
        ):
            load_document(folder, key)


def test_attributes_of_other_tools_are_ignored(original: Original) -> None:
    key = tip(original)
    changed = forge_whole(original.objects[key], put("attributes", "theirs", value={"a": 1}))
    assert original.outcome(key, changed, CONTEXTS[0]) == "same"


# ---------------------------------------------------------------- ids that would lead elsewhere


@pytest.mark.parametrize("evil", ["../../../../etc/passwd", "..", "a/../../b", "/etc/passwd", "", "A" * 26, "a" * 25])
@pytest.mark.parametrize("place", ["commit", "staged", "segment", "key", "page", "object", "history", "parent"])
def test_ids_that_are_none_are_refused(original: Original, place: str, evil: str) -> None:
    sharded = tensor(original, "sharded")
    label = tensor(original, "label")
    key, change = {
        "commit": ("branch", put("commit", value=evil)),
        "staged": ("branch", put("staged", value=evil)),
        "segment": ("tip", put("tensors", 0, "extents", "segments", 0, "segment", value=evil)),
        "key": ("tip", put("tensors", 0, "key", value=evil)),
        "page": ("tip", put("tensors", sharded, "extents", "pages", 0, "id", value=evil)),
        "object": ("tip", put("tensors", label, "info", "object", value=evil)),
        "history": ("tip", put("history", value=evil)),
        "parent": ("tip", put("parents", 0, value=evil)),
    }[place]
    if place == "object" and not evil:
        return  # an empty id means that the info is not in an object of its own
    key = key_of(original, key)
    assert original.outcome(key, forge(original.objects[key], change), CONTEXTS[0]) == "CorruptObjectError"


@pytest.mark.parametrize(
    "name", ["../x", "a/../../b", "/x", "x/", "", "a//b", ".", "x\0y", "x\ny", "\u2028", "é" * 200]
)
def test_names_of_tensors_that_are_none_are_refused(original: Original, name: str) -> None:
    key = tip(original)
    for change in (put("tensors", 0, "name", value=name), put("groups", value=[name])):
        assert original.outcome(key, forge(original.objects[key], change), CONTEXTS[0]) == "CorruptObjectError"


# ---------------------------------------------------------------- numbers

SEGMENT = ("tensors", 0, "extents", "segments", 0)
LIES: dict[str, tuple[str, Any]] = {
    "more rows than there are": ("tip", put("tensors", 0, "length", value=10**9)),
    "a huge extent": ("tip", put("tensors", 0, "extents", "extents", 0, value=[0, 0, HUGE])),
    "an extent of no segment": ("tip", put("tensors", 0, "extents", "extents", 0, value=[7, 0, 1])),
    "an extent before the first row": ("tip", put("tensors", 0, "extents", "extents", 0, value=[0, -1, 9])),
    "a huge segment": ("tip", put(*SEGMENT, "rows", value=HUGE)),
    "huge samples": ("tip", put(*SEGMENT, "shape", value=[2**40, 2**40])),
    "a huge chunk": ("tip", put(*SEGMENT, "inner", value=[2**40])),
    "a chunk of 31 axes": ("tip", put(*SEGMENT, "inner", value=[4] * 31)),
    "a huge shard": ("tip", put(*SEGMENT, "shard", value=[2**50])),
    "huge sidecar chunks": ("tip", put("tensors", 2, "extents", "segments", 0, "sidecar", value=2**50)),
    "no rows": ("tip", put(*SEGMENT, "rows", value=0)),
    "a rank": ("tip", put("tensors", 0, "ndim", value=31)),
    "another dtype": ("tip", put("tensors", 0, "dtype", value="float64")),
    "an object dtype": ("tip", put("tensors", 0, "dtype", value="object")),
    "another htype": ("tip", put("tensors", 0, "htype", value="os.system")),
    "another layout": ("tip", put(*SEGMENT, "layout", value="encoded")),
    "a number too large": ("tip", put("tensors", 0, "length", value=2**70)),
    "a fraction": ("tip", put("tensors", 0, "length", value=9.0)),
    "a generation": ("tip", put("generation", value=-1)),
    "a time": ("tip", put("time", value=1e300)),
    "many parents": ("tip", put("parents", value=["a" * 26] * 17)),
    "a sequence": ("tip", put("tensors", 0, "sequence", value=True)),
    "a compression": ("tip", put("tensors", 0, "sample_compression", value="jpeg")),
    "a branch far ahead": ("branch", put("sequence", value=HUGE)),
    "many pages": ("extent-page", put("rows", value=HUGE)),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_errors_or_do_no_harm(original: Original, lie: str) -> None:
    kind, change = LIES[lie]
    key = key_of(original, kind)
    with original.changed(key, forge(original.objects[key], change)) as folder:
        try:
            found = read(folder, CONTEXTS[0])
        except ZlakeError:
            return
    # nothing in the bytes contradicts these
    assert lie in ("a branch far ahead", "another htype")
    assert found["rows"] == original.expected(None)["rows"]


CHILD = """
import resource, sys, time
import zlake

def attempt(number, call):
    began = time.monotonic()
    try:
        call()
    except zlake.errors.ZlakeError as error:
        print(type(error).__name__)
    except MemoryError:
        print("MemoryError")
    else:
        print("read")
    assert time.monotonic() - began < 10

name, honest, lying = sys.argv[1:]
ds = zlake.load(honest)
[tensor.numpy(aslist=True) for tensor in ds.tensors.values()]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (6 << 30),) * 2)  # stacks of threads take a lot of addresses
for number, call in enumerate([
    lambda tensor: tensor[0].numpy(),
    lambda tensor: tensor[2**40 - 1].numpy(),
    lambda tensor: tensor[:3].numpy(aslist=True),
    lambda tensor: tensor[[5, 1000, 2**39]].numpy(aslist=True),
    lambda tensor: tensor.numpy(aslist=True),
    lambda tensor: [1 / 0 for deep in (True, False) if zlake.load(lying).verify(deep=deep)],
]):
    attempt(number, lambda: call(zlake.load(lying)[name]))
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process by Linux's rules")
@pytest.mark.parametrize("name", ["plain", "lists/ragged", "lists/planes", "text", "steps", "zstd"])
def test_sizes_that_are_told_are_not_believed(original: Original, name: str) -> None:
    """The documents agree with each other about a trillion rows: finding out takes less than 256 MiB."""
    number = tensor(original, name)
    rows = 2**40

    def change(body: dict[str, Any]) -> None:
        state = body["tensors"][number]
        entry = state["extents"]["segments"][0]
        for member in {"dense": ["elements"]}.get(entry["layout"], []) + (["items"] if name == "steps" else []):
            entry[member] = rows
        entry["rows"] = rows
        state["extents"]["extents"] = [[0, 0, rows]]
        state["length"] = rows

    key = tip(original)
    with original.changed(key, forge(original.objects[key], change)) as folder:
        command = [sys.executable, "-c", CHILD, name, str(original.folder), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    *some, every, _ = done.stdout.split()
    # the rows that exist may be read; nobody can have the other ones
    assert some[1] in ("CorruptObjectError", "ObjectNotFoundError")
    assert set(some) <= {"CorruptObjectError", "ObjectNotFoundError", "read"}
    assert every in ("CorruptObjectError", "ObjectNotFoundError", "MemoryError")
