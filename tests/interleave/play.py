"""Plays: a dataset, actors that change it at the same time, and whether what came of it can be explained.

A play is right if there is an order of the steps, each as a whole, that leads from the dataset as it was to the
dataset as it is, in which every step that was acknowledged happened, and every step that was refused had to be.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import zlake
from tests.interleave.joining import Player
from tests.interleave.scheduler import Choose, Fate, Scheduler, SteppedStore, Steps, is_write
from tests.interleave.steps import NAMES, Refused, Skipped, Step
from tests.interleave.unify import alike
from tests.model.check import Checker
from tests.model.state import State, Table
from tests.model.store import Clock, Naps, WatchedStore
from tests.model.world import Branch, World, Writer
from zlake.context import Context
from zlake.errors import CommitStateUnknownError, StorageUnavailableError
from zlake.session.opening import create_session, open_session
from zlake.testing import ProcessEnded

_numbers = itertools.count()
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
FIRST_ROWS = (100, 101, 102, 103)
Lines = dict[str, Any]
"""All that readers see, by branch."""


@dataclass
class Prepared:
    """A dataset as it is before plays of it begin."""

    store: WatchedStore
    world: World


@dataclass
class Cast:
    """Who does what.

    Attributes
    ----------
    acts
        The steps of each actor; perhaps a function of the dataset as it is before.
    branches
        The branch that each starts on; ``main`` where it is not said.
    prepare
        Changes the dataset before; by default it has one tensor of four rows, committed, and a fifth row staged.
    steps
        Which operations are chosen among.
    fates
        Fates of which one operation may suffer one.
    struck
        Which operations may.
    also
        Further errors that any step may end with.
    """

    acts: Sequence[Sequence[Step]] | Callable[[World], Sequence[Sequence[Step]]]
    branches: Sequence[str] = ()
    prepare: Callable[[Setting], None] = lambda setting: None
    steps: Steps = lambda name, key: True
    fates: Sequence[Fate] = ()
    struck: Steps = is_write
    also: tuple[type[Exception], ...] = ()
    prepared: Prepared | None = None


class Setting:
    """The dataset before a play, changed by zlake and in the model by the same steps."""

    def __init__(self, store: WatchedStore, context: Context) -> None:
        self.store = store
        self.context = context
        self.ds = zlake.Dataset(create_session(store, context, overwrite=False))
        self.world = World()
        self.writer = Writer("main", State(), None)
        with self.ds:
            for key, name in NAMES.items():
                self.ds.create_tensor(name, dtype="int64").info["key"] = key
                self.ds[name].extend([row + 100 * (key - 1) for row in FIRST_ROWS])
        tables = {
            key: Table(
                name, "number", {row + 100 * (key - 1): row + 100 * (key - 1) for row in FIRST_ROWS}, {"key": key}
            )
            for key, name in NAMES.items()
        }
        self.world.branches["main"].staged = State(tables)
        self.writer.adopt(self.world, "main")

    def do(self, *steps: Step) -> None:
        for step in steps:
            step.model(self.world, self.writer, step.real(self.ds))


@dataclass
class Told:
    """How a step ended, as its actor was told; ``part`` counts the parts that have been explained."""

    step: Step
    result: Any = None
    error: Exception | None = None
    unknown: bool = False
    part: int = 0


@dataclass
class Actor:
    ds: zlake.Dataset
    writer: Writer
    steps: Sequence[Step]
    told: list[Told] = field(default_factory=list)


def prepare(cast: Cast) -> Prepared:
    """Make the dataset, once for all plays of a cast."""
    from tests.interleave.steps import append, commit

    store = WatchedStore(f"mem://play-{next(_numbers)}", Clock())
    setting = Setting(store, _context(store.clock, 0))
    setting.do(commit("first"), append(104))
    cast.prepare(setting)
    return Prepared(store, setting.world)


def _context(clock: Clock, seed: int) -> Context:
    """Return a context whose ids follow from a seed."""
    numbers = random.Random(seed)

    def new_id() -> str:
        return "".join(numbers.choices(_ALPHABET, k=25)) + "a"

    naps = Naps()
    return replace(
        Context(),
        clock=clock,
        monotonic=naps.monotonic,
        sleep=naps.sleep,
        new_id=new_id,
        new_sample_ids=lambda: numbers.getrandbits(62),
        durable=False,
        threads=1,
    )


def play(cast: Cast, choose: Choose, seed: int, *, late_answers: bool = True) -> Scheduler:
    """Play a cast once and check what came of it; return the scheduler with its story."""
    if cast.prepared is None:
        cast.prepared = prepare(cast)
    store = cast.prepared.store.twin(f"{cast.prepared.store.url}-{next(_numbers)}")
    world = _copy(cast.prepared.world)
    scheduler = Scheduler(choose, late_answers=late_answers, fates=cast.fates, struck=cast.struck)
    actors = []
    for i, steps in enumerate(cast.acts(world) if callable(cast.acts) else cast.acts):
        branch = cast.branches[i] if i < len(cast.branches) else "main"
        stepped = SteppedStore(store, scheduler, cast.steps)
        session = open_session(stepped, _context(store.clock, 10 * seed + i + 1), branch, None)
        writer = Player(branch, State(), None)
        writer.adopt(world, branch)
        actors.append(Actor(zlake.Dataset(session), writer, steps))
        scheduler.add(f"{'ABCDE'[i]}", lambda actor=actors[-1]: _act(actor, cast.also))
    try:
        scheduler.play()
        check(store, world, actors)
    except BaseException as error:
        told = [f"{'ABCDE'[i]}: {t.step.name}: {t.error or t.result!r}" for i, a in enumerate(actors) for t in a.told]
        error.add_note("\n".join(["what happened:", *scheduler.story, "what the actors were told:", *told]))
        raise
    return scheduler


def _act(actor: Actor, also: tuple[type[Exception], ...]) -> None:
    for step in actor.steps:
        told = Told(step)
        actor.told.append(told)
        for _ in range(2):
            try:
                told.result = step.real(actor.ds)
            except StorageUnavailableError:
                continue  # nothing was changed: do it again, as the message says
            except CommitStateUnknownError as error:
                told.error, told.unknown, told.result = error, True, error.commit_id
            except ProcessEnded:
                told.error, told.unknown = CommitStateUnknownError("the process ended", ""), True
                return
            except (Skipped, *step.errors, *step.anyway, *also) as error:
                told.error = error
            break
        if told.error is not None and not isinstance(told.error, Skipped):
            try:
                actor.ds.refresh(discard=True)
            except (*also, *step.anyway):
                return


# ---------------------------------------------------------------- explaining


def check(store: WatchedStore, world: World, actors: Sequence[Actor]) -> None:
    """Check the dataset, and that an order of the steps explains it."""
    Checker(store).look_at_all()
    ds = zlake.Dataset(open_session(store, _context(store.clock, 1), None, None))
    report = ds.verify(deep=True)
    assert report, report
    assert ds.gc(0, dry_run=True)  # nothing is in the way of collectors
    seen = _seen(store)
    other: Lines | None = None
    for after in _explanations(world, [a.writer for a in actors], [a.told for a in actors]):
        found = _lines(after)
        if alike(seen, found):
            return
        other = other or found
    assert other is not None, "no order of the steps explains what the actors were told"
    raise AssertionError(f"no order of the steps leads to {seen}, but for instance to {other}")


def _explanations(world: World, writers: list[Writer], told: list[list[Told]]) -> Iterator[World]:
    """Yield the worlds that can come of what the actors were told."""
    if not any(told):
        yield world
        return
    for i, (first, *rest) in ((i, each) for i, each in enumerate(told) if each):
        for after, writer, left in _outcomes(world, writers[i], first, rest):
            yield from _explanations(
                after, [*writers[:i], writer, *writers[i + 1 :]], [*told[:i], left, *told[i + 1 :]]
            )


def _outcomes(
    world: World, before: Writer, first: Told, rest: list[Told]
) -> Iterator[tuple[World, Writer, list[Told]]]:
    """Yield what may come of the next part of a step now, given what its actor was told in the end."""
    skipped = isinstance(first.error, Skipped)
    # when it read the branch again is a step of its own
    left = [Told(_READ_AGAIN), *rest] if first.error is not None and not skipped else rest
    if isinstance(first.error, first.step.anyway):
        yield _copy(world), copy(before), left
        return
    after, writer = _copy(world), copy(before)
    parts = (first.step.model, *first.step.parts)
    try:
        parts[first.part](after, writer, first.result)
        came: bool | None = True
    except Refused:
        came = False
    except Skipped:
        came = None
    if came and first.part + 1 < len(parts) and not skipped:
        yield after, writer, [replace(first, part=first.part + 1), *rest]
    elif came is (None if skipped else first.error is None) or (first.unknown and came):
        yield after, writer, left
    if first.unknown:
        yield _copy(world), copy(before), left


def _read_again(world: World, writer: Writer, _: Any) -> None:
    if writer.branch is not None and not world.branches[writer.branch].deleted:
        writer.adopt(world, writer.branch)


_READ_AGAIN = Step("read again", lambda ds: None, _read_again)


def _copy(world: World) -> World:
    made = World()
    made.branches = {name: copy(branch) for name, branch in world.branches.items()}
    made.commits = dict(world.commits)
    made.tags = dict(world.tags)
    made.spent_tags = set(world.spent_tags)
    return made


def _lines(world: World) -> Lines:
    return {name: _line(world, name, branch) for name, branch in world.branches.items() if not branch.deleted} | {
        "tags": world.tags
    }


def _line(world: World, name: str, branch: Branch) -> Any:
    state = world.state(name)
    tables = {table.name: (list(table.rows.values()), table.info["key"]) for table in state.tables.values()}
    return tables, state.info, world.log(branch.commit), branch.staged is not None


def _seen(store: WatchedStore) -> Lines:
    context = _context(store.clock, 1)
    lines: Lines = {"tags": zlake.Dataset(open_session(store, context, None, None)).tags}
    for key in store.list("refs/branches/"):
        name = key[len("refs/branches/") : -len(".json")]
        if b'"deleted":true' in store.objects[key].value:
            continue
        ds = zlake.Dataset(open_session(store, context, name, None))
        tables = {n: (t.numpy().reshape(-1).tolist(), t.info["key"]) for n, t in ds.tensors.items()}
        for tensor in ds.tensors.values():
            assert len(set(tensor.ids().tolist())) == len(tensor)
        log = [entry["commit"] for entry in ds.commits]
        lines[name] = (tables, dict(ds.info), log, ds.has_head_changes)
    return lines
