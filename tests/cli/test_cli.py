"""The command, in this process and as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zlake
from zlake.cli import main


@pytest.fixture
def path(tmp_path: Path) -> Path:
    ds = zlake.empty(tmp_path / "data")
    ds.create_tensor("x")
    ds.create_tensor("group/words", htype="text")
    ds.info["note"] = "two\nlines \x1b[31m"
    ds.info["long"] = "a" * 1000
    ds.extend({"x": np.ones((3, 4), np.uint8), "group/words": ["a", "b", "c"]})
    ds.commit("first")
    ds.x.append(np.zeros(4, np.uint8))
    ds.commit("second")
    return tmp_path / "data"


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_info(capsys, path):
    ds = zlake.load(path)
    code, out, err = run(capsys, "info", path)
    assert (code, err) == (0, "")
    assert str(ds) in out
    assert f"commit: {ds.commit_id}" in out
    assert f"dataset: {ds.meta['dataset_id']}" in out
    assert f"stored bytes: {ds.size_approx():,}" in out
    assert r'info "note": "two\nlines \u001b[31m"' in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 200


def test_info_at_a_version(capsys, path):
    first = zlake.load(path).commits[1]["commit"]
    _, out, _ = run(capsys, "info", f"{path}@{first}")
    assert "(3, 4)" in out
    assert f"commit: {first}" in out
    _, out, _ = run(capsys, "info", path)
    assert "(4, 4)" in out


def test_info_before_the_first_commit(capsys, tmp_path):
    zlake.empty(tmp_path / "new")
    code, out, _ = run(capsys, "info", tmp_path / "new")
    assert code == 0
    assert "commit: none yet" in out


def test_log(capsys, path):
    commits = zlake.load(path).commits
    code, out, _ = run(capsys, "log", path)
    assert code == 0
    assert [line.split()[1] for line in out.splitlines() if line.startswith("commit ")] == [
        commit["commit"] for commit in commits
    ]
    assert out.index("second") < out.index("first")


def test_ls(capsys, path):
    assert run(capsys, "ls", path) == (0, "x\ngroup/words\n", "")


def test_diff(capsys, path):
    ds = zlake.load(path)
    second, first = (commit["commit"] for commit in ds.commits)
    code, out, err = run(capsys, "diff", path, first)
    assert (code, err) == (0, "")
    assert "x  1 added (row 3)" in out
    assert "no changes" in run(capsys, "diff", path)[1]
    assert "x  1 added (row 3)" in run(capsys, "diff", f"{path}@{second}")[1]
    assert "x  1 removed (row 3)" in run(capsys, "diff", path, "main", first)[1]
    code, out, err = run(capsys, "diff", path, "mian")
    assert (code, out) == (2, "")
    assert "did you mean 'main'" in err


@pytest.mark.parametrize("deep", [[], ["--deep"]])
def test_verify_of_a_sound_dataset(capsys, path, deep):
    code, out, err = run(capsys, "verify", path, *deep)
    assert (code, err) == (0, "")
    assert out.strip()


def test_verify_finds_damaged_samples_when_deep(capsys, path):
    column = zlake.load(path).x._column
    damaged = next((path / "segments").glob(f"*/{column.key}/values-data/c*"))
    data = bytearray(damaged.read_bytes())
    data[1] ^= 1
    damaged.write_bytes(data)
    code, out, _ = run(capsys, "verify", path, "--deep")
    assert code == 1
    assert damaged.parts[-4] in out  # the segment


def test_verify_finds_a_missing_object(capsys, path):
    column = zlake.load(path).x._column
    next((path / "segments").glob(f"*/{column.key}/values-data/c*")).unlink()
    code, out, _ = run(capsys, "verify", path, "--deep")
    assert code == 1
    assert out.strip()


@pytest.mark.parametrize("command", ["info", "log", "ls", "diff", "verify", "gc"])
def test_errors_take_one_line(capsys, path, tmp_path, command):
    for bad, word in {tmp_path / "nothing": "nothing", f"{path}@nothing": "nothing", "x://y/z": "x"}.items():
        code, out, err = run(capsys, command, bad)
        assert (code, out) == (2, "")
        assert err.startswith("zlake: ")
        assert err.count("\n") == 1
        assert word in err


def test_a_damaged_document_is_an_error(capsys, path):
    root = path / "zarr.json"
    root.write_bytes(root.read_bytes()[:-4])
    code, _, err = run(capsys, "info", path)
    assert code == 2
    assert "zarr.json" in err


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["info"], ["verify", "--shallow", "x"]], ids=str)
def test_what_is_not_understood(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: zlake" in capsys.readouterr().err


def test_nothing_is_written(capsys, path):
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    for command in ("info", "log", "ls", "diff", "verify"):
        run(capsys, command, path)
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


def test_as_a_process(path):
    code = "import sys; from zlake.cli import main; sys.exit(main())"
    found = subprocess.run([sys.executable, "-c", code, "ls", path], capture_output=True, text=True, check=True)
    assert found.stdout == "x\ngroup/words\n"
    # a reader that closes the pipe early is no error
    pipeline = f"'{sys.executable}' -c '{code}' log '{path}' | true; echo ${{PIPESTATUS[0]}}"
    found = subprocess.run(["bash", "-c", pipeline], capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("0\n", "")
