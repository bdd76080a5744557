"""What a collection of garbage found and did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_DAY: Final = 86_400


@dataclass(slots=True)
class Amount:
    """Some of a dataset's stored things.

    Attributes
    ----------
    snapshots, pages, segments
        How many: commits and staged states; pages of extents, of history, of sample ids and large infos; segments.
    objects, bytes
        What they take in the storage.
    """

    snapshots: int = 0
    pages: int = 0
    segments: int = 0
    objects: int = 0
    bytes: int = 0

    def __bool__(self) -> bool:
        return self.objects > 0

    def __str__(self) -> str:
        parts = [
            f"{count:,} {name[:-1] if count == 1 else name}"
            for name, count in (("snapshots", self.snapshots), ("pages", self.pages), ("segments", self.segments))
            if count
        ]
        return f"{', '.join(parts) or 'nothing'} ({self.objects:,} objects, {_size(self.bytes)})"


@dataclass(slots=True)
class GcReport:
    """The outcome of a collection of garbage.

    Attributes
    ----------
    url
        The dataset.
    grace
        The grace period, in seconds.
    dry_run
        Whether nothing was written or deleted: then `deleted` and `marked` say what would have been.
    time
        The storage's time at the beginning, in seconds since the epoch.
    reachable
        What branches, tags, leases and open sessions need.
    deleted
        What was deleted: unreachable when it was marked, at least a grace period ago, and still.
    marked
        What was found unreachable for the first time: deleted by a collection after a grace period from now.
    waiting
        What is unreachable and was marked before, less than a grace period ago.
    young
        What is unreachable, but was written less than a grace period ago: perhaps it is still to be committed.
    leased
        What is unreachable, but was written since a writer took a lease.
    leases
        Leases that hold.
    foreign
        Objects between those of the dataset that are not its own; they were left alone.
    """

    url: str
    grace: float
    dry_run: bool
    time: float
    reachable: Amount = field(default_factory=Amount)
    deleted: Amount = field(default_factory=Amount)
    marked: Amount = field(default_factory=Amount)
    waiting: Amount = field(default_factory=Amount)
    young: Amount = field(default_factory=Amount)
    leased: Amount = field(default_factory=Amount)
    leases: int = 0
    foreign: int = 0

    def __str__(self) -> str:
        period = _period(self.grace)
        would = "would be " if self.dry_run else ""
        lines = [f"{self.url}: garbage, with a grace period of {period}", f"  in use: {self.reachable}"]
        for what, amount in (
            (f"{would}deleted", self.deleted),
            (f"{would}marked, to be deleted in {period} unless it is in use again by then", self.marked),
            (f"marked already, less than {period} ago", self.waiting),
            (f"not in use, but written less than {period} ago", self.young),
            ("not in use, but kept by leases of writers", self.leased),
        ):
            if amount:
                lines.append(f"  {what}: {amount}")
        if not (self.deleted or self.marked or self.waiting or self.young or self.leased):
            lines.append("  nothing else")
        if self.leases:
            lines.append(f"  leases that hold: {self.leases}")
        if self.foreign:
            lines.append(f"  left alone, as no part of the dataset: {self.foreign} objects")
        return "\n".join(lines)


def _size(count: float) -> str:
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.1f} {_UNITS[unit]}" if unit else f"{count:.0f} B"


def _period(seconds: float) -> str:
    for name, length in (("days", _DAY), ("hours", 3600), ("minutes", 60)):
        if seconds >= length:
            return f"{seconds / length:g} {name if seconds != length else name[:-1]}"
    return f"{seconds:g} seconds"
