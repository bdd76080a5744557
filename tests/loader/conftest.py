"""Datasets that the loader's tests read; those of a module are not changed by its tests."""

from __future__ import annotations

import pytest

import zlake
from loader.datasets import fill


@pytest.fixture(scope="package", autouse=True)
def quick_workers(fork_server):
    """Workers are forked with PyTorch in them."""


@pytest.fixture(scope="package")
def ds(tmp_path_factory):
    """A dataset with one tensor of each kind, in three segments."""
    return fill(zlake.empty(tmp_path_factory.mktemp("loader") / "kinds"))
