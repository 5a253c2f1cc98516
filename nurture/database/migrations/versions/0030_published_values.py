"""Published values: their versions, the numbers by key, and those of contacts."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "value_versions",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("in_force_at", sa.BigInteger(), nullable=False),
        sa.Column("numbers", sa.Integer(), nullable=False),
        sa.Column("news", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_value_versions")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_value_versions_name_version")),
    )
    op.create_table(
        "value_numbers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("in_force_at", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", "key", "version", name=op.f("pk_value_numbers")),
    )
    op.create_table(
        "contact_values",
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("announced_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("announced", sa.BigInteger(), nullable=True),
        sa.Column("is_waiting", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "name", name=op.f("pk_contact_values")),
    )
    where = sa.text("is_waiting")
    op.create_index(
        "ix_contact_values_waiting",
        "contact_values",
        ["contact_id"],
        postgresql_where=where,
        sqlite_where=where,
    )


def downgrade() -> None:
    """Remove them again."""
    op.drop_table("contact_values")
    op.drop_table("value_numbers")
    op.drop_table("value_versions")
