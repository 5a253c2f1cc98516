"""Rows that every process writes about itself, the state of each lane's server, and counts of what became of mail."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "processes",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.Column("doing", sa.Text(), server_default="", nullable=False),
        sa.Column("broker_at", sa.BigInteger(), nullable=True),
        sa.Column("broker_error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("host", "pid", name=op.f("pk_processes")),
    )
    op.create_table(
        "lane_states",
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("success_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("failure_at", sa.BigInteger(), nullable=True),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("stage", sa.Text(), server_default="", nullable=False),
        sa.Column("words", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_lane_states")),
    )
    counted = ("sent", "hard_bounces", "deferred", "complaints")
    op.create_table(
        "sending_counts",
        sa.Column("slot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default="0", nullable=False) for name in counted),
        sa.PrimaryKeyConstraint("slot", "lane", "domain", name=op.f("pk_sending_counts")),
    )
    op.create_table(
        "backlog_samples",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("queue", "at", name=op.f("pk_backlog_samples")),
    )
    op.create_table(
        "troubles",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_troubles")),
    )
    op.create_table(
        "sender_checks",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sender_checks")),
    )


def downgrade() -> None:
    """Remove them."""
    for name in (
        "sender_checks",
        "troubles",
        "backlog_samples",
        "sending_counts",
        "lane_states",
        "processes",
    ):
        op.drop_table(name)
