"""Cases that measures open: the action that opened them."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("dialogues", sa.Column("action_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Remove it again."""
    op.drop_column("dialogues", "action_id")
