"""Actions: steps of runs that send no mail."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and to runs the number of their actions."""
    op.create_table(
        "actions",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("run_key", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "status IN ('waiting', 'done', 'skipped', 'failed', 'cancelled')", name=op.f("ck_actions_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_actions")),
        sa.UniqueConstraint(
            "contact_id",
            "measure",
            "run_key",
            "step",
            name=op.f("uq_actions_contact_id_measure_run_key_step"),
        ),
    )
    where = sa.text("status = 'waiting'")
    op.create_index("ix_actions_waiting", "actions", ["id"], postgresql_where=where, sqlite_where=where)
    op.create_index("ix_actions_measure", "actions", ["measure"])
    op.add_column("runs", sa.Column("actions", sa.SmallInteger(), server_default="0", nullable=False))


def downgrade() -> None:
    """Remove them again."""
    op.drop_column("runs", "actions")
    op.drop_table("actions")
