"""The in-place operators of tensors: ``x += 1``, ``x[3:5] *= 2``, ``x[0, 2] ^= 1``."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Self

Operator = Callable[[Any, Any], Any]


def _method(function: Operator) -> Callable[[Any, Any], Any]:
    def change(self: Operators, value: Any) -> Operators:
        self._operate(function, value)
        return self

    return change


class Operators:
    """Gives a class the in-place operators; each writes the changed samples back, and they keep their dtype."""

    __slots__ = ()

    def _operate(self, function: Operator, value: Any) -> None:
        raise TypeError(f"{type(self).__name__} has no operators")

    __iadd__: Callable[[Self, Any], Self] = _method(operator.iadd)
    __isub__: Callable[[Self, Any], Self] = _method(operator.isub)
    __imul__: Callable[[Self, Any], Self] = _method(operator.imul)
    __itruediv__: Callable[[Self, Any], Self] = _method(operator.itruediv)
    __ifloordiv__: Callable[[Self, Any], Self] = _method(operator.ifloordiv)
    __imod__: Callable[[Self, Any], Self] = _method(operator.imod)
    __ipow__: Callable[[Self, Any], Self] = _method(operator.ipow)
    __ilshift__: Callable[[Self, Any], Self] = _method(operator.ilshift)
    __irshift__: Callable[[Self, Any], Self] = _method(operator.irshift)
    __iand__: Callable[[Self, Any], Self] = _method(operator.iand)
    __ixor__: Callable[[Self, Any], Self] = _method(operator.ixor)
    __ior__: Callable[[Self, Any], Self] = _method(operator.ior)
