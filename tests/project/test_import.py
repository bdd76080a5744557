"""`import zlake` stays light."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ["torch", "xarray", "dask", "pandas", "zarr", "s3fs", "gcsfs", "aiohttp", "botocore", "requests", "moto"]


@pytest.fixture(scope="module")
def imported() -> set[str]:
    code = "import json, sys, zlake; print(json.dumps(sorted(sys.modules)))"
    return set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))


@pytest.mark.parametrize("module", HEAVY)
def test_import_leaves_heavy_packages_alone(imported: set[str], module: str) -> None:
    assert module not in imported


def test_import_needs_no_network() -> None:
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('network at import')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "import zlake\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
