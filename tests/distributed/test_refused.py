"""Receipts that cannot be committed, plans and writers that cannot be used: each is told why, and nothing changes."""

from __future__ import annotations

import hmac
import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import google_crc32c
import msgspec
import pytest

import zlake
from tests.distributed.rows import numbers, only_x, values
from zlake.distributed import Ingest, Plan, Receipt, begin, resume
from zlake.distributed.receipt import is_signed, signed
from zlake.errors import (
    BranchDeletedError,
    CommitError,
    CorruptObjectError,
    EmptyCommitError,
    InvalidOperationError,
    LeaseLapsedError,
    MemoryDatasetCanNotBePickledError,
    ReadOnlyModeError,
    ReceiptError,
    StoragePermissionError,
    UnsupportedFormatError,
)
from zlake.format import encode, seal
from zlake.storage import open_store

_names = itertools.count()
replace = msgspec.structs.replace


@pytest.fixture
def path() -> str:
    return f"mem://refused-{next(_names)}"


@pytest.fixture
def ds(path: str) -> zlake.Dataset:
    return only_x(path, [0])


@pytest.fixture
def ingest(ds: zlake.Dataset, path: str) -> Iterator[Ingest]:
    with begin(ds) as found:
        yield found
        # whatever was refused, what is there verifies, and the ingest goes on
        assert zlake.load(path).verify()


def test_paths_are_to_be_opened_first(path: str, ds: zlake.Dataset) -> None:
    for call in (begin, lambda given: resume(given, b"")):
        with pytest.raises(InvalidOperationError, match=rf"takes an open dataset, not '{path}'; zlake.load"):
            call(path)


def refused(ingest: Ingest, ds: zlake.Dataset, receipts: Any, match: str, kind: type[Exception] = ReceiptError) -> None:
    before = dict(objects(ds))
    with pytest.raises(kind, match=match):
        ingest.commit(receipts)
    assert {k: v for k, v in objects(ds).items() if not k.startswith("leases/")} == {
        k: v for k, v in before.items() if not k.startswith("leases/")
    }
    assert any(key.startswith("leases/") for key in objects(ds))


def objects(ds: zlake.Dataset) -> dict[str, bytes | None]:
    store = open_store(ds.path)
    return {key: store.read(key) for key in store.list()}


def forged(ingest: Ingest, receipt: Receipt, *, sign: bool = False, **fields: Any) -> bytes:
    """A receipt with other fields, of the receipt or of its tensor, and a checksum that is right."""
    document = receipt.document
    own = {name: fields.pop(name) for name in list(fields) if name in document.__struct_fields__}
    tensor = {name: fields.pop(name) for name in list(fields) if name in document.tensors[0].__struct_fields__}
    if fields:
        tensor["segments"] = (replace(document.tensors[0].segments[0], **fields),)
    if tensor:
        own["tensors"] = (replace(document.tensors[0], **tensor),)
    document = replace(document, **own)
    return encode(signed(document, ingest.plan.document.token) if sign else document)


# ---------------------------------------------------------------- receipts


def test_damaged(ingest: Ingest, ds: zlake.Dataset) -> None:
    good = numbers(ingest, [1])
    data = good.to_bytes()
    for at in range(0, len(data), 7):
        for bad in (data[:at], data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]):
            with pytest.raises(CorruptObjectError, match="the receipt"):
                Receipt.from_bytes(bad)
    refused(ingest, ds, [good, data[:-1]], "receipt 1: the receipt is damaged or cut short", CorruptObjectError)
    refused(ingest, ds, [b""], "receipt 0: the receipt is empty", CorruptObjectError)
    refused(ingest, ds, [b"{}"], "receipt 0: the receipt is not a zlake document", CorruptObjectError)
    ingest.commit([good])
    assert values(ds) == [0, 1]


def test_of_a_newer_version(ingest: Ingest, ds: zlake.Dataset) -> None:
    data = numbers(ingest, [1]).to_bytes().replace(b'"receipt/1"', b'"receipt/2"')
    empty = data[:11] + b"00000000" + data[19:]
    data = data[:11] + b"%08x" % google_crc32c.value(empty) + data[19:]
    refused(ingest, ds, [data], "receipt document of version 2.*upgrade zlake", UnsupportedFormatError)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 5},
        {"id_start": 17},
        {"codec": "zstd"},
        {"segment": "a" * 26},
        {"dtype": "float64"},
        {"class_names": ("x",)},
        {"mac": "0" * 64},
        {"mac": ""},
        {"tensors": ()},
    ],
    ids=str,
)
def test_forged(ingest: Ingest, ds: zlake.Dataset, change: dict[str, Any]) -> None:
    good = numbers(ingest, [1, 2, 3])
    if "rows" in change:
        change = {**change, "elements": 5}
    bad = forged(ingest, good, **change)
    refused(ingest, ds, [good, bad], "receipt 1 was changed, or made by somebody who had no plan of this ingest")


def test_of_another_dataset(ingest: Ingest, ds: zlake.Dataset) -> None:
    other = only_x(f"mem://refused-{next(_names)}")
    with begin(other) as strange:
        receipt = numbers(strange, [1])
        refused(ingest, ds, [receipt], "receipt 0 is of dataset .*, this one is")
        with pytest.raises(ReceiptError, match="an ingest into dataset"):
            resume(ds, strange.plan)


def test_of_another_ingest(ingest: Ingest, ds: zlake.Dataset) -> None:
    with begin(ds) as second:
        receipt = numbers(second, [1])
        refused(ingest, ds, [receipt], "receipt 0 is of the ingest .*: see resume")
        second.commit([receipt])
    assert values(ds) == [0, 1]


def test_what_is_no_receipt(ingest: Ingest, ds: zlake.Dataset) -> None:
    good = numbers(ingest, [1])
    refused(ingest, ds, good, "a list of receipts")
    refused(ingest, ds, good.to_bytes(), "a list of receipts")
    refused(ingest, ds, ["text"], "receipt 0: a receipt travels as bytes, not as str")
    refused(ingest, ds, [good, None], "receipt 1: .*NoneType")
    with pytest.raises(ReceiptError, match="as bytes, not as dict"):
        Plan.from_bytes({})  # type: ignore[arg-type]


def test_no_rows(ingest: Ingest, ds: zlake.Dataset) -> None:
    refused(ingest, ds, [], "no rows in these 0 receipts", EmptyCommitError)
    with ingest.plan.writer() as writer:
        pass
    refused(ingest, ds, [writer.receipt], "no rows in these 1 receipts", EmptyCommitError)
    ingest.commit([writer.receipt, numbers(ingest, [1])])
    assert values(ds) == [0, 1]


def test_a_missing_or_damaged_segment(ingest: Ingest, ds: zlake.Dataset) -> None:
    good, gone, bad, wrong = (numbers(ingest, [i]) for i in range(4))
    store = open_store(ds.path)

    def key(receipt: Receipt) -> str:
        return f"segments/{receipt.document.tensors[0].segments[0].segment}/zarr.json"

    kept = {key(receipt): store.read(key(receipt)) or b"" for receipt in (gone, bad, wrong)}
    store.delete(key(gone))
    refused(ingest, ds, [good, gone], "receipt 1: .*has no object 'segments/.*write them again")
    store.delete(key(bad))
    store.create(key(bad), kept[key(bad)].replace(b"int64", b"int32"))
    refused(ingest, ds, [bad, good], "receipt 0: segments/.*is damaged")
    store.delete(key(wrong))
    store.create(key(wrong), store.read(key(good)) or b"")
    refused(ingest, ds, [wrong], "receipt 0: .*is that of another segment")
    for each, data in kept.items():
        store.delete(each)
        store.create(each, data)
    ingest.commit([good, gone, bad, wrong])
    assert values(ds) == [0, 0, 1, 2, 3]


def test_given_twice_counts_once(ingest: Ingest, ds: zlake.Dataset) -> None:
    one, two = numbers(ingest, [1]), numbers(ingest, [2])
    ingest.commit([one, two, one.to_bytes(), two])
    assert values(ds) == [0, 1, 2]
    commit = ds.commit_id
    assert ingest.commit([two, one]) == commit
    assert ingest.commit([one]) == commit
    assert (values(ds), ds.commit_id) == ([0, 1, 2], commit)


def test_receipts_that_share_rows(ingest: Ingest, ds: zlake.Dataset) -> None:
    """Only whoever has the plan can make such ones."""
    good = numbers(ingest, [1, 2, 3])
    (entry,) = good.document.tensors[0].segments
    shared = forged(ingest, good, segment="b" * 26, rows=2, elements=2, id_start=entry.id_start + 2, sign=True)
    refused(ingest, ds, [good, shared], "receipt 1 has rows of tensor 'x' that it has twice, or that another")
    twice = forged(ingest, good, segments=(entry, replace(entry, segment="b" * 26)), sign=True)
    refused(ingest, ds, [twice], "receipt 0 has rows of tensor 'x' that it has twice")
    ingest.commit([good])
    with resume(ds, ingest.plan) as again, pytest.raises(ReceiptError, match="has 1 of its 2 samples already"):
        again.commit([shared])
    assert values(ds) == [0, 1, 2, 3]


def test_more_rows_after_it_was_committed(ingest: Ingest, ds: zlake.Dataset) -> None:
    late = ingest.plan.writer()
    ingest.commit([numbers(ingest, [1])])
    with late:
        late.append({"x": 2})
    with pytest.raises(InvalidOperationError, match="this ingest was committed, so these rows are not kept"):
        ingest.commit([late.receipt])
    with resume(ds, ingest.plan) as again, pytest.raises(LeaseLapsedError, match="has no lease any more"):
        again.commit([late.receipt])
    assert values(ds) == [0, 1]


def test_after_it_was_aborted(ds: zlake.Dataset) -> None:
    with begin(ds) as ingest:
        receipt = numbers(ingest, [1])
    with pytest.raises(InvalidOperationError, match="this ingest was aborted"):
        ingest.commit([receipt])
    assert values(ds) == [0]


# ---------------------------------------------------------------- tensors that changed


def test_a_tensor_that_was_deleted(ingest: Ingest, ds: zlake.Dataset, path: str) -> None:
    receipt = numbers(ingest, [1])
    other = zlake.load(path)
    other.delete_tensor("x")
    refused(ingest, other, [receipt], "receipt 0 has rows of tensor 'x', which was deleted since the ingest began")
    other.create_tensor("x", dtype="int64")  # it has another key: these are not its rows
    refused(ingest, other, [receipt], "which was deleted")


def test_a_tensor_that_was_renamed(ingest: Ingest, ds: zlake.Dataset, path: str) -> None:
    receipt = numbers(ingest, [1])
    other = zlake.load(path)
    other.rename_tensor("x", "y")
    refused(ingest, ds, [receipt], "tensor 'x', which is called 'y' by now.*rename it back")
    other.rename_tensor("y", "x")
    ingest.commit([receipt])
    assert values(ds) == [0, 1]


@pytest.mark.parametrize("by_others", [False, True])
def test_a_dtype_that_was_decided_meanwhile(path: str, by_others: bool) -> None:
    ds = zlake.empty(path)
    ds.create_tensor("x")
    ds.commit("begun")
    with begin(ds) as ingest:
        receipts = []
        for sample in (1, 1.5, 2):
            with ingest.plan.writer() as writer:
                writer.append({"x": sample})
            receipts.append(writer.receipt)
        if by_others:
            zlake.load(path).x.append(7)
            refused(ingest, ds, [receipts[1]], "receipt 0: .*dtype.*nothing was committed")
        refused(ingest, ds, receipts, "receipt 1: .*dtype.*nothing was committed")
        ingest.commit(receipts[::2])
    assert values(ds) == [7, 1, 2][not by_others :]
    assert ds.verify()


def test_the_swap_is_lost_to_who_deletes_the_tensor(ingest: Ingest, ds: zlake.Dataset, path: str) -> None:
    receipt = numbers(ingest, [1])
    repository = ds._session.repository
    head = repository.head

    def stale(branch: str = "main") -> Any:
        found = head(branch)
        repository.head = head  # type: ignore[method-assign]
        zlake.load(path).delete_tensor("x")
        return found

    repository.head = stale  # type: ignore[method-assign]
    with pytest.raises(ReceiptError, match="which was deleted since"):
        ingest.commit([receipt])
    assert not zlake.load(path).tensors


def test_a_deleted_branch(path: str) -> None:
    ds = only_x(path, [0])
    ds.checkout("side", create=True)
    with begin(ds) as ingest:
        receipt = numbers(ingest, [1])
        zlake.load(path).delete_branch("side")
        with pytest.raises(BranchDeletedError):
            ingest.commit([receipt])
        zlake.load(path).restore_branch("side")
        ingest.commit([receipt])
    assert values(zlake.load(f"{path}@side")) == [0, 1]


def test_a_branch_that_was_reset(ds: zlake.Dataset, path: str) -> None:
    ds.append({"x": 5})  # staged
    with begin(ds) as ingest:
        receipt = numbers(ingest, [1])
        zlake.load(path).reset()
        ingest.commit([receipt])
    assert values(ds) == [0, 1]


# ---------------------------------------------------------------- beginning and writing


def test_where_nothing_can_be_written(ds: zlake.Dataset, path: str) -> None:
    with pytest.raises(ReadOnlyModeError):
        begin(zlake.load(path, read_only=True))
    for view in (ds[:1], ds[["x"]]):
        with pytest.raises(InvalidOperationError, match="view"):
            begin(view)
        with pytest.raises(InvalidOperationError, match="view"):
            resume(view, b"")


def test_messages_that_no_commit_can_hold(ingest: Ingest, ds: zlake.Dataset) -> None:
    receipt = numbers(ingest, [1])
    for options in ({"message": 5}, {"message": "x" * 9000}, {"author": "\ud800"}):
        with pytest.raises(CommitError, match="of a commit"):
            ingest.commit([receipt], **options)  # type: ignore[arg-type]
    assert values(ds) == [0]


def test_memory_does_not_travel(ingest: Ingest) -> None:
    with pytest.raises(MemoryDatasetCanNotBePickledError, match="in this process's memory"):
        ingest.plan.to_bytes()


def test_plans_that_are_damaged(tmp_path: Path) -> None:
    with begin(only_x(tmp_path / "ds")) as ingest:
        data = ingest.plan.to_bytes()
        for at in range(0, len(data), 11):
            with pytest.raises(CorruptObjectError, match="the plan"):
                Plan.from_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(CorruptObjectError, match="the plan"):
            Plan.from_bytes(numbers(ingest, [1]).to_bytes())
        document = replace(ingest.plan.document, url=str(tmp_path), lengths=())
        with pytest.raises(zlake.errors.FormatError, match="lengths"):
            encode(document)


def test_credentials_of_a_process_that_has_ended(tmp_path: Path) -> None:
    with begin(only_x(tmp_path / "ds")) as ingest:
        document = replace(ingest.plan.document, url="s3://bucket/ds", credentials="/proc/1/fd/none")
        with pytest.raises(StoragePermissionError, match="do not travel beyond"):
            Plan.from_bytes(encode(document))


def test_no_receipt_before_all_rows_are_durable(ingest: Ingest) -> None:
    with ingest.plan.writer() as writer:
        writer.append({"x": 1})
        with pytest.raises(InvalidOperationError, match="at the end of the with block"):
            _ = writer.receipt
    assert writer.close() is writer.receipt
    for use in (lambda: writer.append({"x": 2}), lambda: writer.extend({"x": [2]})):
        with pytest.raises(InvalidOperationError, match="has given its receipt"):
            use()


def test_no_receipt_after_an_error(ingest: Ingest) -> None:
    writer = ingest.plan.writer()
    with suppress(ZeroDivisionError), writer:
        writer.append({"x": 1})
        raise ZeroDivisionError
    uses: list[Callable[[], Any]] = [lambda: writer.receipt, writer.close, lambda: writer.append({"x": 2})]
    for use in uses:
        with pytest.raises(InvalidOperationError, match=r"ended with an error \(ZeroDivisionError\)"):
            use()


def test_tensors_of_different_lengths(ds: zlake.Dataset) -> None:
    ds.create_tensor("y", dtype="int64")
    with begin(ds) as ingest, ingest.plan.writer() as writer:
        with pytest.raises(zlake.errors.SampleAppendError, match="different lengths"):
            writer.append({"x": 1, "y": 2})
        writer.append({"y": 1}, skip_ok=True)
        writer.append({"x": 2, "y": 2})
    assert writer.receipt.rows == {"x": 1, "y": 2}


def test_a_receipt_is_plain_json(ingest: Ingest) -> None:
    found = json.loads(numbers(ingest, [1]).to_bytes())
    assert list(found) == ["crc32c", "zlake"]
    assert found["zlake"]["document"] == "receipt/1"


def test_the_example_of_the_specification_is_signed() -> None:
    text = (Path(__file__).parents[2] / "spec" / "11-ingests.md").read_text("utf-8")
    token, example = re.search(r"whose token is `(\w+)`:\n\n```json receipt\n(.*?)\n```", text, re.DOTALL).groups()  # type: ignore[union-attr]
    body = json.loads(example)["zlake"]
    mac = body.pop("mac")
    # as chapter 11 says it, without any code of zlake
    body["tensors"] = [{key: value for key, value in each.items() if value != []} for each in body["tensors"]]
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert hmac.new(token.encode(), plain, "sha256").hexdigest() == mac
    assert is_signed(Receipt.from_bytes(example.encode()).document, token)


def test_defaults_that_are_written_out_change_nothing(ingest: Ingest, ds: zlake.Dataset) -> None:
    """Another implementation may write them, and in another order."""
    receipt = numbers(ingest, [1])
    found = json.loads(receipt.to_bytes())["zlake"]
    found["tensors"][0]["segments"][0] |= {"codec": "raw", "items": -1, "shapes": 0, "shard": []}
    found = {"document": found.pop("document"), **dict(sorted(found.items(), reverse=True))}
    data = b'{"crc32c":"00000000","zlake":' + json.dumps(found, indent=1).encode() + b"}"
    ingest.commit([seal(data), receipt])
    assert values(ds) == [0, 1]
