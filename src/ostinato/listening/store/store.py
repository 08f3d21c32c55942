"""What the server asks of the store. Every change is one transaction, committed before it returns.

An answer is stored once: a second one to the same trial leaves the first as it was.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Engine, Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ostinato.listening.design import Trial
from ostinato.listening.plan import Plan, trial_of
from ostinato.listening.store.answers import check_answer, check_log, check_milliseconds
from ostinato.listening.store.database import erase, shown
from ostinato.listening.store.tables import AnswerRow, ListenerRow, SoundRow, StudyRow, TrialRow

NEW, RUNNING, DONE = "new", "running", "done"
TOKEN_BYTES = 24
KEY_BYTES = 16
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # of completion codes: nothing that looks alike
CODE_LETTERS = 8
ABANDONED_SECONDS = 24 * 3600.0


class Closed(ValueError):
    """The study takes no more listeners."""


class Refused(ValueError):
    """An answer that cannot be stored."""


@dataclass(frozen=True)
class Current:
    """The trial that a listener is at, with opaque names of its sounds in order of presentation."""

    key: str
    number: int
    count: int
    trial: Trial
    sounds: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Listener:
    """A listener as the pages need it."""

    id: int
    language: str
    state: str
    code: str


class Store:
    """Answers of one study."""

    def __init__(self, engine: Engine, plan: Plan, clock: Callable[[], float] = time.time) -> None:
        self.engine, self.plan, self._clock = engine, plan, clock
        self._writing = engine.execution_options(writes=True)

    def register(self, *, simulated: bool) -> None:
        """Enter the study, or check that the one in the store is the same.

        Raises:
            ValueError: the file changed and answers exist; or the study is simulated, this is not.
        """
        study = self.plan.study
        with Session(self._writing) as session, session.begin():
            row = session.get(StudyRow, study.id)
            if row is not None and row.simulated != simulated:
                kind = "simulated" if row.simulated else "real"
                raise ValueError(
                    f"{shown(str(self.engine.url))} holds {kind} answers of {study.id}; "
                    "simulated and real ones are not mixed: take another store"
                )
            if row is not None and row.digest == self.plan.digest:
                return
            count = _count(session, study.id)
            if row is not None and count:
                raise ValueError(
                    f"the file or the music of {study.id} changed, and {count} listeners have "
                    f"begun: give the changed test a new id, such as id: {study.id}-2, or undo "
                    "the change"
                )
            if row is not None:
                session.delete(row)
                session.flush()
            session.add(
                StudyRow(
                    id=study.id,
                    digest=self.plan.digest,
                    plan=json.dumps(self.plan.plain(), ensure_ascii=False),
                    secret=secrets.token_hex(32),
                    simulated=simulated,
                )
            )

    @property
    def secret(self) -> bytes:
        """The key of the study's signatures."""
        with Session(self.engine) as session:
            return bytes.fromhex(session.get_one(StudyRow, self.plan.study.id).secret)

    def begin(self, language: str, visit: str = "") -> str:
        """A new listener with all trials; returns the token, of which only the hash is stored.

        The same visit (the browser's cookie before the consent) gives the same listener, so that a
        double click begins once.

        Raises:
            Closed: stopped, or as many listeners as were planned.
        """
        study, now = self.plan.study, self._clock()
        visit = visit or secrets.token_urlsafe(TOKEN_BYTES)
        with Session(self._writing) as session, session.begin():
            row = session.get_one(StudyRow, study.id, with_for_update=True)
            digest = hmac.digest(bytes.fromhex(row.secret), visit.encode(), "sha256")
            token = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if session.scalar(_by_token(token, study.id)) is not None:
                return token
            slot = self._free_slot(session, now)
            if row.stopped or slot is None:
                raise Closed("this test takes no more listeners")
            listener = ListenerRow(
                study=study.id,
                token_hash=_hash(token),
                slot=slot,
                language=language,
                state=NEW,
                began_at=now,
                seen_at=now,
                code="".join(secrets.choice(ALPHABET) for _ in range(CODE_LETTERS)),
                simulated=row.simulated,
            )
            session.add(listener)
            session.flush()
            for number, trial in enumerate(self.plan.lists[slot]):
                self._add_trial(session, listener.id, number, trial)
        return token

    def _add_trial(self, session: Session, listener: int, number: int, trial: Trial) -> None:
        row = TrialRow(
            listener=listener,
            number=number,
            key=secrets.token_urlsafe(KEY_BYTES),
            spec=json.dumps(asdict(trial), ensure_ascii=False),
            views=0,
        )
        session.add(row)
        session.flush()
        session.add_all(
            SoundRow(key=secrets.token_urlsafe(KEY_BYTES), trial=row.id, role=role, stimulus=key)
            for role, key in trial.sounds
        )

    def _free_slot(self, session: Session, now: float) -> int | None:
        """The first trial list that nobody has; one abandoned for a day is given again."""
        taken = session.execute(
            select(ListenerRow.slot, ListenerRow.state, ListenerRow.seen_at).where(
                ListenerRow.study == self.plan.study.id
            )
        )
        held = {
            slot for slot, state, seen in taken if state == DONE or now - seen < ABANDONED_SECONDS
        }
        return next((s for s in range(self.plan.study.listeners) if s not in held), None)

    def listener(self, token: str) -> Listener | None:
        """The listener of a token, None for an unknown or withdrawn one."""
        with Session(self.engine) as session:
            row = session.scalar(_by_token(token, self.plan.study.id))
            return None if row is None else Listener(row.id, row.language, row.state, row.code)

    def ready(self, token: str) -> None:
        """The listener has set the volume."""
        with Session(self._writing) as session, session.begin():
            row = session.scalar(_by_token(token, self.plan.study.id))
            if row is not None and row.state == NEW:
                row.state, row.seen_at = RUNNING, self._clock()

    def speak(self, token: str, language: str) -> None:
        """Change the language of a listener's pages."""
        with Session(self._writing) as session, session.begin():
            row = session.scalar(_by_token(token, self.plan.study.id))
            if row is not None:
                row.language = language

    def current(self, token: str) -> Current | None:
        """The first unanswered trial, None if all are answered; it is noted as shown."""
        now = self._clock()
        with Session(self._writing) as session, session.begin():
            listener = session.scalar(_by_token(token, self.plan.study.id))
            if listener is None:
                return None
            listener.seen_at = now
            row = session.scalars(
                select(TrialRow)
                .outerjoin(AnswerRow)
                .where(TrialRow.listener == listener.id, AnswerRow.trial.is_(None))
                .order_by(TrialRow.number)
                .limit(1)
            ).first()
            if row is None:
                return None
            row.shown_at, row.views = row.shown_at or now, row.views + 1
            trial = trial_of(json.loads(row.spec))
            keys = {
                s.role: s.key for s in session.scalars(select(SoundRow).filter_by(trial=row.id))
            }
            sounds = tuple((role, keys[role]) for role, _ in trial.sounds)
            return Current(row.key, row.number, len(self.plan.lists[listener.slot]), trial, sounds)

    def stimulus(self, token: str, key: str) -> str | None:
        """The stimulus of an opaque name, for the listener whose current trial it belongs to."""
        with Session(self.engine) as session:
            found = session.execute(
                select(SoundRow.stimulus)
                .join(TrialRow, TrialRow.id == SoundRow.trial)
                .join(ListenerRow, ListenerRow.id == TrialRow.listener)
                .outerjoin(AnswerRow, AnswerRow.trial == TrialRow.id)
                .where(
                    SoundRow.key == key,
                    ListenerRow.token_hash == _hash(token),
                    ListenerRow.study == self.plan.study.id,
                    TrialRow.shown_at.is_not(None),
                    AnswerRow.trial.is_(None),
                )
            ).first()
            return None if found is None else str(found[0])

    def answer(
        self, token: str, key: str, given: object, log: object, milliseconds: object
    ) -> bool:
        """Store an answer; False if this trial was answered before (the first answer stays).

        Raises:
            Refused: no such trial of this listener, not shown yet, or an invalid answer.
        """
        try:
            is_new = self._answer(token, key, given, log, milliseconds)
        except IntegrityError:  # another tab was faster
            is_new = False
        if not is_new:
            trial = select(TrialRow.id).where(TrialRow.key == key).scalar_subquery()
            again = update(AnswerRow).where(AnswerRow.trial == trial)
            with self._writing.begin() as connection:
                connection.execute(again.values(repeats=AnswerRow.repeats + 1))
        return is_new

    def _answer(
        self, token: str, key: str, given: object, log: object, milliseconds: object
    ) -> bool:
        now = self._clock()
        with Session(self._writing) as session, session.begin():
            row = session.scalar(
                select(TrialRow)
                .join(ListenerRow)
                .where(
                    TrialRow.key == key,
                    ListenerRow.token_hash == _hash(token),
                    ListenerRow.study == self.plan.study.id,
                )
            )
            if row is None or row.shown_at is None:
                raise Refused("no such trial of this listener")
            if session.get(AnswerRow, row.id) is not None:
                return False
            roles = [role for role, _ in trial_of(json.loads(row.spec)).sounds]
            try:
                checked = check_answer(self.plan.study, roles, given)
                rows, spent = check_log(roles, log), check_milliseconds(milliseconds)
            except ValueError as error:
                raise Refused(str(error)) from error
            session.add(
                AnswerRow(
                    trial=row.id,
                    answer=json.dumps(checked),
                    log=json.dumps(rows),
                    received_at=now,
                    response_ms=spent,
                )
            )
            session.flush()
            self._finish(session, row.listener, now)
        return True

    def _finish(self, session: Session, listener: int, now: float) -> None:
        left = session.scalar(
            select(func.count())
            .select_from(TrialRow)
            .outerjoin(AnswerRow)
            .where(TrialRow.listener == listener, AnswerRow.trial.is_(None))
        )
        values: dict[str, object] = {"seen_at": now}
        if not left:
            values |= {"state": DONE, "finished_at": now}
        session.execute(update(ListenerRow).where(ListenerRow.id == listener).values(**values))

    def withdraw(self, token: str) -> bool:
        """Delete a listener with all answers; only the number of those who withdrew is kept."""
        if not self._withdraw(token):
            return False
        erase(self.engine)
        return True

    def _withdraw(self, token: str) -> bool:
        with Session(self._writing) as session, session.begin():
            row = session.scalar(_by_token(token, self.plan.study.id))
            if row is None:
                return False
            trials = select(TrialRow.id).where(TrialRow.listener == row.id)
            session.execute(delete(AnswerRow).where(AnswerRow.trial.in_(trials)))
            session.execute(delete(SoundRow).where(SoundRow.trial.in_(trials)))
            session.execute(delete(TrialRow).where(TrialRow.listener == row.id))
            session.execute(delete(ListenerRow).where(ListenerRow.id == row.id))
            session.execute(
                update(StudyRow)
                .where(StudyRow.id == self.plan.study.id)
                .values(withdrawn=StudyRow.withdrawn + 1)
            )
            return True

    def stop(self, *, stopped: bool) -> None:
        """Close the study to new listeners, or open it again."""
        with Session(self._writing) as session, session.begin():
            session.get_one(StudyRow, self.plan.study.id).stopped = stopped

    def progress(self) -> dict[str, int | bool]:
        """Counts for the admin page; they say nothing about which system is ahead."""
        with Session(self.engine) as session:
            study = session.get_one(StudyRow, self.plan.study.id)
            states = session.execute(
                select(ListenerRow.state, func.count())
                .where(ListenerRow.study == study.id)
                .group_by(ListenerRow.state)
            )
            counts = {str(state): int(count) for state, count in states}
            answers = session.scalar(
                select(func.count())
                .select_from(AnswerRow)
                .join(TrialRow)
                .join(ListenerRow)
                .where(ListenerRow.study == study.id)
            )
            return {
                "planned": self.plan.study.listeners,
                "finished": counts.get(DONE, 0),
                "unfinished": counts.get(NEW, 0) + counts.get(RUNNING, 0),
                "withdrawn": study.withdrawn,
                "answers": int(answers or 0),
                "stopped": study.stopped,
                "simulated": study.simulated,
            }


def _count(session: Session, study: str) -> int:
    query = select(func.count()).select_from(ListenerRow).where(ListenerRow.study == study)
    return int(session.scalar(query) or 0)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _by_token(token: str, study: str) -> Select[ListenerRow]:
    return select(ListenerRow).where(
        ListenerRow.token_hash == _hash(token), ListenerRow.study == study
    )
