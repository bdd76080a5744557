"""Steps that bring lines of history together: merge, cherry-pick, revert and rebase; what they do to the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import zlake
from tests.interleave.steps import Refused, Step
from tests.interleave.unify import is_made, made
from tests.model.state import State
from tests.model.threeway import Brought, bring, same
from tests.model.world import Branch, World, Writer
from zlake.errors import CollectedError, MergeConflictError, RefNotFoundError

GONE = (CollectedError, RefNotFoundError)
"""How a version that was collected is refused."""


@dataclass(frozen=True)
class Known:
    """A branch as somebody knows it."""

    commit: str | None
    state: State
    staged: bool


@dataclass
class Player(Writer):
    """A writer, and what it found out in an earlier part of the step that it is in."""

    found: Any = None


@dataclass(frozen=True)
class Joined:
    """What a call returned: the new commit, and the second of its parents, or itself if it was there before."""

    commit: str | None
    target: str | None = None


def known(writer: Writer) -> Known:
    return Known(writer.commit, writer.base, writer.staged is not None)


def present(world: World, name: str) -> Known:
    branch = world.branches[name]
    return Known(branch.commit, world.state(name), branch.staged is not None)


def check_open(world: World, writer: Writer) -> Branch:
    if writer.branch is None or writer.refused(world) is not None:
        raise Refused
    return world.branches[writer.branch]


def settle(world: World, writer: Writer) -> None:
    """Stand at the branch after such a call."""
    writer.adopt(world, writer.branch)
    writer.flushed = writer.flushed and writer.staged is not None


def look_again(world: World, writer: Writer, result: Any) -> None:
    """Where there was nothing to do, the session reads the branch, later."""
    if writer.found == "nothing":
        settle(world, writer)


def undecided(clash: object) -> None:
    """Nobody decides about conflicts."""


def decided(side: str | None) -> Callable[[object], str | None]:
    return lambda clash: side


def checked(brought: Brought) -> State:
    if brought.refused:
        raise Refused
    return brought.state


# ---------------------------------------------------------------- merge


@dataclass(frozen=True)
class Target:
    """What a merge takes in: a commit; or one that is to be made of what is staged on a branch."""

    commit: str | None
    staged: bool = False
    again: bool = False
    """Others have committed what was staged; the branch is read once more."""


def merge(address: str, side: str | None = None, *, by_id: bool = False) -> Step:
    """Merge a branch, or with ``by_id`` a commit; conflicts are decided for one side, or by nobody."""
    decide = decided(side)

    def see(world: World, writer: Writer, result: Joined | None) -> None:
        if not by_id and (address not in world.branches or world.branches[address].deleted):
            raise Refused
        there = Known(address, world.state_of(address), False) if by_id else present(world, address)
        if not there.staged and there.commit in world.ancestors(writer.commit):
            if result is not None and result.commit is not None:
                raise Refused
            writer.found = None
            return
        if there.staged:
            start = world.meeting(writer.commit, there.commit)
            checked(bring(start, there.state, writer.base, decide, deletions=False))
        writer.found = Target(there.commit, there.staged)

    def commit_there(world: World, writer: Writer, result: Joined | None) -> None:
        if not isinstance(writer.found, Target) or not writer.found.staged:
            return
        branch = world.branches[address]
        if branch.deleted:
            raise Refused
        if branch.staged is None:
            writer.found = replace(writer.found, again=True)
            return
        commit = made() if result is None or result.target is None else result.target
        if commit in world.commits:
            raise Refused
        world.add(address, commit, world.state(address))
        writer.found = Target(commit)

    def see_again(world: World, writer: Writer, result: Joined | None) -> None:
        if isinstance(writer.found, Target) and writer.found.again:
            writer.found = Target(world.branches[address].commit)

    def bring_here(world: World, writer: Writer, result: Joined | None) -> None:
        if not isinstance(writer.found, Target):
            return
        check_open(world, writer)
        assert writer.branch is not None
        target = writer.found.commit
        _joined(world, known(writer), target, decide)
        state = _joined(world, present(world, writer.branch), target, decide)
        commit = None if result is None else result.commit
        if state is None:
            writer.found = "nothing"
            if commit is not None:
                raise Refused
            return
        branch = world.branches[writer.branch]
        if commit is None:
            raise Refused
        if state == "forward":
            assert target is not None
            if commit != target and not is_made(target):
                raise Refused
            branch.commit = target
            branch.sequence += 1
        else:
            assert isinstance(state, State)
            assert target is not None
            if commit in world.commits:
                raise Refused
            world.add(writer.branch, commit, state, target)
        settle(world, writer)

    def real(ds: zlake.Dataset) -> Joined:
        commit = ds.merge(address, conflict_resolution=side, author="me")
        if commit is None:
            return Joined(None)
        parents = ds._session.repository.snapshot(commit).parents
        return Joined(commit, parents[1] if len(parents) > 1 else commit)

    return Step(
        f"merge {address}",
        real,
        see,
        (MergeConflictError, RefNotFoundError),
        (commit_there, see_again, bring_here, look_again),
        GONE if by_id else (),
    )


def _joined(world: World, here: Known, target: str | None, decide: Any) -> State | str | None:
    """Return what a merge makes of a branch: None for nothing, ``"forward"`` where it moves to the target."""
    bases = world.bases(here.commit, target)
    if target in bases:
        return None
    if not here.staged and here.commit in bases:
        return "forward"
    start = world.meeting(here.commit, target)
    return checked(bring(start, world.state_of(target), here.state, decide, deletions=False))


# ---------------------------------------------------------------- commits made again


Change = tuple[State, State]


def cherry_pick(tag: str, *, by_id: bool = False) -> Step:
    def plan(world: World, here: Known, commit: str) -> tuple[str | None, list[Change], bool]:
        return here.commit, [(world.before(commit), world.state_of(commit))], False

    return _replay(f"cherry-pick {tag}", lambda ds: ds.cherry_pick(tag), plan, tag, "commit" if by_id else "tag")


def revert(tag: str) -> Step:
    def plan(world: World, here: Known, commit: str) -> tuple[str | None, list[Change], bool]:
        return here.commit, [(world.state_of(commit), world.before(commit))], here.commit == commit

    return _replay(f"revert {tag}", lambda ds: ds.revert(tag), plan, tag, "tag")


def rebase(onto: str) -> Step:
    def plan(world: World, here: Known, commit: str) -> tuple[str | None, list[Change], bool]:
        if commit in world.ancestors(here.commit):
            return here.commit, [], False
        there = world.ancestors(commit)
        chain: list[Change] = []
        for each in world.log(here.commit):
            if each in there:
                break
            chain.append((world.before(each), world.state_of(each)))
        return commit, chain[::-1], False

    return _replay(f"rebase onto {onto}", lambda ds: ds.rebase(onto), plan, onto, "branch")


def _replay(
    name: str,
    act: Callable[[zlake.Dataset], Any],
    plan: Callable[[World, Known, str], tuple[str | None, list[Change], bool]],
    address: str,
    kind: str,
) -> Step:
    def see(world: World, writer: Writer, result: Joined | None) -> None:
        match kind:
            case "tag":
                writer.found = world.tags[address]
            case "branch":
                writer.found = world.branches[address].commit
            case _:
                writer.found = address

    def bring_here(world: World, writer: Writer, result: Joined | None) -> None:
        branch = check_open(world, writer)
        assert writer.branch is not None
        found = writer.found
        _again(world, known(writer), plan, found)
        here = present(world, writer.branch)
        again = _again(world, here, plan, found)
        commit = None if result is None else result.commit
        if again is None:
            writer.found = "nothing"
            if commit is not None:
                raise Refused
            return
        if commit is None:
            raise Refused
        start, states, staged = again
        parent = start
        for state in states:
            mine = commit if state is states[-1] else made()
            if mine in world.commits:
                raise Refused
            world.record(mine, state, *(() if parent is None else (parent,)))
            parent = mine
        if not states and commit != start:
            raise Refused
        branch.commit, branch.staged = parent, staged
        branch.sequence += 1
        settle(world, writer)

    return Step(
        name,
        lambda ds: Joined(act(ds)),
        see,
        (MergeConflictError,),
        (bring_here, look_again),
        GONE if kind == "commit" else (),
    )


def _again(world: World, here: Known, plan: Any, found: str) -> tuple[str | None, list[State], State | None] | None:
    """Return where the branch goes, the states of the commits that are made there, and what is staged on them then."""
    start, changes, exact = plan(world, here, found)
    now = world.state_of(start)
    states = []
    for before, after in changes:
        brought = after if exact else checked(bring(before, after, now, undecided))
        if not same(now, brought) or same(before, after):
            now = brought
            states.append(now)
    if start == here.commit and not states:
        return None
    old = world.state_of(here.commit)
    if not here.staged or same(old, here.state):
        return start, states, None
    staged = checked(bring(old, here.state, now, undecided))
    return start, states, None if same(now, staged) else staged
