"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong.

    Attributes
    ----------
    key
        Key of the object below the dataset's URL.
    reason
        What is wrong with it.
    """

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """What still reads of one commit or staged state.

    Attributes
    ----------
    id
        Id of the snapshot.
    kind
        ``commit`` or ``staged``.
    intact
        Whether everything of it that was checked is whole.
    damaged_tensors
        Names of tensors with damaged rows; the others read. Empty where the snapshot itself cannot be read.
    """

    id: str
    kind: str
    intact: bool
    damaged_tensors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of `verify_repository`; true if nothing is damaged.

    Attributes
    ----------
    url
        The dataset.
    deep
        Whether every object of every segment was read.
    damages
        What is wrong, by key.
    versions
        Every snapshot that a branch or tag reaches.
    objects
        Objects checked.
    restorable
        Names of deleted branches that can be restored; what they name was checked too.
    collected
        Names of deleted branches of which at least a part was collected as garbage: that is no damage.
    leases
        Leases that were taken and not ended.
    unreachable
        Snapshots, pages and segments that are stored though nothing that was checked needs them: no damage, garbage
        for `gc`. None where they were not counted: unless ``deep``, or if the storage cannot list.
    """

    url: str
    deep: bool
    damages: tuple[Damage, ...]
    versions: tuple[VersionStatus, ...]
    objects: int
    restorable: tuple[str, ...] = ()
    collected: tuple[str, ...] = ()
    leases: int = 0
    unreachable: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damages

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        depth = "every byte" if self.deep else "documents, extents and ids, no samples"
        head = f"{self.url}: {self.objects} objects checked ({depth})"
        if self.ok:
            return "\n".join([f"{head}, {len(self.versions)} versions, all whole", *self._notes()])
        lines = [f"{head}, {len(self.damages)} damaged", *(f"  {d.key}: {d.reason}" for d in self.damages)]
        whole = sum(version.intact for version in self.versions)
        lines.append(f"{whole} of {len(self.versions)} versions are whole")
        for version in self.versions:
            if not version.intact:
                damaged = list(version.damaged_tensors)
                what = f"damaged tensors {damaged}; all others read" if damaged else "unreadable"
                lines.append(f"  {version.kind} {version.id}: {what}")
        return "\n".join(lines + self._notes())

    def _notes(self) -> list[str]:
        """Return lines on what is no damage but worth knowing."""
        notes = [f"  deleted branch {name!r} can be restored" for name in self.restorable]
        if self.unreachable:
            notes.append(f"  {self.unreachable} snapshots, pages and segments are not in use: garbage for gc()")
        return notes
