"""Processes: fingerprints of their settings."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; a process of the release before leaves it empty."""
    op.add_column("processes", sa.Column("settings", sa.Text(), server_default="{}", nullable=False))


def downgrade() -> None:
    """Remove it again."""
    op.drop_column("processes", "settings")
