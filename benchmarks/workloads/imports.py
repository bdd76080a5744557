"""What ``import zlake`` costs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from typing import Any

from benchmarks.job import Job
from benchmarks.measure import Result

PROGRAM = """
import sys, time
begin = time.perf_counter()
import zlake
took = time.perf_counter() - begin
import json
names = ("torch", "xarray", "dask", "pandas", "boto3", "s3fs", "gcsfs", "requests")
heavy = [name for name in names if name in sys.modules]
print(json.dumps([took, heavy]))
"""


def seconds(peer: Any, job: Job) -> Result:
    runs = []
    for _ in range(6):
        done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True)
        runs.append(json.loads(done.stdout))
    # The first run fills the page cache.
    return Result(
        statistics.median(took for took, _ in runs[1:]), "s", {"heavy modules": ", ".join(runs[0][1]) or "none"}
    )
