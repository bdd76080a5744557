"""Datasets of several kinds of tensors, the rows that workers write for them, and the workers."""

from __future__ import annotations

import multiprocessing
from typing import Any

import numpy as np

import zlake
from zlake.distributed import Ingest, Plan, Receipt

SPAWN = multiprocessing.get_context("spawn")


def create(ds: zlake.Dataset) -> zlake.Dataset:
    """Numbers, ragged arrays, images, text, class labels and sequences; one row, committed."""
    ds.create_tensor("number", dtype="int64")
    ds.create_tensor("ragged", dtype="float32")
    ds.create_tensor("image", htype="image", sample_compression="png")
    ds.create_tensor("text", htype="text")
    ds.create_tensor("label", htype="class_label", class_names=["cat", "dog"])
    ds.create_tensor("steps", htype="sequence[generic]", dtype="int16")
    ds.append(row(-1))
    ds.commit("the first row")
    return ds


def row(number: int) -> dict[str, Any]:
    """Return the row of a number."""
    rng = np.random.default_rng(abs(number))
    return {
        "number": number,
        "ragged": rng.standard_normal(abs(number) % 7, dtype=np.float32),
        "image": rng.integers(0, 255, (3 + abs(number) % 4, 5, 3), dtype=np.uint8),
        "text": f"row {number} ü",
        "label": ("cat", "dog", f"class {abs(number) % 5}")[abs(number) % 3],
        "steps": [np.arange(i, dtype=np.int16) for i in range(abs(number) % 4)],
    }


def rows(start: int, stop: int) -> dict[str, list[Any]]:
    made = [row(number) for number in range(start, stop)]
    return {name: [each[name] for each in made] for name in made[0]}


def check(ds: zlake.Dataset, numbers: list[int]) -> None:
    """Compare all rows with what their numbers say, in order."""
    assert ds.number.numpy().ravel().tolist() == numbers
    for at, number in enumerate(numbers):
        expected = row(number)
        found = ds[at]
        np.testing.assert_array_equal(found.ragged.numpy(), expected["ragged"])
        np.testing.assert_array_equal(found.image.numpy(), expected["image"])
        assert found.text.text() == expected["text"]
        assert found.label.data()["text"] == [expected["label"]]
        steps = found.steps.numpy(aslist=True)
        assert len(steps) == len(expected["steps"])
        for step, wanted in zip(steps, expected["steps"], strict=True):
            np.testing.assert_array_equal(step, wanted)


def write(plan: Plan, start: int, stop: int) -> Receipt:
    """Write rows: some one by one, the others at once."""
    with plan.writer() as writer:
        writer.append(row(start))
        writer.extend(rows(start + 1, stop))
    return writer.receipt


def work(task: tuple[bytes, int, int]) -> bytes:
    """What a process does."""
    plan, start, stop = task
    return write(Plan.from_bytes(plan), start, stop).to_bytes()


def numbers(ingest: Ingest, values: list[int]) -> Receipt:
    """Write rows of a dataset that has but the tensor ``x``."""
    with ingest.plan.writer() as writer:
        writer.extend({"x": values})
    return writer.receipt


def only_x(path: Any, values: list[int] | None = None, **options: Any) -> zlake.Dataset:
    """A dataset of numbers."""
    ds = zlake.empty(path, **options)
    ds.create_tensor("x", dtype="int64")
    if values:
        ds.extend({"x": values})
    ds.commit("begun")
    return ds


def values(ds: zlake.Dataset) -> list[int]:
    return ds.x.numpy().ravel().tolist()
