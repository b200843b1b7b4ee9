"""Ends scenarios at their steps and says what did not hold. A program, because it forks: tests have threads.

`python -m tests.faults.crash_program ASKED`, JSON: `scenarios`, `url`, `data_dir`, `template` (a migrated SQLite file, or
null for a migrated PostgreSQL), `seed`, and `tried`: how many steps of each scenario, drawn by lot; null for all. Prints
`steps`, `crashed` and `violations` of each as JSON.
"""

import json
import random
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from db.session import Database
from tests.faults.crash_place import Place
from tests.faults.crash_points import CRASHED, crash_at, in_process, steps_of
from tests.faults.crash_scenarios import SCENARIOS, Scenario
from tests.faults.oracle import watch_last_states
from tests.faults.photos import look_at


def main() -> None:
    """Runs what is asked."""
    asked = json.loads(sys.argv[1])
    place = make_place(asked["url"], Path(asked["data_dir"]), asked["template"])
    said = place.data_dir.with_suffix(".stderr")
    sys.stderr = said.open("w", buffering=1)
    dice = random.Random(asked["seed"])
    found = {name: run(SCENARIOS[name](), place, asked["tried"], dice) for name in asked["scenarios"]}
    print(json.dumps(found))  # noqa: T201 - for the caller


def run(scenario: Scenario, place: Place, tried: int | None, dice: random.Random) -> dict[str, Any]:
    """Ends one scenario at its steps."""
    begin(scenario, place)
    steps = steps_of(lambda: scenario.act(place)) or 0
    violations = held(scenario, place, "undisturbed")
    points = range(1, steps + 1)
    crashed = 0
    for step in points if tried is None else sorted(dice.sample(points, min(tried, steps))):
        begin(scenario, place)
        crashed += crash_at(step, lambda: scenario.act(place)) == CRASHED
        violations += held(scenario, place, f"step {step}")
    return {"steps": steps, "crashed": crashed, "violations": violations}


def make_place(url: str, data_dir: Path, template: str | None) -> Place:
    """The place, with a model version in its template or database."""
    database = Database(url)
    if template is not None:
        shutil.copy(template, data_dir / "phototag.sqlite3")
    pictures = look_at(database, data_dir)
    for number in range(10):
        pictures.photo(number)  # those that forked processes send are known here too
    watch_last_states(database)
    database.close()
    if template is None:
        return Place(url, data_dir, None, pictures)
    Place(url, data_dir, None, pictures).empty()
    start = data_dir.with_suffix(".sqlite3")
    shutil.copy(data_dir / "phototag.sqlite3", start)
    return Place(url, data_dir, start, pictures)


def begin(scenario: Scenario, place: Place) -> None:
    """The state before the request."""
    place.reset()
    scenario.prepare(place)


def held(scenario: Scenario, place: Place, when: str) -> list[str]:
    """What did not hold: right after the end, or when the request was repeated and all work has ended."""
    try:
        with place.opened() as database:
            place.check_bytes(database)
        said = place.data_dir.with_suffix(".stderr")
        said.write_text("")
        assert in_process(lambda: scenario.act(place)) == 0, f"the repeat failed: {said.read_text()[-2000:]}"
        scenario.check(place)
    except Exception:  # noqa: BLE001 - every kind is a violation
        return [f"{when}: {traceback.format_exc(limit=-2)}"]
    return []


if __name__ == "__main__":
    main()
