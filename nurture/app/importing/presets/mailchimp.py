"""Mailchimp's audience export: one file for each status; the file's name says which."""

from dataclasses import replace
from typing import Final

from nurture.app.importing.options import ImportOptions
from nurture.app.importing.plan import Plan
from nurture.app.importing.presets.columns import Meaning, add_named, one
from nurture.domain.errors import InputError
from nurture.inbound.files.table import Table

#: Words of the file's name; of several the first that stands in it counts.
_STATUSES: Final = {
    "unsubscribed": "unsubscribed",
    "nonsubscribed": "nonsubscribed",
    "transactional": "nonsubscribed",
    "cleaned": "cleaned",
    "subscribed": "subscribed",
}
_COLUMNS: Final[dict[str, Meaning]] = {
    "Email Address": one("email", "email"),
    "First Name": one("firstName"),
    "Last Name": one("lastName"),
    "Phone Number": one("phone", "phone"),
    "Phone": one("phone", "phone"),
    "Birthday": one("birthday", "date"),
    "Company": one("company"),
    "Address": one("address"),
    "TIMEZONE": one("timezone"),
    "CC": one("country"),
    "REGION": one("region"),
    "NOTES": one("notes"),
    "TAGS": one("tags", "list"),
    "LAST_CHANGED": ("instant", (("timestamp", 0), ("consent_at", 9), ("suppressed_at", 9))),
    "LEID": one("leid"),
    "EUID": one("euid"),
}
#: Status -> the columns with the time of what it says.
_TIMES: Final[dict[str, dict[str, Meaning]]] = {
    "subscribed": {
        "CONFIRM_TIME": one("consent_at", "instant", 0),
        "OPTIN_TIME": one("consent_at", "instant", 1),
    },
    "unsubscribed": {
        "UNSUB_TIME": one("consent_at", "instant", 0),
        "UNSUB_REASON": ("suppress", (("suppressed", 0), ("unsub_reason", 0))),
    },
    "cleaned": {"CLEAN_TIME": one("suppressed_at", "instant", 0)},
    "nonsubscribed": {},
}


def plan(plan: Plan, table: Table, options: ImportOptions) -> Plan:
    """Return the plan with the columns of an audience export. Raises InputError for a file without a status."""
    status = _status(plan, table)
    meanings = {**_COLUMNS, **_TIMES.get(status, {})}
    known = status if status != "nonsubscribed" else None
    dates = replace(plan.dates, only_iso=True)
    plan = replace(plan, status=known, only_known_reasons=True, reason="complaint", dates=dates)
    return add_named(plan, table, options, meanings, {"Birthday": "month"})


def _status(plan: Plan, table: Table) -> str:
    if plan.status is not None:
        return plan.status
    name = table.path.name.lower()
    status = next((status for word, status in _STATUSES.items() if word in name), None)
    if status is None:
        message = (
            f"{table.path}: the name of the file does not say whether these people are subscribed; "
            "keep the name that Mailchimp gave it, or add --set status=subscribed, unsubscribed or cleaned"
        )
        raise InputError(message)
    return status
