"""Suppressions are kept per subject (an address or a contact), scope and reason, so that they follow a person."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table with the rows there are; the release before goes on with its own table."""
    op.create_table(
        "suppression_reasons",
        sa.Column("address_hash", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("attributed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint(
            "address_hash", "contact_id", "scope", "reason", name=op.f("pk_suppression_reasons")
        ),
    )
    op.create_index("ix_suppression_reasons_contact_id", "suppression_reasons", ["contact_id"])
    op.execute(
        "INSERT INTO suppression_reasons (address_hash, contact_id, scope, reason, at, source, attributed) "
        "SELECT address_hash, 0, scope, reason, at, source, false FROM suppressions"
    )


def downgrade() -> None:
    """Remove the table; each address keeps its strongest reason per scope."""
    op.drop_table("suppression_reasons")
