"""Groups of ragged, encoded and sequence tensors open as Awkward arrays through anndata."""

from __future__ import annotations

import numpy as np
import pytest
import zarr
from anndata.io import read_elem

import zlake
from tests.interop.reading import ENCODED, expected


def opened(ds: zlake.Dataset, name: str) -> list:
    array = read_elem(zarr.open_group(ds.zarr_store(), mode="r")[name])
    rows = array.to_list()
    return [row["values"] for row in rows] if "values" in (array.fields or ()) else rows


@pytest.mark.parametrize("key", [slice(None), slice(4, 15), [16, 2, 2, 9]], ids=str)
@pytest.mark.parametrize("name", ["ragged", "boxes", *ENCODED])
def test_rows(kinds, name, key):
    ds = kinds[[name]][key]
    wanted = expected(ds[name])
    assert opened(ds, name) == [row if isinstance(row, bytes) else row.ravel().tolist() for row in wanted]


def test_shapes_come_along(kinds):
    array = read_elem(zarr.open_group(kinds.zarr_store(), mode="r")["boxes"])
    assert array["shape"].to_list() == kinds.boxes.shapes().tolist()


@pytest.mark.parametrize("name", ["clips", "words"])
def test_sequences(kinds, name):
    wanted = [[item.tolist() for item in row] for row in kinds[name].numpy(aslist=True)]
    assert opened(kinds, name) == wanted


@pytest.mark.filterwarnings("ignore::anndata.OldFormatWarning")
def test_every_segment_opens_by_itself(kinds, kinds_path):
    """Segments hold the same layout on disk: no zlake is needed to read one."""
    key = kinds.ragged._column.key
    found = []
    for entry in kinds.ragged._column.base()[0]:
        segment = zarr.open_group(kinds_path / "segments" / entry.segment, mode="r", use_consolidated=True)
        found += read_elem(segment[key]).to_list()
    assert found == [row.tolist() for row in kinds.ragged.numpy(aslist=True)]
    assert np.concatenate(found).size == 31
