"""Attempts are counted for a batch as a whole, in one row for each shard, and not in each of its rows."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "trials",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("up_to", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "up_to", name=op.f("pk_trials")),
    )


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("trials")
