"""Datasets as a whole: info and class names, blocks, views, sizes, checks, authors, conflicts, other processes."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import zlake
from zlake.errors import (
    ConflictError,
    InvalidKeyTypeError,
    InvalidTensorGroupNameError,
    InvalidTensorNameError,
    JsonValidationError,
    TensorAlreadyExistsError,
    TensorDoesNotExistError,
    TensorMetaError,
)
from zlake.session import commit as committing


@pytest.fixture
def ds(tmp_path: Path) -> zlake.Dataset:
    made = zlake.empty(tmp_path / "ds")
    made.create_tensor("x", dtype="int64")
    made.create_tensor("label", htype="class_label", class_names=["cat"])
    return made


# ------------------------------------------------------------ info and class names


@pytest.mark.parametrize("inside", [False, True], ids=["at once", "in a with block"])
def test_class_names_edited_through_info_hold_for_new_labels(ds: zlake.Dataset, inside: bool) -> None:
    def change() -> None:
        ds.label.append("cat")
        ds.label.info["class_names"] = ["kitten", "puppy"]
        ds.label.extend(["puppy", "foal"])

    if inside:
        with ds:
            change()
    else:
        change()
    for opened in (ds, zlake.load(ds.path)):
        assert opened.label.numpy()[:, 0].tolist() == [0, 1, 2]
        assert opened.label.info.class_names == ["kitten", "puppy", "foal"]
        assert opened.label.data()["text"] == [["kitten"], ["puppy"], ["foal"]]


def test_bad_class_names_are_refused(ds: zlake.Dataset) -> None:
    ds.label.append("dog")
    for bad in (5, "cat", ["a", "a"], [1], None):
        with pytest.raises(TensorMetaError, match=r"class_names|twice"):
            ds.label.info["class_names"] = bad
    with pytest.raises(JsonValidationError):
        ds.label.info["class_names"] = object()
    assert ds.label.info == {"class_names": ["cat", "dog"]}
    ds.label.info = {"note": "no names"}
    ds.label.append("new")
    assert zlake.load(ds.path).label.info == {"note": "no names", "class_names": ["new"]}


def test_many_class_names_cost_no_read_when_opening(ds: zlake.Dataset) -> None:
    names = [f"class {n}" for n in range(3000)]
    ds.label.info["class_names"] = names
    ds.label.append("class 2999")
    opened = zlake.load(ds.path)
    assert opened._session.column("label")._info is None
    opened.label.append("class 17")
    opened.label.append("another")
    assert zlake.load(ds.path).label.data()["text"] == [["class 2999"], ["class 17"], ["another"]]
    assert opened._session.column("label").spec.names.values == [*names, "another"]


# ------------------------------------------------------------ with blocks


def test_everything_in_one_block(ds: zlake.Dataset) -> None:
    before = ds._session.head.ref.sequence
    with ds:
        with ds:
            ds.create_tensor("gone").append(1)
            ds.delete_tensor("gone")
            ds.create_tensor("a", dtype="int64").extend([1, 2, 3])
        ds.rename_tensor("a", "b")
        ds.b.append(4)
        ds.b[0] = 10
        ds.b[0] = 11
        ds.b[3] += 1
        ds.b.pop([1])
        ds.x.extend([1, 2])
        ds.x.clear()
        ds.x.append(3)
        ds.create_tensor("label2", htype="class_label").extend(["u", "v"])
        ds.delete_tensor("label")
        ds.rename_tensor("label2", "label")
        ds.create_tensor("g/deep/t", htype="text").append("deep")
        ds.rename_group("g/", "h")
        ds.info["note"] = 1
        assert ds._session.head.ref.sequence == before
    assert ds._session.head.ref.sequence == before + 1
    for opened in (ds, zlake.load(ds.path)):
        assert sorted(opened.tensors) == ["b", "h/deep/t", "label", "x"]
        assert opened.b.numpy()[:, 0].tolist() == [11, 3, 5]
        assert opened.x.numpy().tolist() == [[3]]
        assert opened.label.data()["text"] == [["u"], ["v"]]
        assert (opened["h/deep/t"].text(), sorted(opened._session.groups)) == (["deep"], ["h", "h/deep"])
        assert opened.info.note == 1


def test_names_may_be_swapped_and_given_anew(ds: zlake.Dataset) -> None:
    ds.x.append(1)
    ds.label.append("cat")
    with ds:
        ds.rename_tensor("x", "tmp")
        ds.rename_tensor("label", "x")
        ds.rename_tensor("tmp", "label")
    assert zlake.load(ds.path).x.data()["text"] == [["cat"]]
    with ds:
        ds.delete_tensor("/x/")
        ds.create_tensor("x", htype="text").append("new")
    assert (zlake.load(ds.path).x.text(), len(zlake.load(ds.path).label)) == (["new"], 1)


def test_uneven_rows_are_refused_in_a_block_too(ds: zlake.Dataset) -> None:
    with ds:
        ds.append({"x": 1, "label": 0})
        ds.x.append(2)
        with pytest.raises(zlake.errors.SampleAppendError, match="different lengths"):
            ds.append({"x": 3, "label": 0})
        ds.label.append(1)
        ds.append({"x": 3, "label": 0})
    assert zlake.load(ds.path).x.numpy()[:, 0].tolist() == [1, 2, 3]


def test_exist_ok_compares_what_is_asked_for(ds: zlake.Dataset) -> None:
    ds.create_tensor("s", htype="sequence[image]", sample_compression="png")
    ds.create_tensor("first", dtype="float32").append(1.5)
    for same in (
        lambda: ds.create_tensor("first", dtype="float32", exist_ok=True),
        lambda: ds.create_tensor("first", exist_ok=True),
        lambda: ds.create_tensor("s", htype="sequence[image]", sample_compression="png", exist_ok=True),
    ):
        assert same().name in ("first", "s")
    for name, settings in (
        ("first", {"dtype": "int64"}),
        ("first", {"htype": "text"}),
        ("first", {"htype": "sequence"}),
        ("s", {"htype": "image", "sample_compression": "png"}),
        ("s", {"htype": "sequence[image]", "sample_compression": "jpeg"}),
    ):
        with pytest.raises(TensorAlreadyExistsError, match="other settings"):
            ds.create_tensor(name, exist_ok=True, **settings)


# ------------------------------------------------------------ views


def test_views_of_some_tensors_have_no_others(ds: zlake.Dataset) -> None:
    ds.create_tensor("g/y", dtype="int64")
    ds.extend({"x": [1, 2], "label": [0, 0], "g/y": [3, 4]})
    view = ds[["x", "g/y"]]
    assert (view.x.numpy().tolist(), view.g.y.numpy().tolist()) == ([[1], [2]], [[3], [4]])
    assert view[1]["g/y"].numpy().tolist() == [4]
    with pytest.raises(TensorDoesNotExistError, match="this view"):
        _ = view.label
    with pytest.raises(InvalidKeyTypeError, match="group"):
        ds["g"] = 1
    ds[0:2]["x"] = [5, 6]
    ds[["x"]][0].update({"x": 7})
    assert ds.x.numpy()[:, 0].tolist() == [7, 6]
    assert [row.x.numpy().tolist() for row in ds[::-1]] == [[6], [7]]


def test_hidden_tensors_are_no_part_of_rows(ds: zlake.Dataset) -> None:
    ds.create_tensor("secret", dtype="int64", hidden=True)
    ds.append({"x": 1, "label": 0})
    with ds:
        ds.append({"x": 2, "label": 0})
    ds.secret.extend([7, 8])
    assert (list(ds.tensors), len(ds), ds.secret.hidden) == (["x", "label"], 2, True)
    ds.pop(0)
    assert (ds.secret.numpy().tolist(), len(ds)) == ([[8]], 1)


# ------------------------------------------------------------ the whole


def test_size_is_that_of_the_stored_objects(ds: zlake.Dataset) -> None:
    rng = np.random.default_rng(0)
    for count in (400, 3):
        ds.extend({"x": rng.integers(0, 9, (count, 100)), "label": [0] * count})
    ds.create_tensor("t", htype="text").extend(["some text"] * 50)
    ds.pop([0, 5, 7])
    stored: dict[str, int] = {}
    for found in ds._session.store.list_info("segments/"):
        _, segment, *inside = found.key.split("/")
        if len(inside) > 1:
            stored[f"{segment}/{inside[0]}"] = stored.get(f"{segment}/{inside[0]}", 0) + found.size
    used = {f"{e.segment}/{c.key}" for c in ds._session.columns.values() for e in c.base()[0]}
    assert ds.size_approx() == sum(size for key, size in stored.items() if key in used)
    assert ds[["x"]].size_approx() + ds[["label"]].size_approx() + ds[["t"]].size_approx() == ds.size_approx()
    with ds:
        ds.t.append("four")
        assert 4 <= ds[["t"]].size_approx() - zlake.load(ds.path)[["t"]].size_approx() < 100
    ds.t.clear()
    assert ds[["t"]].size_approx() == 0


def test_verify_says_what_was_checked(ds: zlake.Dataset) -> None:
    ds.extend({"x": np.arange(100), "label": [0] * 100})
    ds.commit("one")
    report = ds.verify()
    assert report
    assert "all whole" in str(report)
    victim = next(p for p in (Path(ds.path) / "segments").rglob("values-data/c*") if p.is_file())
    data = bytearray(victim.read_bytes())
    data[3] ^= 1
    victim.write_bytes(data)
    report = zlake.load(ds.path).verify()
    assert not report
    assert "values-data" in str(report)


def test_authors(ds: zlake.Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ZLAKE_AUTHOR", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    committing._git.cache_clear()

    def author() -> str:
        ds.commit("m", allow_empty=True)
        return str(ds.commits[0]["author"])

    monkeypatch.setattr("getpass.getuser", lambda: "the user")
    assert author() == "the user"
    committing._git.cache_clear()
    (tmp_path / "gitconfig").write_text("[user]\n\tname = Ada L\n\temail = ada@example.org\n")
    expected = "Ada L <ada@example.org>" if _has_git() else "the user"
    assert author() == expected
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Env")
    assert author().startswith("Env")
    monkeypatch.setenv("ZLAKE_AUTHOR", "Own <own@example.org>")
    assert author() == "Own <own@example.org>"
    committing._git.cache_clear()


def _has_git() -> bool:
    try:
        return subprocess.run(["git", "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def test_progress_is_shown_when_asked_for(ds: zlake.Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    ds.extend({"x": np.arange(5), "label": [0] * 5})
    ds.verify()
    assert capsys.readouterr().err == ""
    ds.extend({"x": np.arange(3000), "label": ["new"] * 3000}, progressbar=True)
    assert "3000/3000" in capsys.readouterr().err.replace(".0k", "000").replace("k", "000")
    ds.x.extend(np.arange(10), progressbar=True)
    assert "10/10" in capsys.readouterr().err
    ds.verify(progressbar=True)
    assert capsys.readouterr().err != ""
    assert (len(ds.x), len(ds.label), ds.label[-1].data()["text"]) == (3015, 3005, ["new"])


# ------------------------------------------------------------ several writers


def test_after_a_conflict_the_session_can_go_on(ds: zlake.Dataset) -> None:
    ds.extend({"x": [1, 2, 3], "label": [0, 0, 0]})
    other = zlake.load(ds.path)
    ds.x[0] = 10
    with pytest.raises(ConflictError, match=r"nothing of this call was written: call refresh\(\)") as caught:
        other.x[0] = 20
    assert caught.value.conflicts[0][0] == "x"
    assert other.x.numpy()[:, 0].tolist() == [1, 2, 3]
    other.refresh()
    other.x[0] = 20
    assert zlake.load(ds.path).x.numpy()[:, 0].tolist() == [20, 2, 3]

    def block() -> None:
        with ds:  # which has not seen 20
            ds.append({"x": 4, "label": 0})
            ds.x[0] = 11

    with pytest.raises(ConflictError, match=r"still buffered.*refresh\(discard=True\)"):
        block()
    assert ds.x.numpy()[:, 0].tolist() == [11, 2, 3, 4]
    for again in (ds.flush, ds.refresh, lambda: ds.commit("no"), lambda: ds.append({"x": 5, "label": 0})):
        with pytest.raises(ConflictError, match="discard=True"):
            again()
    assert ds.x.numpy()[:, 0].tolist() == [11, 2, 3, 4]
    kept = ds.x[3:].numpy()
    ds.refresh(discard=True)
    assert ds.x.numpy()[:, 0].tolist() == [20, 2, 3]
    ds.extend({"x": kept, "label": [0]})
    ds.commit("together")
    assert zlake.load(ds.path).x.numpy()[:, 0].tolist() == [20, 2, 3, 4]


def test_a_tensor_deleted_elsewhere_is_a_conflict(ds: zlake.Dataset) -> None:
    other = zlake.load(ds.path)
    kept = other.label
    ds.delete_tensor("label")
    with pytest.raises(ConflictError, match="label"):
        other.label.append("cat")
    other.x.append(1)
    assert list(other.tensors) == ["x"]
    with pytest.raises(TensorDoesNotExistError, match="deleted"):
        kept.append("cat")


# ------------------------------------------------------------ other processes


def _look(ds: zlake.Dataset) -> tuple[int, list[int], str]:
    return len(ds), ds.x.numpy()[:, 0].tolist(), ds.path


def test_datasets_and_views_pickle_at_their_snapshot(ds: zlake.Dataset) -> None:
    ds.extend({"x": np.arange(6), "label": [0] * 6})
    first = ds.commit("six")
    with ds:
        ds.append({"x": 6, "label": 0})
        sent = [ds, ds[1:4], ds[[5, 0]], ds[["x"]], zlake.load(ds.path, ref=first)]
        copies = [pickle.dumps(one) for one in sent]
    expected = [_look(one) for one in sent]
    ds.pop(0)
    assert [_look(pickle.loads(copy)) for copy in copies] == expected
    again = pickle.loads(pickle.dumps(ds))
    again.append({"x": 70, "label": 0})
    assert len(zlake.load(ds.path)) == 7
    assert b"secret" not in pickle.dumps(ds)


def test_datasets_travel_to_spawned_processes(ds: zlake.Dataset) -> None:
    ds.extend({"x": np.arange(6), "label": [0] * 6})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_look, [ds[1:3], ds]) == [_look(ds[1:3]), _look(ds)]


def test_what_lives_in_memory_does_not_travel() -> None:
    ds = zlake.empty("mem://no-travel", overwrite=True)
    with pytest.raises(zlake.errors.MemoryDatasetCanNotBePickledError, match="mem://no-travel"):
        pickle.dumps(ds)


@pytest.mark.parametrize("change", [lambda d: d.append({"x": 1, "label": "n"}), lambda d: d.x.extend([1, 2])])
def test_a_full_buffer_flushes_by_itself(tmp_path: Path, change: Callable[[Any], None]) -> None:
    context = replace(zlake.Context(), flush_bytes=200)
    ds = zlake.empty(tmp_path / "small", context=context)
    ds.create_tensor("x", dtype="int64")
    ds.create_tensor("label", htype="class_label")
    before = ds._session.head.ref.sequence
    with ds:
        for _ in range(40):
            change(ds)
    assert ds._session.head.ref.sequence > before + 2
    assert len(zlake.load(ds.path).x) == len(ds.x) >= 40


SCRIPT = """
import multiprocessing, sys
import zlake

ds = zlake.{call}
{write}

def work(_):
    return 1

if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work, args=(1,))
    process.start()
    process.join()
    print(process.exitcode, len(zlake.load(sys.argv[1]).x))
"""


@pytest.mark.parametrize(
    ("call", "write"),
    [
        ("empty(sys.argv[1], overwrite=True)", "ds.create_tensor('x')"),
        ("load(sys.argv[1])", "ds.x.append(1)"),
    ],
    ids=["overwrite", "append"],
)
def test_a_script_that_workers_import_writes_once(tmp_path: Path, call: str, write: str) -> None:
    """Without the guard for the main module a worker would overwrite the dataset, or append its rows again."""
    ds = zlake.empty(tmp_path / "ds")
    ds.create_tensor("x").append(1)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(call=call, write=write))
    done = subprocess.run(
        [sys.executable, str(script), ds.path],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == ["1", "0" if "overwrite" in call else "2"]
    assert "if __name__ == '__main__'" in done.stderr


@pytest.mark.parametrize("name", ["info", "append", "query", "checkout", "filter"])
def test_names_of_members_are_taken_those_to_come_too(ds: zlake.Dataset, name: str) -> None:
    for create in (ds.create_tensor, ds.create_group, lambda name: ds.create_tensor(f"g/{name}/x")):
        with pytest.raises((InvalidTensorNameError, InvalidTensorGroupNameError), match=f"'{name}_' for instance"):
            create(name)
    assert hasattr(ds, name) == (name in ("info", "append", "checkout"))
    with pytest.raises(AttributeError, match=r"Dataset\.query"):
        _ = ds.query
