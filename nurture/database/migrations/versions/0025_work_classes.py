"""Classes of work: shards for bulk work, due mails by class, and receiving domains that rest."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_CLASS = "CASE purpose WHEN 'transactional' THEN 0 WHEN 'service' THEN 1 ELSE 2 END"


def upgrade() -> None:
    """Add the shards, the index and the table; the release before works the new shards like the others."""
    op.bulk_insert(sa.table("shards", sa.column("id")), [{"id": number} for number in range(64, 128)])
    where = sa.text("status = 'waiting'")
    op.create_index(
        "ix_messages_due_by_class",
        "messages",
        ["lane", sa.text(f"({_CLASS})"), "due_at"],
        postgresql_where=where,
        sqlite_where=where,
    )
    op.create_table(
        "domain_rests",
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane", "domain", name=op.f("pk_domain_rests")),
    )


def downgrade() -> None:
    """Remove the table, the index and the shards; rows of bulk work go back into the first 64."""
    op.drop_table("domain_rests")
    op.drop_index("ix_messages_due_by_class", table_name="messages")
    op.execute("UPDATE inbox SET shard = shard - 64 WHERE shard >= 64")
    op.execute("DELETE FROM trials WHERE shard >= 64")
    op.execute("DELETE FROM shards WHERE id >= 64")
