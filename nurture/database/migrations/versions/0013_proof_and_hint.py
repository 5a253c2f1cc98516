"""How identities and events were told, kinds of API keys, and conflicts that people decide."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns and the table; rows from before count as told by a trusted source."""
    op.add_column("inbox", sa.Column("hint", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("identities", sa.Column("told", sa.Text(), server_default="trusted", nullable=False))
    op.add_column("api_keys", sa.Column("kind", sa.Text(), nullable=True))
    op.create_table(
        "conflicts",
        sa.Column("id", _BIG_ID, autoincrement=True, nullable=False),
        sa.Column("contact_id", sa.BigInteger(), nullable=False),
        sa.Column("other_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('open', 'merged', 'separate')", name=op.f("ck_conflicts_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflicts")),
        sa.UniqueConstraint("contact_id", "subject", name=op.f("uq_conflicts_contact_id_subject")),
    )
    has_other = sa.text("other_id IS NOT NULL")
    op.create_index(
        "ix_conflicts_other_id", "conflicts", ["other_id"], postgresql_where=has_other, sqlite_where=has_other
    )
    undecided = sa.text("state = 'open'")
    op.create_index(
        "ix_conflicts_open", "conflicts", ["id"], postgresql_where=undecided, sqlite_where=undecided
    )


def downgrade() -> None:
    """Remove them again."""
    op.drop_table("conflicts")
    op.drop_column("api_keys", "kind")
    op.drop_column("identities", "told")
    op.drop_column("inbox", "hint")
