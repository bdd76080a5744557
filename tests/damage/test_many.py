"""Twenty thousand damages of a dataset with a history: an error of the tree, or the same data; never anything else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.damage.history import CONTEXT, KEEPING, History
from tests.scale import SCALE, times
from zlake.errors import ZlakeError

Damage = Callable[[random.Random, bytes], bytes]


@pytest.fixture(scope="module")
def history() -> History:
    return History()


def flip_bit(rng: random.Random, data: bytes) -> bytes:
    position = rng.randrange(len(data))
    return data[:position] + bytes([data[position] ^ 1 << rng.randrange(8)]) + data[position + 1 :]


def flip_bits(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.randrange(2, 6)):
        data = flip_bit(rng, data)
    return data


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def cut_front(rng: random.Random, data: bytes) -> bytes:
    return data[rng.randrange(1, len(data) + 1) :]


def lengthen(rng: random.Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.choice((1, 4, 100)))


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 4, 16, 512)))


def zeros(rng: random.Random, data: bytes) -> bytes:
    """What a disk returns for a block that was never written."""
    start, stop = _span(rng, data)
    return data[:start] + bytes(stop - start) + data[stop:]


def noise(rng: random.Random, data: bytes) -> bytes:
    start, stop = _span(rng, data)
    return data[:start] + rng.randbytes(stop - start) + data[stop:]


def lose(rng: random.Random, data: bytes) -> bytes:
    """Lose bytes in the middle."""
    start, stop = _span(rng, data)
    return data[:start] + data[stop:]


def repeat(rng: random.Random, data: bytes) -> bytes:
    start, stop = _span(rng, data)
    return data[:stop] + data[start:]


DAMAGES: tuple[Damage, ...] = (flip_bit, flip_bits, cut, cut_front, lengthen, zeros, noise, lose, repeat)


def replaced(rng: random.Random, key: str, objects: dict[str, bytes], others: list[str]) -> dict[str, bytes | None]:
    """Damage an object, or lose it, or exchange it with another one."""
    kind = rng.randrange(len(DAMAGES) + 3)
    if kind < len(DAMAGES):
        return {key: DAMAGES[kind](rng, objects[key])}
    if kind == len(DAMAGES):
        return {key: None}
    other = rng.choice(others)
    return {key: objects[other]} if kind == len(DAMAGES) + 1 else {key: objects[other], other: objects[key]}


def outcome(read: Callable[[], None]) -> str:
    try:
        read()
    except ZlakeError as error:
        return type(error).__name__
    return "the same"


@pytest.mark.timeout(600 * SCALE)
@pytest.mark.parametrize("seed", range(4))
def test_documents_and_pages(history: History, seed: int) -> None:
    rng = random.Random(seed)
    keys = history.documents
    outcomes: Counter[str] = Counter()
    for _ in range(times(2500)):
        changed = replaced(rng, rng.choice(keys), history.objects, keys)
        try:
            outcomes[outcome(lambda changed=changed: history.check_documents(changed))] += 1
        except BaseException as error:
            error.add_note(repr(changed))
            raise
    print(f"{outcomes.total()} cases: {dict(outcomes)}")
    assert outcomes.total() == times(2500)
    assert outcomes["CorruptObjectError"] > outcomes.total() // 2


@pytest.mark.timeout(600 * SCALE)
@pytest.mark.parametrize("seed", range(4))
def test_objects_of_segments(history: History, seed: int) -> None:
    rng = random.Random(100 + seed)
    keys = list(history.uses)
    outcomes: Counter[str] = Counter()
    for _ in range(times(2500)):
        key = rng.choice(keys)
        context = rng.choice((CONTEXT, KEEPING))
        changed = replaced(rng, key, history.objects, history.others(key, context))
        use = rng.choice(history.uses[key])
        try:
            outcomes[outcome(lambda c=changed, use=use, context=context: history.check_rows(c, use, context))] += 1
        except BaseException as error:
            error.add_note(f"{use}: {changed!r}")
            raise
    print(f"{outcomes.total()} cases: {dict(outcomes)}")
    assert outcomes.total() == times(2500)
    assert outcomes["CorruptObjectError"] > outcomes.total() // 2
