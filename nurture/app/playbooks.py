"""Programmes as files: create, check, list, compare, publish and roll back."""

import codecs
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from difflib import unified_diff
from pathlib import Path
from typing import Any, Literal

from nurture.app.installation import programme_folder, shipped_programme
from nurture.app.playbook_changes import added_row, describe_changes, describe_publication
from nurture.app.services import Services
from nurture.domain.errors import InputError, NotFoundError
from nurture.domain.instant import to_iso
from nurture.domain.measure import MailStep, Measure, NotifyStep
from nurture.measurement.verdict_times import HALF, Known, VerdictTime, verdict_times
from nurture.playbook import Fault, build, find_faults, inspect, load_files, rebuild
from nurture.playbook import publish as store_publication
from nurture.playbook import rollback as go_back
from nurture.playbook.diff import compare
from nurture.playbook.queries import before as find_previous
from nurture.playbook.schema.export import json_schemas
from nurture.playbook.upgrade import upgrade as rewrite
from nurture.reports.triggers import describe_trigger
from nurture.runtime.settings import load_settings


def _folder_or_default(folder: Path | None) -> Path:
    return folder if folder is not None else programme_folder(load_settings())


def init(folder: Path) -> dict[str, Any]:
    """Copy the shipped programme into a new folder. Raises InputError when the folder is not empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"{folder}: the folder is not empty; name a new folder"
        raise InputError(message)
    shutil.copytree(shipped_programme(), folder, dirs_exist_ok=True)
    files = load_files(folder)
    return {
        "folder": str(folder),
        "files": len(files),
        "next": f"edit {folder}/playbook.yaml, then: nurture playbook check {folder}; nurture test {folder}",
    }


def check(folder: Path | None) -> tuple[list[str], list[str]]:
    """Return every fault, and every warning, of a programme as `file:line: what: what to change`."""
    found = inspect(load_files(_folder_or_default(folder)))
    return [str(fault) for fault in found.sorted()], [str(warning) for warning in found.warnings]


def list_verdict_times(
    folder: Path | None, known: Mapping[str, Known], *, entries_a_week: float | None
) -> list[dict[str, Any]]:
    """Return how long a verdict takes, one row for each measure that promises a difference.

    known: see `experiments.known_measures`. entries_a_week: of each measure, instead of the known rate. The programme
    has no faults. `warning` is a line like those of `check`, where it takes longer than a year.
    """
    files = load_files(_folder_or_default(folder))
    playbook = rebuild(files, id_=0).playbook
    times = verdict_times(playbook.measures, known, entries_a_week=entries_a_week)
    return [{**asdict(time), "warning": _time_warning(time, files)} for time in times]


def _time_warning(time: VerdictTime, files: Mapping[str, str]) -> str:
    if not time.is_too_long or time.weeks is None or time.weeks_at_half is None:
        return ""
    path = f"{time.measure}/measure.yaml"
    lines = files[path].split("\n")
    line = next((place for place, text in enumerate(lines, start=1) if text.startswith("holdout:")), 1)
    what = f"at {time.entries_a_week:g} entries a week a verdict takes about {time.weeks:,.0f} weeks"
    half = f"about {time.weeks_at_half:,.0f} weeks with `holdout: {{start: 50%, then: 10%}}`"
    change = "expect a larger change" if time.holdout >= HALF else f"{half}, or expect a larger change"
    return str(Fault(path, line, what, change, is_warning=True))


def upgrade(folder: Path | None, *, write: bool) -> dict[str, Any]:
    """Return the programme's files with today's forms as a diff, the forms rewritten, and those left to people.

    write: change the files too. Raises PlaybookError for a file that cannot be read, InputError where a new form
    would be refused.
    """
    root = _folder_or_default(folder)
    before = load_files(root)
    done = rewrite(before)
    changed = {path: text for path, text in done.files.items() if text != before.get(path)}
    refused = _new_faults(before, done.files) if changed else []
    if refused:
        message = f"nothing was changed, the new forms would be refused: {refused[0]}"
        raise InputError(message)
    for path, text in changed.items() if write else ():
        _write_text(root / path, text)
    return {
        "folder": str(root),
        "rewritten": [_form(fault) for fault in done.rewritten],
        "left": [_form(fault) for fault in done.left],
        "diff": "".join(_diff(path, before[path], text) for path, text in changed.items()),
        "is_written": write and bool(changed),
    }


def _form(fault: Fault) -> dict[str, Any]:
    return {"path": fault.path, "line": fault.line, "what": fault.what, "change": fault.change}


def _new_faults(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the faults that only the new files have, wherever they stand."""
    known = {(fault.path, fault.what) for fault in find_faults(before, render=False)}
    return [str(fault) for fault in find_faults(after, render=False) if (fault.path, fault.what) not in known]


def _diff(path: str, before: str, after: str) -> str:
    lines = unified_diff(before.splitlines(), after.splitlines(), f"a/{path}", f"b/{path}", lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _write_text(path: Path, text: str) -> None:
    """Write a file in one step, with the line ends and the byte order mark that it had."""
    raw = path.read_bytes()
    if b"\r\n" in raw:
        text = text.replace("\n", "\r\n")
    mark = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(mark + text.encode())
    part.chmod(path.stat().st_mode)
    part.replace(path)


def show(folder: Path | None) -> list[dict[str, Any]]:
    """Return one row per measure. Raises PlaybookError."""
    playbook = build(load_files(_folder_or_default(folder))).playbook
    return [_row(measure) for _, measure in sorted(playbook.measures.items())]


def _row(measure: Measure) -> dict[str, Any]:
    _, wakes = describe_trigger(measure)
    return {
        "measure": measure.path,
        "goal": measure.goal,
        "audience": measure.audience.text,
        "form": measure.form,
        "action": measure.action.kind,
        "purpose": measure.purpose,
        "topic": measure.topic,
        "wakes": wakes.removeprefix("wakes "),
        "mails": [step.mail for step in measure.steps if isinstance(step, MailStep)],
        "tells": list(
            dict.fromkeys(name for step in measure.steps if isinstance(step, NotifyStep) for name in step.to)
        ),
        "holdout_percent": measure.holdout / 100,
    }


def schema() -> dict[str, Any]:
    """Return the JSON Schemas of the files by file name."""
    return json_schemas()


def diff(old: Path, new: Path) -> list[dict[str, Any]]:
    """Return what differs between two programmes, one row per measure or part of playbook.yaml."""
    before, after = build(load_files(old)), build(load_files(new))
    return describe_changes(compare(before, after), before, after)


def changes(services: Services, folder: Path) -> list[dict[str, Any]]:
    """Return what publishing the folder would change, with the people in flight and the effect on them."""
    new = build(load_files(folder))
    with services.database.read() as connection:
        if services.playbooks.active_id(connection) is None:
            return [added_row(path) for path in sorted(new.playbook.measures)]
        old = services.playbooks.active(connection)
        return describe_publication(services, connection, old, new)


def publish(
    services: Services, folder: Path, *, backlog: Literal["none", "enter"], actor: str
) -> dict[str, Any]:
    """Make the folder's programme the active one. Contacts adopt it when they next wake, at a bounded rate.

    backlog: whether people who match a condition already enter. Raises PlaybookError.
    """
    now = services.clock.now()
    published = store_publication(
        services.database, load_files(folder), now=now, actor=actor, backlog=backlog
    )
    return {"playbook": published, "backlog": backlog}


def rollback_target(services: Services) -> dict[str, Any]:
    """Return the programme that `rollback` makes active, when and by whom it was published, and what it changes.

    Raises NotFoundError when there is none to go back to.
    """
    with services.database.read() as connection:
        active = services.playbooks.active_id(connection)
        previous = None if active is None else find_previous(connection, active)
        if active is None or previous is None:
            raise NotFoundError("there was no playbook before this one; publish the one you want")
        old, new = services.playbooks.active(connection), services.playbooks.of(connection, previous.id)
        changes_back = describe_publication(services, connection, old, new)
    return {
        "playbook": previous.id,
        "name": previous.name,
        "published_at": to_iso(previous.published_at),
        "actor": previous.actor,
        "changes": changes_back,
    }


def rollback(services: Services, *, actor: str) -> dict[str, Any]:
    """Make the previous programme the active one again."""
    restored = go_back(services.database, now=services.clock.now(), actor=actor)
    return {"playbook": restored}
