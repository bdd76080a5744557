from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import zlake
from loader.datasets import fill
from zlake.errors import CorruptObjectError, ObjectNotFoundError
from zlake.loader import block


def values_objects(path: Path) -> list[Path]:
    """Return the objects of values, largest first."""
    found = [f for f in path.glob("segments/*/*/values-data/c*") if f.is_file()]
    return sorted(found, key=lambda f: -f.stat().st_size)


def dataset(path: Path, codec: str | None) -> zlake.Dataset:
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="uint8", chunk_compression=codec)
    rng = np.random.default_rng(0)
    ds.extend({"x": rng.integers(0, 255, (600, 4096), dtype=np.uint8)})
    ds.commit("rows")
    return zlake.load(path)


@pytest.mark.parametrize("codec", [None, "zstd"])
@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"transform": dict}])
def test_damage_is_raised_and_stops_everything(tmp_path, monkeypatch, codec, options):
    ds = dataset(tmp_path / "ds", codec)
    target = values_objects(tmp_path / "ds")[0]
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)
    monkeypatch.setattr(block, "BLOCK_BYTES", 1)
    loader = ds.pytorch(batch_size=50, **options)
    for _ in range(2):
        with pytest.raises(CorruptObjectError, match="values-data"):
            list(loader)
        assert not [t for t in threading.enumerate() if t.name.startswith("zlake-loader")]


def test_batches_before_the_damage_are_yielded(tmp_path, monkeypatch):
    ds = dataset(tmp_path / "ds", None)
    target = values_objects(tmp_path / "ds")[0]
    data = bytearray(target.read_bytes())
    data[550 * 4096] ^= 1
    target.write_bytes(data)
    monkeypatch.setattr(block, "BLOCK_BYTES", 1)
    seen = []
    with pytest.raises(CorruptObjectError):
        seen.extend(batch["index"].tolist() for batch in ds.pytorch(batch_size=50))
    assert len(seen) >= 8
    assert seen == [list(range(i, i + 50)) for i in range(0, 50 * len(seen), 50)]


def test_a_missing_object(tmp_path):
    ds = dataset(tmp_path / "ds", None)
    for target in values_objects(tmp_path / "ds"):
        target.unlink()
    with pytest.raises(ObjectNotFoundError, match="values-data"):
        list(ds.pytorch(batch_size=50))


def test_damage_of_one_encoded_tensor_leaves_the_others(tmp_path):
    path = tmp_path / "ds"
    fill(zlake.empty(path), 12)
    ds = zlake.load(path)
    key = ds.photo._column.key
    for target in path.glob(f"segments/*/{key}/values-data/c*"):
        if target.is_file():
            data = bytearray(target.read_bytes())
            data[20] ^= 8
            target.write_bytes(data)
    with pytest.raises(CorruptObjectError):
        list(ds.pytorch(batch_size=4, tensors=["photo"]))
    assert len(list(ds.pytorch(batch_size=4, tensors=["photos", "dense"]))) == 3
