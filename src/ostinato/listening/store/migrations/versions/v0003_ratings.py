"""Ratings of pieces that were made live."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "listening_ratings",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("listener", sa.String(), nullable=False),
        sa.Column("piece", sa.String(), nullable=False),
        sa.Column("made", sa.Text(), nullable=False),
        sa.Column("midi", sa.LargeBinary(), nullable=False),
        sa.Column("rating", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.UniqueConstraint("listener", "piece"),
    )
