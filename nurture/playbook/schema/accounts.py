"""The model of `accounts` in `playbook.yaml`."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from nurture.playbook.schema.events import EventMatcher
from nurture.playbook.schema.values import Name, PropertyName, Strict, Words


class SharesFile(Strict):
    """The things that every member of an account has when one of them has it."""

    entities: list[Name] = Field(default_factory=list)
    holds: list[Name] = Field(default_factory=list)
    milestones: list[Name] = Field(default_factory=list)


class AllLeads(Strict):
    """Colleagues of customers get all lead mail, for a reason."""

    all: Words


def _form(value: Any) -> str | None:
    if value == "service":
        return "service"
    return "all" if isinstance(value, (dict, AllLeads)) else None


LeadsOfCustomers = Annotated[
    Annotated[Literal["service"], Tag("service")] | Annotated[AllLeads, Tag("all")],
    Discriminator(
        _form,
        custom_error_type="form",
        custom_error_message="write `service`, or {all: WHY} where colleagues of customers get all lead mail",
    ),
]


class AccountsFile(Strict):
    """Companies whose people belong together."""

    key: PropertyName
    role: PropertyName | None = None
    joined_by: EventMatcher | None = None
    left_by: EventMatcher | None = None
    shares: SharesFile | None = None
    leads_of_customers: LeadsOfCustomers | None = None
