"""The graph of commits as text."""

from __future__ import annotations

from pathlib import Path

import zlake
from zlake.cli import main
from zlake.dataset.graph import draw
from zlake.format.documents import CommitBrief


def brief(name: str, *parents: str, message: str | None = None) -> CommitBrief:
    return CommitBrief(
        id=name * 26, parents=tuple(p * 26 for p in parents), author="Ada <a@b>", time=0.0, message=message or name
    )


def stems(*commits: CommitBrief) -> list[str]:
    """What is drawn before the texts, and the messages."""
    found = []
    for line in draw(commits, {}):
        stem, _, text = line.partition("  ")
        found.append(f"{stem} {text.split()[1]}" if "*" in stem else line)
    return found


def test_a_merge_and_its_two_lines() -> None:
    assert stems(brief("d", "c", "b"), brief("c", "a"), brief("b", "a"), brief("a")) == [
        "* d",
        "|\\",
        "* | c",
        "| * b",
        "|/",
        "* a",
    ]


def test_tips_of_their_own_and_lines_that_cross() -> None:
    assert stems(
        brief("t", "a"), brief("u", "x"), brief("v", "y"), brief("w", "a", "y"), brief("y", "x"), brief("x", "a"),
        brief("a"),
    ) == [
        "* t",
        "| * u",
        "| | * v",
        "| | | * w",
        "| | |/",
        "| |/|",
        "|/| |",
        "| | * y",
        "| |/",
        "| * x",
        "|/",
        "* a",
    ]  # fmt: skip


def test_three_parents_and_roots_that_have_nothing_in_common() -> None:
    assert stems(brief("o", "p", "q", "r"), brief("r"), brief("q"), brief("p")) == [
        "* o",
        "|\\",
        "|\\ \\",
        "| * | r",
        "|  /",
        "| * q",
        "* p",
    ]


def test_texts_are_one_line_that_no_terminal_obeys() -> None:
    shown = list(
        draw([brief("a", message="red \x1b[31m" + "x" * 100 + "\nsecond line")], {"a" * 26: ["main", "tag: v1"]})
    )
    assert len(shown) == 1
    assert shown[0].startswith("*  aaaaaaaaaa (main, tag: v1) red  [31mxxx")
    assert "\x1b" not in shown[0]
    assert shown[0].endswith("…  [1970-01-01 00:00, Ada]")


def test_commands(tmp_path: Path, capsys) -> None:
    path = tmp_path / "ds"
    ds = zlake.empty(path)
    ds.create_tensor("x", dtype="int64")
    ds.x.append(1)
    first = str(ds.commit("first"))
    ds.checkout("dev", create=True)
    ds.x.append(2)
    second = str(ds.commit("second"))
    ds.tag("v1")
    ds.x.append(3)
    ds.checkout("gone", create=True)
    ds.checkout("main")
    ds.delete_branch("gone")
    ds.x.append(4)
    third = str(ds.commit("third"))

    def run(*arguments: object) -> str:
        assert main([str(argument) for argument in arguments]) == 0
        return str(capsys.readouterr().out)

    newest = str(zlake.load(f"{path}@dev").commit_id)  # of what was staged when the next branch was made
    assert run("branches", path) == f"dev   {newest}\nmain  {third}\n"
    assert run("branches", "--deleted", path) == f"gone  {newest}\n"
    assert run("tags", path) == f"v1  {second}\n"
    lines = run("log", "--graph", path).splitlines()
    assert [line.split()[:4] for line in lines] == [
        ["*", third[:10], "(main)", "third"],
        ["*", first[:10], "first", lines[1].split()[3]],
    ]
    everything = run("log", "--all", path)
    assert f"{second[:10]} (tag: v1) second" in everything
    assert f"{newest[:10]} (dev) Auto commit before checkout to gone" in everything
    assert everything.count("*") == 4
    assert f"commit {third}\n" in run("log", path)
