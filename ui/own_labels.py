"""The second act of `make demo`: from folders of photos to labels of one's own, by the commands that a person would type."""

import random
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click
from PIL import Image, ImageDraw

from db.errors import PhototagError
from ui.programs import program, program_environment

# Photos of each label that are drawn where there are no class folders: enough for some to be held out.
DRAWN, DRAWN_LATER = 40, 4
SIDE = 160  # px
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
    """A picture of each number in each of three folders: rings, stripes and squares, no two alike."""
    for number in numbers:
        for label, draw in (("rings", _draw_rings), ("stripes", _draw_stripes), ("squares", _draw_squares)):
            chance = random.Random(f"{label} {number}")  # noqa: S311 - the same pictures everywhere
            picture = _paper(chance)
            draw(ImageDraw.Draw(picture), chance)
            path = folder / label / f"{label}-{number:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, quality=90)


def _paper(chance: random.Random) -> Image.Image:
    """Soft clouds of two light colours."""
    clouds = Image.new("L", (4, 4))
    clouds.putdata([chance.randrange(256) for _ in range(16)])
    mask = clouds.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    light, dark = (Image.new("RGB", (SIDE, SIDE), _colour(chance, *tones)) for tones in ((170, 255), (110, 230)))
    return Image.composite(light, dark, mask)


def _colour(chance: random.Random, darkest: int, lightest: int) -> Colour:
    return chance.randint(darkest, lightest), chance.randint(darkest, lightest), chance.randint(darkest, lightest)


def _draw_rings(draw: ImageDraw.ImageDraw, chance: random.Random) -> None:
    for _ in range(chance.randint(2, 6)):
        radius, x, y = chance.randint(12, 50), chance.randrange(SIDE), chance.randrange(SIDE)
        width = chance.randint(3, 9)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_colour(chance, 0, 110), width=width)


def _draw_stripes(draw: ImageDraw.ImageDraw, chance: random.Random) -> None:
    gap, lean, width = chance.randint(12, 34), chance.randint(-90, 90), chance.randint(3, 10)  # px
    ink = _colour(chance, 0, 110)
    for x in range(chance.randrange(gap) - SIDE, 2 * SIDE, gap):
        draw.line((x, 0, x + lean, SIDE), fill=ink, width=width)


def _draw_squares(draw: ImageDraw.ImageDraw, chance: random.Random) -> None:
    for _ in range(chance.randint(3, 8)):
        side, x, y = chance.randint(14, 60), chance.randrange(-10, SIDE), chance.randrange(-10, SIDE)
        draw.rectangle((x, y, x + side, y + side), fill=_colour(chance, 0, 110))


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    sys.stdout.flush()  # the command writes to the same place
    code = subprocess.run(
        program("ui", *command), env=dict(environment), stdin=subprocess.DEVNULL, check=False
    ).returncode
    if code not in DONE:
        msg = f"`phototag {' '.join(command)}` ended with exit code {code}; its last lines say why."
        raise PhototagError(msg)
