"""The class names of a label tensor: text to index and back."""

from __future__ import annotations

from collections.abc import Iterable

from zlake.errors import TensorMetaInvalidHtypeOverwriteValue


class ClassNames:
    """Class names by index, growing as unknown names are met.

    Parameters
    ----------
    values
        Names in the order of their indices; each a string, none twice.

    Attributes
    ----------
    values
        The names; position is the class index.
    changed
        Whether a name was added since the object was made: then ``info.class_names`` must be written too.

    Examples
    --------
    >>> names = ClassNames(["cat"])
    >>> names.index_of("dog"), names.changed, names.values
    (1, True, ['cat', 'dog'])
    """

    __slots__ = ("_index", "changed", "values")

    def __init__(self, values: Iterable[str] = ()) -> None:
        if isinstance(values, str):
            raise TensorMetaInvalidHtypeOverwriteValue(
                f"class_names must be a list of names, not the string {values!r}"
            )
        self.values: list[str] = list(values)
        self.changed = False
        for name in self.values:
            if not isinstance(name, str):
                raise TensorMetaInvalidHtypeOverwriteValue(
                    f"class_names must be strings; got {name!r} ({type(name).__name__})"
                )
            _check_unicode(name)
        self._index = {name: index for index, name in enumerate(self.values)}
        if len(self._index) != len(self.values):
            twice = next(name for index, name in enumerate(self.values) if self._index[name] != index)
            raise TensorMetaInvalidHtypeOverwriteValue(f"class_names holds {twice!r} twice")

    def index_of(self, text: str) -> int:
        """Return the index of a name, adding the name at the end if it is new.

        Raises
        ------
        TensorMetaInvalidHtypeOverwriteValue
            If a new name is not valid Unicode.
        """
        index = self._index.get(text)
        if index is None:
            index = len(self.values)
            name = str(text)
            _check_unicode(name)
            self.values.append(name)
            self._index[name] = index
            self.changed = True
        return index

    def find(self, text: str) -> int | None:
        """Return the index of a name, or None; never adds."""
        return self._index.get(text)

    def copy(self) -> ClassNames:
        """Return an independent copy that has not changed yet: keep one to roll back to."""
        twin = ClassNames.__new__(ClassNames)
        twin.values = list(self.values)
        twin._index = dict(self._index)
        twin.changed = False
        return twin

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClassNames) and self.values == other.values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ClassNames({self.values!r})"


def _check_unicode(name: str) -> None:
    """Refuse a name that no document can hold: it would be met only when all rows are to be written."""
    if not name.isascii():
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise TensorMetaInvalidHtypeOverwriteValue(
                f"{name!r:.100} is no class name: it is not valid Unicode text ({error.reason})"
            ) from error
