"""Objects of a dataset on their way to another place: what is named before what names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from zlake import limits
from zlake.errors import InvalidOperationError
from zlake.format import paths
from zlake.storage.store import ObjectInfo, Store
from zlake.storage.transfer import Moved, transfer


@dataclass(frozen=True, slots=True)
class How:
    """How objects travel.

    Attributes
    ----------
    links
        Whether they may become hard links.
    workers
        Objects under way at once; 0 chooses.
    progressbar
        Show progress.
    """

    links: bool = True
    workers: int = 0
    progressbar: bool = False

    def __post_init__(self) -> None:
        workers: Any = self.workers
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
            raise InvalidOperationError(
                f"num_workers is how many objects travel at once, 0 or more, not {workers!r:.100}"
            )


DEFAULT = How()


def bring(
    source: Store, dest: Store, objects: Iterable[ObjectInfo], there: Mapping[str, ObjectInfo], how: How = DEFAULT
) -> Moved:
    """Create objects of a dataset in another place; raises as `zlake.storage.transfer.transfer`.

    A segment or page whose ``zarr.json`` is there is whole, and a snapshot that is there can be read.
    """
    stages: dict[int, list[ObjectInfo]] = {}
    for info in objects:
        stages.setdefault(_stage(info.key), []).append(info)
    total = Moved()
    with _progress(sum(max(0, info.size) for infos in stages.values() for info in infos), how) as moved:
        for stage in sorted(stages):
            total += transfer(
                source,
                dest,
                stages[stage],
                there=there,
                links=how.links,
                workers=how.workers,
                guess=limits.DOCUMENT_BYTES if stage else limits.SHARD_BYTES,
                moved=moved,
            )
    return total


def _stage(key: str) -> int:
    if key.startswith((paths.SEGMENTS, paths.PAGES)):
        return 1 if key.endswith("/zarr.json") else 0
    return 2 if key.startswith(paths.COMMITS) else 3


@contextmanager
def _progress(size: int, how: How) -> Iterator[Callable[[int], object] | None]:
    if not how.progressbar:
        yield None
        return
    # copies that take no time show nothing
    with tqdm(total=size, desc="copying", unit="B", unit_scale=True, delay=1) as bar:
        yield bar.update
