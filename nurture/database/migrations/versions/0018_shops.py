"""Webhooks of shops: what each of their things said so far, and cases that are no replies."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table and the column."""
    op.create_table(
        "shop_things",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("thing", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("waits", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "thing", name=op.f("pk_shop_things")),
    )
    for kind in ("user_id", "email", "phone"):
        where = sa.text(f"{kind} IS NOT NULL")
        op.create_index(
            f"ix_shop_things_{kind}", "shop_things", [kind], postgresql_where=where, sqlite_where=where
        )
    op.create_index(
        "ix_shop_things_waits",
        "shop_things",
        ["changed_at"],
        postgresql_where=sa.text("waits"),
        sqlite_where=sa.text("waits"),
    )
    op.create_index("ix_shop_things_changed_at", "shop_things", ["changed_at"])
    op.add_column("dialogues", sa.Column("kind", sa.Text(), server_default="reply", nullable=False))


def downgrade() -> None:
    """Remove both."""
    op.drop_column("dialogues", "kind")
    op.drop_table("shop_things")
