"""Touches: GETs behind the links of mails, until they are judged."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "touches",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("judged_at", sa.BigInteger(), nullable=True),
        sa.Column("sign", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_touches")),
    )
    op.create_index("ix_touches_judged_at", "touches", ["judged_at"], unique=False)
    op.create_index("ix_touches_message_id", "touches", ["message_id"], unique=False)
    op.create_index(
        "ix_touches_unjudged",
        "touches",
        ["at"],
        unique=False,
        postgresql_where=sa.text("judged_at IS NULL"),
        sqlite_where=sa.text("judged_at IS NULL"),
    )


def downgrade() -> None:
    """Drop it again."""
    op.drop_table("touches")
