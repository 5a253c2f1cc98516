"""Build the tables of `playbook.yaml`."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

from nurture.domain.conditions import AT_HAND, Table, TableValue, Vocabulary
from nurture.domain.instant import parse_duration
from nurture.domain.playbook import BandFact, Fact, LabelFact
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.tables import TableFile

_PLACES = ("track", "stage", "locale", "zone")
Kind = Literal["number", "text", "duration"]


class TableBuilder:
    """Builds the tables, and checks what they are looked up by and that each text has a value."""

    def __init__(
        self,
        document: Document,
        faults: Faults,
        *,
        vocabulary: Vocabulary,
        properties: Vocabulary,
        facts: Mapping[str, Fact],
        stages: Collection[str],
    ) -> None:
        """stages: the names of the stages of both tracks."""
        self._document = document
        self._faults = faults
        self._vocabulary = vocabulary
        self._properties = properties
        self._facts = facts
        self._stages = stages

    def build(self, model: Mapping[str, TableFile]) -> dict[str, Table]:
        """Return the tables by name."""
        tables = {name: self._table(name, table) for name, table in model.items()}
        for table in tables.values():
            self._check_rows(table)
        return tables

    def label_defaults(self, tables: Mapping[str, Table]) -> dict[str, Fact]:
        """Return the facts; a label whose `else` names a table has that table."""
        facts = dict(self._facts)
        for name, fact in self._facts.items():
            table = tables.get(fact.otherwise) if isinstance(fact, LabelFact) else None  # type: ignore[arg-type]
            if table is None or not isinstance(fact, LabelFact):
                continue
            by, loc = self._facts.get(table.by), ("facts", name, "else")
            if table.by not in ("stage", "track") and (by is None or isinstance(by, LabelFact)):
                what = f"`{name}` falls back to table {table.name}, which looks up by `{table.by.rpartition('.')[2]}`"
                self._fault(loc, what, "look up by stage, track, or a fact that is no label")
            elif table.type != "text":
                self._fault(loc, f"table {table.name} holds no texts", "name a table of texts")
            else:
                facts[name] = replace(fact, otherwise=table)
        return facts

    def _table(self, name: str, model: TableFile) -> Table:
        kind = self._kind(name, model)
        rows = {key: _value(value, kind) for key, value in model.rows.items()}
        otherwise = None if model.otherwise is None else _value(model.otherwise, kind)
        return Table(name, self._by(name, model.by), rows, kind, otherwise)

    def _kind(self, name: str, model: TableFile) -> Kind:
        kinds = {_kind_of(value) for value in model.values}
        if len(kinds) > 1 and kinds != {"text", "duration"}:
            self._fault(
                ("tables", name), f"table {name} mixes numbers and texts", "give every row the same kind"
            )
        return kinds.pop() if len(kinds) == 1 else "text"

    def _by(self, name: str, by: str) -> str:
        """Return the name that conditions read: a fact, a ladder, a place, or a property at hand."""
        loc = ("tables", name, "by")
        segment = self._vocabulary.segments.get(by)
        term = self._vocabulary.terms.get(by)
        if segment is not None and not segment.is_ladder:
            self._fault(loc, f"`{by}` is a segment that is yes or no", "name a ladder, a fact or a property")
        elif term is not None and term.type != "text":
            self._fault(loc, f"`{by}` is no text", "name a text, or a ladder of conditions")
        if segment is not None or term is not None or by in _PLACES:
            return by
        if by in self._properties.terms:
            if self._properties.terms[by].type != "text":
                self._fault(loc, f"`{by}` is no text", "name a text, or a ladder of conditions")
        elif by not in self._faults.broken_names(self._document.path, "facts"):
            known = format_names({*self._vocabulary.segments, *self._properties.terms}, most=20)
            self._fault(loc, f"no fact, ladder or property `{by}`", f"known besides the facts: {known}")
        return f"{AT_HAND}.{by}"

    def _check_rows(self, table: Table) -> None:
        """Check that every row stands for a text, and that every text has a value."""
        texts, name = self._texts(table.by), table.by.rpartition(".")[2]
        bands = self._facts.get(table.by)
        if isinstance(bands, BandFact):
            self._check_row_names(table, bands.texts)
        if texts is None:
            if table.otherwise is None:
                what = f"table {table.name} has no else, and `{name}` may be any text or unknown"
                self._fault(("tables", table.name), what, "add `else:`")
            return
        self._check_row_names(table, texts)
        missing = sorted(set(texts) - set(table.rows))
        if missing and table.otherwise is None:
            what = f'table {table.name} has no row for "{missing[0]}" and no else'
            self._fault(("tables", table.name), what, "add the row, or `else:`")

    def _check_row_names(self, table: Table, texts: Collection[str]) -> None:
        for row in table.rows:
            if row not in texts:
                what = f'`{table.by.rpartition(".")[2]}` is never "{row}"'
                self._fault(("tables", table.name, "rows", row), what, f"known: {format_names(texts)}")

    def _texts(self, by: str) -> Collection[str] | None:
        """Return the texts that a name may have; None when it may be any text, or unknown."""
        segment, fact = self._vocabulary.segments.get(by), self._facts.get(by)
        if segment is not None and segment.otherwise is not None:
            return segment.texts
        if isinstance(fact, LabelFact) and fact.otherwise is not None:
            return fact.texts | fact.default_texts
        if by == "stage":
            return self._stages
        return {"lead", "customer"} if by == "track" else None

    def _fault(self, loc: Loc, what: str, change: str) -> None:
        self._faults.at(self._document, loc, what, change)


def _kind_of(value: TableValue) -> Kind:
    if not isinstance(value, str):
        return "number"
    try:
        return "duration" if parse_duration(value) >= 0 else "text"
    except (ValueError, OverflowError):
        return "text"


def _value(value: TableValue, kind: Kind) -> TableValue:
    return parse_duration(value) if kind == "duration" and isinstance(value, str) else value
