"""The command that collects garbage."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import zlake
from zlake.cli import main

HOUR = 3600.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A dataset that one old flush is of no use to any more."""
    ds = zlake.empty(tmp_path / "data")
    ds.create_tensor("x", dtype="int64")
    ds.x.extend([1, 2, 3])
    ds.commit("first")
    ds.x.append(4)
    ds.x.append(5)
    return tmp_path / "data"


def run(capsys, *arguments: str | Path) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def age(path: Path, seconds: float) -> None:
    """Let everything that is there be written so long ago."""
    for file in path.rglob("*"):
        os.utime(file, (time.time() - seconds,) * 2)


def files(path: Path) -> set[Path]:
    return {file for file in path.rglob("*") if file.is_file()}


def test_what_is_old_is_marked_then_deleted(capsys, path):
    before = files(path)
    code, out, err = run(capsys, "gc", path)
    assert (code, err) == (0, "")
    assert "with a grace period of 7 days" in out
    assert "written less than 7 days ago" in out
    assert files(path) == before
    age(path, 3 * HOUR)
    code, out, _ = run(capsys, "gc", path, "--grace", "1h")
    assert code == 0
    assert "marked, to be deleted in 1 hour" in out
    assert before < files(path)
    age(path, 2 * HOUR)
    code, out, _ = run(capsys, "gc", path, "--grace", "60m")
    assert code == 0
    assert "  deleted: " in out
    assert files(path) < before
    ds = zlake.load(path)
    assert ds.x.numpy().reshape(-1).tolist() == [1, 2, 3, 4, 5]
    assert ds.verify()
    assert "nothing else" in run(capsys, "gc", path, "--grace", "1h")[1]


def test_a_dry_run_changes_nothing(capsys, path):
    age(path, 30 * 24 * HOUR)
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files(path)}
    code, out, err = run(capsys, "gc", path, "--dry-run")
    assert (code, err) == (0, "")
    assert "would be marked" in out
    code, out, _ = run(capsys, "gc", path, "--dry-run", "--grace=0")
    assert code == 0
    assert "would be deleted" in out
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in files(path)} == before


def test_at_once(capsys, path):
    before = files(path)
    assert "  deleted: " in run(capsys, "gc", path, "--grace", "0")[1]
    assert files(path) < before


@pytest.mark.parametrize(("text", "period"), [("90s", "1.5 minutes"), ("1.5h", "1.5 hours"), ("2w", "14 days")])
def test_lengths_of_time(capsys, path, text, period):
    assert f"with a grace period of {period}" in run(capsys, "gc", path, "--grace", text)[1]


@pytest.mark.parametrize("text", ["7", "d", "-1d", "7 days", "1e3s", "inf", "nan", "٧d", "", "1d1h", "9999999999d"])
def test_what_is_no_length_of_time(capsys, path, text):
    before = files(path)
    with pytest.raises(SystemExit) as stop:
        main(["gc", str(path), f"--grace={text}"])
    assert stop.value.code == 2
    assert "is no length of time: a number with s, m, h, d or w" in capsys.readouterr().err
    assert files(path) == before


def test_damage_refuses_and_deletes_nothing(capsys, path):
    commit = zlake.load(path).commit_id
    document = path / "commits" / str(commit) / "zarr.json"
    document.write_bytes(document.read_bytes()[:-9])
    before = files(path)
    code, out, err = run(capsys, "gc", path, "--grace", "0")
    assert (code, out) == (2, "")
    assert "nothing was deleted" in err
    assert err.count("\n") == 1
    assert files(path) == before
