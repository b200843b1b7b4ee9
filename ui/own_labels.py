"""The second act of `make demo`: from folders of photos to labels of one's own, by the commands that a person would type."""

import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click
from PIL import Image, ImageDraw

from db.errors import PhototagError
from ui.programs import program, program_environment

# Photos of each label that are drawn where there are no class folders: enough for some to be held out.
DRAWN, DRAWN_LATER = 24, 4
SIDE = 160  # px
PAPER = (236, 232, 222)
INKS = ((36, 78, 128), (140, 44, 38), (40, 96, 56))
# 3: some photos were refused; the summary lists them.
DONE = (0, 3)

Colour = tuple[int, int, int]


def show_own_labels(data_dir: Path, shared: Path) -> None:
    """Runs the commands in a data directory of its own, beside that of the first act. Done before, it is not done again.

    Args:
        data_dir: of the first act.
        shared: folder that may hold photos/landmarks/train and test, one folder for each label.

    Raises:
        PhototagError: a command failed; it has said why.
    """
    place = data_dir.with_name(f"{data_dir.name}-own-labels")
    if place.exists():
        click.echo(f"\nLabels of your own: done before. `phototag up --data-dir {place}` shows them.")
        return
    train, later = class_folders(shared / "photos" / "landmarks", place.with_name(f"{place.name}-photos"))
    click.echo("\nNow labels of your own: photos in folders that are named after what they show.\n")
    environment = program_environment(PHOTOTAG_DATA_DIR=str(place))
    for command in (
        ["labels", "import", str(train)],
        ["train", "--activate", "auto"],
        ["tag", str(later)],
        ["models", "list"],
    ):
        click.echo(f"$ phototag {' '.join(command)}")
        _run(command, environment)
        click.echo()
    click.echo(f"`phototag up --data-dir {place}` shows them.")


def class_folders(photos: Path, drawn: Path) -> tuple[Path, Path]:
    """Folders to learn from, and photos to tag afterwards: those in `photos`, else pictures drawn into `drawn`."""
    if (photos / "train").is_dir() and (photos / "test").is_dir():
        return photos / "train", photos / "test"
    draw_pictures(drawn / "train", range(DRAWN))
    draw_pictures(drawn / "later", range(DRAWN, DRAWN + DRAWN_LATER))
    return drawn / "train", drawn / "later"


def draw_pictures(folder: Path, numbers: Iterable[int]) -> None:
    """A picture of each number in each of three folders: rings, stripes and squares, of several sizes and colours."""
    for number in numbers:
        for label, draw in (("rings", _draw_rings), ("stripes", _draw_stripes), ("squares", _draw_squares)):
            picture = Image.new("RGB", (SIDE, SIDE), PAPER)
            draw(ImageDraw.Draw(picture), number, INKS[number % len(INKS)])
            path = folder / label / f"{label}-{number:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, quality=90)


def _draw_rings(draw: ImageDraw.ImageDraw, number: int, ink: Colour) -> None:
    for at in range(3):
        radius = 14 + (number * 7 + at * 13) % 34
        x, y = (number * 37 + at * 61) % SIDE, (number * 53 + at * 47) % SIDE
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=4 + number % 5)


def _draw_stripes(draw: ImageDraw.ImageDraw, number: int, ink: Colour) -> None:
    gap, lean = 12 + number % 9, (number * 11) % 60 - 30  # px
    for x in range(number % gap - SIDE, 2 * SIDE, gap):
        draw.line((x, 0, x + lean, SIDE), fill=ink, width=3 + number % 5)


def _draw_squares(draw: ImageDraw.ImageDraw, number: int, ink: Colour) -> None:
    for at in range(5):
        side = 16 + (number * 5 + at * 17) % 30
        x, y = (number * 41 + at * 67) % SIDE, (number * 29 + at * 43) % SIDE
        draw.rectangle((x, y, x + side, y + side), fill=ink)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    sys.stdout.flush()  # the command writes to the same place
    code = subprocess.run(
        program("ui", *command), env=dict(environment), stdin=subprocess.DEVNULL, check=False
    ).returncode
    if code not in DONE:
        msg = f"`phototag {' '.join(command)}` ended with exit code {code}; its last lines say why."
        raise PhototagError(msg)
