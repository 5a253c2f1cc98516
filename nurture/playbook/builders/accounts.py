"""Build the rules of `accounts` in `playbook.yaml`."""

from collections.abc import Collection, Mapping

from nurture.domain.accounts import CUSTOMERS, ROLE
from nurture.domain.conditions import Term
from nurture.domain.event import KIND_NAMES
from nurture.domain.event_index.entity_rules import is_over
from nurture.domain.playbook import AccountRules, EntityKind, EventMatch, Playbook
from nurture.playbook.builders.events import MatcherBuilder
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults, format_names
from nurture.playbook.schema.accounts import AccountsFile, AllLeads
from nurture.playbook.schema.programme import ProgrammeFile

#: The names that conditions may read once there are accounts.
ACCOUNT_TERMS: Mapping[str, Term] = {
    ROLE: Term(ROLE, "text"),
    CUSTOMERS: Term(CUSTOMERS, "integer", "zero"),
}


def build_accounts(
    model: ProgrammeFile,
    document: Document,
    matchers: MatcherBuilder,
    faults: Faults,
    *,
    entities: Collection[str],
) -> AccountRules | None:
    """Return the rules, None for a playbook without accounts; an unknown name is a fault."""
    file = model.accounts
    if file is None:
        return None
    _check_names(model, document, faults)
    for part, known in (
        ("entities", entities),
        ("holds", model.holds),
        ("milestones", model.milestones),
    ):
        given = getattr(file.shares, part) if file.shares is not None else []
        _check_known(part, given, faults.known(document.path, part, known), document, faults)
    joined_by = matchers.all(file.joined_by, ("accounts", "joined_by"))
    return AccountRules(
        key=file.key,
        joined_by=joined_by or (EventMatch((KIND_NAMES["group"],)),),
        left_by=matchers.all(file.left_by, ("accounts", "left_by")),
        role=file.role,
        entities=frozenset(_shared(file, "entities")),
        holds=frozenset(_shared(file, "holds")),
        milestones=frozenset(_shared(file, "milestones")),
        leads_of_customers="all" if isinstance(file.leads_of_customers, AllLeads) else "service",
    )


def check_shares(playbook: Playbook, document: Document, faults: Faults) -> None:
    """Refuse to share what moves a person: colleagues would become customers, or change their stage, unasked."""
    if playbook.accounts is None:
        return
    for name in sorted(playbook.accounts.entities):
        kind = playbook.entities.get(name)
        if kind is None:
            continue
        loc = ("accounts", "shares", "entities")
        if is_over(playbook.conversion.over, name):
            what = f"shares {name}, which converts: colleagues would become customers unasked"
            faults.at(document, loc, what, "share another entity, or take it out of `conversion`")
        for stage in playbook.stages:
            if facts := sorted(_facts_over(name, stage.when.terms, playbook)):
                what = f"shares {name}, and `{facts[0]}` is evidence of stage {stage.name}: colleagues would move"
                faults.at(
                    document,
                    loc,
                    what,
                    f"take `{facts[0]}` out of the stage's `when`, or share another entity",
                )
        _check_parts(kind, playbook, document, faults)


def _shared(file: AccountsFile, part: str) -> list[str]:
    names: list[str] = getattr(file.shares, part) if file.shares is not None else []
    return names


def _check_names(model: ProgrammeFile, document: Document, faults: Faults) -> None:
    for section, names in (("facts", model.facts), ("entities", model.entities)):
        for name in sorted({ROLE, "account"} & set(names)):
            what = f"`{name}` is made by `accounts` already"
            faults.at(document, (section, name), what, "give it another name")


def _check_known(
    part: str, given: Collection[str], known: frozenset[str], document: Document, faults: Faults
) -> None:
    singular = {"entities": "entity", "holds": "hold", "milestones": "milestone"}[part]
    for name in given:
        if name not in known:
            loc: Loc = ("accounts", "shares", part)
            faults.at(document, loc, f"no {singular} `{name}`", f"known: {format_names(known, most=40)}")


def _facts_over(kind: str, names: Collection[str], playbook: Playbook) -> set[str]:
    """Return those of the names that follow from entities of a kind."""
    following = {name for name, fact in playbook.facts.items() if is_over(getattr(fact, "over", ()), kind)}
    return {name for name in names if name.partition(".")[0] in (following | {kind})}


def _check_parts(kind: EntityKind, playbook: Playbook, document: Document, faults: Faults) -> None:
    """Refuse a part whose whole is not shared: a reversal of the whole would not reach the colleagues."""
    rules = playbook.accounts
    if rules is not None and kind.within and kind.within not in rules.entities:
        what = f"shares {kind.name}, which is within {kind.within}, and not {kind.within}"
        faults.at(document, ("accounts", "shares", "entities"), what, f"share {kind.within} too, or neither")
