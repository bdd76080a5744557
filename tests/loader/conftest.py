"""Datasets that the loader's tests read; those of a module are not changed by its tests."""

from __future__ import annotations

import multiprocessing

import pytest

import zlake
from loader.datasets import fill


@pytest.fixture(scope="package", autouse=True)
def quick_workers():
    """Let the fork server import PyTorch once, whichever test starts it."""
    multiprocessing.set_forkserver_preload(["zlake.loader.torch"])


@pytest.fixture(scope="package")
def ds(tmp_path_factory):
    """A dataset with one tensor of each kind, in three segments."""
    return fill(zlake.empty(tmp_path_factory.mktemp("loader") / "kinds"))
