"""What must not be in the repository."""

import re
from pathlib import Path

MAX_FILE_BYTES = 2 * 1024 * 1024

# Spelled in pieces, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(^|[^A-Za-z0-9_.])/(" + "wo" + "rk|fa" + "rm|ho" + r"me/[a-z]+|Us" + r"ers/[A-Za-z]+)/")
REGISTRY_HOSTS = re.compile(
    "|".join(re.escape(host) for host in ("files.python" + "hosted.org", "pypi.org" + "/simple", "registry." + "npmjs.org"))
    + "|deb" + r"\.debian\.org|index-" + "url|find-" + "links"
)  # fmt: skip
PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".ico", ".woff2"}
WEIGHTS = {".h5", ".keras", ".pb", ".tflite", ".onnx", ".pkl", ".pt", ".npz"}


def text_lines(path: Path) -> list[str]:
    """The lines of a text file; none for anything else."""
    data = path.read_bytes()
    return [] if b"\0" in data[:8192] or path.suffix in PICTURES else data.decode("utf-8", "replace").splitlines()


def test_no_path_of_a_developers_machine_stands_in_a_file(repository: Path, tracked_files: list[Path]) -> None:
    """It would be wrong on every other one."""
    found = [
        f"{path.relative_to(repository)}:{number}"
        for path in tracked_files
        for number, line in enumerate(text_lines(path), start=1)
        if MACHINE_PATHS.search(line)
    ]

    assert found == []


def test_no_package_index_is_named(repository: Path, tracked_files: list[Path]) -> None:
    """Which index or mirror is used is the machine's business."""
    found = [
        f"{path.relative_to(repository)}:{number}"
        for path in tracked_files
        for number, line in enumerate(text_lines(path), start=1)
        if REGISTRY_HOSTS.search(line) and path.name != "compile.sh"  # which switches an option off by its name
    ]

    assert found == []


def test_no_file_is_too_large_for_a_repository(repository: Path, tracked_files: list[Path]) -> None:
    """Everybody who clones pays for it for ever."""
    sizes = {str(path.relative_to(repository)): path.stat().st_size for path in tracked_files}

    assert {name: size for name, size in sizes.items() if size > MAX_FILE_BYTES} == {}


def test_no_file_of_weights_but_our_own_heads_is_tracked(repository: Path, tracked_files: list[Path]) -> None:
    """The backbone's values belong to others and are fetched; the formats may hold code."""
    names = [path.relative_to(repository).as_posix() for path in tracked_files]

    assert [name for name in names if Path(name).suffix in WEIGHTS] == []
    assert [n for n in names if n.endswith(".safetensors") and not n.startswith(("worker/versions/", "tests/"))] == []


def test_programs_can_be_run(tracked_files: list[Path]) -> None:
    """A file that begins with #! and is not executable fails in a fresh clone only."""
    programs = [path for path in tracked_files if path.read_bytes()[:2] == b"#!"]

    assert programs
    assert [path.name for path in programs if not path.stat().st_mode & 0o100] == []


def test_every_test_file_can_be_collected_beside_the_others(repository: Path, tracked_files: list[Path]) -> None:
    """Two test modules of the same name in folders that are no packages hide each other."""
    names = [path.name for path in tracked_files if path.name.startswith("test_") and path.suffix == ".py"]

    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert repository.is_dir()
