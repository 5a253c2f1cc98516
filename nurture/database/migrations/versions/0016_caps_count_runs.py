"""Columns that say how a mail counts toward caps, and whether an applied event was told by a hint."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

#: Mails of runs that have a coupon, from before the column.
_WITH_CODE = """
UPDATE messages SET has_code = true WHERE EXISTS (
    SELECT 1 FROM coupons
    WHERE coupons.contact_id = messages.contact_id
      AND coupons.measure = messages.measure
      AND coupons.run_key = messages.run_key
)
"""


def upgrade() -> None:
    """Add the columns; events from before count as told by a trusted source."""
    op.add_column("messages", sa.Column("began_as", sa.Text(), nullable=True))
    op.add_column("messages", sa.Column("asked_for", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("messages", sa.Column("has_code", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("events", sa.Column("hint", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(_WITH_CODE)


def downgrade() -> None:
    """Remove them again."""
    op.drop_column("events", "hint")
    op.drop_column("messages", "has_code")
    op.drop_column("messages", "asked_for")
    op.drop_column("messages", "began_as")
