"""A scheduler that lets several actors run one at a time and decides whose storage operation comes next.

An actor is a thread with a store of its own. Each of its operations first asks; the scheduler chooses an operation to
take effect, or one that took effect to be answered, until all actors have ended. So the order is a pure function of the
choices, and every order can happen: an operation that was begun and not waited for may take effect late, an answer may
be late, or may never come.
"""
# The methods of Store are documented once, there.

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from zlake.errors import WriteStateUnknownError
from zlake.storage.store import Buffer, Lost, ObjectInfo, Request, Store, Versioned, Written
from zlake.testing import ProcessEnded

Fate = Literal["answered", "answer lost", "late", "killed"]
"""Of a write: ``answer lost`` takes effect but tells an error; ``late`` tells an error and takes effect sometime;
``killed`` takes effect sometime, and its actor does nothing more."""
_LONGEST_WAIT = 60.0


@dataclass(eq=False)
class Operation:
    """One request of one actor."""

    actor: Actor
    name: str
    key: str
    effect: Callable[[], Any]
    fate: Fate = "answered"
    done: bool = False
    outcome: Any = None
    error: Exception | None = None

    def __str__(self) -> str:
        lost = "" if self.fate == "answered" else f" ({self.fate})"
        return f"{self.actor.name}: {self.name} {self.key}{lost}"

    def take_effect(self) -> None:
        self.done = True
        try:
            self.outcome = self.effect()
        except Exception as error:
            self.error = error

    @property
    def answerable(self) -> bool:
        return self.done or self.fate in ("late", "killed")

    def answer(self) -> Any:
        if self.fate == "killed":
            self.actor.killed = True
            raise ProcessEnded
        if self.fate != "answered":
            raise WriteStateUnknownError(f"no answer came to {self.name} {self.key!r}")
        if self.error is not None:
            raise self.error
        return self.outcome


@dataclass(eq=False)
class Actor:
    """One thread of the play."""

    name: str
    act: Callable[[], Any]
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    pending: list[Operation] = field(default_factory=list)
    """Operations that were asked for and have not taken effect."""
    waiting: Operation | None = None
    ended: bool = False
    killed: bool = False
    error: BaseException | None = None


Choose = Callable[[int], int]
"""Chooses among so many possibilities."""
Steps = Callable[[str, str], bool]
"""Says whether it is about operations of this name and key."""


def is_write(name: str, key: str) -> bool:
    return name in ("create", "swap")


def is_swap_of_ref(name: str, key: str) -> bool:
    return is_write(name, key) and key.startswith("refs/")


class Scheduler:
    """Plays actors against each other.

    Parameters
    ----------
    choose
        Makes every choice.
    late_answers
        Choose when to answer, too; otherwise an answer follows its effect at once.
    fates
        Fates that may be chosen for one write of the play.
    struck
        Which writes may suffer them.
    """

    def __init__(
        self, choose: Choose, *, late_answers: bool = True, fates: Sequence[Fate] = (), struck: Steps = is_write
    ) -> None:
        self._choose = choose
        self._late_answers = late_answers
        self._fates = list(fates)
        self._struck = struck
        self._back = threading.Semaphore(0)
        self._actors: list[Actor] = []
        self._threads: dict[int, Actor] = {}
        self.playing = False
        self.story: list[str] = []
        """What happened, in order."""

    def add(self, name: str, act: Callable[[], Any]) -> None:
        """Add an actor before `play`."""
        self._actors.append(Actor(name, act))

    def play(self) -> None:
        """Run all actors to their end; raises what an actor raised that it should not have."""
        self.playing = True
        threads = [threading.Thread(target=self._run, args=(actor,), daemon=True) for actor in self._actors]
        for thread, actor in zip(threads, self._actors, strict=True):
            thread.start()
            assert thread.ident is not None
            self._threads[thread.ident] = actor
            self._resume(actor)
        while True:
            choices = list(self._choices())
            if not choices:
                break
            operation, answer = choices[self._choose(len(choices)) if len(choices) > 1 else 0]
            actor = operation.actor
            if not answer:
                self.story.append(str(operation))
                operation.take_effect()
                actor.pending.remove(operation)
            if answer or (not self._late_answers and actor.waiting is operation):
                actor.waiting = None
                self._resume(actor)
        self.playing = False
        for thread in threads:
            thread.join(_LONGEST_WAIT)
        for actor in self._actors:
            assert actor.ended, f"{actor.name} is stuck"
            if actor.error is not None:
                raise actor.error

    def _choices(self) -> Iterator[tuple[Operation, bool]]:
        for actor in self._actors:
            waiting = actor.waiting
            if waiting is not None and waiting.answerable and not actor.ended:
                yield waiting, True
            for operation in actor.pending:
                yield operation, False

    def _resume(self, actor: Actor) -> None:
        """Let an actor run until it waits for an operation, or ends."""
        actor.go.release()
        assert self._back.acquire(timeout=_LONGEST_WAIT), f"{actor.name} does not come back: {self.story}"

    def _run(self, actor: Actor) -> None:
        actor.go.acquire()
        try:
            actor.act()
        except BaseException as error:
            actor.error = error
        actor.ended = True
        self._back.release()

    # ------------------------------------------------------------ called by actors

    def begin(self, name: str, key: str, effect: Callable[[], Any]) -> Operation | None:
        """Ask for an operation; None if the caller is no actor of a play that is on, and may do it at once."""
        actor = self._threads.get(threading.get_ident()) if self.playing else None
        if actor is None or actor.ended:  # a helper thread, perhaps under the number of one that has ended
            return None
        if actor.killed:
            raise ProcessEnded
        operation = Operation(actor, name, key, effect)
        if self._fates and self._struck(name, key) and self._choose(8 if self._struck is is_write else 2) == 0:
            operation.fate = self._fates[self._choose(len(self._fates))]
            self._fates.clear()
        actor.pending.append(operation)
        return operation

    def wait(self, operation: Operation) -> Any:
        """Wait for the answer to an operation."""
        if not (operation.done and not self._late_answers):
            operation.actor.waiting = operation
            self._back.release()
            operation.actor.go.acquire()
        return operation.answer()


class SteppedStore(Store):
    """A store whose operations wait for their turn.

    Parameters
    ----------
    store
        What all actors share.
    scheduler
        Gives turns.
    steps
        Which operations, by name and key, are chosen among; the others happen at once. All by default.
    """

    def __init__(self, store: Store, scheduler: Scheduler, steps: Steps = lambda name, key: True) -> None:
        self.store = store
        self.url = store.url
        self.capabilities = store.capabilities
        self._scheduler = scheduler
        self._steps = steps

    def _run(self, name: str, key: str, effect: Callable[[], Any]) -> Any:
        operation = self._scheduler.begin(name, key, effect) if self._steps(name, key) else None
        return effect() if operation is None else self._scheduler.wait(operation)

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        found: bytes | None = self._run("read", key, lambda: self.store.read(key, start, stop))
        return found

    def read_versioned(self, key: str) -> Versioned:
        found: Versioned = self._run("read_versioned", key, lambda: self.store.read_versioned(key))
        return found

    def read_many(self, requests: Sequence[Request]) -> list[bytes | None]:
        return [self.read(request.key, request.start, request.stop) for request in requests]

    def create(self, key: str, value: Buffer) -> Written | Lost:
        outcome: Written | Lost = self._run("create", key, lambda: self.store.create(key, value))
        return outcome

    def start_create(self, key: str, value: Buffer) -> _Begun:
        data = bytes(value)
        operation = None
        if self._steps("create", key):
            operation = self._scheduler.begin("create", key, lambda: self.store.create(key, data))
        return _Begun(self._scheduler, operation, None if operation else self.store.create(key, data))

    def swap(self, key: str, value: Buffer, generation: bytes) -> Written | Lost:
        outcome: Written | Lost = self._run("swap", key, lambda: self.store.swap(key, value, generation))
        return outcome

    def delete(self, key: str) -> None:
        self._run("delete", key, lambda: self.store.delete(key))

    def delete_prefix(self, prefix: str = "") -> int:
        keys = list(self.list(prefix))
        for key in keys:
            self.delete(key)
        return len(keys)

    def list(self, prefix: str = "") -> Iterator[str]:
        yield from self._run("list", prefix, lambda: list(self.store.list(prefix)))

    def list_info(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from self._run("list_info", prefix, lambda: list(self.store.list_info(prefix)))

    def local_path(self, key: str) -> str | None:
        return None

    def tensorstore_spec(self, prefix: str) -> tuple[dict[str, Any], Any]:
        return self.store.tensorstore_spec(prefix)


class _Begun:
    def __init__(self, scheduler: Scheduler, operation: Operation | None, outcome: Any) -> None:
        self._scheduler = scheduler
        self._operation = operation
        self._outcome = outcome

    def result(self) -> Any:
        if self._operation is not None:
            operation, self._operation = self._operation, None
            self._outcome = self._scheduler.wait(operation)
        return self._outcome

    def __await__(self) -> Generator[Any, None, Any]:
        yield from ()
        return self.result()


# ---------------------------------------------------------------- choosing


class Dice:
    """Random choices, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self, n: int) -> int:
        return self._random.randrange(n)


class Sticky(Dice):
    """Random choices that mostly go on with what was chosen last: few switches, as most races need."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._last = 0.0

    def __call__(self, n: int) -> int:
        if self._random.random() < 0.3:
            self._last = self._random.random()
        return int(self._last * n)


class Odometer:
    """All choices there are, one play after the other."""

    def __init__(self) -> None:
        self._wheels: list[list[int]] = []
        """Of each choice: what is chosen, and among how many."""
        self._at = 0

    def __call__(self, n: int) -> int:
        if self._at == len(self._wheels):
            self._wheels.append([0, n])
        chosen, among = self._wheels[self._at]
        assert among == n, "the play is not the same for the same choices"
        self._at += 1
        return chosen

    def turn(self) -> bool:
        """Go on to the next play; false if there is none."""
        self._at = 0
        while self._wheels:
            wheel = self._wheels[-1]
            wheel[0] += 1
            if wheel[0] < wheel[1]:
                return True
            self._wheels.pop()
        return False
