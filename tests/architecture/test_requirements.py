"""The pinned sets: they fit together, carry hashes, and keep the floors that security asks for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PIN = re.compile(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", re.MULTILINE | re.IGNORECASE)
SETS = ("web.txt", "run.txt", "worker-gpu.txt", "dev.txt", "build.txt", "pip.txt")

# Below these, a hole that reaches us is known. A floor is raised, never lowered.
SECURITY_FLOORS = {
    "pillow": "12.3",  # parsers of earlier releases
    "starlette": "0.49.1",  # quadratic time in the Range header, CVE-2025-62727
    "python-multipart": "0.0.27",  # limits for headers and parts
    "h5py": "3.14",  # HDF5 2.0's parser fixes
    "keras": "3.15.1",  # loading of weights files
}


def pins(repository: Path, name: str) -> dict[str, set[str]]:
    """Package to the versions a set pins (several, where they differ by platform or Python)."""
    found: dict[str, set[str]] = {}
    for package, version in PIN.findall((repository / "requirements" / name).read_text(encoding="utf-8")):
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    """The [project] table."""
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("name", SETS)
def test_every_pin_has_a_hash(repository: Path, name: str) -> None:
    """A set in which one is missing is refused by pip; better to know before."""
    text = (repository / "requirements" / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z0-9])", text.strip(), flags=re.IGNORECASE)

    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(("smaller", "larger"), [("web.txt", "run.txt"), ("run.txt", "dev.txt")])
def test_a_larger_set_holds_the_same_versions_as_the_smaller_one(repository: Path, smaller: str, larger: str) -> None:
    """What is tested is what runs, and `make test` need not install over what `make demo` did."""
    small, large = pins(repository, smaller), pins(repository, larger)

    assert {package: at for package, at in small.items() if not at <= large.get(package, set())} == {}


@pytest.mark.parametrize("group", ["dependencies", "worker", "training", "dev"])
def test_pins_satisfy_what_the_project_asks_for(repository: Path, project: dict[str, Any], group: str) -> None:
    """`make lock` was run after the last change of pyproject.toml."""
    asked = project["dependencies"] if group == "dependencies" else project["optional-dependencies"][group]
    pinned = pins(repository, "dev.txt")

    for requirement in map(Requirement, asked):
        versions = pinned.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not pinned; run `make lock`"
        assert [v for v in versions if v not in requirement.specifier] == [], requirement.name


def test_the_floors_that_security_asks_for_are_kept(repository: Path, project: dict[str, Any]) -> None:
    """In what the project asks for, so that no other installation gets less either."""
    asked = [Requirement(r) for r in [*project["dependencies"], *project["optional-dependencies"]["worker"]]]
    floors: dict[str, Version] = {
        canonicalize_name(r.name): max(Version(s.version) for s in r.specifier if s.operator == ">=")
        for r in asked
        if any(s.operator == ">=" for s in r.specifier)
    }

    assert {
        name: str(floors.get(name)) for name, floor in SECURITY_FLOORS.items() if floors[name] < Version(floor)
    } == {}


def test_the_build_tool_is_pinned_where_our_package_is_installed(repository: Path) -> None:
    """requirements/install.sh builds without isolation, with the setuptools of the set."""
    assert all("setuptools" in pins(repository, name) for name in ("run.txt", "dev.txt", "worker-gpu.txt", "build.txt"))
