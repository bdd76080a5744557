"""The part of a repository that deals with names: branches, tags and addresses."""

from __future__ import annotations

from collections.abc import Iterator

from zlake.context import Context
from zlake.errors import CommitStateUnknownError
from zlake.format.documents import CommitBrief, Ref, Snapshot, Tag
from zlake.storage.store import Store
from zlake.versions import addresses, ancestors, branching, refs, resetting, settling, tags
from zlake.versions.head import Head
from zlake.versions.objects import Objects
from zlake.versions.safety import check_writable


class Named:
    """What a repository can do with branches, tags and addresses; each writes one small object at most."""

    store: Store
    context: Context
    objects: Objects
    single_writer: bool

    def resolve(self, address: str) -> Head:
        """Return a branch, tag or commit; raises as `zlake.versions.addresses.resolve`."""
        return addresses.resolve(self.objects, address)

    def unread(self, name: str) -> Head | None:
        """Return a branch without its snapshot, which may be damaged; None if there is no such branch. One read."""
        return branching.unread(self.objects, name)

    def find_commit(self, commit_id: str) -> Snapshot:
        """Return a commit by its id or the beginning of it; raises as `zlake.versions.addresses.find_commit`."""
        return addresses.find_commit(self.objects, commit_id)

    def ancestors(self, *snapshots: Snapshot) -> Iterator[CommitBrief]:
        """Yield all commits that lead to snapshots, through all parents, each before its parents."""
        return ancestors.ancestors(self.objects, *snapshots)

    def branches(self) -> dict[str, Ref]:
        """Return all branches by name: one listing, and one read for each."""
        return branching.branches(self.store)

    def deleted_branches(self) -> dict[str, Ref]:
        """Return the tombstones of deleted branches by name: one listing, and one read for each branch."""
        return branching.deleted_branches(self.store)

    def check_free(self, name: str) -> None:
        """Raise unless a branch of this name can be made; raises as `zlake.versions.branching.check_free`."""
        branching.check_free(self.store, name)

    def create_branch(self, name: str, start: Head, *, staged: bool = False, guarded: bool = True) -> Head:
        """Durable: make a branch where ``start`` is; raises as `zlake.versions.branching.create`."""
        self.check_safe()
        return branching.create(self.objects, self.context, name, start, staged=staged, guarded=guarded)

    def delete_branch(self, name: str) -> Head:
        """Durable: delete a branch, so that it can be restored; raises as `zlake.versions.branching.delete`."""
        self.check_safe()
        return branching.delete(self.objects, self.context, name)

    def restore_branch(self, name: str) -> Head:
        """Durable: bring a deleted branch back; raises as `zlake.versions.branching.restore`."""
        self.check_safe()
        return branching.restore(self.objects, self.context, name)

    def reset(self, head: Head, *, force: bool = False) -> Head:
        """Durable: drop what is staged on a branch; raises as `zlake.versions.resetting.reset`."""
        self.check_safe()
        return resetting.reset(self.objects, self.context, head, force=force)

    def settle(self, branch: str, error: CommitStateUnknownError) -> Head | None:
        """Find out for good how a write of a branch ended of which nobody knew; as `zlake.versions.settling.settle`."""
        return settling.settle(self.objects, self.context, branch, error)

    def tags(self) -> dict[str, str]:
        """Return the commit ids of all tags by name: one listing, and one read for each."""
        return tags.tags(self.store)

    def find_tag(self, name: str) -> Tag | None:
        """Return a tag, also the tombstone of one, or None if there never was one: one read."""
        return refs.find_tag(self.store, name)

    def create_tag(self, name: str, commit_id: str, *, guarded: bool = True) -> bool:
        """Durable: name a commit, which is there; raises as `zlake.versions.tags.create`."""
        self.check_safe()
        return tags.create(self.objects, self.context, name, commit_id, guarded=guarded)

    def delete_tag(self, name: str) -> bool:
        """Durable: delete a tag; raises as `zlake.versions.tags.delete`."""
        self.check_safe()
        return tags.delete(self.store, self.context, name)

    def check_safe(self) -> None:
        """Raise unless the storage can be written without losing what others write."""
        check_writable(self.store, single_writer=self.single_writer)
