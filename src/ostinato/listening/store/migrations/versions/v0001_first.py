"""Studies, listeners, trials, sounds and answers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "listening_studies",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
    )
    op.create_table(
        "listening_listeners",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "study", sa.String(), sa.ForeignKey("listening_studies.id"), nullable=False, index=True
        ),
        sa.Column("token_hash", sa.String(), nullable=False, unique=True),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double()),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "listening_trials",
        sa.Column("id", sa.Integer(), primary_key=True),
        _parent("listener", "listening_listeners.id", index=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False, unique=True),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("shown_at", sa.Double()),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.UniqueConstraint("listener", "number"),
    )
    op.create_table(
        "listening_sounds",
        sa.Column("key", sa.String(), primary_key=True),
        _parent("trial", "listening_trials.id", index=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("stimulus", sa.String(), nullable=False),
    )
    op.create_table(
        "listening_answers",
        _parent("trial", "listening_trials.id", primary_key=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("response_ms", sa.Integer(), nullable=False),
    )


def _parent(name: str, column: str, **options: bool) -> sa.Column[int]:
    key = sa.ForeignKey(column, ondelete="CASCADE")
    return sa.Column(name, sa.Integer(), key, nullable=False, **options)  # type: ignore[arg-type]
