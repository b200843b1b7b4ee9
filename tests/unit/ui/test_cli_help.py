"""The command line explains itself, completely and at once."""

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import cast

import click
import pytest
from click.testing import CliRunner

from ui.cli import COMMANDS, LazyCommands, phototag

ISSUED = [
    "up",
    "tag",
    "watch",
    "batches",
    "duplicates",
    "labels",
    "reviews",
    "train",
    "models",
    "export",
    "users",
    "doctor",
    "migrate",
    "web",
    "worker",
]
SUBCOMMANDS = {
    "batches": {"list", "show", "retry", "cancel", "delete"},
    "labels": {"add", "import", "list", "merge", "rename", "restore", "retire", "undo"},
    "models": {"activate", "fetch", "list", "retag", "rollback", "show"},
    "users": {"add", "disable", "enable", "link", "list", "password", "revoke", "role", "token", "tokens"},
    "reviews": {"stats", "export", "import"},
}
# The middle of these would be a second and more on a machine that does nothing else.
TOO_HEAVY = ("sqlalchemy", "gradio", "fastapi", "celery", "rich", "pydantic", "numpy", "tensorflow", "keras")


def leaf_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its full name."""
    for name in COMMANDS:
        command = phototag.get_command(click.Context(phototag), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {sub}", child) for sub, child in command.commands.items())
        else:
            yield name, command


LEAVES = dict(leaf_commands())


def test_help_names_the_commands_of_this_release_and_no_others() -> None:
    """What is not there yet must not be advertised."""
    assert list(COMMANDS) == ISSUED
    groups = {name: phototag.get_command(click.Context(phototag), name) for name in SUBCOMMANDS}
    assert {name: set(cast("click.Group", group).commands) for name, group in groups.items()} == SUBCOMMANDS


def test_help_lists_what_each_command_says_of_itself() -> None:
    """The list stands apart from the commands, so that it loads nothing; it must not drift from them."""
    text = CliRunner().invoke(phototag, ["--help"]).output

    for name, (_, line) in COMMANDS.items():
        command = phototag.get_command(click.Context(phototag), name)
        assert command is not None
        assert line in text
        assert verb(line) == verb(command.help or ""), name


def verb(text: str) -> str:
    """The first word, whether the sentence commands or tells ("Tag photos", "Tags photos")."""
    return text.split(maxsplit=1)[0].removesuffix("s").rstrip(",").lower()


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_takes_a_data_directory(name: str) -> None:
    """Also from PHOTOTAG_DATA_DIR."""
    options = {option: parameter for parameter in LEAVES[name].params for option in parameter.opts}

    assert options["--data-dir"].envvar == "PHOTOTAG_DATA_DIR"


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_and_every_option_is_explained(name: str) -> None:
    """An option without a sentence is one that nobody dares to use."""
    command = LEAVES[name]

    assert command.help
    unexplained = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert unexplained == []


@pytest.mark.parametrize(
    "name", ["batches list", "batches show", "models list", "models show", "doctor", "tag", "export"]
)
def test_what_a_script_would_want_is_there_as_json(name: str) -> None:
    """Reading tables meant for people is what breaks scripts."""
    assert any("--json" in parameter.opts for parameter in LEAVES[name].params)


def test_help_takes_less_than_half_a_second_and_loads_no_framework() -> None:
    """Measured in a process of its own; the best of three, because other programs run beside it."""
    code = (
        "import sys; from ui.cli import run; code = run(['--help'])\n"
        f"print('HEAVY', [name for name in {TOO_HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    took: list[float] = []
    for _ in range(3):
        started_at = time.monotonic()
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        took.append(time.monotonic() - started_at)

        assert "HEAVY []" in result.stdout

    assert min(took) < 0.5


def test_no_command_loads_tensorflow_or_keras_when_it_is_imported() -> None:
    """The worker does, in a process of its own."""
    code = (
        "import sys, click; from ui.cli import COMMANDS, phototag\n"
        "for name in COMMANDS: phototag.get_command(click.Context(phototag), name)\n"
        "print([name for name in ('tensorflow', 'keras', 'gradio') if name in sys.modules])"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert result.stdout.strip() == "[]"


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    """One line, and exit code 2."""
    result = CliRunner().invoke(phototag, ["cook"])

    assert isinstance(phototag, LazyCommands)
    assert result.exit_code == 2
    assert "No such command" in result.output
