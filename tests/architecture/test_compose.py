"""The compose files: docker-compose itself accepts them, and they say what the documents promise."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

OVERRIDES = [(), ("deploy/compose.gpu.yml",)]


def configured(folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    """`docker-compose config` in `folder`, with both spellings of the command."""
    arguments = [part for file in ("docker-compose.yml", *files) for part in ("-f", file)]
    if shutil.which("docker-compose"):
        command = ["docker-compose"]
    elif (
        shutil.which("docker")
        and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    ):
        command = ["docker", "compose"]
    else:
        pytest.skip("neither docker-compose nor docker compose is installed")
    return subprocess.run(
        [*command, *arguments, "config"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def checkout(repository: Path, tmp_path: Path) -> Path:
    """The files that compose reads, with .env made as the documents say: env.example and two passwords."""
    (tmp_path / "deploy").mkdir()
    for name in ("docker-compose.yml", "deploy/compose.gpu.yml", "deploy/Dockerfile"):
        shutil.copy(repository / name, tmp_path / name)
    example = (repository / "deploy" / "env.example").read_text(encoding="utf-8")
    filled = re.sub(r"^(POSTGRES_PASSWORD|REDIS_PASSWORD)=$", r"\1=secret1", example, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(filled, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("files", OVERRIDES)
def test_compose_accepts_the_files(checkout: Path, files: tuple[str, ...]) -> None:
    """Alone, and with the override for a GPU."""
    result = configured(checkout, *files)

    assert result.returncode == 0, result.stderr
    assert "PHOTOTAG_REDIS_URL: redis://:secret1@redis:6379/0" in result.stdout


def test_compose_refuses_to_start_without_passwords(checkout: Path, repository: Path) -> None:
    """A copied env.example alone must not give a broker without a password."""
    shutil.copy(repository / "deploy" / "env.example", checkout / ".env")

    result = configured(checkout)

    assert result.returncode != 0
    assert "in .env" in result.stderr


def test_every_target_that_compose_builds_is_in_the_dockerfile(repository: Path) -> None:
    """A renamed stage would be found out by the first user otherwise."""
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", (repository / "deploy/Dockerfile").read_text("utf-8"), re.MULTILINE))
    built = {
        target
        for name in ("docker-compose.yml", "deploy/compose.gpu.yml")
        for target in re.findall(r"target: ([a-z-]+)", (repository / name).read_text("utf-8"))
    }

    assert built
    assert built <= stages


def test_images_run_as_a_user_without_rights_and_report_their_health(repository: Path) -> None:
    """Each of the three that are shipped."""
    text = (repository / "deploy/Dockerfile").read_text("utf-8")
    shipped = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL))

    for name in ("web", "worker-cpu", "worker-gpu"):
        assert "USER phototag\n" in shipped[name]
        assert "HEALTHCHECK" in shipped[name]


def test_what_the_dockerfile_copies_is_let_through_and_exists(repository: Path) -> None:
    """.dockerignore names what may go into an image; everything else, such as .env, stays out."""
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (repository / "deploy/Dockerfile").read_text("utf-8"), re.MULTILINE
    )
    let_through = re.findall(r"^!(.+)$", (repository / ".dockerignore").read_text("utf-8"), re.MULTILINE)

    for source in (source for line in copied for source in line.split()):
        assert (repository / source).exists()
        assert any(source == name or source.startswith(f"{name}/") for name in let_through), source


def test_the_broker_refuses_instead_of_forgetting(repository: Path) -> None:
    """With an eviction policy a full broker would throw queues away."""
    assert '"maxmemory-policy noeviction"' in (repository / "docker-compose.yml").read_text("utf-8")
