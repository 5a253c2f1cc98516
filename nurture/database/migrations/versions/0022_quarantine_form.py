"""Quarantined items are kept whole, so that they can be handed in again."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; items of before were cut and cannot be handed in again."""
    op.add_column("quarantine", sa.Column("form", sa.Text(), nullable=True))
    op.add_column("quarantine", sa.Column("hint", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    """Remove the columns."""
    op.drop_column("quarantine", "hint")
    op.drop_column("quarantine", "form")
