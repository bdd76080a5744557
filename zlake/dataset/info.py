"""The info of a dataset or tensor as a dictionary that saves itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from zlake.session import info
from zlake.session.column import Column
from zlake.session.session import Session


class Info(MutableMapping[str, Any]):
    """A dictionary of JSON values, saved with the dataset and versioned with it.

    Every change is written like a change of rows: at once, or with the ``with ds:`` block around it. Values changed in
    place (``ds.info["names"].append(...)``) are not noticed: assign them again.

    Examples
    --------
    >>> import zlake
    >>> ds = zlake.empty("mem://info-doc", overwrite=True)
    >>> ds.info["licence"] = "CC0"
    >>> ds.info.licence
    'CC0'
    """

    __slots__ = ("_column", "_session")

    def __init__(self, session: Session, column: Column | None) -> None:
        object.__setattr__(self, "_session", session)
        object.__setattr__(self, "_column", column)

    def _get(self) -> dict[str, Any]:
        return info.get(self._session, self._column)

    def __getitem__(self, key: str) -> Any:
        return self._get()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        info.edit(self._session, self._column, lambda made: made.update({key: value}))

    def __delitem__(self, key: str) -> None:
        info.edit(self._session, self._column, lambda made: made.pop(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._get())

    def __len__(self) -> int:
        return len(self._get())

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        try:
            return self._get()[key]
        except KeyError:
            raise AttributeError(f"info has no {key!r}; it has {sorted(self._get())}") from None

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several keys as one change."""
        info.edit(self._session, self._column, lambda made: made.update(*args, **kwargs))

    def clear(self) -> None:
        """Remove all keys as one change."""
        self.replace_with({})

    def replace_with(self, value: Mapping[str, Any]) -> None:
        """Replace the whole dictionary as one change."""
        info.put(self._session, self._column, value)

    def __repr__(self) -> str:
        return f"Info({self._get()!r})"
