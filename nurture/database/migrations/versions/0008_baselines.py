"""Baselines: what events that were removed for their age had made of a contact."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, and the index by which old reports are found."""
    op.create_table(
        "baselines",
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_baselines")),
    )
    is_kept = sa.text("raw != ''")
    op.create_index(
        "ix_feedback_raw", "feedback", ["received_at"], postgresql_where=is_kept, sqlite_where=is_kept
    )


def downgrade() -> None:
    """Take both away."""
    op.drop_index("ix_feedback_raw", table_name="feedback")
    op.drop_table("baselines")
