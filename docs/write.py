"""Write `docs/reference/` from the program itself; `make docs` runs this, a test tells when it was forgotten.

python docs/write.py            write the pages
python docs/write.py --check    name the pages that differ from the program; exit code 1 when any does
"""

import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from nurture.app.personal_export import ABOUT
from nurture.app.services import Services
from nurture.cli.root import app as command_line
from nurture.database import migrations
from nurture.database.engine import open_database
from nurture.domain.guard.decide import CHECKS, REASONS
from nurture.domain.message import STATES
from nurture.domain.retention import KINDS
from nurture.domain.signing import SigningKeys
from nurture.journey.personal_data import IMPERSONAL, PERSONAL
from nurture.playbook import PublishedPlaybooks
from nurture.playbook.schema.timelines import (
    ExpectedFile,
    HappeningFile,
    NotExpectedFile,
    PastEventFile,
    PersonFile,
    TimelineModel,
)
from nurture.reports import metrics
from nurture.runtime.clock import ManualClock
from nurture.runtime.settings import Settings
from nurture.testing.instants import FORMS
from nurture.web.application import create_app

FOLDER = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by `make docs` from the program itself; change the program, not this page. -->\n"


def pages() -> dict[str, str]:
    """Return file name -> text of every page of the reference."""
    with tempfile.TemporaryDirectory() as folder:
        services = _services(Path(folder))
        try:
            written = {
                "commands.md": _commands(),
                "settings.md": _settings(),
                "http.md": _http(services),
                "messages.md": _messages(),
                "metrics.md": _metrics(services),
                "privacy.md": _privacy(),
                "timelines.md": _timelines(),
            }
        finally:
            services.close()
    return {name: f"{_NOTE}{text.rstrip()}\n" for name, text in written.items()}


def _services(folder: Path) -> Services:
    """Return services over an empty database; nothing is asked of them but their shape."""
    settings = Settings(database_url=f"sqlite:///{folder}/reference.db")
    database = open_database(settings.database_url)
    migrations.upgrade(database)
    keys = SigningKeys((b"nothing is signed with this",))
    return Services(database, settings, ManualClock(0), keys=keys, playbooks=PublishedPlaybooks())


def _privacy() -> str:
    found = {
        "contact": "by contact",
        "message": "by message",
        "names": "by name",
        "hash": "by keyed hash",
    }
    lines = [
        "# Personal data, table by table",
        "",
        "[Export and erasure of a person's data](../privacy.md).",
        "",
        "| table | content, in words for the person | rows found | effect of an erasure |",
        "|---|---|---|---|",
    ]
    for name, kind in PERSONAL.items():
        lines.append(f"| `{name}` | {ABOUT.get(name, '')} | {found[kind.found_by]} | {kind.erasure} |")
    lines += [
        "",
        "The other tables hold no data of people who get mail:",
        "",
        "| table | content |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {why} |" for name, why in IMPERSONAL.items()]
    lines += ["", "## How long", "", "| kind | days | at least | removed |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {k.days} | {k.at_least} | {k.what} |" for name, k in KINDS.items()]
    return "\n".join(lines)


def _commands() -> str:
    lines = [
        "# Commands",
        "",
        "Exit code 0: done; 1: a check found something; 2: wrong use or configuration.",
        "",
    ]
    for path, command in _walk(typer.main.get_command(command_line), ("nurture",)):
        lines += [f"## {' '.join(path)}", "", _paragraphs(command.help or ""), ""]
        rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            lines += ["| argument or option | | |", "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name in inner:
        yield from _walk(inner[name], (*path, name))


def _parameter(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts] if option else [parameter.name.upper()]
    shown = ", ".join(f"`{name}`" for name in names)
    needed = "required" if parameter.required else ""
    return f"| {shown} | {needed} | {_cell(getattr(parameter, 'help', None) or '')} |"


def _settings() -> str:
    lines = [
        "# Settings",
        "",
        "A flag beats the environment, which beats `.env`, which beats `nurture.toml` (or the file that",
        "`NURTURE_CONFIG` names; there without the prefix, in small letters). `nurture config show` shows which",
        "one won.",
        "",
        "| environment | default | meaning |",
        "|---|---|---|",
    ]
    shown = Settings().shown()
    for (name, default), field in zip(shown.items(), Settings.model_fields.values(), strict=True):
        lines.append(f"| `{name}` | {f'`{default}`' if default else ''} | {_cell(field.description or '')} |")
    return "\n".join(lines)


def _http(services: Services) -> str:
    lines = ["# HTTP paths", "", "Requests and answers in full: [HTTP](../http.md) and `/openapi.json`.", ""]
    lines += ["| method | path | purpose |", "|---|---|---|"]
    for path, methods in sorted(create_app(services).openapi()["paths"].items()):
        for method, about in methods.items():
            lines.append(f"| {method.upper()} | `{path}` | {_cell(about.get('summary', ''))} |")
    return "\n".join(lines)


def _messages() -> str:
    lines = ["# Messages", "", "## States", "", "| state | means | may become |", "|---|---|---|"]
    for state, (after, meaning) in STATES.items():
        lines.append(f"| `{state}` | {_cell(meaning)} | {', '.join(f'`{name}`' for name in sorted(after))} |")
    lines += [
        "",
        "## Checks of the guard, in order",
        "",
        ", ".join(f"`{name}`" for name, _ in CHECKS) + ".",
        "",
    ]
    lines += ["## Reasons", "", "| reason | means |", "|---|---|"]
    lines += [f"| `{reason}` | {_cell(meaning)} |" for reason, meaning in REASONS.items()]
    return "\n".join(lines)


def _metrics(services: Services) -> str:
    text = metrics.render_page(services.database, clock=services.clock).decode()
    found = re.findall(r"^# HELP (nurture_\w+) (.*)\n# TYPE \w+ (\w+)$", text, re.MULTILINE)
    lines = ["# Metrics", "", "`/metrics` of the api, and of each worker on `NURTURE_METRICS_PORT`.", ""]
    lines += ["| metric | kind | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {_cell(about)} |" for name, about, kind in sorted(set(found))]
    return "\n".join(lines)


#: Heading -> the model of that part of a file of timelines.
_TIMELINE_PARTS = {
    "A timeline": TimelineModel,
    "A person": PersonFile,
    "An event of `history`": PastEventFile,
    "An entry of `happens`": HappeningFile,
    "An entry of `expect`": ExpectedFile,
    "An entry of `expect_not`": NotExpectedFile,
}


def _timelines() -> str:
    lines = [
        "# Timelines",
        "",
        "The files of a programme's folder `tests/`, which `nurture test` plays: a list under `timelines:`.",
        "[How to write them](../howto/test-a-programme.md). Their JSON Schema is `timelines.yaml` of",
        "`nurture playbook schema`.",
        "",
        f"A time is written {FORMS}. Days count from the start; times are the person's own.",
    ]
    for heading, model in _TIMELINE_PARTS.items():
        lines += ["", f"## {heading}", "", "| key | | |", "|---|---|---|"]
        for name, field in model.model_fields.items():
            needed = "required" if field.is_required() else ""
            lines.append(f"| `{name}` | {needed} | {_cell(field.description or '')} |")
    return "\n".join(lines)


def _paragraphs(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the pages, or tell which differ."""
    stale = [name for name, text in pages().items() if _read(FOLDER / name) != text]
    if "--check" in arguments:
        if stale:
            sys.stdout.write(f"not as the program is: {', '.join(stale)}; run `make docs`\n")
        return int(bool(stale))
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"docs/reference: {', '.join(stale) or 'nothing'} changed\n")
    return 0


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
