"""Nothing that is stored is ever executed: proven over the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import zlake

PACKAGE = Path(zlake.__file__).parent
# zlake.testing pickles stores to test that they can be; the import contract keeps the product from importing it.
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE / "testing")
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "/".join(path.parts[-2:]))
def test_source_executes_nothing_stored(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_MODULES, f"{path}:{node.lineno}"
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_MODULES, f"{path}:{node.lineno}"
        elif isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                assert function.id not in FORBIDDEN_CALLS, f"{path}:{node.lineno}"
            elif isinstance(function, ast.Attribute):
                assert function.attr != "import_module", f"{path}:{node.lineno}"
                allowed = not (function.attr == "load" and _keyword(node, "allow_pickle"))
                assert allowed, f"{path}:{node.lineno}"


def _keyword(node: ast.Call, name: str) -> bool:
    return any(keyword.arg == name for keyword in node.keywords)
