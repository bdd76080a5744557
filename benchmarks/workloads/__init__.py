"""One function per row of the table; each takes an adapter and a job and returns a `Result`.

`WORKLOADS` says, by "module.function", which method of the adapter a workload needs and which data set must be there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """What a workload asks of a peer.

    Attributes
    ----------
    method
        The adapter's method that it times; an adapter without it is skipped.
    reads
        Kind of the data set that must be in the store, or None.
    """

    method: str
    reads: str | None = None
    timeout: float = 600.0


WORKLOADS: dict[str, Workload] = {
    "fixed.prepare": Workload("write_fixed"),
    "fixed.extend": Workload("write_fixed"),
    "fixed.append": Workload("append_fixed"),
    "fixed.epoch": Workload("epoch_fixed", "fixed"),
    "fixed.shuffled": Workload("shuffled_fixed", "fixed"),
    "fixed.gather": Workload("gather_fixed", "fixed"),
    "fixed.single": Workload("single_fixed", "fixed"),
    "ragged.prepare": Workload("write_ragged"),
    "ragged.extend": Workload("write_ragged"),
    "ragged.epoch": Workload("epoch_ragged", "ragged"),
    "ragged.whole": Workload("whole_ragged", "ragged"),
    "ragged.gather": Workload("gather_ragged", "ragged"),
    "ragged.single": Workload("single_ragged", "ragged"),
    "jpeg.prepare": Workload("write_jpeg"),
    "jpeg.extend": Workload("write_jpeg"),
    "jpeg.epoch": Workload("epoch_jpeg", "jpeg"),
    "jpeg.shuffled": Workload("shuffled_jpeg", "jpeg"),
    "jpeg.single": Workload("single_jpeg", "jpeg"),
    "commits.hundred": Workload("committer", timeout=3000.0),
    "commits.single_rows": Workload("write_single_rows", timeout=1200.0),
    "costs.commit": Workload("committer"),
    "costs.labelled": Workload("committer"),
    "costs.update": Workload("numbers"),
    "costs.update_each": Workload("numbers"),
    "costs.remove": Workload("numbers"),
    "costs.merge": Workload("numbers"),
    "costs.log": Workload("create"),
    "costs.requests": Workload("committer"),
    "requests.prepare": Workload("write_fixed"),
    "requests.count": Workload("write_fixed", "requests"),
    "imports.seconds": Workload("version"),
}
