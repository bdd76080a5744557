"""Run one job and print its result as one line of JSON; started by `benchmarks.run` with the peer's own interpreter."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from dataclasses import asdict

from benchmarks.job import Job

# Marks the line that holds the result, since libraries print whatever they like.
MARK = "@@result "


def main() -> None:
    warnings.filterwarnings("ignore")
    job = Job.from_json(sys.argv[1])
    peer = importlib.import_module(f"benchmarks.peers.{job.module}").Adapter(job.options)
    module, _, name = job.workload.rpartition(".")
    result = getattr(importlib.import_module(f"benchmarks.workloads.{module}"), name)(peer, job)
    print(f"\n{MARK}{json.dumps({**asdict(result), 'version': peer.version()})}", flush=True)


if __name__ == "__main__":
    main()
