"""The documents name what there is: every setting with its default, every command with its options."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from pydantic_settings import BaseSettings

from db.settings import DataSettings
from training.settings import TrainingSettings
from ui.cli import phototag
from ui.settings import UiSettings
from worker.limits import Limits
from worker.settings import WorkerSettings

SETTINGS: tuple[type[BaseSettings], ...] = (DataSettings, WorkerSettings, TrainingSettings, UiSettings)
TABLE_ROW = re.compile(r"^\| `(PHOTOTAG_[A-Z0-9_]+)` \| (?:`([^`]*)`)? *\| (.+) \|$", re.MULTILINE)
ENV_LINE = re.compile(r"^# (PHOTOTAG_[A-Z0-9_]+)=(.*)$", re.MULTILINE)
# Said by `--help` of every command, so docs/cli.md says it once.
EVERYWHERE = {"--data-dir", "--help"}


def settings_with_defaults() -> dict[str, str]:
    """Environment variable to its default, as a person would write it."""
    found = {f"PHOTOTAG_LIMITS__{field.name.upper()}": spelled(field.default) for field in fields(Limits)}
    for cls in SETTINGS:
        for name, field in cls.model_fields.items():
            if name != "limits":
                found[f"PHOTOTAG_{name.upper()}"] = spelled(field.get_default())
    return found


def spelled(default: Any) -> str:
    """A default in an env file: empty for none."""
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its full name."""
    yield from _walk(phototag, click.Context(phototag, info_name="phototag"))


def _walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield context.command_path, command
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from _walk(child, click.Context(child, info_name=name, parent=context))


def section(text: str, heading: str) -> str:
    """What stands under the heading that begins so, up to the next one."""
    found = re.search(rf"^## `{re.escape(heading)}[ `].*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found.group() if found else ""


@pytest.fixture(scope="module")
def settings_md(repository: Path) -> str:
    """docs/settings.md."""
    return (repository / "docs" / "settings.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cli_md(repository: Path) -> str:
    """docs/cli.md."""
    return (repository / "docs" / "cli.md").read_text(encoding="utf-8")


def test_settings_md_has_every_setting_with_its_default(settings_md: str) -> None:
    """And none that is gone."""
    table = settings_md.partition("\n## Others")[0]

    assert {name: default for name, default, _ in TABLE_ROW.findall(table)} == settings_with_defaults()


def test_env_example_has_every_setting_with_its_default(repository: Path) -> None:
    """Commented out: a copied file must not freeze yesterday's defaults."""
    text = (repository / "deploy" / "env.example").read_text(encoding="utf-8")
    known = {name: default for name, default in ENV_LINE.findall(text) if name != "PHOTOTAG_PUBLISHED_PORT"}

    assert known == settings_with_defaults()
    assert re.findall(r"^PHOTOTAG_", text, re.MULTILINE) == []


def test_every_setting_says_what_it_is() -> None:
    """The description is what the documents are made from."""
    assert [name for cls in SETTINGS for name, field in cls.model_fields.items() if not field.description] == []


def test_every_variable_that_the_code_or_compose_names_is_documented(repository: Path, settings_md: str) -> None:
    """Also those that are no settings. PHOTOTAG_PARENT_PID is told by one of our programs to another."""
    files = [path for package in ("db", "worker", "ui", "training") for path in (repository / package).rglob("*.py")]
    files += [repository / "docker-compose.yml", repository / "Makefile", *(repository / "deploy").glob("*.yml")]
    named = {name for path in files for name in re.findall(r"\bPHOTOTAG_[A-Z0-9_]*[A-Z0-9]\b", path.read_text("utf-8"))}

    assert sorted(name for name in named - {"PHOTOTAG_PARENT_PID"} if f"`{name}`" not in settings_md) == []


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_cli_md_has_the_command_with_exactly_its_options(cli_md: str, name: str) -> None:
    """One section a command."""
    command = dict(commands())[name]
    text = section(cli_md, name)
    options = {
        option for parameter in command.params if isinstance(parameter, click.Option) for option in parameter.opts
    }

    assert text, f"docs/cli.md has no section ## `{name} ...`"
    assert set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE)) == options - EVERYWHERE


def test_cli_md_has_no_command_that_is_gone(cli_md: str) -> None:
    """Its headings are commands, or plain words."""
    headings = re.findall(r"^## `(phototag .+?)`$", cli_md, re.MULTILINE)
    names = tuple(name for name, _ in commands())

    assert [heading for heading in headings if not f"{heading} ".startswith(tuple(f"{name} " for name in names))] == []
    assert len(headings) == len(names)


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{n}.md" for n in ("architecture", "operations"))]
)
def test_commands_that_a_page_tells_to_type_exist(repository: Path, page: str) -> None:
    """`phototag ...` and `make ...` in code, on every page for people."""
    text = (repository / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    names = {name.removeprefix("phototag ") for name, _ in commands()}
    code = "\n".join(re.findall(r"`[^`\n]+`|^```.*?^```", text, re.MULTILINE | re.DOTALL))

    typed = re.findall(r"(?<![/-])\bphototag ((?:batches|labels|models|users) [a-z]+|[a-z]+)\b", code)
    assert [command for command in typed if command not in names | {"batches", "labels", "models", "users"}] == []
    assert [target for target in re.findall(r"\bmake ([a-z-]+)", code) if target not in targets] == []


def test_links_between_documents_lead_somewhere(repository: Path) -> None:
    """Relative links and pictures only; addresses are not fetched."""
    pages = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(repository)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in link and not (page.parent / link).exists()
    ]

    assert broken == []
