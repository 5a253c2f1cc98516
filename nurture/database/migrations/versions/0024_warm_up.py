"""Mails of each day of a lane that is warming up."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "warm_up_days",
        sa.Column("day", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("mails", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ceiling", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("day", "lane", "domain", name=op.f("pk_warm_up_days")),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("warm_up_days")
