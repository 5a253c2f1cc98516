"""Accounts: companies, their members, and the events that members share."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and the column; the release before reads none of them and writes NULL."""
    op.create_table(
        "accounts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("customers", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_event", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("is_unread", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_accounts")),
    )
    op.create_index(
        "ix_accounts_unread",
        "accounts",
        ["key"],
        postgresql_where=sa.text("is_unread"),
        sqlite_where=sa.text("is_unread"),
    )
    op.create_table(
        "account_members",
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("is_customer", sa.Boolean(), nullable=False),
        sa.Column("holds", sa.Text(), server_default="{}", nullable=False),
        sa.Column("handed", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_account_members")),
    )
    op.create_index("ix_account_members_account", "account_members", ["account"])
    op.create_table(
        "account_events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("historic", sa.Boolean(), nullable=False),
        sa.Column("hint", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_events")),
        sa.UniqueConstraint("account", "event_id", name=op.f("uq_account_events_account_event_id")),
    )
    op.create_index("ix_account_events_account", "account_events", ["account", "id"])
    op.add_column("messages", sa.Column("account_version", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Remove the column and the tables."""
    op.drop_column("messages", "account_version")
    op.drop_table("account_events")
    op.drop_table("account_members")
    op.drop_table("accounts")
