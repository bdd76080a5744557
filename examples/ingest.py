"""Eight processes fill one dataset at once: first each on its own, then as one atomic commit.

Run with ``python examples/ingest.py``. No process knows of the others; there is no lock and no server.
"""

from __future__ import annotations

import multiprocessing
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import zlake
import zlake.distributed

PROCESSES = 8
COMMITS = 5
ROWS = 200


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def signals(worker: int, part: int) -> dict[str, list[Any]]:
    """Return what a worker has measured: signals of different lengths, and who measured them."""
    rng = np.random.default_rng((worker, part))
    lengths = rng.integers(10, 500, ROWS)
    return {
        "signal": [rng.standard_normal(n, dtype=np.float32) for n in lengths.tolist()],
        "worker": [worker] * ROWS,
        "part": [part] * ROWS,
    }


def on_its_own(path: Path, worker: int) -> None:
    """Append and commit on the branch that all the others write to."""
    ds = zlake.load(path)
    for part in range(COMMITS):
        ds.extend(signals(worker, part))
        ds.commit(f"worker {worker}, part {part}", author=f"worker {worker}")


def for_the_team(plan: bytes, worker: int) -> bytes:
    """Write a worker's rows, and return the receipt: the rows are stored, and no version names them yet."""
    with zlake.distributed.Plan.from_bytes(plan).writer() as writer:
        writer.extend(signals(worker, COMMITS))
    return writer.receipt.to_bytes()


def main() -> None:
    """Tell the story."""
    folder = Path(tempfile.mkdtemp())
    path = folder / "signals"
    ds = zlake.empty(path)
    ds.create_tensor("signal", dtype="float32")
    ds.create_tensor("worker", dtype="int64")
    ds.create_tensor("part", dtype="int64")
    ds.commit("the tensors")

    pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"))
    started = time.perf_counter()
    list(pool.map(on_its_own, [path] * PROCESSES, range(PROCESSES)))
    ds.refresh()
    took = time.perf_counter() - started
    say(f"{PROCESSES} processes made {len(ds.commits) - 1} commits of {ROWS} rows on one branch in {took:.1f} s")
    pairs = np.column_stack((ds.worker.numpy().ravel(), ds.part.numpy().ravel()))
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    assert len(found) == PROCESSES * COMMITS
    assert (counts == ROWS).all()
    say("every row of each of them is there, once, and each commit's rows lie together")

    with zlake.distributed.begin(ds) as ingest:
        receipts = list(pool.map(for_the_team, [ingest.plan.to_bytes()] * PROCESSES, range(PROCESSES)))
        size = sum(map(len, receipts))
        say(f"{PROCESSES} receipts, {size:,} bytes together; the dataset still has {len(zlake.load(path))} rows")
        ingest.commit(receipts, "all eight workers, or none")
    say(f"one commit later it has {len(ds)}")
    pool.shutdown()
    assert len(ds) == ROWS * PROCESSES * (COMMITS + 1)
    last = zlake.load(path)[-1]
    expected = signals(PROCESSES - 1, COMMITS)["signal"][-1]
    assert np.array_equal(last.signal.numpy(), expected)
    assert ds.verify()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
