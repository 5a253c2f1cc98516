"""Feedback says whom it is about, how bad it is, and whether it has acted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ADDED = ("detail", "applied_at", "received_at", "address", "contact_id", "machine", "severity")


def upgrade() -> None:
    """Add what a report says beside its kind; what was kept before counts as applied long ago."""
    for column in (
        sa.Column("severity", sa.Text, nullable=False, server_default=""),
        sa.Column("machine", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("contact_id", sa.BigInteger),
        sa.Column("address", sa.Text),
        sa.Column("received_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("applied_at", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False, server_default="{}"),
    ):
        op.add_column("feedback", column)
    op.execute("UPDATE feedback SET applied_at = at")
    known = sa.text("address IS NOT NULL")
    op.create_index(
        "ix_feedback_address", "feedback", ["address"], postgresql_where=known, sqlite_where=known
    )
    waits = sa.text("applied_at IS NULL")
    op.create_index(
        "ix_feedback_unapplied", "feedback", ["received_at"], postgresql_where=waits, sqlite_where=waits
    )
    heard = sa.text("kind IN ('bounce', 'delivered')")
    op.create_index(
        "ix_feedback_heard", "feedback", ["received_at"], postgresql_where=heard, sqlite_where=heard
    )


def downgrade() -> None:
    """Take the columns away again."""
    for name in ("ix_feedback_heard", "ix_feedback_unapplied", "ix_feedback_address"):
        op.drop_index(name, "feedback")
    for name in _ADDED:
        op.drop_column("feedback", name)
