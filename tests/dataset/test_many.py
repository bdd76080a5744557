"""A process that opens and drops datasets for weeks stays as large as it is: what it holds is counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import gc, json, os, sys
import numpy as np
import zlake

folder, what, times = sys.argv[1], sys.argv[2], int(sys.argv[3])


def written(path):
    ds = zlake.empty(path, durable=False)
    with ds:
        ds.create_tensor("x", dtype="int64")
        ds.create_tensor("name", htype="text")
        ds.extend({"x": [np.full(1 + i, i) for i in range(20)], "name": [str(i) for i in range(20)]})
    ds.commit("all")
    return ds


def read(ds):
    assert ds.x[3].numpy().tolist() == [3] * 4
    assert ds.name.text() == [str(i) for i in range(20)]


def files(number):
    place = f"{folder}/place{number}"
    os.symlink(f"{folder}/set", place)
    read(zlake.load(place))


def memory(number):
    path = f"mem://set{number // 10}"
    if number % 10 == 0:
        read(written(path))
    read(zlake.load(path))
    if number % 10 == 9:
        zlake.delete(path)


def epochs(number):
    loader = ds.pytorch(batch_size=4, shuffle=True, seed=number, collate_fn=list)
    assert sum(len(batch) for batch in loader) == 20
    next(iter(loader))


def held():
    gc.collect()
    with open("/proc/self/maps") as maps, open("/proc/self/statm") as pages:
        return {
            "threads": len(os.listdir("/proc/self/task")),
            "files": len(os.listdir("/proc/self/fd")),
            "maps": len(maps.readlines()),
            "objects": len(gc.get_objects()),
            "megabytes": int(pages.read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20,
        }


ds = written(f"{folder}/set")
found = []
for number in range(times):
    globals()[what](number)
    if number in (times // 4, times - 1):
        found.append(held())
print(json.dumps(found))
"""
SLACK = {"threads": 4, "files": 4, "maps": 64, "objects": 400, "megabytes": 8}
"""What pools of threads, allocators and bounded caches still take up after a quarter of the time."""


@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="what a process holds is read from /proc")
@pytest.mark.parametrize(("what", "times"), [("files", 2000), ("memory", 2000), ("epochs", 200)])
def test_nothing_stays_of_what_was_dropped(tmp_path, what, times):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), what, str(times)]
    early, late = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    grown = {name: late[name] - early[name] for name in early}
    assert all(grown[name] <= SLACK[name] for name in grown), (early, late)
