"""Histories are the same ones in every process, whatever else is loaded there."""

from __future__ import annotations

from hypothesis import Phase, given, settings

from tests.model.rows import PICK


def drawn() -> list[int]:
    found: list[int] = []

    @settings(derandomize=True, database=None, max_examples=200, phases=[Phase.generate])
    @given(PICK)
    def draw(number: int) -> None:
        found.append(number)

    draw()
    return found


def test_another_module_changes_no_draw(tmp_path, monkeypatch):
    before = drawn()
    (tmp_path / "numbers_of_a_project.py").write_text(f"NUMBERS = {list(range(20_000, 20_500))}\n")
    monkeypatch.syspath_prepend(tmp_path)
    import numbers_of_a_project

    assert numbers_of_a_project.NUMBERS
    assert drawn() == before
