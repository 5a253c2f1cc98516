"""Answers to our mails: dialogues with an owner and a due time, and the mails that tell our own people."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "dialogues",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("escalated_at", sa.BigInteger()),
        sa.Column("closed_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dialogues")),
    )
    op.create_index("ix_dialogues_contact_id", "dialogues", ["contact_id"])
    is_open = sa.text("closed_at IS NULL")
    op.create_index(
        "ix_dialogues_open", "dialogues", ["due_at"], postgresql_where=is_open, sqlite_where=is_open
    )
    op.create_table(
        "notices",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dialogue_id", sa.BigInteger()),
        sa.Column("contact_id", sa.BigInteger()),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("lease_until", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("sent_at", sa.BigInteger()),
        sa.Column("reply", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    unsent = sa.text("sent_at IS NULL")
    op.create_index("ix_notices_due", "notices", ["due_at"], postgresql_where=unsent, sqlite_where=unsent)
    op.create_index("ix_notices_contact_id", "notices", ["contact_id"])


def downgrade() -> None:
    """Take both tables away."""
    op.drop_table("notices")
    op.drop_table("dialogues")
