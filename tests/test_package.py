"""What the Debian package carries: the same code as the checkout, without what is for its readers."""

import ast
import runpy
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
SCRIPT: Final = ROOT / "packaging/without-prose"

NAMES: Final = runpy.run_path(str(SCRIPT))
without_prose: Final[Callable[[str], str]] = NAMES["without_prose"]
narrowed: Final[Callable[[str], str]] = NAMES["narrowed"]


class Bare(ast.NodeTransformer):
    """Takes out the annotations that nobody reads at run time, and the columns."""

    def __init__(self, tree: ast.AST) -> None:
        self.fields = {id(line) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for line in node.body}

    def visit(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node, ast.AnnAssign) and node.value and id(node) not in self.fields:
            node = ast.copy_location(ast.Assign([node.target], node.value), node)
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        for column in {"col_offset", "end_col_offset"} & set(node._attributes):
            setattr(node, column, 0)
        return node


def for_types_alone(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not node.orelse


def code(source: str) -> str:
    """The syntax tree with every line, but without docstrings, annotations and what is imported for them."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not for_types_alone(node)]
    for node in ast.walk(Bare(tree).visit(tree)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None or isinstance(next(iter(node.body), None), ast.Pass):
                del node.body[0]
            if not isinstance(node, ast.Module):
                node.end_lineno = None  # where a body of nothing else ends
    return ast.dump(tree, include_attributes=True)


def test_the_packaged_modules_are_the_same_code_on_the_same_lines(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "agent", tmp_path / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    sources = {file: file.read_text() for file in sorted(tmp_path.rglob("*.py"))}
    subprocess.run([SCRIPT, tmp_path], check=True)
    packaged = {file: file.read_text() for file in sources}

    for file, source in sources.items():
        assert code(packaged[file]) == code(source), file.name
    assert sum(map(len, packaged.values())) < 0.85 * sum(map(len, sources.values()))


@pytest.mark.parametrize(
    ("source", "packaged"),
    [
        pytest.param('"""A module."""\n\nx = 1\n', "\n\nx = 1\n", id="module"),
        pytest.param(
            'def f() -> None:\n    """Ä.\n\n    b\n    """\n    g()\n',
            "def f():\n\n\n\n\n    g()\n",
            id="lines",
        ),
        pytest.param('def f() -> None:\n    """No more."""\n', "def f():\n    pass\n", id="nothing else"),
        pytest.param('class A:\n    """One."""  # why\n\n    b = 1\n', 'class A:\n    "-"\n\n    b = 1\n', id="class"),
        pytest.param('x = "# no comment"  # one\n# another\n', 'x = "# no comment"\n\n', id="comments"),
        pytest.param('x = """\n# text\n"""\n', 'x = """\n# text\n"""\n', id="text that is a value"),
        pytest.param('x = "ä"; y = 1  # ö\n', 'x = "ä"; y = 1\n', id="characters are no bytes"),
        pytest.param("#!/usr/bin/python3\nx = 1\n", "#!/usr/bin/python3\nx = 1\n", id="interpreter"),
        pytest.param(
            "def f(a: int = 1, *b: str, c: A[B], **d: C) -> str | None:\n    x: Final = a\n    y: int\n",
            "def f(a = 1, *b, c, **d):\n    x = a\n    y: int\n",
            id="annotations",
        ),
        pytest.param("ä: Final[A] = {}; b: B = 1\n", "ä = {}; b = 1\n", id="annotations of a module"),
        pytest.param("class A:\n    b: Final = 1\n", "class A:\n    b: Final = 1\n", id="fields stay"),
        pytest.param(
            "def f(\n    a: A[\n        B\n    ],\n): ...\n",
            "def f(\n    a: A[\n        B\n    ],\n): ...\n",
            id="over lines",
        ),
        pytest.param(
            "if TYPE_CHECKING:  # a\n    from a import (\n        A\n    )\nb()\n",
            "\n\n\n\nb()\n",
            id="imports for types",
        ),
        pytest.param(
            "if TYPE_CHECKING:\n    a = 1\nelse:\n    a = 2\n",
            "if TYPE_CHECKING:\n    a = 1\nelse:\n    a = 2\n",
            id="another at run time",
        ),
        pytest.param('def f(): "text"; g()\n', 'def f(): "text"; g()\n', id="code behind it"),
    ],
)
def test_prose_goes_and_code_stays(source: str, packaged: str) -> None:
    assert without_prose(source) == packaged


@pytest.mark.parametrize(
    ("source", "packaged"),
    [
        pytest.param("if a:\n    if b:\n        c()\nd()\n", "if a:\n if b:\n  c()\nd()\n", id="levels"),
        pytest.param("if a:\n\tb()\n\n\tc()\n", "if a:\n b()\n\n c()\n", id="blank lines and tabs"),
        pytest.param("if a:\n    f(\n        1,\n    )\n", "if a:\n f(\n  1,\n  )\n", id="over lines"),
        pytest.param("if a:\n    b = 1 + \\\n        2\n", "if a:\n b = 1 + \\\n  2\n", id="backslash"),
        pytest.param('if a:\n    b = """\n    c\n    """\n', 'if a:\n b = """\n    c\n    """\n', id="string"),
        pytest.param(
            'if a:\n    b = f"""{c}\n    {d}\n    """\n', 'if a:\n b = f"""{c}\n    {d}\n    """\n', id="formatted"
        ),
        pytest.param('if a:\n    b = "c\\\n    d"\n', 'if a:\n b = "c\\\n    d"\n', id="string over a backslash"),
    ],
)
def test_a_level_is_one_space_and_strings_stay(source: str, packaged: str) -> None:
    assert narrowed(source) == packaged
    assert code(packaged) == code(source)


def test_a_module_that_cannot_be_read_stops_the_build(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")

    assert subprocess.run([SCRIPT, tmp_path], capture_output=True, check=False).returncode != 0
