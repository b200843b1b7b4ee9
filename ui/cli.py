"""The command line: its commands, loaded when they are called, and the one place where errors become a line."""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, cast

import click

from db.errors import PhototagError

EXIT_ERROR, EXIT_SOME_NOT_TAGGED, EXIT_INTERRUPTED = 1, 3, 130

# name -> (where it is, what --help says). Kept here so that `--help` loads nothing: 0.1 s instead of 2 s.
COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("ui.cli_services:up", "Run everything on this machine and open the pages."),
    "tag": ("ui.cli_tag:tag", "Tag photos: files, folders and archives."),
    "watch": ("ui.cli_watch:watch", "Keep folders tagged: what is new or changed in them."),
    "batches": ("ui.cli_batches:batches", "List, show, retry, cancel and delete what was submitted."),
    "duplicates": ("ui.cli_duplicates:duplicates", "List photos that look alike, and files in several places."),
    "labels": ("ui.cli_labels:labels", "List and change labels; import class folders as labelled photos."),
    "reviews": ("ui.cli_reviews:reviews", "Show numbers of review; export and import verdicts."),
    "train": ("ui.cli_train:train", "Train on what people labelled, or on class folders; compare."),
    "models": ("ui.cli_models:models", "List and show model versions; fetch ImageNet weights."),
    "export": ("ui.cli_export:export", "Write results to a file."),
    "users": ("ui.cli_users:users", "Add and disable people, their roles, passwords and API tokens."),
    "doctor": ("ui.cli_doctor:doctor", "Check this installation and say what to do."),
    "migrate": ("ui.cli_services:migrate", "Bring the database's tables to this version."),
    "web": ("ui.cli_services:web", "Run only the pages, or print a login link for them."),
    "worker": ("ui.cli_services:worker", "Run only a worker."),
}

EPILOG = (
    "Exit codes: 0 done, 1 error, 2 wrong usage, 3 finished but some photos were refused or failed, "
    "130 stopped by Ctrl-C."
)


class LazyCommands(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order a person meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command `cmd_name`."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return cast("click.Command", getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.group(cls=LazyCommands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, envvar="PHOTOTAG_DEBUG", help="Show the traceback of an error.")
@click.version_option(package_name="phototag", prog_name="phototag")
def phototag(*, debug: bool) -> None:
    """Tags photos in batches with a neural network, on this machine.

    Start with `phototag up`, or with `phototag tag FOLDER --out results.csv`.
    """
    _ = debug  # looked at by `main`, which sees the error


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits with its code."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    code = run(arguments)
    gc.freeze()  # Python would search a million objects of Gradio's for garbage before it ends: 2 to 6 s
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code."""
    debug = "--debug" in arguments[:1] or os.environ.get("PHOTOTAG_DEBUG", "") not in ("", "0")
    return run_guarded(lambda: phototag.main(list(arguments), prog_name="phototag", standalone_mode=False), debug=debug)


def run_guarded(command: Callable[[], object], *, debug: bool) -> int:
    """Calls `command` and returns its exit code. Errors become one line on standard error, without a traceback."""
    try:
        code = command()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _say("Stopped.")
        return EXIT_INTERRUPTED
    except Exception as error:
        if debug:
            raise
        _say(f"Error: {_in_one_line(error)}")
        return EXIT_ERROR
    return code if isinstance(code, int) else 0


def _in_one_line(error: Exception) -> str:
    if isinstance(error, PhototagError):
        return " ".join(str(error).split())
    # pydantic is here if settings were read; it is not imported only to name its error
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        return _in_settings_words(error)
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}. Check the path, its permissions and the space on its disk."
    what = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {what} This was not expected: `phototag --debug ...` shows where it happened."


def _in_settings_words(error: Exception) -> str:
    problems: list[str] = []
    for problem in cast("list[dict[str, object]]", getattr(error, "errors")()):  # noqa: B009 - see the caller
        place = "__".join(str(part) for part in cast("tuple[object, ...]", problem["loc"])).upper()
        problems.append(f"PHOTOTAG_{place}: {problem['msg']}. Received: {problem.get('input')!r:.100}")
    return "A setting is wrong. " + " ".join(problems)


def _say(text: str) -> None:
    click.echo(text.encode(errors="replace").decode(), err=True)


if __name__ == "__main__":
    main()
