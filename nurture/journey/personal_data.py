"""The tables that store personal data, and what an erasure does with the rows of each.

Every table stands either in PERSONAL or in IMPERSONAL; a test fails for one that stands in neither, and
docs/privacy.md is compared with both. Add every new table or column with personal data here: rows
found by a contact or a message are then shown by `nurture contact export` and erased without further code.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import sqlalchemy as sa

from nurture.database import schema as t
from nurture.database.bulk import any_of
from nurture.domain.event import Identity
from nurture.domain.instant import FOREVER

#: An id shorter than this stands in texts by chance.
_SHORT: Final = 5

#: The value that a column is set to, or a function from its table to the SQL expression.
Blank = Any | Callable[[sa.Table], sa.ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Personal:
    """The way to find a person's rows in a table, and the erasure of these rows."""

    # contact, message: a column of `key` holds such an id (`message_id` a message's, others a contact's).
    # names: the text is searched for the person's names. hash: by the keyed hash of an address.
    found_by: Literal["contact", "message", "names", "hash"]
    key: str
    # One sentence for docs/privacy.md.
    erasure: str
    # None: the rows are deleted. Else column -> new value; empty where `journey.erasure` does it itself.
    blank: Mapping[str, Blank] | None = field(default_factory=dict)


def _nameless(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return a text made of the row's own id: unique, and it names nobody."""
    return sa.literal("erased:").concat(sa.cast(table.c.id, sa.Text))


def _nameless_key(name: str) -> Callable[[sa.Table], sa.ColumnElement[Any]]:
    def of(table: sa.Table) -> sa.ColumnElement[Any]:
        return sa.case((table.c[name] == "", ""), else_=_nameless(table))

    return of


def _cancelled_status(table: sa.Table) -> sa.ColumnElement[Any]:
    return sa.case((table.c.status == "waiting", "cancelled"), else_=table.c.status)


def _cancelled_reason(table: sa.Table) -> sa.ColumnElement[Any]:
    return sa.case((table.c.status == "waiting", "erased"), else_=table.c.reason)


def _key_of_run(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return the new key of the run, so that ledger and runs still match."""
    run = sa.select(sa.literal("erased:").concat(sa.cast(t.runs.c.id, sa.Text))).where(
        t.runs.c.contact_id == table.c.contact_id,
        t.runs.c.measure == table.c.measure,
        t.runs.c.key == table.c.run_key,
    )
    named = sa.func.coalesce(run.scalar_subquery(), "erased")
    return sa.case((table.c.run_key == "", ""), else_=named)


def _number_of_key(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return a key that names nothing: equal for equal keys of the person's outcomes, another one for others."""
    other = t.outcomes.alias("other")
    place = (
        sa.select(sa.func.count(sa.distinct(other.c.entity_key)))
        .where(
            other.c.contact_id == table.c.contact_id,
            other.c.name == table.c.name,
            other.c.entity_key < table.c.entity_key,
        )
        .scalar_subquery()
    )
    numbered = sa.literal("erased:").concat(sa.cast(place, sa.Text))
    return sa.case((table.c.entity_key.startswith("erased:"), table.c.entity_key), else_=numbered)


def _known_source(table: sa.Table) -> sa.ColumnElement[Any]:
    """Return the source as it is where it is one of our own words; a file may bring any text along."""
    return sa.case((table.c.source.in_(_SOURCES), table.c.source), else_=_nameless(table))


#: Sources of consents that are words of our own.
_SOURCES = ("import", "ops", "web", "inbound", "simulation", "feedback")

#: In the order in which rows are overwritten: what takes its key from a run comes before runs.
PERSONAL: Final[Mapping[str, Personal]] = {
    "identities": Personal("contact", "contact_id", "deleted: every name the person is known under", None),
    "contacts": Personal(
        "contact",
        "id",
        "kept blank: address, zone, locale and facts removed; track, stage and their instants stay",
        {"email": None, "zone": None, "locale": None, "facts": {}, "adopted": "", "clock": 0,
         "wake_at": FOREVER},
    ),
    "contact_state": Personal("contact", "contact_id", "deleted: entities, last values, what was done", None),
    "baselines": Personal("contact", "contact_id", "deleted: what removed events had made", None),
    "inbox": Personal("names", "", "deleted: events not applied yet that name the person", None),
    "shop_things": Personal(
        "names", "", "deleted: orders, customers and payments of shops under a name of the person"
    ),
    "events": Personal(
        "contact",
        "contact_id",
        "deleted; of an event with revenue the name, the day, amount and currency stay, without its ids",
    ),
    "quarantine": Personal("contact", "contact_id", "deleted, also where a name stands in the text", None),
    "transitions": Personal("contact", "contact_id", "kept without evidence", {"evidence": ""}),
    "milestones": Personal(
        "contact", "contact_id", "kept without the key (an order's number)", {"key": _nameless_key("key")}
    ),
    "non_entries": Personal("contact", "contact_id", "deleted", None),
    "set_aside_measures": Personal("contact", "contact_id", "deleted", None),
    "account_members": Personal("contact", "contact_id", "deleted: the company that the person belonged to", None),
    "account_events": Personal("contact", "contact_id", "deleted: what the person told for its company", None),
    "contact_values": Personal("contact", "contact_id", "deleted: numbers computed about the person", None),
    "watches": Personal("contact", "contact_id", "deleted", None),
    "messages": Personal(
        "contact",
        "contact_id",
        "kept as rows of the ledger: unsent ones cancelled as `erased`; context, content, verdict, key and "
        "request removed",
        {"context": None, "content_hash": None, "verdict": None, "request": None, "run_key": _key_of_run},
    ),
    "coupons": Personal(
        "contact", "contact_id", "kept as a count, without the run's key", {"run_key": _key_of_run}
    ),
    "runs": Personal(
        "contact",
        "contact_id",
        "kept, active ones cancelled as `erased`; key, values and the event that began it removed",
        {"let": "{}", "data": "{}", "key": _nameless_key("key"), "entity_key": _nameless_key("entity_key")},
    ),
    "actions": Personal(
        "contact",
        "contact_id",
        "kept as counts: waiting ones cancelled; what they say and the run's key removed",
        {"data": "{}", "run_key": _key_of_run, "status": _cancelled_status, "reason": _cancelled_reason},
    ),
    "enrolments": Personal(
        "contact",
        "contact_id",
        "kept, without the language: which measure was compared for the person, with or without its mail",
        {"stratum": ""},
    ),
    "exposures": Personal("contact", "contact_id", "kept: when a mail of a comparison reached the person"),
    "outcomes": Personal(
        "contact",
        "contact_id",
        "kept as instants and amounts, without the keys of orders and other things",
        {"entity_key": _number_of_key},
    ),
    "attempts": Personal("message", "message_id", "kept without the server's words", {"reply": ""}),
    "feedback": Personal(
        "message",
        "message_id contact_id",
        "kept without report, detail and address; so is what only names the address",
        {"raw": "", "detail": "{}", "address": None},
    ),
    "consents": Personal(
        "contact",
        "contact_id",
        "kept without evidence and source",
        {"evidence": "{}", "source": _known_source},
    ),
    "requests": Personal(
        "contact",
        "contact_id",
        "kept without both addresses",
        {"address": None, "old_address": None},
    ),
    "shown_objects": Personal("message", "message_id", "deleted: which pieces and products mails have shown", None),
    "touches": Personal("message", "message_id", "deleted: who followed links, of the last day", None),
    "wishes": Personal(
        "contact", "contact_id", "kept without evidence and source", {"evidence": "{}", "source": _known_source}
    ),
    "conflicts": Personal(
        "contact", "contact_id other_id", "deleted: contacts that may be the same, events set aside", None
    ),
    "merges": Personal("contact", "survivor merged", "kept without evidence", {"evidence": "{}"}),
    "dialogues": Personal("contact", "contact_id", "kept: numbers and instants of answers; open ones are closed"),
    "hook_posts": Personal("contact", "contact_id", "deleted: numbers of events to be posted elsewhere", None),
    "notices": Personal("contact", "contact_id", "deleted: mails that passed an answer on", None),
    "suppressions": Personal(
        "hash", "address_hash", "kept and added: the keyed hash of each address is suppressed for marketing"
    ),
    "suppression_reasons": Personal(
        "contact",
        "contact_id",
        "deleted where it names the contact; the keyed hash of each address stays suppressed",
        None,
    ),
    "approvals": Personal("names", "audience", "a condition that names the person is blanked"),
    "sends": Personal("names", "audience", "a condition that names the person is blanked"),
    "send_recipients": Personal("contact", "contact_id", "deleted: nobody hands the send to them any more", None),
    "switches": Personal("names", "reason", "a reason that names the person is blanked"),
    "pauses": Personal("names", "reason", "a reason that names the person is blanked"),
    "erasures": Personal("contact", "contact_id", "kept: the contact's number and when"),
}  # fmt: skip

#: Small tables whose text may name somebody.
WORDS: Final = (
    (t.approvals, t.approvals.c.audience),
    (t.sends, t.sends.c.audience),
    (t.switches, t.switches.c.reason),
    (t.pauses, t.pauses.c.reason),
)

#: Tables without personal data, and why that is so.
IMPERSONAL: Final[Mapping[str, str]] = {
    "meta": "facts about the database",
    "shards": "numbers",
    "trials": "numbers",
    "objects": "products, pieces, pools; events that name nobody",
    "model_runs": "back-tests and weights of models, about nobody in particular",
    "value_versions": "numbers, instants and the operator who published",
    "value_numbers": "numbers of categories, products and pieces",
    "accounts": "keys of companies and numbers of their members",
    "object_wakes": "events of objects, which name nobody",
    "lanes": "rates",
    "domain_rests": "receiving domains and instants",
    "processes": "hosts, process numbers and instants",
    "lane_states": "instants, and words of mail servers without addresses",
    "sending_counts": "numbers of mails by large mailbox provider, kept for two days",
    "warm_up_days": "numbers of mails by large mailbox provider, kept for two days",
    "backlog_samples": "numbers",
    "troubles": "what the health rules found, without addresses",
    "sender_checks": "results of checks of our own DNS records and certificates",
    "experiments": "measures, shares and instants",
    "mail_changes": "numbers of mails",
    "mail_days": "numbers of mails",
    "people_changes": "numbers of people",
    "people_days": "numbers of people",
    "decisions": "figures about measures",
    "playbooks": "files of the programme; its samples are made up",
    "active_playbook": "a number",
    "imports": "a file's name and hash; its rejected rows lie beside the file, and are yours to delete",
    "job_slots": "instants",
    "journals": "names of files and numbers",
    "left_before": "keyed hashes; without the key and the address nothing can be read from them",
    "wordings": "the words of our own pages",
    "users": "operators of this installation; none of them is mailed",
    "sessions": "hashes of cookies, and instants",
    "login_failures": "keyed hashes of names, addresses and browsers, kept for five minutes",
    "api_keys": "hashes of keys of applications",
    "audit": "ids and counts of operators' acts, chained by hashes; a row cannot be changed",
}


def members_of(connection: sa.Connection, person: int) -> list[int]:
    """Return the contact and all that was merged into it."""
    statement = sa.select(t.contacts.c.id).where(
        sa.or_(t.contacts.c.id == person, t.contacts.c.survivor == person)
    )
    return list(connection.execute(statement.order_by(t.contacts.c.id)).scalars())


def is_theirs(
    connection: sa.Connection, table: sa.Table, personal: Personal, members: Sequence[int]
) -> sa.ColumnElement[bool]:
    """Return what holds for these contacts' rows of a table that is found by contact or message."""
    mine = sa.select(t.messages.c.id).where(any_of(t.messages.c.contact_id, members, connection))
    return sa.or_(
        *(
            table.c[name].in_(mine) if name == "message_id" else any_of(table.c[name], members, connection)
            for name in personal.key.split()
        )
    )


def overwrite(connection: sa.Connection, members: Sequence[int]) -> None:
    """Delete or blank every row of these contacts that PERSONAL says how to; twice is the same as once."""
    for name, personal in PERSONAL.items():
        if personal.found_by not in ("contact", "message"):
            continue
        table = t.metadata.tables[name]
        theirs = is_theirs(connection, table, personal, members)
        if personal.blank is None:
            connection.execute(sa.delete(table).where(theirs))
        elif personal.blank:
            values = {
                column: value(table) if callable(value) else value for column, value in personal.blank.items()
            }
            connection.execute(sa.update(table).where(theirs).values(**values))


def rows_of(connection: sa.Connection, table: sa.Table, members: Sequence[int]) -> list[dict[str, Any]]:
    """Return these contacts' rows of a table that is found by contact or message, in the order of its key."""
    theirs = is_theirs(connection, table, PERSONAL[table.name], members)
    found = connection.execute(sa.select(table).where(theirs).order_by(*table.primary_key.columns))
    return [dict(row) for row in found.mappings()]


def naming(
    connection: sa.Connection, table: sa.Table, column: sa.Column[Any], names: Sequence[Identity]
) -> list[Any]:
    """Return the keys of rows whose text names one of these: read whole, so only for tables that stay small.

    A short id (`7`) counts only in quotes, as JSON writes it, lest every number were the person.
    """
    if not names:
        return []
    (key,) = table.primary_key.columns
    values = sorted({value for name in names for value in spellings(name)})
    text = sa.func.lower(column)
    likely = sa.or_(*(text.contains(value, autoescape=True) for value in values))
    found = connection.execute(sa.select(key, column).where(likely))
    pattern = _pattern(values)
    return [row[0] for row in found if pattern.search(row[1].lower())]


def spellings(name: Identity) -> list[str]:
    """Return how a name may stand in a text, in lower case: an address also with its domain in letters (IDN)."""
    value = name.value.lower()
    local, at, domain = value.rpartition("@")
    if name.kind != "email" or "xn--" not in domain:
        return [value]
    labels = [
        label.removeprefix("xn--").encode().decode("punycode") if label.startswith("xn--") else label
        for label in domain.split(".")
    ]
    return [value, f"{local}{at}{'.'.join(labels)}"]


def _pattern(values: Sequence[str]) -> re.Pattern[str]:
    words = [
        f'"{re.escape(value)}"' if len(value) < _SHORT else rf"(?<![\w.+-]){re.escape(value)}(?![\w-])"
        for value in values
    ]
    return re.compile("|".join(words))
