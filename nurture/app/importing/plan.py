"""The plan of an import: the meaning of each column of a file, and the rules by which its cells are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from nurture.app.importing.options import STATUSES, ImportOptions, Kind, read_language
from nurture.app.importing.suppression_words import read_reason
from nurture.domain.cells.amounts import DecimalSign
from nurture.domain.cells.headers import field_of_header, nearest, normalize
from nurture.domain.cells.moments import DateRules, DayOrder
from nurture.domain.consent.suppressions import SuppressionReason, SuppressionScope
from nurture.domain.errors import InputError
from nurture.domain.playbook import Playbook, TraitFact
from nurture.domain.timing import is_zone
from nurture.inbound.files.phones import is_country
from nurture.inbound.files.table import REASON_COLUMN, Table

#: How the cells of a column are read. auto: a number, a truth value or a text, as the cell says.
ColumnType = Literal[
    "auto", "text", "number", "money", "instant", "date", "bool", "list", "email", "id", "phone",
    "consent", "optout", "suppress", "skip",
]  # fmt: skip
#: Types that `--map column=field:TYPE` may name.
_NAMED: Final[tuple[ColumnType, ...]] = (
    "text",
    "number",
    "money",
    "instant",
    "date",
    "bool",
    "list",
    "phone",
)
IDENTITIES: Final = ("user_id", "email", "phone", "anonymous_id")
_TYPES: Final[dict[str, ColumnType]] = {
    "email": "email",
    "user_id": "id",
    "anonymous_id": "id",
    "phone": "phone",
    "timestamp": "instant",
    "consent_at": "instant",
    "suppressed_at": "instant",
    "message_id": "text",
    "event": "text",
    "consent_source": "text",
    "consent": "consent",
    "optout": "optout",
    "suppressed": "suppress",
    "birthday": "date",
    "tags": "list",
    "order_id": "text",
}
#: Properties of Segment's order events that are amounts.
MONEY: Final = ("revenue", "total", "subtotal", "shipping", "tax", "discount", "price", "value", "amount")
_DECLARED: Final[dict[str, ColumnType]] = {
    "text": "text",
    "decimal": "money",
    "integer": "number",
    "instant": "instant",
    "date": "date",
    "bool": "bool",
}
CONSENT: Final = "consent_"
OPTOUT: Final = "optout_"


@dataclass(frozen=True, slots=True)
class Column:
    """The meaning of a column: the fields that its cells fill, each with a rank (the lowest that is filled counts)."""

    name: str
    type: ColumnType
    fields: tuple[tuple[str, int], ...] = ()
    # Of a column about suppression: the reason that a yes stands for.
    reason: SuppressionReason | None = None
    # Which number is the day, where the tool always writes it so.
    order: DayOrder | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All columns of a file, and the rules."""

    kind: Kind
    dates: DateRules
    columns: Mapping[str, Column] = field(default_factory=dict)
    # Columns whose value stands on the command line.
    constants: Mapping[str, tuple[Column, str]] = field(default_factory=dict)
    decimal: DecimalSign | None = None
    topics: tuple[str, ...] = ()
    country: str | None = None
    no: Literal["nothing", "withdrawn"] = "nothing"
    status: str | None = None
    event: str | None = None
    historic: bool = False
    backlog: bool = False
    # The source that consents of the file are stored with.
    source: str = "import"
    # Of orders that name none.
    currency: str = ""
    # Of suppressions that name none, or an unknown one.
    reason: SuppressionReason = "unsubscribed"
    scope: SuppressionScope = "marketing"
    # Words that are no known reason do not suppress.
    only_known_reasons: bool = False
    # Telephone numbers without a country name nobody.
    international: bool = False
    types: Mapping[str, ColumnType] = field(default_factory=dict)

    def column_of(self, name: str) -> Column:
        """Return the meaning of a column; one that the plan does not name is a property or trait."""
        return self.columns.get(name) or self.default_column(name)

    def default_column(self, name: str) -> Column:
        """Return the meaning that a column has by its own name."""
        if normalize(name) == normalize(REASON_COLUMN):
            return Column(name, "skip")
        known = field_of_header(name) or name
        return Column(name, self.type_of(known), ((known, 0),))

    def type_of(self, name: str) -> ColumnType:
        """Return how the cells of a field are read."""
        if name in _TYPES:
            return _TYPES[name]
        if self.kind in ("contacts", "suppressions") and name.startswith(CONSENT):
            return "consent"
        if self.kind in ("contacts", "suppressions") and name.startswith(OPTOUT):
            return "optout"
        return self.types.get(name, "auto")


def declared_types(playbook: Playbook, kind: Kind) -> dict[str, ColumnType]:
    """Return property or trait -> how its cells are read, as the playbook declares its type."""
    if kind in ("contacts", "suppressions"):
        traits = (fact for fact in playbook.facts.values() if isinstance(fact, TraitFact))
        return {fact.trait: _DECLARED[fact.type] for fact in traits if fact.type in _DECLARED}
    terms = playbook.properties.terms.items()
    declared = {name: _DECLARED[term.type] for name, term in terms if term.type in _DECLARED}
    return {**dict.fromkeys(MONEY, "money"), **declared}


def basic_plan(
    options: ImportOptions, playbook: Playbook, kind: Kind, *, this_year: int, zone: str = ""
) -> Plan:
    """Return a plan without columns: the rules of the options, the playbook and the preset. Raises InputError.

    zone: of times without one, where the options name none; "": the playbook's.
    """
    rules, language = options.rules, read_language(options.locale)
    zone = rules.get("zone") or zone or playbook.default_zone
    if not is_zone(zone):
        raise InputError(
            f"--set zone={zone}: there is no such time zone; write for example zone=Europe/Berlin"
        )
    no = rules.get("no", "nothing")
    if no not in ("nothing", "withdrawn"):
        raise InputError(f"--set no={no}: write no=withdrawn, or leave it out")
    status = rules.get("status")
    if status is not None and status not in STATUSES:
        raise InputError(f"--set status={status}: write one of {', '.join(STATUSES)}")
    serials = options.date_format == "excel"
    order: DayOrder | None = language.order if language else None
    form = None if serials else _check_format(options.date_format)
    return Plan(
        kind,
        DateRules(zone, this_year, order=order, format=form, serials=serials),
        decimal=language.decimal if language else None,
        topics=read_topics(rules.get("topic"), playbook),
        country=_read_country(rules.get("country"), playbook),
        no="withdrawn" if no == "withdrawn" else "nothing",
        status=status,
        event=options.event,
        historic=options.historic or options.preset is not None,
        backlog=options.backlog == "enter",
        source=options.preset or "import",
        types=declared_types(playbook, kind),
    )


def _check_format(text: str | None) -> str | None:
    if text is not None and "%" not in text:
        raise InputError(
            f"--date-format {text}: write the places of a date, for example %d.%m.%Y %H:%M, or excel"
        )
    return text


def read_topics(text: str | None, playbook: Playbook) -> tuple[str, ...]:
    """Return the topics that `--set topic=` names, else `news` or the only one. Raises InputError."""
    known = sorted(playbook.topics)
    if text is None:
        return ("news",) if "news" in known else tuple(known[:1] if len(known) == 1 else ())
    topics = tuple(name.strip() for name in text.split(","))
    for topic in topics:
        if topic not in playbook.topics:
            raise InputError(
                f"--set topic={topic}: the playbook has no such topic; it has {', '.join(known)}"
            )
    return topics


def _read_country(text: str | None, playbook: Playbook) -> str | None:
    code = text or playbook.brand.get("default_country")
    if code is None:
        return None
    code = str(code).upper()
    if not is_country(code):
        where = "--set country" if text else "brand: default_country"
        raise InputError(f"{where}={code}: write the two letters of a country, for example DE")
    return code


def add_columns(plan: Plan, table: Table, options: ImportOptions, columns: Iterable[Column] = ()) -> Plan:
    """Return the plan with the file's columns: those of `--map` first, then the preset's, then by their own names.

    Raises InputError for a column of `--map` that the file does not have.
    """
    by_name = {column.name: column for column in columns}
    names = {normalize(name): name for name in reversed(table.header)}
    taken: dict[str, int] = {}
    for place, (wanted, target) in enumerate(options.map.items()):
        name = _find_column(wanted, table, names)
        by_name[name] = _mapped(plan, name, target, place)
        taken[by_name[name].fields[0][0]] = place
    for name in table.header:
        column = by_name.get(name) or plan.default_column(name)
        # A field that `--map` fills from one column is not filled by another one that happens to have its name.
        if name not in by_name and column.fields and column.fields[0][0] in taken:
            column = Column(name, "auto", ((name, 0),))
        by_name[name] = column
    constants = {
        name: (Column(f"--set {name}", plan.type_of(name), ((name, 1_000),)), value)
        for name, value in options.constants.items()
    }
    return replace(plan, columns=by_name, constants=constants)


def _find_column(wanted: str, table: Table, names: Mapping[str, str]) -> str:
    name = wanted if wanted in table.header else names.get(normalize(wanted))
    if name is None and not table.header:
        # Objects name their columns themselves.
        return wanted
    if name is None:
        close = nearest(wanted, table.header)
        meant = f"did you mean {' or '.join(close)}" if close else f"it has {', '.join(table.header[:20])}"
        raise InputError(f"--map {wanted}: {table.path.name} has no such column; {meant}")
    if name in table.doubled:
        raise InputError(f"--map {wanted}: {table.path.name} has two such columns; rename one of them")
    return name


def _mapped(plan: Plan, name: str, target: str, place: int) -> Column:
    if target == "-":
        return Column(name, "skip", (("", 0),))
    wanted, colon, kind = target.partition(":")
    if wanted == "suppressed" and colon:
        reason = read_reason(kind)
        if reason is None:
            raise InputError(
                f"--map {name}={target}: write unsubscribed, complaint, hard_bounce or ops as the reason"
            )
        return Column(name, "suppress", ((wanted, place),), reason=reason)
    if colon:
        known = next((named for named in _NAMED if named == kind), None)
        if known is None:
            raise InputError(f"--map {name}={target}: write a type of {', '.join(_NAMED)}")
        return Column(name, known, ((wanted, place),))
    return Column(name, plan.type_of(wanted), ((wanted, place),))


def check_plan(plan: Plan, table: Table, playbook: Playbook) -> None:
    """Refuse a plan that no row can fulfil: without anybody's name, or with an unknown topic. Raises InputError."""
    targets = [name for column in plan.columns.values() for name, _ in column.fields] + list(plan.constants)
    for target in targets:
        prefix = next((word for word in (CONSENT, OPTOUT) if target.startswith(word)), None)
        topic = target.removeprefix(prefix or "")
        if plan.kind != "contacts" or prefix is None or topic in (*playbook.topics, "at", "source"):
            continue
        known = ", ".join(sorted(playbook.topics))
        raise InputError(f"{table.path.name}: {target}: the playbook has no topic {topic!r}; it has {known}")
    by_type = any(column.type in ("email", "id") for column in plan.columns.values())
    if table.header and plan.kind != "objects" and not by_type and not set(IDENTITIES) & set(targets):
        message = (
            f"{table.path}:{table.header_line}: no column names a person; "
            f"name it with --map COLUMN=email; the file has {', '.join(table.header[:20])}"
        )
        raise InputError(message)
