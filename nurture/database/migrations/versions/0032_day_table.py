"""The day table: mails by status and people by stage, and what they are on the day of this migration."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Begin of the quarter of an hour.
_SLOT = "(({at}) - ({at}) % 900000000)"
_MAIL = "measure, step, '', track, asked_for"
_COUNTED_AS = "CASE WHEN status IN ('ready', 'on_wire') THEN 'waiting' ELSE status END"
_REASON = "CASE WHEN status IN ('skipped', 'cancelled', 'expired', 'failed') THEN reason ELSE '' END"
_CHANGED_AT = "coalesce(settled_at, sent_at, decided_at)"
#: Every mail waited since it was decided; those that wait no more have had another status since they were settled.
_MAILS = (
    (_SLOT.format(at="decided_at"), "'waiting'", "''", 1, "1 = 1"),
    (_SLOT.format(at=_CHANGED_AT), "'waiting'", "''", -1, "status NOT IN ('waiting', 'ready', 'on_wire')"),
    (
        _SLOT.format(at=_CHANGED_AT),
        _COUNTED_AS,
        _REASON,
        1,
        "status NOT IN ('waiting', 'ready', 'on_wire')",
    ),
)


def _counted_mails() -> list[sa.Column[str] | sa.Column[bool]]:
    return [
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("asked_for", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
    ]


def upgrade() -> None:
    """Add the tables, and count what is there."""
    op.add_column("messages", sa.Column("variant", sa.Text(), nullable=True))
    op.create_table(
        "mail_changes",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        *_counted_mails(),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_changes")),
    )
    op.create_table(
        "mail_days",
        sa.Column("day", sa.Text(), nullable=False),
        *_counted_mails(),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("day", "measure", "step", "variant", "track", "asked_for", "status", "reason"),
            name=op.f("pk_mail_days"),
        ),
    )
    op.create_table(
        "people_changes",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people_changes")),
    )
    op.create_table(
        "people_days",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("track", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "track", "stage", name=op.f("pk_people_days")),
    )
    for slot, status, reason, number, where in _MAILS:
        # S608: all parts are literals of this module.
        op.execute(
            "INSERT INTO mail_changes (slot, measure, step, variant, track, asked_for, status, reason, n) "  # noqa: S608
            f"SELECT {slot}, {_MAIL}, {status}, {reason}, {number} * count(*) FROM messages WHERE {where} "
            "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8"
        )
    stage_since = _SLOT.format(at="CASE WHEN stage_since > 0 THEN stage_since ELSE 0 END")
    op.execute(
        "INSERT INTO people_changes (slot, track, stage, n) "  # noqa: S608
        f"SELECT {stage_since}, track, stage, count(*) FROM contacts "
        "WHERE survivor IS NULL AND erased_at IS NULL GROUP BY 1, 2, 3"
    )


def downgrade() -> None:
    """Remove them again."""
    for table in ("people_days", "people_changes", "mail_days", "mail_changes"):
        op.drop_table(table)
    op.drop_column("messages", "variant")
