from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, sys
from zlake.errors import ForkError
from zlake.storage import open_store
store = open_store(sys.argv[1])
{before}
operations = [
    lambda: store.read("a"),
    lambda: store.read_versioned("a"),
    lambda: store.create("b", b"x"),
    lambda: store.start_create("b", b"x").result(),
    lambda: store.swap("a", b"x", b"g"),
    lambda: store.delete("c"),
    lambda: list(store.list()),
    lambda: list(store.list_info()),
    lambda: store.local_path("a"),
    lambda: store.tensorstore_spec(""),
]
child = os.fork()
if child == 0:
    refused = 0
    for operation in operations:
        try:
            operation()
        except ForkError as error:
            refused += "forkserver" in str(error)
    os._exit(refused)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), "of", len(operations))
store.create("after", b"x")
"""


def _run(before: str, place: str) -> str:
    command = [sys.executable, "-c", PROGRAM.format(before=before), place]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_forked_child_is_told_instead_of_aborted(tmp_path):
    assert _run("store.create('a', b'x')", str(tmp_path / "set")) == "10 of 10"


def test_a_forked_child_in_memory_is_told(tmp_path):
    assert _run("store.read('a')", "mem://x") == "10 of 10"


def test_a_store_that_was_not_used_before_the_fork_works_in_the_child(tmp_path):
    assert _run("pass", str(tmp_path / "set")) == "0 of 10"
