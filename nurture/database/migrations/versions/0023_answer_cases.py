"""Answers in surveys and reviews open cases."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, and the key that lets an answer open one case."""
    op.add_column("dialogues", sa.Column("event_id", sa.BigInteger(), nullable=True))
    op.add_column("dialogues", sa.Column("told_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_dialogues_event_id", "dialogues", ["event_id"], unique=True)


def downgrade() -> None:
    """Remove the columns."""
    op.drop_index("ix_dialogues_event_id", "dialogues")
    op.drop_column("dialogues", "told_at")
    op.drop_column("dialogues", "event_id")
