"""Measurement: epochs of experiments, who entered them, who was reached, outcomes, and decisions."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables, and to the active playbook what is in force."""
    op.create_table(
        "decisions",
        sa.Column("experiment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("log_e", sa.Float(), nullable=False),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("treated", sa.BigInteger(), nullable=False),
        sa.Column("control", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), server_default="", nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("experiment", "day", "verdict", name=op.f("pk_decisions")),
    )
    op.create_table(
        "enrolments",
        sa.Column("experiment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("arm", sa.SmallInteger(), nullable=False),
        sa.Column("entered_at", sa.BigInteger(), nullable=False),
        sa.Column("matures_at", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.Text(), server_default="", nullable=False),
        sa.Column("stratum", sa.Text(), server_default="", nullable=False),
        sa.Column("spent_before", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("experiment", "contact_id", name=op.f("pk_enrolments")),
    )
    op.create_index("ix_enrolments_contact", "enrolments", ["contact_id"], unique=False)
    op.create_table(
        "experiments",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("arms", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("is_amount", sa.Boolean(), nullable=False),
        sa.Column("expect", sa.Text(), nullable=False),
        sa.Column("within", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), server_default="", nullable=False),
        sa.Column("cap", sa.BigInteger(), nullable=True),
        sa.Column("declared", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_experiments")),
    )
    op.create_index("ix_experiments_measure", "experiments", ["measure", "id"], unique=False)
    op.create_table(
        "exposures",
        sa.Column("experiment", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("experiment", "contact_id", name=op.f("pk_exposures")),
    )
    op.create_index("ix_exposures_contact", "exposures", ["contact_id"], unique=False)
    op.create_table(
        "outcomes",
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("entity_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("kind IN ('counted', 'reversed', 'adjusted')", name=op.f("ck_outcomes_kind")),
        sa.PrimaryKeyConstraint("contact_id", "name", "entity_key", "kind", "at", name=op.f("pk_outcomes")),
    )

    op.create_table(
        "pauses",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pauses")),
    )
    where = sa.text("until IS NULL")
    op.create_index(
        "ix_pauses_open", "pauses", ["name", "mode"], unique=True, postgresql_where=where, sqlite_where=where
    )
    op.add_column("active_playbook", sa.Column("in_force", sa.Text(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Remove them again."""
    op.drop_column("active_playbook", "in_force")
    for table in ("pauses", "decisions", "outcomes", "exposures", "enrolments", "experiments"):
        op.drop_table(table)
