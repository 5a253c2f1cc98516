"""Lists of objects in mails: when an object was told of first, and which objects a mail has shown."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

#: 2 ** 62, as `domain.instant.FOREVER`.
_FOREVER = "4611686018427387904"


def upgrade() -> None:
    """Add the instant, and the table."""
    op.add_column("objects", sa.Column("first_at", sa.BigInteger(), server_default=_FOREVER, nullable=False))
    # The newest event is the best that is known of objects that were told of before.
    op.execute("UPDATE objects SET first_at = changed_at")
    op.create_index("ix_objects_first_at", "objects", ["kind", "first_at", "key"])
    op.create_table(
        "shown_objects",
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", "kind", "key", name=op.f("pk_shown_objects")),
    )


def downgrade() -> None:
    """Remove them again."""
    op.drop_table("shown_objects")
    op.drop_index("ix_objects_first_at", table_name="objects")
    op.drop_column("objects", "first_at")
