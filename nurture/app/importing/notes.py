"""Sentences about an import that somebody should read: what was assumed, and what the file cannot tell."""

from collections.abc import Iterator, Mapping
from typing import Final

from nurture.app.importing.options import ImportOptions
from nurture.app.importing.plan import CONSENT, OPTOUT, Plan
from nurture.app.importing.profile import ColumnProfile
from nurture.app.importing.summary import ImportResult
from nurture.domain.cells.headers import normalize
from nurture.inbound.files.table import Table

#: Columns of tools whose files leave out who unsubscribed.
_SILENT: Final = {
    "listmonk": {"uuid", "email", "name", "attributes", "status", "createdat", "updatedat"},
    "Mautic": {"email", "firstname", "lastname", "points", "dateidentified"},
}


def write_notes(
    table: Table,
    plan: Plan,
    profiles: Mapping[str, ColumnProfile],
    options: ImportOptions,
    result: ImportResult,
) -> list[str]:
    """Return the sentences."""
    notes = list(table.notes)
    if result.already_done:
        notes.append(f"{table.path.name} was already imported with these options; nothing was stored again")
    if table.doubled:
        names = ", ".join(sorted(table.doubled))
        notes.append(
            f"two columns or more are named {names}: the later ones are read under a name with their place"
        )
    if not result.rows:
        notes.append("the file names its columns and has no rows")
    notes += _consent_notes(table, plan, options, result)
    notes += _date_notes(plan, profiles)
    if result.consents.total() and options.rules.get("topic") is None and _uses_topics(plan):
        names = ", ".join(plan.topics) or "none"
        notes.append(f"consents are about the topic {names}; --set topic=NAME names another one")
    return notes


def _uses_topics(plan: Plan) -> bool:
    return plan.status is not None or any("consent" in targets for targets in _targets(plan))


def _targets(plan: Plan) -> Iterator[set[str]]:
    for column in (*plan.columns.values(), *(column for column, _ in plan.constants.values())):
        yield {name for name, _ in column.fields}


def _consent_notes(table: Table, plan: Plan, options: ImportOptions, result: ImportResult) -> Iterator[str]:
    header = {normalize(name) for name in table.header}
    tool = next((tool for tool, columns in _SILENT.items() if columns <= header), None)
    by_option = plan.status == "subscribed" and options.preset is None
    by_option |= any(name.startswith(CONSENT) or name == "consent" for name in plan.constants)
    knows_optouts = any(
        name.startswith(OPTOUT) or name == "optout" for targets in _targets(plan) for name in targets
    )
    if result.consents["granted"] and not knows_optouts and (tool or by_option):
        yield (
            f"WARNING: {tool or 'this file'} does not tell who unsubscribed, and {result.consents['granted']} people "
            "were taken as subscribed. Import the other tool's unsubscribed and bounced addresses as well, before any "
            "mail leaves: nurture import FILE --kind suppressions"
        )
    if result.undated:
        yield (
            f"{result.undated} consents have no time: they are older than all others, so any other word decides; "
            "--set consent_at=DATE gives them one"
        )


def _date_notes(plan: Plan, profiles: Mapping[str, ColumnProfile]) -> Iterator[str]:
    for name, column in plan.columns.items():
        shown = profiles.get(name)
        if shown is None or column.type not in ("instant", "date") or not shown.slashed:
            continue
        order = shown.order or column.order or plan.dates.order
        if order is not None:
            yield f"{name}: dates such as {shown.slashed} are read with the {order} first"
