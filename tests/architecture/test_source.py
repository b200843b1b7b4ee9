"""Rules for our source that no linter knows."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGES = ("db", "worker", "ui", "training")

MAX_FILE_LINES = 320  # "about 300": a file is split where it has two subjects, not for the last lines
MAX_FUNCTION_LINES = 60
# One table after the other: split, a reader would have to hold two files for one foreign key.
LONG_FILES = {"db/schema.py": 500}
# A migration lists what it makes, once, and is never touched again.
MIGRATIONS = "db/migrations/versions/"

VAGUE_NAMES = re.compile(r"(^|_)(jobs?|managers?|utils?|helpers?|common|misc)(_|$)")

# Each opens a way from someone's bytes to running code or to writing where they please.
FORBIDDEN_NAMES = {
    "extractall": "entries are streamed, never unpacked under their own names",
    "pickle": "loading one runs code",
    "cloudpickle": "loading one runs code",
    "load_model": "only heads as safetensors are loaded, with their hash checked",
    "eval": "runs code",
    "exec": "runs code",
    "mktemp": "the name may be taken by someone else before it is used",
}


@dataclass(frozen=True)
class Module:
    """One of our source files."""

    path: str  # from the repository's root, with slashes
    text: str
    tree: ast.Module


@pytest.fixture(scope="module")
def modules(repository: Path) -> list[Module]:
    """Every module of the four packages."""
    found: list[Module] = []
    for path in sorted(path for package in PACKAGES for path in (repository / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found.append(Module(path.relative_to(repository).as_posix(), text, ast.parse(text)))
    return found


def function_lines(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The name and length of every function, its decorators and docstring not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            inner = sum(lines for child in body for _, lines in function_lines(child))
            yield node.name, (node.end_lineno or node.lineno) - (body[0].lineno if body else node.lineno) + 1 - inner


def names_in_code(text: str) -> set[str]:
    """Every identifier of a file: not its strings, not its comments."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def test_every_module_says_in_its_first_line_what_it_is(modules: list[Module]) -> None:
    """A reader who opens a file knows within one line whether it is the right one."""
    assert [module.path for module in modules if not (ast.get_docstring(module.tree) or "").strip()] == []


def test_an_init_file_holds_a_docstring_only(modules: list[Module]) -> None:
    """Re-exports hide where things are, and make importing one thing import all."""
    inits = [module for module in modules if module.path.endswith("__init__.py")]

    assert [module.path for module in inits if len(module.tree.body) > 1] == []


def test_files_stay_short_enough_to_read_at_once(modules: list[Module]) -> None:
    """A longer file has two subjects; split it."""
    lines = {module.path: len(module.text.splitlines()) for module in modules if not module.path.startswith(MIGRATIONS)}

    assert {path: n for path, n in lines.items() if n > LONG_FILES.get(path, MAX_FILE_LINES)} == {}


def test_functions_stay_on_one_screen(modules: list[Module]) -> None:
    """Functions inside a function count for themselves."""
    long = [
        (module.path, name, lines)
        for module in modules
        for name, lines in function_lines(module.tree)
        if lines > MAX_FUNCTION_LINES and not module.path.startswith(MIGRATIONS)
    ]

    assert long == []


def test_no_module_has_a_name_that_says_nothing(modules: list[Module]) -> None:
    """What cannot be named does not belong together."""
    stems = {module.path: module.path.rpartition("/")[2].removesuffix(".py") for module in modules}

    assert [path for path, stem in stems.items() if VAGUE_NAMES.search(stem)] == []


def test_nothing_that_runs_strangers_bytes_is_used(modules: list[Module]) -> None:
    """Photos, archives and model files come from people we do not know."""
    found = {module.path: names_in_code(module.text) & FORBIDDEN_NAMES.keys() for module in modules}

    assert {path: names for path, names in found.items() if names} == {}


def test_no_program_is_started_through_a_shell(modules: list[Module]) -> None:
    """A path with a quote in it must stay a path."""
    calls = [
        (module.path, node.lineno)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and (
            any(keyword.arg == "shell" for keyword in node.keywords)
            or ast.unparse(node.func) in {"os.system", "os.popen", "subprocess.getoutput"}
        )
    ]

    assert calls == []


def test_settings_are_built_by_entry_points_and_not_at_import(modules: list[Module]) -> None:
    """Whoever imports a module must still be able to choose its settings."""
    built = [
        (module.path, node.lineno)
        for module in modules
        for statement in module.tree.body
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.If)
        for node in _walk_outside_functions(statement)
        if isinstance(node, ast.Call) and re.search(r"(Settings|settings)$", ast.unparse(node.func))
    ]

    assert built == []


def test_the_environment_is_read_by_settings_alone(modules: list[Module]) -> None:
    """A setting that some function reads on the side is in no documentation and in no type check."""
    readers = {
        module.path
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("PHOTOTAG_")
        if _is_read(node, module.tree)
    }

    # ui.cli: whether to show a traceback must be known even if the settings are wrong;
    # worker.housekeeping: whom it was started by is no setting of a person; ui.demo: where its sample photos lie
    assert readers <= {"ui/cli.py", "ui/demo.py", "worker/housekeeping.py"}


def test_only_files_that_import_keras_are_checked_less_strictly(modules: list[Module]) -> None:
    """Keras has no usable types; everything else is checked strictly."""
    loose = {module.path for module in modules if re.search(r"^# pyright: (basic|standard)", module.text, re.MULTILINE)}
    untyped = {
        module.path for module in modules if re.search(r"^\s*(import|from) (keras|h5py)", module.text, re.MULTILINE)
    }

    assert loose <= untyped


def _walk_outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _walk_outside_functions(child)


def _is_read(constant: ast.Constant, tree: ast.Module) -> bool:
    """Whether the name goes into os.environ.get(...), os.getenv(...) or os.environ[...] as something to read."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and constant in node.args:
            return ast.unparse(node.func) in {"os.environ.get", "os.getenv", "environ.get", "getenv"}
        if isinstance(node, ast.Subscript) and node.slice is constant:
            return ast.unparse(node.value).endswith("environ") and isinstance(node.ctx, ast.Load)
    return False
