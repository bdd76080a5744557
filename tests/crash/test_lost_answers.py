"""A service that takes a request and loses the answer, over real HTTP: rows are there once, and nobody need notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from servers.s3 import S3Server

import zlake
from zlake.context import Context

CONTEXT = Context(threads=2)


def row(number: int) -> dict[str, Any]:
    return {"x": np.full((2, 2), number, np.int32), "text": str(number)}


def block(ds: zlake.Dataset) -> None:
    with ds:
        ds.append(row(1))
        ds.append(row(2))


CHANGES: dict[str, tuple[Callable[[zlake.Dataset], object], list[int], int]] = {
    "append": (lambda ds: ds.append(row(1)), [0, 1], 1),
    "block": (block, [0, 1, 2], 1),
    "update": (lambda ds: ds[0].update(row(9)), [9], 1),
    "pop": (lambda ds: ds.pop(0), [], 1),
    "commit": (lambda ds: ds.commit("second"), [0], 2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_every_lost_answer_of_a_change(s3_server: S3Server, s3_bucket: Any, name: str) -> None:
    change, expected, commits = CHANGES[name]
    requests = 0
    for lost in range(40):
        url = f"{s3_bucket.url}-{lost}"
        ds = zlake.empty(url, creds=s3_bucket.creds, context=CONTEXT)
        with ds:
            ds.create_tensor("x", dtype="int32")
            ds.create_tensor("text", htype="text")
            ds.append(row(0))
            ds.commit("first")
        if name == "commit":
            ds.info["staged"] = True
        seen = 0

        def drop(kind: str, key: str, lost: int = lost) -> bool:
            nonlocal seen
            if kind != "put":
                return False
            seen += 1
            return seen == lost + 1

        s3_server.drop = drop
        change(ds)
        s3_server.drop = None
        for opened in (ds, zlake.load(url, creds=s3_bucket.creds)):
            assert [int(x[0, 0]) for x in opened.x.numpy(aslist=True)] == expected
            assert opened.text.text() == [str(number) for number in expected]
            assert len(opened.commits) == commits
        assert ds.verify(deep=True)
        if seen <= lost:
            requests = seen
            break
    assert requests == lost > 0
