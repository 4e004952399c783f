"""What keeps the rooms apart, beside the import contracts."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import napari_globalxai

PACKAGE = Path(napari_globalxai.__file__).parent
MODULES = [path for path in PACKAGE.rglob("*.py") if "sample_data" not in path.parts]
# Of an expression that is kept as data, not a call: stages are objects that hold many facts.
MOST_PARAMETERS, LONGEST = 12, 75


def functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def code_lines(node):
    """Lines of a function without its docstring."""
    first = node.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    said = first.end_lineno - first.lineno + 1 if has_docstring else 0
    return node.end_lineno - node.lineno + 1 - said


def test_no_two_files_of_one_name():
    names = Counter(path.name for path in MODULES if not path.name.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_the_record_is_read_in_one_place():
    record = (PACKAGE / "runs" / "record.py").read_text()
    assert "path = folder / RUN_FILE" in record
    readers = [
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        if re.search(r"read_json\([^)]*(RUN_FILE|run\.json)", path.read_text())
    ]
    assert readers == []
    assert not [path for path in MODULES if ".info[" in path.read_text()]


def test_functions_fit_a_screen_or_two_and_take_few_parameters():
    long, wide = [], []
    for path in MODULES:
        for node in functions(path):
            place = f"{path.relative_to(PACKAGE)}:{node.name}"
            parameters = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if code_lines(node) > LONGEST:
                long.append(place)
            if len(parameters) >= MOST_PARAMETERS:
                wide.append(place)
    assert long == []
    assert wide == []


def test_tests_of_windows_are_run_with_a_display():
    """The Makefile looks for them in gui/ alone, and for the mark there."""
    tests = Path(__file__).parent
    marked = [path for path in tests.rglob("test_*.py") if "pytest.mark.gui" in path.read_text()]
    own = {Path(__file__)}
    assert set(marked) - own == set((tests / "gui").glob("test_*.py"))
