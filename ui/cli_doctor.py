"""`phototag doctor`: checks this installation and says what to do."""

import dataclasses
from pathlib import Path

import click

from ui.cli import EXIT_ERROR
from ui.cli_setup import data_dir_option, json_option, print_json, read_settings
from ui.doctor import Finding, examine_installation

WORDS = {"ok": "ok", "note": "note", "problem": "TO DO"}


@click.command()
@json_option
@data_dir_option
def doctor(*, as_json: bool, data_dir: Path | None) -> int:
    """Checks this installation and says what to do. Exit code 1 when something that is needed fails."""
    findings: list[Finding] = []
    for finding in examine_installation(read_settings(data_dir)):
        findings.append(finding)
        if not as_json:
            click.echo(f"{WORDS[finding.verdict]:<6} {finding.about}: {finding.text}")
    works = all(finding.verdict != "problem" for finding in findings)
    if as_json:
        print_json({"works": works, "findings": [dataclasses.asdict(finding) for finding in findings]})
    return 0 if works else EXIT_ERROR
