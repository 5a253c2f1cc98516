"""Wishes of a person, the words of pages on which people consented, and which version of them it was."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the two tables and the two columns."""
    op.add_column("consents", sa.Column("purpose", sa.Text(), server_default="marketing", nullable=False))
    op.add_column("consents", sa.Column("wording", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "wordings",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("page", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("first_used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_wordings")),
    )
    op.create_table(
        "wishes",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('often', 'pause', 'tracking')", name=op.f("ck_wishes_kind")),
        sa.CheckConstraint("value >= 0", name=op.f("ck_wishes_value")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wishes")),
    )
    op.create_index("ix_wishes_contact_id", "wishes", ["contact_id"], unique=False)


def downgrade() -> None:
    """Drop them again."""
    op.drop_table("wishes")
    op.drop_table("wordings")
    op.drop_column("consents", "wording")
    op.drop_column("consents", "purpose")
