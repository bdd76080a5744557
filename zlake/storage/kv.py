"""The one module that writes through TensorStore.

A lost compare-and-swap of TensorStore does not raise: its stamp has an empty generation; and an empty ``if_equal``
means "unconditional". Both are easy to get wrong, so nothing else in zlake calls ``KvStore.write``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import tensorstore as ts

from zlake.errors import InvalidKeyError, StorageUnavailableError, WriteStateUnknownError
from zlake.storage import failure, retry
from zlake.storage.pending import Settled
from zlake.storage.store import Buffer, Lost, Versioned, Written

ABSENT: Final = b"\x02"
"""The generation of a key that holds nothing, the same for every driver of TensorStore."""


def start_write(kv: ts.KvStore, url: str, key: str, value: Buffer, generation: bytes) -> Settled[Written | Lost]:
    """Begin to write ``value`` if, and only if, the key is still of this generation, `ABSENT` for create-only."""
    if not generation:
        raise InvalidKeyError(f"{url}: a conditional write of {key!r} needs the generation that was read")
    data = value if isinstance(value, bytes) else bytes(value)

    def attempt() -> Any:
        return kv.write(key, data, if_equal=generation)

    def settle(stamp: Any, error: Exception | None) -> Written | Lost:
        return _settle(kv, url, key, data, generation, stamp, error, attempt)

    return Settled(attempt(), settle)


def delete(kv: ts.KvStore, url: str, key: str) -> None:
    """Delete the object, present or not."""
    retry.run(lambda: kv.write(key, None).result(), action="delete", url=url, key=key)


def confirm_absent(kv: ts.KvStore, url: str, key: str) -> None:
    """Make sure that it is the object that is missing, and not its bucket: a read tells no difference, a listing does.

    Raises
    ------
    StorageError
        If the bucket is missing.
    """
    only = ts.KvStore.KeyRange(key, key + "\0")
    retry.run(lambda: kv.list(only).result(), action="find", url=url, key=key)


def read_versioned(kv: ts.KvStore, url: str, key: str) -> Versioned:
    """Read an object together with its generation."""
    found = retry.run(lambda: kv.read(key).result(), action="read", url=url, key=key)
    return Versioned(found.value if found.state == "value" else None, found.stamp.generation)


def _settle(
    kv: ts.KvStore,
    url: str,
    key: str,
    data: bytes,
    generation: bytes,
    stamp: Any,
    error: Exception | None,
    attempt: Callable[[], Any],
) -> Written | Lost:
    pauses = retry.delays()
    while True:
        if error is None and stamp.generation:
            return Written(stamp.generation)
        if error is not None and not failure.is_unsure(error):
            raise failure.translate(error, action="write", url=url, key=key) from error
        # Either we lost, or nobody told us: a driver that retried by itself reports its own object as a lost race.
        # The stored bytes tell, because no two writers write the same ones.
        stored = _read_back(kv, url, key, error)
        if stored.value == data:
            return Written(stored.generation)
        if stored.value is None:
            # Some services answer "lost" where the bucket is missing.
            confirm_absent(kv, url, key)
        if error is None or stored.generation != generation:
            return Lost()
        pause = next(pauses, None)
        if pause is None:
            reason = failure.redact(str(error))
            raise StorageUnavailableError(f"{url}: {key!r} was not written, after retries ({reason})") from error
        retry.sleep(pause)
        stamp, error = None, None
        try:
            stamp = attempt().result()
        except Exception as again:
            error = again


def _read_back(kv: ts.KvStore, url: str, key: str, cause: Exception | None) -> Versioned:
    try:
        return read_versioned(kv, url, key)
    except Exception as error:
        raise WriteStateUnknownError(
            f"{url}: {key!r} was sent but neither an answer nor the object came back; it may have been written or not "
            f"({failure.redact(str(cause or error))})"
        ) from error
