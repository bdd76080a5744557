"""Names, settings, keys, samples and texts that do not fit: one clear error, and nothing was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from tests.badinput.conftest import Call, refused
from zlake.errors import (
    CommitError,
    InvalidKeyTypeError,
    InvalidTensorGroupNameError,
    InvalidTensorNameError,
    JsonValidationError,
    RowIndexError,
    SampleAppendError,
    SampleExtendError,
    SampleUpdateError,
    TensorAlreadyExistsError,
    TensorDoesNotExistError,
    TensorGroupAlreadyExistsError,
    TensorGroupDoesNotExistError,
    TensorMetaInvalidHtype,
    TensorMetaInvalidHtypeOverwriteKey,
    TensorMetaInvalidHtypeOverwriteValue,
    TensorMetaMissingRequiredValue,
    TensorMetaMutuallyExclusiveKeysError,
    UnsupportedCompressionError,
    ZlakeError,
)

IMAGE = np.zeros((4, 4), np.uint8)
Case = tuple[str, Call, type[ZlakeError], tuple[str, ...]]


def row(**values: Any) -> dict[str, Any]:
    return {"images": IMAGE, "label": 0, "notes/text": "x", **values}


STRUCTURE: list[Case] = [
    ("taken", lambda ds: ds.create_tensor("images"), TensorAlreadyExistsError, ("'images'", "exist_ok=True")),
    ("a method", lambda ds: ds.create_tensor("append"), InvalidTensorNameError, ("'append'", "member of Dataset")),
    ("a method below", lambda ds: ds.create_tensor("g/pop"), InvalidTensorNameError, ("'pop'",)),
    ("empty", lambda ds: ds.create_tensor(""), InvalidTensorNameError, ("''", "empty")),
    ("a number", lambda ds: ds.create_tensor(3), InvalidTensorNameError, ("3", "int, not str")),
    ("None", lambda ds: ds.create_tensor(None), InvalidTensorNameError, ("None",)),
    ("long", lambda ds: ds.create_tensor("x" * 300), InvalidTensorNameError, ("longer than 255 bytes",)),
    ("in a tensor", lambda ds: ds.create_tensor("images/x"), TensorAlreadyExistsError, ("'images' is a tensor",)),
    ("a group", lambda ds: ds.create_tensor("notes"), TensorGroupAlreadyExistsError, ("'notes'",)),
    ("group taken", lambda ds: ds.create_group("notes"), TensorGroupAlreadyExistsError, ("'notes'", "exist_ok=True")),
    ("group of dots", lambda ds: ds.create_group("a/../b"), InvalidTensorGroupNameError, ("'a/../b'",)),
    ("group a number", lambda ds: ds.create_group(3), InvalidTensorGroupNameError, ("3",)),
    ("rename onto", lambda ds: ds.rename_tensor("images", "label"), TensorAlreadyExistsError, ("'label'",)),
    ("rename away", lambda ds: ds.rename_tensor("images", "g/images"), InvalidTensorNameError, ("another group",)),
    ("rename none", lambda ds: ds.rename_tensor("imags", "x"), TensorDoesNotExistError, ("did you mean 'images'?",)),
    ("delete none", lambda ds: ds.delete_tensor("nope"), TensorDoesNotExistError, ("'nope'", "there are")),
    ("delete no group", lambda ds: ds.delete_group("nope"), TensorGroupDoesNotExistError, ("'nope'", "notes")),
    ("htype", lambda ds: ds.create_tensor("q", htype="imagge"), TensorMetaInvalidHtype, ("did you mean 'image'",)),
    ("half htype", lambda ds: ds.create_tensor("q", htype="sequence["), TensorMetaInvalidHtype, ("sequence[image]",)),
    ("htype 3", lambda ds: ds.create_tensor("q", htype=3), TensorMetaInvalidHtype, ("3",)),
    (
        "dtype",
        lambda ds: ds.create_tensor("q", dtype="floot"),
        TensorMetaInvalidHtypeOverwriteValue,
        ("'floot'", "float32"),
    ),
    ("objects", lambda ds: ds.create_tensor("q", dtype=object), TensorMetaInvalidHtypeOverwriteValue, ("uint8",)),
    ("setting", lambda ds: ds.create_tensor("q", colour=1), TensorMetaInvalidHtypeOverwriteKey, ("'colour'", "hidden")),
    ("codec", lambda ds: ds.create_tensor("q", sample_compression="jpgg"), UnsupportedCompressionError, ("'jpeg'?",)),
    ("no codec", lambda ds: ds.create_tensor("q", htype="image"), TensorMetaMissingRequiredValue, ("'jpeg' or 'png'",)),
    (
        "two codecs",
        lambda ds: ds.create_tensor("q", htype="image", sample_compression="jpeg", chunk_compression="zstd"),
        TensorMetaMutuallyExclusiveKeysError,
        ("'jpeg'", "'zstd'", "not both"),
    ),
    (
        "names",
        lambda ds: ds.create_tensor("q", htype="class_label", class_names="ab"),
        TensorMetaInvalidHtypeOverwriteValue,
        ("list of names", "'ab'"),
    ),
]

ROWS: list[Case] = [
    ("one missing", lambda ds: ds.append({"images": IMAGE}), SampleAppendError, ("label", "skip_ok=True")),
    ("one too many", lambda ds: ds.append(row(image=1)), TensorDoesNotExistError, ("did you mean 'images'?",)),
    ("a number as name", lambda ds: ds.append({3: IMAGE}), TensorDoesNotExistError, ("3",)),
    ("nothing", lambda ds: ds.append({}), SampleAppendError, ("images",)),
    ("None", lambda ds: ds.append(None), SampleAppendError, ("dictionary", "NoneType")),
    ("a list", lambda ds: ds.append([IMAGE, 0]), SampleAppendError, ("dictionary", "list")),
    ("dtype", lambda ds: ds.append(row(images=IMAGE + 0.5)), SampleAppendError, ("'images'", "float64", "uint8")),
    ("rank", lambda ds: ds.append(row(images=IMAGE[0])), SampleAppendError, ("'images'", "no tensor was")),
    ("text", lambda ds: ds.append(row(images="abc")), SampleAppendError, ("'images'", "'abc'")),
    ("too large", lambda ds: ds.append(row(images=[[300]])), SampleAppendError, ("'images'", "300", "255")),
    ("uneven", lambda ds: ds.append(row(images=[[1, 2], [3]])), SampleAppendError, ("'images'",)),
    ("an object", lambda ds: ds.append(row(images=object())), SampleAppendError, ("'images'", "object")),
    ("negative label", lambda ds: ds.append(row(label=-1)), SampleAppendError, ("'label'", "-1")),
    ("half a label", lambda ds: ds.append(row(label=0.5)), SampleAppendError, ("'label'", "float")),
    ("bytes as text", lambda ds: ds.append(row(**{"notes/text": b"x"})), SampleAppendError, ("'notes/text'", "bytes")),
    ("half a name", lambda ds: ds.append(row(label="\udc00")), SampleAppendError, ("'label'", "Unicode")),
    ("half a character", lambda ds: ds.append(row(**{"notes/text": "\ud800"})), SampleAppendError, ("'notes/text'",)),
    ("not even", lambda ds: ds.extend({"images": [IMAGE], "label": [0, 1]}), SampleExtendError, ("different lengths",)),
    ("no sequence", lambda ds: ds.images.extend(5), SampleExtendError, ("sequence", "int")),
    ("a string", lambda ds: ds["notes/text"].extend("abc"), SampleExtendError, ("append",)),
    (
        "one of two",
        lambda ds: ds.images.extend([IMAGE, IMAGE[0]]),
        SampleExtendError,
        ("'images'", "no tensor was changed"),
    ),
    ("update none", lambda ds: ds[0].update({"nope": 1}), SampleUpdateError, ("'nope'", "nothing was changed")),
    ("update text", lambda ds: ds.images.__setitem__(0, "x"), SampleUpdateError, ("'images'", "'x'")),
    ("update half", lambda ds: ds[0].update({"images": IMAGE + 1, "label": "\ud800"}), SampleUpdateError, ("'label'",)),
    ("too few", lambda ds: ds.images.__setitem__(slice(0, 2), [IMAGE]), SampleUpdateError, ("2 rows", "1 samples")),
    ("before the first", lambda ds: ds.images.__setitem__(-9, IMAGE), RowIndexError, ("-9", " rows")),
    ("part too large", lambda ds: ds.images.__setitem__((0, 0), 300), SampleUpdateError, ("300", "uint8")),
    ("part outside", lambda ds: ds.images.__setitem__((0, 9), 1), SampleUpdateError, ("9", "(4, 4)")),
    ("pop outside", lambda ds: ds.pop(9), RowIndexError, ("9", " rows")),
    ("pop twice", lambda ds: ds.pop([0, 0]), SampleUpdateError, ("twice",)),
    ("pop a letter", lambda ds: ds.pop("a"), RowIndexError, ("'a'",)),
]

TEXTS: list[Case] = [
    ("message 3", lambda ds: ds.commit(3), CommitError, ("message", "3 (int)")),
    ("long message", lambda ds: ds.commit("x" * 9000), CommitError, ("8,192 bytes", "9,000")),
    ("half a character", lambda ds: ds.commit("\ud800"), CommitError, ("no valid Unicode",)),
    ("author", lambda ds: ds.commit("m", author="x" * 2000), CommitError, ("author", "1,024 bytes")),
    ("info object", lambda ds: ds.info.update(a=object()), JsonValidationError, ("info['a']", "object")),
    ("info nan", lambda ds: ds.info.update(a=[1.0, float("nan")]), JsonValidationError, ("info['a'][1]", "nan")),
    ("info bytes", lambda ds: ds.info.update(a=b"x"), JsonValidationError, ("info['a']", "bytes")),
    ("info key", lambda ds: ds.info.update({3: 1}), JsonValidationError, ("strings", "3")),
    ("info inner key", lambda ds: ds.info.update(a={3: 1}), JsonValidationError, ("strings", "info['a']", "3")),
    ("info integer", lambda ds: ds.info.update(a=2**70), JsonValidationError, ("info['a']", "64 bits")),
    ("info surrogate", lambda ds: ds.info.update(a="\udc00"), JsonValidationError, ("info['a']", "Unicode")),
    ("info large", lambda ds: ds.info.update(a="x" * (17 << 20)), JsonValidationError, ("17,8", "tensor")),
    ("info deep", lambda ds: ds.info.update(a=deep(100)), JsonValidationError, ("nested too deeply",)),
    ("info list", lambda ds: setattr(ds, "info", [1]), JsonValidationError, ("dictionary", "list")),
    ("tensor info", lambda ds: ds.images.info.update(a=object()), JsonValidationError, ("object",)),
]


def deep(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made


KEYS: list[Case] = [
    ("None", lambda ds: ds[None], InvalidKeyTypeError, ("None", "integer, a slice")),
    ("float", lambda ds: ds[1.5], InvalidKeyTypeError, ("1.5",)),
    ("bool", lambda ds: ds.images[True], InvalidKeyTypeError, ("True",)),
    ("bytes", lambda ds: ds[b"images"], InvalidKeyTypeError, ("b'images'",)),
    ("floats", lambda ds: ds.images[np.array([0.5])], InvalidKeyTypeError, ("float64",)),
    ("typo", lambda ds: ds["image"], TensorDoesNotExistError, ("did you mean 'images'?",)),
    ("attribute", lambda ds: ds.imags, TensorDoesNotExistError, ("did you mean 'images'?",)),
    ("in a group", lambda ds: ds.notes["txt"], TensorDoesNotExistError, ("did you mean 'notes/text'?",)),
    ("row", lambda ds: ds[9], RowIndexError, ("9", "0 to ")),
    ("row from the end", lambda ds: ds.images[-9], RowIndexError, ("-9", " to -1")),
    ("a row of some", lambda ds: ds.images[[0, 9]], RowIndexError, ("9", " rows")),
    ("huge", lambda ds: ds.images[2**70], RowIndexError, (str(2**70),)),
    ("mask", lambda ds: ds.images[np.ones(2, bool)], RowIndexError, ("mask of 2", " rows")),
    ("masks", lambda ds: ds.images[np.ones((4, 1), bool)], InvalidKeyTypeError, ("(4, 1)",)),
    ("step", lambda ds: ds.images[::0], RowIndexError, ("step 0",)),
    ("letters", lambda ds: ds.images["a":], InvalidKeyTypeError, ("'a'",)),
    ("axis", lambda ds: ds.images[0, 9].numpy(), RowIndexError, ("9", "(4, 4)")),
    ("axes", lambda ds: ds.images[0, 0, 0, 0].numpy(), RowIndexError, ("2 axes",)),
    ("axis letter", lambda ds: ds.images[0, "a"].numpy(), InvalidKeyTypeError, ("'a'",)),
    ("assign", lambda ds: setattr(ds, "imags", [1]), TensorDoesNotExistError, ("did you mean 'images'?",)),
]


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a block"])
@pytest.mark.parametrize(
    "case",
    [*STRUCTURE, *ROWS, *TEXTS, *KEYS],
    ids=lambda case: case[0].replace(" ", "-") if isinstance(case, tuple) else "",
)
def test_refused(folder: Path, case: Case, inside: bool) -> None:
    _, call, error, parts = case
    ds = zlake.load(folder)
    if inside:
        # what was in the block before stays, and nothing of the refused call
        with ds:
            ds.append(row())
            with refused(folder, error, *parts):
                call(ds)
            assert len(ds) == 5
        expected = 5
    else:
        with refused(folder, error, *parts):
            call(ds)
        expected = 4
    again = zlake.load(folder)
    for opened in (ds, again):
        assert [len(tensor) for tensor in opened.tensors.values()] == [expected] * 3
        assert opened.label.info["class_names"] == ["cat", "dog"]
        assert not opened.info
    np.testing.assert_array_equal(again.images[:4].numpy(), np.arange(4)[:, None, None] * np.ones((4, 4)))
    assert again.verify(deep=True)


def test_new_class_names_of_a_refused_row_are_forgotten(folder: Path) -> None:
    ds = zlake.load(folder)
    with refused(folder, SampleAppendError, "'notes/text'"):
        ds.append({"images": IMAGE, "label": "mouse", "notes/text": b"x"})
    ds.append({"images": IMAGE, "label": "bird", "notes/text": ""})
    assert zlake.load(folder).label.info["class_names"] == ["cat", "dog", "bird"]
    assert zlake.load(folder).label[4].data()["text"] == ["bird"]
