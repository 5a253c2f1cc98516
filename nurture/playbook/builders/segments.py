"""Build the segments of `playbook.yaml`, and the vocabulary that knows them."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from nurture.domain.conditions import SegmentText, Vocabulary
from nurture.domain.conditions.segments import find_circle
from nurture.domain.playbook import Segment
from nurture.playbook.builders.conditions import ConditionParser
from nurture.playbook.builders.facts import RESERVED
from nurture.playbook.document import Document, Loc
from nurture.playbook.fault import Faults
from nurture.playbook.schema.segments import SegmentFile, rungs_of

#: A built-in name that conditions of earlier playbooks may read, and that nothing fills: a ladder may take it.
_FREE = frozenset({"lifecycle"})


def with_segments(
    vocabulary: Vocabulary,
    model: Mapping[str, SegmentFile],
    *,
    entities: Collection[str],
    document: Document,
    faults: Faults,
) -> Vocabulary:
    """Return the vocabulary with the segments; those that cannot be read are left out, with a fault."""
    texts = {name: segment_text(name, entry) for name, entry in model.items()}
    for name in list(texts):
        loc = ("segments", name)
        if name in vocabulary.terms or name in entities:
            kind = "an entity" if name in entities else "a fact"
            faults.at(document, loc, f"`{name}` is {kind} already", "give the segment another name")
        elif name in RESERVED and name not in _FREE:
            faults.at(document, loc, f"`{name}` has a meaning already", "rename it")
        else:
            continue
        del texts[name]
    while circle := find_circle(texts.values()):
        what = "segment " + " reads ".join(circle)
        faults.at(document, ("segments", circle[0]), what, "break the circle")
        for name in circle[:-1]:
            del texts[name]
            faults.mark_broken(document.path, ("segments", name))
    return replace(vocabulary, segments=texts)


def segment_text(name: str, entry: SegmentFile) -> SegmentText:
    """Return a segment as written."""
    if isinstance(entry, str):
        return SegmentText(name, (("", entry),))
    rungs = rungs_of(entry)
    otherwise = next((text for rung, text in rungs if rung == "else"), None)
    return SegmentText(name, tuple(rung for rung in rungs if rung[0] != "else"), otherwise, is_ladder=True)


def build_segments(
    vocabulary: Vocabulary, document: Document, conditions: ConditionParser
) -> dict[str, Segment]:
    """Return the segments with their parsed conditions."""
    segments: dict[str, Segment] = {}
    for name, text in vocabulary.segments.items():
        rungs = []
        for place, (rung, when) in enumerate(text.rungs):
            loc: Loc = ("segments", name, place, rung) if text.is_ladder else ("segments", name)
            rungs.append((rung, conditions.parse(when, vocabulary, document, loc)))
        segments[name] = Segment(name, tuple(rungs), text.otherwise, is_ladder=text.is_ladder)
    return segments
