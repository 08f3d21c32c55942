"""Tables of the store. Times are seconds since 1970; JSON is stored as text."""

from sqlalchemy import ForeignKey, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables; the migrations create them."""


class StudyRow(Base):
    """One study: its settings and trial lists as they were when the first listener came."""

    __tablename__ = "listening_studies"
    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    plan: Mapped[str] = mapped_column(Text)
    secret: Mapped[str]
    simulated: Mapped[bool]
    stopped: Mapped[bool] = mapped_column(default=False)
    withdrawn: Mapped[int] = mapped_column(default=0)


class ListenerRow(Base):
    """One listener; of the token only the hash is kept. slot: the trial list."""

    __tablename__ = "listening_listeners"
    id: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("listening_studies.id"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    slot: Mapped[int]
    language: Mapped[str]
    state: Mapped[str]
    began_at: Mapped[float]
    seen_at: Mapped[float]
    finished_at: Mapped[float | None]
    code: Mapped[str]
    simulated: Mapped[bool]


class TrialRow(Base):
    """One trial of one listener; key: its opaque name in the browser."""

    __tablename__ = "listening_trials"
    __table_args__ = (UniqueConstraint("listener", "number"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    listener: Mapped[int] = mapped_column(
        ForeignKey("listening_listeners.id", ondelete="CASCADE"), index=True
    )
    number: Mapped[int]
    key: Mapped[str] = mapped_column(unique=True)
    spec: Mapped[str] = mapped_column(Text)
    shown_at: Mapped[float | None]
    views: Mapped[int] = mapped_column(default=0)


class SoundRow(Base):
    """An opaque name of a stimulus in one trial."""

    __tablename__ = "listening_sounds"
    key: Mapped[str] = mapped_column(primary_key=True)
    trial: Mapped[int] = mapped_column(
        ForeignKey("listening_trials.id", ondelete="CASCADE"), index=True
    )
    role: Mapped[str]
    stimulus: Mapped[str]


class AnswerRow(Base):
    """The one answer to a trial; the primary key refuses a second one."""

    __tablename__ = "listening_answers"
    trial: Mapped[int] = mapped_column(
        ForeignKey("listening_trials.id", ondelete="CASCADE"), primary_key=True
    )
    answer: Mapped[str] = mapped_column(Text)
    log: Mapped[str] = mapped_column(Text)
    received_at: Mapped[float]
    response_ms: Mapped[int]
    repeats: Mapped[int] = mapped_column(default=0)


class RatingRow(Base):
    """One listener's rating of one piece that was made live. made: what made it, as JSON."""

    __tablename__ = "listening_ratings"
    __table_args__ = (UniqueConstraint("listener", "piece"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    listener: Mapped[str]
    piece: Mapped[str]
    made: Mapped[str] = mapped_column(Text)
    midi: Mapped[bytes] = mapped_column(LargeBinary)
    rating: Mapped[int]
    comment: Mapped[str] = mapped_column(Text)
    received_at: Mapped[float]
