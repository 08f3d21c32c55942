"""How often an answer was sent again: double clicks, second tabs, lost connections."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; answers so far were counted once."""
    column = sa.Column("repeats", sa.Integer(), nullable=False, server_default="0")
    op.add_column("listening_answers", column)
