"""The size budgets of the house: they only go down. Complexity (8) is ruff's C901, in pyproject.toml."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(p for top in ("server", "providers", "routing") for p in (ROOT / top).rglob("*.py"))


def line_budget(path: Path) -> int:
    if path == ROOT / "routing/manager.py":
        return 250
    return 500 if path.parent == ROOT / "providers/dialects" else 400


def functions(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_and_function_is_within_its_budget(path: Path) -> None:
    source = path.read_text()
    faults = []
    if (lines := source.count("\n")) > line_budget(path):
        faults.append(f"{lines} lines, {line_budget(path)} allowed")
    tree = ast.parse(source)
    for function in functions(tree):
        length = function.end_lineno - function.lineno + 1
        positional = [a.arg for a in [*function.args.posonlyargs, *function.args.args] if a.arg not in ("self", "cls")]
        if length > 40:
            faults.append(f"{function.name}: {length} lines, 40 allowed")
        if (len(positional) > 5 and not is_tool(function)) or (
            function.name != "__init__"
            and len(positional) + len(function.args.kwonlyargs) > 5
            and not is_tool(function)
        ):
            faults.append(f"{function.name}: more than 5 parameters")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            public = [
                n
                for n in node.body
                if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and not n.name.startswith("_")
            ]
            if len(public) > 12:
                faults.append(f"{node.name}: {len(public)} public methods, 12 allowed")
    assert not faults, "\n".join(faults)


def is_tool(function) -> bool:
    """A command's or a tool's parameters are its outward contract, not our choice."""
    if any("typer.Context" in ast.unparse(a.annotation) for a in function.args.args if a.annotation):
        return True
    return any(
        "command" in ast.unparse(d) or "tool" in ast.unparse(d) or "callback" in ast.unparse(d)
        for d in function.decorator_list
    )


def test_no_two_test_files_share_a_name() -> None:
    """pytest imports them by it."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
