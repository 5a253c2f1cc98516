"""Sends that can be paused, cancelled, rated and continued by a worker."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, the list of recipients, and the indexes by request."""
    for column in (
        sa.Column("options", sa.Text(), server_default="{}", nullable=False),
        sa.Column("send_at", sa.BigInteger(), nullable=True),
        sa.Column("meant", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default="running", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.Column("rate", sa.Integer(), nullable=True),
        sa.Column("next_free_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("withdrawn", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.BigInteger(), server_default="0", nullable=False),
    ):
        op.add_column("sends", column)
    op.add_column("approvals", sa.Column("rate", sa.Integer(), nullable=True))
    op.add_column("non_entries", sa.Column("request", sa.Text(), nullable=True))
    op.create_table(
        "send_recipients",
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("request", "contact_id", name=op.f("pk_send_recipients")),
    )
    op.create_index("ix_send_recipients_contact_id", "send_recipients", ["contact_id"])
    op.create_index(
        "ix_sends_unfinished",
        "sends",
        ["at"],
        postgresql_where=sa.text("done = false"),
        sqlite_where=sa.text("done = 0"),
    )
    requested = sa.text("request IS NOT NULL")
    for table, columns in (("messages", ["request", "contact_id"]), ("non_entries", ["request"])):
        op.create_index(
            f"ix_{table}_request", table, columns, postgresql_where=requested, sqlite_where=requested
        )


def downgrade() -> None:
    """Remove them."""
    for table in ("non_entries", "messages"):
        op.drop_index(f"ix_{table}_request", table)
    op.drop_index("ix_sends_unfinished", "sends")
    op.drop_table("send_recipients")
    op.drop_column("non_entries", "request")
    op.drop_column("approvals", "rate")
    for name in (
        *("lease_until", "withdrawn", "next_free_at", "rate", "changed_at", "changed_by", "reason"),
        *("state", "meant", "send_at", "options"),
    ):
        op.drop_column("sends", name)
