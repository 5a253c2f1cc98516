"""Models: what each gave, by week."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "model_runs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("week", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("figures", sa.Text(), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("name", "week", name=op.f("pk_model_runs")),
    )


def downgrade() -> None:
    """Remove it again."""
    op.drop_table("model_runs")
