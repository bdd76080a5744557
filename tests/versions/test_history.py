from __future__ import annotations

from zlake.context import Context, random_id
from zlake.format import encode, paths
from zlake.format.documents import CommitBrief, HistoryPage, Snapshot
from zlake.storage.store import Store
from zlake.versions.history import log
from zlake.versions.objects import Objects


def test_a_chain_of_pages_that_leads_back_to_itself_ends(store: Store, context: Context) -> None:
    first, second = random_id(), random_id()
    briefs = [CommitBrief(id=random_id(), parents=(), author="", time=0.0, message=str(i)) for i in range(2)]
    for page_id, brief, previous in ((first, briefs[0], second), (second, briefs[1], first)):
        store.create(paths.page_key(page_id), encode(HistoryPage(id=page_id, commits=(brief,), previous=previous)))
    head = Snapshot(id=random_id(), kind="staged", write_id=random_id(), parents=(), time=0.0, history=first)
    assert list(log(head, Objects(store))) == briefs
