"""What every storage must do: the one interface between zlake and bytes at rest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zlake.types import Pending

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Versioned:
    """A value and the generation that names this very value; ``value`` is None where the key is absent.

    The generation of an absent key is a value too: swapping with it means "create only if still absent".
    """

    value: bytes | None
    generation: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """The write landed; ``generation`` names what is stored now."""

    generation: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """The write did not land: the key held something else than the writer expected. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Request:
    """Bytes ``[start, stop)`` of an object, the whole object by default; ``start < 0`` counts from its end."""

    key: str
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object in a listing: its size in bytes and when the *storage's* clock says it was written."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a storage can do.

    Attributes
    ----------
    writable
        Objects can be written at all.
    conditional
        Create-only and compare-and-swap are honoured (by design of the driver; `zlake.storage.probe` tests it).
    listable
        Keys can be listed.
    shared
        Other processes can see the objects (false for ``mem://``).
    files
        Objects are local files where they lie, so that `Store.local_path` costs nothing.
    """

    writable: bool = True
    conditional: bool = True
    listable: bool = True
    shared: bool = True
    files: bool = False


class Store(ABC):
    """A key-value store below one URL. Keys are relative, ``/``-separated and checked by `zlake.storage.keys`.

    Every method is safe to call from several threads. Stores pickle as their URL and reopen lazily, without
    secrets in the clear where that can be avoided; `repr` shows no secret.
    """

    url: str
    """Where the store lies, as it may be shown to people: never with credentials."""
    capabilities: Capabilities

    @abstractmethod
    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """Return the object's bytes ``[start, stop)``, or None if there is no such object."""

    @abstractmethod
    def read_versioned(self, key: str) -> Versioned:
        """Return the object and its generation, as one consistent pair."""

    @abstractmethod
    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        """Read all, many in flight at once, and return them in order."""

    @abstractmethod
    def start_create(self, key: str, value: Buffer) -> Pending[Written | Lost]:
        """Begin `create` and return at once; the buffer must stay as it is until the result is there."""

    def create(self, key: str, value: Buffer) -> Written | Lost:
        """Atomic and durable: write the object if, and only if, the key is absent.

        An object with exactly these bytes that is there already counts as written: it is ours, from an attempt whose
        answer was lost (bytes of documents carry a write id, keys of segments are random).

        Raises
        ------
        WriteStateUnknownError
            If no answer came and the object cannot be read back.
        """
        return self.start_create(key, value).result()

    def create_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """Create all, many in flight at once; each is atomic, the whole is not.

        Raises
        ------
        ObjectExistsError
            If a key holds something else already.
        """
        from zlake.storage.batch import create_many

        create_many(self, items)

    def link(self, key: str, path: str) -> bool | None:
        """Atomic and durable: create the object as another name of a local file, without moving bytes.

        Only for files that never change: whoever wrote into one of them would change them all.

        Returns
        -------
        bool or None
            Whether the object is there, with the size of the file; false if another one is. None if this storage
            cannot do it with this file, which then has to be read and created.
        """
        return None

    @abstractmethod
    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        """Atomic and durable: replace the object if, and only if, it is still of this generation.

        A value with exactly our bytes found after an unclear or lost answer counts as written.

        Raises
        ------
        WriteStateUnknownError
            If no answer came and the object cannot be read back.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete the object; deleting an absent one is no error."""

    def delete_prefix(self, prefix: str = "") -> int:
        """Delete every object whose key starts with ``prefix``, many at once, and return how many there were."""
        from zlake.storage.batch import delete_many

        return delete_many(self, self.list(prefix))

    def tidy(self, prefix: str) -> None:  # noqa: B027  # most storages have neither
        """Remove what is no object but was left below a prefix without objects: empty folders, locks of drivers."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[str]:
        """Yield the keys that start with ``prefix``, in order; lock files of drivers are left out."""

    @abstractmethod
    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield keys that start with ``prefix`` with sizes and times."""

    @abstractmethod
    def local_path(self, key: str) -> str | None:
        """Return the path of a local file that holds exactly the object's bytes, to map it; None where there is none.

        The file is not promised to exist. A store with a local cache fetches the object first.
        """

    @abstractmethod
    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        """Return (key-value store spec, `tensorstore.Context`) below ``prefix``, for TensorStore to read arrays."""
