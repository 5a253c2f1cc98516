"""A run names its entity (what it is about) beside its key (how often), and the measure in which it began.

Active runs, and ended ones whose mail still waits, get their entity from the active playbook, where the run's key or
the event that began it names it. The others stay without one. A send that waits for approval keeps its options.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic import op
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

#: Values of `once` under which the stored key of a run with an entity was already that entity's.
_ENTITY_KEYED = frozenset({"contact", "entity"})
_FILES = sa.text(
    "SELECT p.files FROM playbooks p JOIN active_playbook a ON a.playbook_id = p.id WHERE a.id = 1"
)
_RUNS = sa.text(
    "SELECT id, entity_key, data FROM runs WHERE measure = :measure AND entity = '' AND (status = 'active' OR EXISTS ("
    "SELECT 1 FROM messages m WHERE m.contact_id = runs.contact_id AND m.measure = runs.measure "
    "AND m.run_key = runs.key AND m.status IN ('waiting', 'ready')))"
)
_SET = sa.text("UPDATE runs SET entity = :entity, entity_key = :entity_key WHERE id = :id")


class _Measure(NamedTuple):
    """The part of a measure that says what its runs are about."""

    path: str
    entity: str
    # The property that names the entity.
    key: str
    per: str


def upgrade() -> None:
    """Add the columns and fill them for runs that can still send mail."""
    for name in ("entity", "began_as"):
        op.add_column("runs", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    op.add_column("approvals", sa.Column("options", sa.Text(), nullable=False, server_default="{}"))
    connection = op.get_bind()
    files = connection.execute(_FILES).scalar()
    for measure in _measures(json.loads(files)) if files else ():
        rows = connection.execute(_RUNS, {"measure": measure.path}).all()
        values = [
            {"id": row.id, "entity": measure.entity, "entity_key": key}
            for row in rows
            if (key := _key_of(measure, row.entity_key, json.loads(row.data)))
        ]
        if values:
            connection.execute(_SET, values)


def downgrade() -> None:
    """Remove the columns."""
    op.drop_column("approvals", "options")
    for name in ("began_as", "entity"):
        op.drop_column("runs", name)


def _measures(files: Mapping[str, str]) -> Iterator[_Measure]:
    facts = _read(files.get("playbook.yaml", "")).get("facts") or {}
    for path, text in files.items():
        if not path.endswith("/measure.yaml"):
            continue
        model = _read(text)
        trigger = model.get("trigger")
        of_trigger = trigger.get("entity") if isinstance(trigger, dict) else None
        entity = model.get("entity") or of_trigger
        fact = facts.get(entity) if isinstance(entity, str) else None
        key = fact.get("entity") if isinstance(fact, dict) else None
        if isinstance(entity, str) and isinstance(key, str):
            per = _per(model.get("once"), is_silence=of_trigger is not None)
            yield _Measure(path.removesuffix("/measure.yaml"), entity, key, per)


def _read(text: str) -> dict[str, Any]:
    try:
        model = YAML(typ="safe").load(text)
    except YAMLError:
        return {}
    return model if isinstance(model, dict) else {}


def _per(once: Any, *, is_silence: bool) -> str:
    if isinstance(once, dict):
        return str(once.get("per", "contact"))
    if isinstance(once, str):
        return once.removeprefix("per ")
    return "entity" if is_silence else "contact"


def _key_of(measure: _Measure, stored: str, data: Mapping[str, Any]) -> str:
    """Return the key of the run's entity, "" when neither the run's key nor its event names one."""
    value = (data.get("properties") or {}).get(measure.key)
    if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        return str(value)[:200]
    return stored if measure.per in _ENTITY_KEYED or measure.per == measure.key else ""
