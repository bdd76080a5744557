"""The code of the README, the documentation and the examples runs, as a reader would run it; figures are up to date."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_of_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)
    assert blocks or page.name != "README.md"
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)


def test_figures_show_what_is_stored() -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "make_figures.py"))["figures"]()
    assert drawn
    for name, text in drawn.items():
        assert (ROOT / "docs" / "figures" / name).read_text(encoding="utf-8") == text, "run docs/make_figures.py"
        shapes = [dict(re.findall(r'(\w+)="(\d+)"', line)) for line in re.findall(r"<(?:svg|rect) [^%>]*>", text)]
        width, height = (int(shapes[0][side]) for side in ("width", "height"))
        for shape in shapes[1:]:
            assert int(shape["x"]) + int(shape["width"]) <= width
            assert int(shape["y"]) + int(shape["height"]) <= height


def test_the_story_of_an_ingest() -> None:
    # in a process of its own: what it starts finds its functions in the script that is run
    told = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "ingest.py")], check=True, capture_output=True, text=True, timeout=170
    ).stdout
    assert "8 processes made 40 commits of 200 rows on one branch" in told
    assert "8 receipts" in told
    assert "the dataset still has 8000 rows" in told
    assert "one commit later it has 9600" in told


def test_the_story_of_the_labellers(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / "labellers.py"), run_name="__main__")
    told = capsys.readouterr().out
    assert "merging chen: 2 conflicts, and nothing was changed" in told
    assert "every other label is right" in told
