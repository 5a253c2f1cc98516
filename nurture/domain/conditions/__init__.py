"""The condition language of audiences, stage evidence, triggers and steps.

A condition is text in Python's expression syntax over the names of a `Vocabulary`. It is parsed once (text ->
`syntax` -> `build` -> `nodes`) and read four ways: truth for one contact (`evaluate`), the first instant at
which the answer differs (`change`), an explanation (`explain`), and SQL over all contacts
(`nurture.database.condition_sql`). Answers are yes, no or unknown, joined by Kleene's three-valued logic.
"""

from nurture.domain.conditions.condition import ALWAYS, Condition, parse
from nurture.domain.conditions.explain import Explanation
from nurture.domain.conditions.nodes import stored_keys
from nurture.domain.conditions.tables import AT_HAND, Table, TableValue
from nurture.domain.conditions.terms import BUILT_INS, Reading, SegmentText, Term, TermType, Truth, Vocabulary
from nurture.domain.conditions.values import in_measure_key, last_sent_key

__all__ = [
    "ALWAYS",
    "AT_HAND",
    "BUILT_INS",
    "Condition",
    "Explanation",
    "Reading",
    "SegmentText",
    "Table",
    "TableValue",
    "Term",
    "TermType",
    "Truth",
    "Vocabulary",
    "in_measure_key",
    "last_sent_key",
    "parse",
    "stored_keys",
]
