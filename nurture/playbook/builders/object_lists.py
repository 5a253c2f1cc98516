"""Build the objects that a measure's mails show."""

from collections.abc import Mapping
from dataclasses import replace

from nurture.domain.conditions import BUILT_INS, Term, Vocabulary
from nurture.domain.measure import ObjectBinding, ObjectList
from nurture.domain.measure.object_lists import AS_NAMED, NEWEST
from nurture.domain.playbook import Playbook, field_terms
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.builders.facts import prefixed
from nurture.playbook.document import Document
from nurture.playbook.schema.object_lists import AnyObjects, BindingFile


def build_objects(
    models: Mapping[str, AnyObjects],
    playbook: Playbook,
    entity: str | None,
    document: Document,
    conditions: ConditionParser,
) -> dict[str, ObjectBinding | ObjectList]:
    """Return the bindings and lists of a measure by name. entity: the kind that its runs are about."""
    built: dict[str, ObjectBinding | ObjectList] = {}
    vocabulary: Vocabulary | None = None
    for name, model in models.items():
        if isinstance(model, BindingFile):
            built[name] = ObjectBinding(model.kind, model.key)
            continue
        vocabulary = vocabulary or _vocabulary(playbook, entity)
        where = conditions.parse_optional(model.where, vocabulary, document, ("objects", name, "where"))
        named = model.keys or model.goes_with or ""
        built[name] = ObjectList(
            model.kind,
            named,
            goes_with=model.goes_with is not None,
            where=where,
            order=model.order or (AS_NAMED if named else NEWEST),
            fresh=bool(model.fresh),
            top=model.top,
            at_least=model.at_least or 0,
        )
    return built


def _vocabulary(playbook: Playbook, entity: str | None) -> Vocabulary:
    """Return the names of a list's `where`: an object's fields, `contact.`, `entity.` and `event.` values."""
    properties = playbook.properties
    fields = Vocabulary(field_terms(playbook.entities.get(entity or ""), properties.terms), built_ins=False)
    person = {**BUILT_INS, **playbook.vocabulary.terms}
    for name, segment in playbook.vocabulary.segments.items():
        person[name] = Term(name, "text" if segment.is_ladder else "bool")
    return Vocabulary(
        {
            **properties.terms,
            **prefixed(properties, "event"),
            **prefixed(fields, "entity"),
            **{f"contact.{name}": replace(term, name=f"contact.{name}") for name, term in person.items()},
        },
        built_ins=False,
    )
