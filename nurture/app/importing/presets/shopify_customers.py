"""Shopify's export of customers. `Accepts Email Marketing: no` is the state of everybody who never answered."""

from dataclasses import replace
from typing import Final

from nurture.app.importing.options import ImportOptions
from nurture.app.importing.plan import Plan
from nurture.app.importing.presets.columns import Meaning, add_named, one
from nurture.domain.cells.headers import normalize
from nurture.inbound.files.table import Table

_ADDRESS: Final = {
    "Company": "company",
    "Address1": "address",
    "Address2": "address_2",
    "City": "city",
    "Province": "province",
    "Province Code": "province_code",
    "Country": "country_name",
    "Country Code": "country",
    "Zip": "zip",
    "Phone": "address_phone",
}
_COLUMNS: Final[dict[str, Meaning]] = {
    "Customer ID": one("user_id", "id"),
    "First Name": one("firstName"),
    "Last Name": one("lastName"),
    "Email": one("email", "email"),
    "Accepts Email Marketing": one("consent", "consent"),
    "Accepts Marketing": one("consent", "consent"),
    **{name: one(field) for name, field in _ADDRESS.items()},
    **{f"Default Address {name}": one(field) for name, field in _ADDRESS.items()},
    "Phone": one("phone", "phone"),
    "Accepts SMS Marketing": one("accepts_sms_marketing"),
    "Total Spent": one("total_spent", "money"),
    "Total Orders": one("total_orders", "number"),
    "Note": one("note"),
    "Tax Exempt": one("tax_exempt"),
    "Tags": one("tags", "list"),
}
_BIRTHDAY: Final = ("birthday", "birthdate", "geburt", "生日")


def plan(plan: Plan, table: Table, options: ImportOptions) -> Plan:
    """Return the plan with the columns of a customer export."""
    fields = [name for name in table.header if "(customer.metafields." in name.lower()]
    birthdays = [name for name in fields if any(word in normalize(name) for word in _BIRTHDAY)]
    meanings = {**_COLUMNS, **{name: one("birthday", "date", rank) for rank, name in enumerate(birthdays)}}
    return add_named(replace(plan, decimal="."), table, options, meanings)
