"""`nurture status`: one screen that says how the installation does."""

from collections.abc import Mapping
from typing import Any

from nurture.cli import output
from nurture.cli.context import Json, open_installation
from nurture.domain.errors import CheckFailed


def status(*, as_json: Json = False) -> None:
    """Show relay, broker, processes, backlog, pauses, sends and what needs a person. Exit code 1 when something does.

    It reads rows that every process writes, so it may be asked on any host that reaches the database.

    Example: nurture status --json
    """
    from nurture.app.status import describe

    with open_installation() as services:
        document = describe(services)
    if as_json:
        output.print_json(document)
    else:
        _print_screen(document)
    problems = [finding for finding in document["findings"] if finding["severity"] == "problem"]
    if problems:
        message = f"{len(problems)} problem{'s need' if len(problems) > 1 else ' needs'} a person"
        raise CheckFailed(message)


def _print_screen(document: Mapping[str, Any]) -> None:
    output.print_table(document["findings"], ["severity", "words", "remedy"], title="trouble")
    output.print_table(
        document["relay"],
        ["lane", "state", "seconds_since_success", "waiting", "oldest_due_seconds", "last_error", "words"],
        title="relay",
        empty="no process has sent mail yet",
    )
    broker = document["broker"]
    output.print_text(f"broker: {broker['state']} {broker['words']}".rstrip())
    columns = ["kind", "host", "pid", "version", "state", "seconds_since_beat", "doing"]
    output.print_table(document["processes"], columns, title="processes", empty="none runs")
    output.print_table(
        document["backlog"], ["queue", "oldest_due_seconds", "due_rows", "growing"], title="due work"
    )
    output.print_table(document["pauses"], ["name", "reason", "since", "by"], title="paused", empty="nothing")
    output.print_table(
        document["sends"], ["send", "measure", "state", "people", "at", "by"], title="sends under way"
    )
    output.print_table(
        document["sender"], ["check", "state", "words", "at"], title="sender", empty="not checked yet"
    )
    rates = document["rates"]
    columns = ["about", "sent", "hard_bounces", "deferred", "complaints"]
    for part, about in (("lanes", "lane"), ("domains", "mailbox provider")):
        rows = [_with_shares(row) for row in rates[part]]
        output.print_table(rows, columns, title=f"mail of the past {rates['hours']} hours, by {about}")
    if document["warm_up"]:
        output.print_table(
            document["warm_up"], ["lane", "provider", "today", "ceiling"], title="warm-up today"
        )
    output.print_text(_sums(document))


def _with_shares(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row with the share behind each number."""
    shares = {"hard_bounces": "hard_bounce_rate", "deferred": "deferral_rate", "complaints": "complaint_rate"}
    texts = {
        name: f"{row[name]} ({row[share]:.2%})" if row[share] is not None else str(row[name])
        for name, share in shares.items()
    }
    return {**row, **texts}


def _sums(document: Mapping[str, Any]) -> str:
    cases, quarantine = document["cases"], sum(document["quarantine"].values())
    return (
        f"open cases: {cases['open']} ({cases['overdue']} overdue) · quarantine: {quarantine} · "
        f"measures set aside: {len(document['set_aside'])} · conflicts of identity: {document['conflicts']} · "
        f"sends that wait for approval: {document['approvals']}"
    )
