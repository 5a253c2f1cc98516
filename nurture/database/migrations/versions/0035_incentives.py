"""Experiments: the amounts that are taken off, of the coupons that a measure gave."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("experiments", sa.Column("incentive", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """Remove it again."""
    op.drop_column("experiments", "incentive")
