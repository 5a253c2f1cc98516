"""The owner of the old address can object to a change of address."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("requests", sa.Column("objected_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("requests", "objected_at")
