"""How many requests an S3 server sees, from its own log; zlake only."""

from __future__ import annotations

from typing import Any

from benchmarks import data
from benchmarks.job import Job
from benchmarks.measure import Result
from benchmarks.s3 import Counter

ROWS = 2_000
FILES = 64


def prepare(peer: Any, job: Job) -> Result:
    """Write one tensor of each layout, in one commit."""
    images, labels = data.fixed(ROWS)
    ds = peer.create_fixed(f"{job.store}/requests")
    with ds:
        ds.create_tensor("values", htype="generic", dtype="float32")
        ds.create_tensor("photos", htype="image", sample_compression="jpeg")
        ds.images.extend(images)
        ds.labels.extend(labels)
        ds.values.extend(data.ragged(ROWS))
        ds.photos.extend([peer.zlake.read(file) for file in data.jpegs(FILES)])
    ds.commit("one of each")
    return Result(ROWS, "rows")


def count(peer: Any, job: Job) -> Result:
    """Open, read one row of each tensor, commit: each for the first time; the value is the requests of the open."""
    counter = Counter(job.s3["log"])
    seen: dict[str, dict[str, int]] = {}
    ds = peer.load(f"{job.store}/requests")
    seen["open"] = counter.take()
    for name in ("images", "labels", "values"):
        ds[name][FILES // 2].numpy()
        seen[name] = counter.take()
    ds.photos[FILES // 2].tobytes()
    seen["photos"] = counter.take()
    fresh = peer.load(f"{job.store}/requests")
    counter.take()
    row = fresh[FILES // 4 : FILES // 4 + 1]
    for name in ("images", "labels", "values", "photos"):
        row[name].numpy()
    seen["ds[i], warm process"] = counter.take()

    images, labels = data.fixed(100)
    rows = {"images": images, "labels": labels}
    ds = peer.create_fixed(f"{job.scratch}/commits")
    ds.extend(rows)
    ds.commit("the first of them")
    counter.take()
    with ds:
        ds.extend(rows)
    seen["flush of 100 rows"] = counter.take()
    ds.commit("what is staged")
    seen["commit"] = counter.take()
    with ds:
        ds.extend(rows)
        ds.commit("what is buffered")
        seen["flush and commit"] = counter.take()
    return Result(float(sum(seen["open"].values())), "requests", seen)
