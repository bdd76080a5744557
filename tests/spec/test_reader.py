"""The specification is enough to read a dataset: a reader written from it alone finds the same values."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import zlake
from tests.spec.second import Dataset, Tensor
from zlake import limits

rng = np.random.default_rng(7)


def same(found: Any, expected: Any) -> None:
    assert np.asarray(found).dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(found, expected)


def layouts(tensor: Tensor) -> set[tuple[str, bool]]:
    """Return layout and whether it is sharded, of every part."""
    return {(part.layout, bool(part.shard)) for part, _ in tensor.places}


@pytest.mark.parametrize("codec", [None, "zstd", "lz4", "gzip", "blosc"])
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "complex64"])
def test_dense(tmp_path: Path, codec: str | None, dtype: str) -> None:
    small = rng.integers(0, 2, (5, 3, 2)).astype(dtype)
    size = 3 * limits.INNER_CHUNK_BYTES // np.dtype(dtype).itemsize // 60 + 1
    large = rng.integers(0, 2, (size, 60)).astype(dtype)
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("small", dtype=dtype, chunk_compression=codec)
    ds.create_tensor("large", dtype=dtype, chunk_compression=codec)
    ds.small.extend(small)
    ds.large.extend(large)
    ds.commit()
    read = Dataset(tmp_path / "x").state("main")
    assert layouts(read["small"]) == {("dense", False)}
    assert layouts(read["large"]) == {("dense", True)}
    same(np.stack([read["small"][i] for i in range(5)]), small)
    same(np.stack([read["large"][i] for i in range(size)]), large)


def test_a_sample_cut_along_every_axis(tmp_path: Path) -> None:
    huge = rng.integers(0, 255, (1500, 4001, 3), dtype=np.uint8)
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("huge", dtype="uint8")
    ds.huge.append(huge)
    ds.huge.append(huge[:7])
    tensor = Dataset(tmp_path / "x").state("main")["huge"]
    assert any(part.entry["inner"][1] < 1500 for part, _ in tensor.places)
    same(tensor[0], huge)
    same(tensor[1], huge[:7])


@pytest.mark.parametrize("codec", [None, "zstd"])
def test_ragged_of_any_rank(tmp_path: Path, codec: str | None) -> None:
    flat = [rng.standard_normal(int(n)).astype(np.float32) for n in rng.integers(0, 400, 2000)]
    boxes = [rng.integers(0, 99, (i % 4, 4)).astype(np.int32) for i in range(30)]
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("flat", dtype="float32", chunk_compression=codec)
    ds.create_tensor("boxes", dtype="int32", chunk_compression=codec)
    ds.flat.extend(flat)
    ds.boxes.extend(boxes)
    ds.commit()
    read = Dataset(tmp_path / "x").state("main")
    assert layouts(read["flat"]) == {("ragged", True)}
    assert layouts(read["boxes"]) == {("ragged", False)}
    for name, expected in (("flat", flat), ("boxes", boxes)):
        for i, sample in enumerate(expected):
            same(read[name][i], sample)


def test_sidecars_of_several_chunks(tmp_path: Path) -> None:
    n = limits.SIDECAR_CHUNK_BYTES // 8 + 1000
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("t", dtype="uint8")
    ds.t.extend([np.full(i % 3, i % 251, np.uint8) for i in range(n)])
    tensor = Dataset(tmp_path / "x").state("main")["t"]
    assert tensor.places[0][0].entry["sidecar"] > 0
    for i in (0, 1, 2, n // 2, n - 1001, n - 1000, n - 1):
        same(tensor[i], np.full(i % 3, i % 251, np.uint8))
    assert [tensor.ids[i] for i in (0, n - 1)] == [ds.t.ids()[i] for i in (0, n - 1)]


@pytest.mark.parametrize("codec", ["jpeg", "png"])
def test_images_are_the_files_that_were_given(tmp_path: Path, codec: str) -> None:
    files = []
    for i in range(6):
        out = BytesIO()
        Image.fromarray(rng.integers(0, 255, (20 + i, 30, 3), dtype=np.uint8)).save(out, codec)
        files.append(out.getvalue())
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("image", htype="image", sample_compression=codec)
    ds.image.extend([zlake.read(file) for file in files])
    ds.commit()
    tensor = Dataset(tmp_path / "x").state("main")["image"]
    for i, file in enumerate(files):
        assert tensor[i] == (file, (20 + i, 30, 3))


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_arrays_compressed_one_by_one(tmp_path: Path, codec: str) -> None:
    arrays = [rng.integers(-9, 9, (i, 3)).astype(np.int16) for i in range(6)]
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("a", dtype="int16", sample_compression=codec)
    ds.a.extend(arrays)
    tensor = Dataset(tmp_path / "x").state("main")["a"]
    for i, expected in enumerate(arrays):
        same(tensor[i], expected)


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_text_and_json(tmp_path: Path, codec: str | None) -> None:
    texts = ["", "plain", "ünïcödé 漢字", "x" * 3000]
    values = [{}, {"a": [1, 2.5, None]}, [True], "s"]
    lists = [[], [1, "b"], [None], [[1]]]
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("text", htype="text", sample_compression=codec)
    ds.create_tensor("json", htype="json", sample_compression=codec)
    ds.create_tensor("list", htype="list", sample_compression=codec)
    ds.create_tensor("words", htype="tag", sample_compression=codec)
    ds.extend({"text": texts, "json": values, "list": lists, "words": [["a", "b"], [], ["c"], ["d"]]})
    read = Dataset(tmp_path / "x").state("main")
    assert [read["text"][i] for i in range(4)] == texts
    assert [read["json"][i] for i in range(4)] == values
    assert [read["list"][i] for i in range(4)] == lists
    assert [read["words"][i] for i in range(4)] == [["a", "b"], [], ["c"], ["d"]]


def test_sequences(tmp_path: Path) -> None:
    dense = [[np.full((2, 2), 10 * i + j, np.uint8) for j in range(i % 3)] for i in range(7)]
    ragged = [[np.arange(j + 1, dtype=np.int32) + i for j in range(i % 3)] for i in range(7)]
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("dense", htype="sequence[generic]", dtype="uint8")
    ds.create_tensor("ragged", htype="sequence[generic]", dtype="int32")
    ds.create_tensor("text", htype="sequence[text]")
    ds.dense.extend(dense)
    ds.ragged.extend(ragged)
    ds.text.extend([["a", "bc"], [], ["d"]])
    read = Dataset(tmp_path / "x").state("main")
    assert [read["text"][i] for i in range(3)] == [["a", "bc"], [], ["d"]]
    for name, expected in (("dense", dense), ("ragged", ragged)):
        for i, items in enumerate(expected):
            found = read[name][i]
            assert len(found) == len(items)
            for a, b in zip(found, items, strict=True):
                same(a, b)


def test_staged_and_committed_states_edits_and_history(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("t", dtype="int64")
    expected, states, commits = [], [], []
    for i in range(40):
        ds.t.append(np.array([i, i]))
        expected.append([i, i])
        if i % 5 == 4:
            ds.t[i // 2] = np.array([-i, -i])
            expected[i // 2] = [-i, -i]
            ds.t.pop(0)
            expected.pop(0)
        commits.append(ds.commit(f"number {i}"))
        states.append([list(row) for row in expected])
    ds.t.append(np.array([7, 8]))
    dataset = Dataset(tmp_path / "x")
    for commit, state in zip(commits, states, strict=True):
        assert [row.tolist() for row in dataset.state(commit)["t"]] == state
    head = dataset.state("main")
    log = dataset.log(head.snapshot)
    assert head.snapshot["kind"] == "staged"
    assert [row.tolist() for row in head["t"]] == [*expected, [7, 8]]
    assert [brief["id"] for brief in log] == commits[::-1]
    assert [brief["message"] for brief in log] == [f"number {i}" for i in range(39, -1, -1)]
    assert head.snapshot["generation"] == len(commits)
    assert head["t"].ids == ds.t.ids().tolist()
    last = dataset.state(commits[-1])
    (diff,) = last.snapshot["diff"]["tensors"]
    before, now = dataset.state(commits[-2])["t"].ids, last["t"].ids
    assert sorted(dataset.ids(diff["appended"])) == sorted(set(now) - set(before))
    assert sorted(dataset.ids(diff["removed"])) == sorted(set(before) - set(now))
    assert dataset.ids(diff["updated"]) == [now[18]]


def test_pages_of_extents_and_of_ids(tmp_path: Path) -> None:
    n = 6000
    values = np.arange(2 * n).reshape(n, 2)
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("t", dtype="int64")
    ds.t.extend(values)
    ds.commit("rows")
    with ds:
        for i in range(0, n, 2):
            ds.t[i] = -values[i]
    expected = values.copy()
    expected[::2] *= -1
    ds.commit("every other row")
    dataset = Dataset(tmp_path / "x")
    read = dataset.state("main")
    assert read.snapshot["tensors"][0]["extents"]["pages"]
    same(np.stack(list(read["t"])), expected)
    (diff,) = read.snapshot["diff"]["tensors"]
    assert diff["updated"]["page"]
    assert dataset.ids(diff["updated"]) == sorted(ds.t.ids()[::2].tolist())


def test_names_infos_groups(tmp_path: Path) -> None:
    many = {"class_names": [f"class {i}" for i in range(2000)]}
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("a/b c/d", dtype="int32")
    ds.create_tensor("label", htype="class_label", class_names=many["class_names"])
    ds.info["note"] = {"nested": [1, 2.5, None, "é"]}
    ds.create_group("hollow")
    ds.commit()
    read = Dataset(tmp_path / "x").state("main")
    assert list(read.named) == ["a/b c/d", "label"]
    assert read.info == {"note": {"nested": [1, 2.5, None, "é"]}}
    assert read["label"].fields["info"]["class_names"] == many["class_names"]
    assert "object" in read.snapshot["tensors"][1]["info"]
    assert "hollow" in read.groups


def test_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    ds = zlake.empty(tmp_path / "x")
    ds.create_tensor("t", dtype="int64")
    ds.t.extend(np.arange(10))
    (path,) = (tmp_path / "x").glob("segments/*/*/values-data/c.0*")
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    with pytest.raises(AssertionError):
        Dataset(tmp_path / "x").state("main")["t"][0]
