"""What a worker process is asked to do: plain values that travel as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from benchmarks.data import FULL, Sizes
from benchmarks.peers.base import Options


@dataclass(frozen=True)
class Job:
    """One workload on one peer.

    Attributes
    ----------
    peer
        Module in `benchmarks.peers`, with ":zstd", ":s3" or ":unsynced" behind it for a variant.
    workload
        Function in `benchmarks.workloads`.
    store
        Folder (or S3 prefix) that holds the peer's data sets, by kind.
    scratch
        Folder (or S3 prefix) that this job alone may fill; the runner deletes it at the end.
    quick
        Whether the long series (commits, single appends) are cut short.
    """

    peer: str
    workload: str
    store: str
    scratch: str
    sizes: Sizes = FULL
    quick: bool = False
    s3: dict[str, str] = field(default_factory=dict)

    @property
    def module(self) -> str:
        return self.peer.partition(":")[0]

    @property
    def options(self) -> Options:
        codec = "zstd" if ":zstd" in self.peer else None
        return Options(codec, self.s3 if ":s3" in self.peer else {}, ":unsynced" not in self.peer)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        fields = json.loads(text)
        return cls(**{**fields, "sizes": Sizes(**fields["sizes"])})
