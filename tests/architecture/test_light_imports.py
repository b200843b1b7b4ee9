"""The pages and the command line start without TensorFlow: in fact, and where it is not installed."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

HEAVY = ("tensorflow", "keras", "h5py")

# Ours, and what an environment has before anything is installed into it.
NOT_PINNED = {"phototag", "pip", "setuptools"}

# Stands in for a machine with requirements/web.txt only: what is not in it cannot be found.
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""

IMPORT_ALL = """
import importlib, pkgutil
import db, ui, worker.queue, worker.settings
for package in (db, ui):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__") and ".migrations" not in found.name:
            importlib.import_module(found.name)
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def web_image_only(repository: Path) -> str:
    """Code that makes an interpreter find only what the web image has."""
    text = (repository / "requirements" / "web.txt").read_text(encoding="utf-8")
    pinned = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==", text, re.MULTILINE)}
    absent = {
        module
        for module, distributions in importlib.metadata.packages_distributions().items()
        if not {canonicalize_name(name) for name in distributions} & (pinned | NOT_PINNED)
    }
    assert absent.issuperset(HEAVY)
    return WITHOUT.format(absent=absent)


def test_every_module_of_db_and_ui_imports_where_only_the_web_image_is(web_image_only: str) -> None:
    """Neither TensorFlow nor anything else of the workers."""
    result = run_python(web_image_only + IMPORT_ALL)

    assert result.returncode == 0, result.stderr


def test_the_stand_in_for_the_web_image_works(web_image_only: str) -> None:
    """Otherwise the test above would prove nothing."""
    result = run_python(web_image_only + "import worker.vgg16")

    assert "No module named 'keras'" in result.stderr


def test_importing_db_and_ui_loads_neither_tensorflow_nor_keras_where_they_are_installed() -> None:
    """An import that is only tried would still cost five seconds."""
    result = run_python(IMPORT_ALL + f"import sys; print([name for name in {HEAVY!r} if name in sys.modules])")

    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("arguments", ["--help", "--version", "tag --help", "up --help"])
def test_help_of_the_command_line_loads_no_framework(arguments: str) -> None:
    """`phototag --help` answers in half a second: no Gradio, no SQLAlchemy, no TensorFlow."""
    code = (
        "import sys\nfrom ui.cli import run\n"
        f"run({arguments.split()!r})\n"
        "print('LOADED', [n for n in ('tensorflow', 'keras', 'gradio', 'fastapi') if n in sys.modules])"
    )

    result = run_python(code)

    assert "LOADED []" in result.stdout, result.stderr


@pytest.mark.parametrize("name", ["tensorflow", "tensorflow-cpu", "keras", "h5py"])
def test_the_requirements_of_the_web_image_have_no_network_in_them(repository: Path, name: str) -> None:
    """1.5 GB less to pull, and less to patch."""
    text = (repository / "requirements" / "web.txt").read_text(encoding="utf-8")

    assert re.search(rf"^{re.escape(name)}(\[[^]]*\])?==", text, re.MULTILINE) is None
