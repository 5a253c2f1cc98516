"""Klaviyo's exports: profiles of a list or segment, and its list of suppressed profiles."""

from dataclasses import replace
from typing import Final

from nurture.app.importing.options import ImportOptions
from nurture.app.importing.plan import Plan
from nurture.app.importing.presets.columns import Meaning, add_named, one
from nurture.domain.cells.headers import normalize
from nurture.inbound.files.table import Table

_COLUMNS: Final[dict[str, Meaning]] = {
    "Email": one("email", "email"),
    "Klaviyo ID": one("klaviyo_id"),
    "First Name": one("firstName"),
    "Last Name": one("lastName"),
    "Organization": one("company"),
    "Phone Number": one("phone", "phone"),
    "Zip Code": one("zip"),
    "State / Region": one("region"),
    "Email Marketing Consent": one("consent", "consent"),
    "Email Marketing Consent Timestamp": one("consent_at", "instant", 0),
    "Date Added": ("instant", (("consent_at", 1), ("date_added", 0))),
    "Profile Created On": one("profile_created_on", "instant"),
    "First Active": one("first_active", "instant"),
    "Last Active": ("instant", (("timestamp", 0), ("last_active", 0))),
    "Last Open": one("last_open", "instant"),
    "Last Click": one("last_click", "instant"),
    "Email Suppressions": one("suppressed", "suppress"),
    "Birthday": one("birthday", "date"),
    "Tags": one("tags", "list"),
    "Historic Customer Lifetime Value": one("historic_customer_lifetime_value", "money"),
    "Total Customer Lifetime Value": one("total_customer_lifetime_value", "money"),
    "Predicted Customer Lifetime Value": one("predicted_customer_lifetime_value", "money"),
    "Average Order Value": one("average_order_value", "money"),
}
_SUPPRESSIONS: Final[dict[str, Meaning]] = {
    "Reason": one("suppressed", "suppress"),
    "Timestamp": ("instant", (("suppressed_at", 0), ("timestamp", 0))),
}


def plan(plan: Plan, table: Table, options: ImportOptions) -> Plan:
    """Return the plan with the columns of a Klaviyo export."""
    forms = {normalize(name) for name in table.header}
    is_list_of_suppressions = {"reason", "timestamp"} <= forms and normalize(
        "Email Marketing Consent"
    ) not in forms
    meanings = {**_COLUMNS, **_SUPPRESSIONS} if is_list_of_suppressions else _COLUMNS
    return add_named(replace(plan, reason="ops", decimal="."), table, options, meanings)
