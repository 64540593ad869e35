"""What does the programme remember?  The tables, each column explained.

Sealed columns are unreadable without the key ring (`encryption.py`).  Moments are UTC.  Numbers are made by us before
the insert (`new_id`), so that a button can carry a delivery's number before the row is written.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from nudgebot.storage.encryption import Sealed

_EPOCH = 1_577_836_800_000  # 2020-01-01 in milliseconds: the 41 bits then last until 2089, not 2039
_node = int.from_bytes(os.urandom(2), "big") & 0x3FF
_steps = itertools.count()
_guard = threading.Lock()
_last = 0


def new_id() -> int:
    """A 63-bit number that grows with time: 41 bits of milliseconds, 10 of process, 12 of sequence."""
    global _last
    with _guard:
        now = max(int(time.time() * 1000) - _EPOCH, _last)
        step = next(_steps) & 0xFFF
        _last = now + 1 if step == 0xFFF else now
        return (now & 0x1FFFFFFFFFF) << 22 | _node << 12 | step


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime; SQLite keeps it without a zone, so the zone is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment needs its time zone; use clock.now().")
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Number = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it from the class
        int: Number,
        datetime: Moment(),
        date: Date(),
        dict[str, Any]: JSON(),
        list[str]: JSON(),
    }


class Family(Base):
    """One household: its children, and the carers who look after them."""

    __tablename__ = "families"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str] = mapped_column(String(8), unique=True)  # what a parent reads out to a coordinator; says nothing
    country: Mapped[str | None] = mapped_column(String(2))  # ISO 3166; decides support lines, only a person sets it
    cohort: Mapped[str | None] = mapped_column(String(64))  # the link they joined by
    created_at: Mapped[datetime]


class Child(Base):
    """One child of a family, or several of one birth (`multiples`)."""

    __tablename__ = "children"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    family_id: Mapped[int] = mapped_column(ForeignKey("families.id", ondelete="CASCADE"), index=True)
    name: Mapped[str | None] = mapped_column(Sealed("children|name"))  # as the parent calls them; never asked twice
    born_on: Mapped[date | None] = mapped_column(Sealed("children|born_on", "date"))  # tips go by the age since then
    due_on: Mapped[date | None] = mapped_column(Sealed("children|due_on", "date"))  # before birth, instead of born_on
    weeks_early: Mapped[int] = mapped_column(Integer, default=0)  # for the corrected age
    multiples: Mapped[int] = mapped_column(Integer, default=1)  # 2 = twins
    stopped_at: Mapped[datetime | None]  # loss or leaving: nothing about this child any more
    stop_reason: Mapped[str | None] = mapped_column(String(32))  # 'loss' | 'parent'; kept minimal
    held_until: Mapped[datetime | None]  # paused by the safety table; resumes by itself
    held_until_resumed: Mapped[bool] = mapped_column(default=False)  # paused until a person says so
    softened_until: Mapped[datetime | None]  # only gentle tips until then
    created_at: Mapped[datetime]


class Carer(Base):
    """A person who can be written to."""

    __tablename__ = "carers"
    __table_args__ = (UniqueConstraint("channel", "identifier", name="uq_carers_address"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    channel: Mapped[str] = mapped_column(String(16))  # 'telegram'
    identifier: Mapped[str] = mapped_column(String(64))  # the chat's id there
    language: Mapped[str] = mapped_column(String(16))  # what we write in
    unreachable_at: Mapped[datetime | None]  # blocked us, or is gone; any sign of life clears it
    keyboard_at: Mapped[datetime | None]  # when the Help button was last put under the text field
    created_at: Mapped[datetime]


class Enrolment(Base):
    """One carer's place in the programme, with its state (`programme/enrolment.py` knows the moves)."""

    __tablename__ = "enrolments"
    __table_args__ = (
        # The tick's only question: who is due?  A partial index keeps those who are not active out of it.
        Index(
            "ix_enrolments_due",
            "next_nudge_at",
            sqlite_where=text("next_nudge_at IS NOT NULL"),
            postgresql_where=text("next_nudge_at IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    family_id: Mapped[int] = mapped_column(ForeignKey("families.id", ondelete="CASCADE"), index=True)
    carer_id: Mapped[int] = mapped_column(ForeignKey("carers.id", ondelete="CASCADE"), unique=True)
    state: Mapped[str] = mapped_column(String(16), index=True)  # joining | active | paused | left | completed
    state_since: Mapped[datetime]  # when this state was entered
    awaiting: Mapped[str | None] = mapped_column(String(32))  # the open question of onboarding or settings
    tz: Mapped[str | None] = mapped_column(String(64))  # IANA zone
    nudge_time: Mapped[str] = mapped_column(String(5))  # '09:00', local
    pace: Mapped[str] = mapped_column(String(8))  # daily | three | weekly
    check_ins: Mapped[int | None] = mapped_column(Integer)  # a week: 0, 1, 2; NULL = the programme's own rhythm
    past_opt_in: Mapped[bool] = mapped_column(default=False)  # may be asked about the own story
    next_nudge_at: Mapped[datetime | None]  # the one moment ahead at which a nudge is due; NULL = none
    last_nudge_at: Mapped[datetime | None]  # for the 16 hours between two nudges
    nudges: Mapped[int] = mapped_column(Integer, default=0)  # planned so far; moves themes on below the daily pace
    paused_until: Mapped[date | None]  # local date on which nudges go on
    joined_on: Mapped[date | None]  # local date of the first tip
    asked: Mapped[list[str]] = mapped_column(JSON, default=list)  # friendly later questions already put, once each
    safe_to_contact: Mapped[bool | None]  # after violence: may we write first?
    news_off: Mapped[bool] = mapped_column(default=False, server_default=text("false"))  # no broadcasts, by their wish
    left_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Consent(Base):
    """Agreement to a numbered text at a time; a new version makes a new row."""

    __tablename__ = "consents"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    enrolment_id: Mapped[int] = mapped_column(ForeignKey("enrolments.id", ondelete="CASCADE"), index=True)
    version: Mapped[str] = mapped_column(String(16))
    language: Mapped[str] = mapped_column(String(16))
    given_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class Delivery(Base):
    """One message promised to one recipient, and what became of the promise.  No text: it is rendered when sent."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "ix_deliveries_planned",
            "lane",
            "next_at",
            "id",
            sqlite_where=text("state = 'planned'"),
            postgresql_where=text("state = 'planned'"),
        ),
        Index(
            "ix_deliveries_sending",
            "fence",
            sqlite_where=text("state = 'sending'"),
            postgresql_where=text("state = 'sending'"),
        ),
        Index(
            "ix_deliveries_withdraw_at",
            "withdraw_at",
            sqlite_where=text("withdraw_at IS NOT NULL"),
            postgresql_where=text("withdraw_at IS NOT NULL"),
        ),
        # A broadcast's own rows: which go next, and how many are in which state.
        Index(
            "ix_deliveries_broadcast",
            "content_id",
            "state",
            "next_at",
            "id",
            sqlite_where=text("lane = 4"),
            postgresql_where=text("lane = 4"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    dedupe_key: Mapped[str] = mapped_column(String(96), unique=True)  # tip:{enrolment}:{local date}: "once" is here
    kind: Mapped[str] = mapped_column(String(16))  # programme/messages.py Kind
    lane: Mapped[int] = mapped_column(Integer)  # 0 safety, 1 replies, 2 check-ins, 3 tips, 4 broadcasts
    channel: Mapped[str] = mapped_column(String(16))
    identifier: Mapped[str] = mapped_column(String(64))  # whom the channel writes to
    enrolment_id: Mapped[int | None] = mapped_column(ForeignKey("enrolments.id", ondelete="CASCADE"), index=True)
    content_id: Mapped[str] = mapped_column(String(64))  # a tip, a phrase key, a card, a safety category
    content_version: Mapped[str] = mapped_column(String(12))  # which wording it was promised with
    check_in: Mapped[str | None] = mapped_column(String(40))  # the check-in that a nudge carries
    language: Mapped[str] = mapped_column(String(16))
    params: Mapped[dict[str, Any] | None] = mapped_column(Sealed("deliveries|params", "json"))  # what the text needs
    local_date: Mapped[date | None]  # a nudge's day where the parent is
    created_at: Mapped[datetime] = mapped_column(index=True)
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]  # later than this it would be stale: it is not sent
    state: Mapped[str] = mapped_column(String(16))  # outbox/outcomes.py State
    next_at: Mapped[datetime]  # not before; moved by a refusal that is worth another try
    attempt: Mapped[int] = mapped_column(Integer, default=0)  # begun so often; a refusal counts for none
    fence: Mapped[int | None]  # whose `sending` this is: the leader's number at the time
    sending_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    message_id: Mapped[str | None] = mapped_column(String(32))
    outcome: Mapped[str | None] = mapped_column(String(64))  # why it ended so, in a word or two
    ambiguous: Mapped[int] = mapped_column(Integer, default=0)  # how often nobody could say whether it arrived
    withdraw_at: Mapped[datetime | None]  # taken back from the chat then: a parent's words on a coordinator's phone


class Seen(Base):
    """Which tip an enrolment was sent on which day: written with the delivery, never pruned."""

    __tablename__ = "seen"
    enrolment_id: Mapped[int] = mapped_column(ForeignKey("enrolments.id", ondelete="CASCADE"), primary_key=True)
    tip_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    on: Mapped[date] = mapped_column(primary_key=True)
    child_id: Mapped[int | None]  # whose age it was chosen for
    content_version: Mapped[str] = mapped_column(String(12))  # the wording that was sent
    asked_for: Mapped[bool] = mapped_column(default=False)  # "another one" and /tip


class Inbound(Base):
    """Something a person sent, remembered once by its key; its content is gone as soon as it is handled."""

    __tablename__ = "inbound"
    __table_args__ = (
        Index("ix_inbound_open", "id", sqlite_where=text("state = 'new'"), postgresql_where=text("state = 'new'")),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(96), unique=True)  # msg:{chat}:{id} · edit:… · cb:{id}
    kind: Mapped[str] = mapped_column(String(16))  # message | edit | tap | member | other
    identifier: Mapped[str] = mapped_column(String(64))  # the chat
    raw: Mapped[str | None] = mapped_column(Sealed("inbound|raw"))  # the update as it came; NULL once handled
    finding: Mapped[str | None] = mapped_column(String(32))  # what the screen said: the category, or NULL
    state: Mapped[str] = mapped_column(String(12))  # new | handled | quarantined
    attempts: Mapped[int] = mapped_column(Integer, default=0)  # how often handling it failed
    received_at: Mapped[datetime]
    handled_at: Mapped[datetime | None]


class Answer(Base):
    """A tap on a tip, a check-in or a broadcast.  Every change of mind is a row of its own; the newest counts."""

    __tablename__ = "answers"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    enrolment_id: Mapped[int] = mapped_column(ForeignKey("enrolments.id", ondelete="CASCADE"), index=True)
    delivery_id: Mapped[int] = mapped_column(index=True)  # no foreign key: deliveries are pruned, answers stay
    question: Mapped[str] = mapped_column(
        String(64), index=True
    )  # 'tip:<id>', the check-in's id, or 'news:<broadcast>'
    content_version: Mapped[str] = mapped_column(String(12))  # the wording they answered
    choice: Mapped[str] = mapped_column(String(16))  # did_it | not_today | not_for_us, or the button's letter, or skip
    value: Mapped[int | None] = mapped_column(Integer)  # 1 hard .. 5 going well; NULL = not charted
    band: Mapped[str | None] = mapped_column(String(8))  # of the youngest child that day: birth dates are sealed
    answered_at: Mapped[datetime] = mapped_column(index=True)
    local_date: Mapped[date]


class Escalation(Base):
    """A case a human must take."""

    __tablename__ = "escalations"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(Integer, unique=True)  # what people call it: 1, 2, 3 ...
    enrolment_id: Mapped[int | None] = mapped_column(ForeignKey("enrolments.id", ondelete="SET NULL"), index=True)
    channel: Mapped[str] = mapped_column(String(16))
    identifier: Mapped[str] = mapped_column(String(64), index=True)
    category: Mapped[str] = mapped_column(String(32))  # the most urgent one
    severity: Mapped[str] = mapped_column(String(16))  # emergency | urgent | support
    categories: Mapped[list[str]] = mapped_column(JSON)  # all of them
    rules: Mapped[list[str]] = mapped_column(JSON)  # which rules fired, for tuning
    library_version: Mapped[str] = mapped_column(String(12))  # whose rules found it
    text: Mapped[str | None] = mapped_column(Sealed("escalations|text"))  # shown on demand; deleted after closing
    state: Mapped[str] = mapped_column(String(16), index=True)  # open | acknowledged | closed
    opened_at: Mapped[datetime] = mapped_column(index=True)
    last_heard_at: Mapped[datetime]
    wave: Mapped[int] = mapped_column(Integer, default=0)  # how many rungs of the ladder have been climbed
    next_wave_at: Mapped[datetime | None] = mapped_column(index=True)
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))
    acknowledged_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(32))  # how it ended; programme/escalation.py OUTCOMES
    after: Mapped[int | None] = mapped_column(Integer)  # the number of this person's case before it
    look_at: Mapped[datetime | None] = mapped_column(index=True)  # when the owner wants to be reminded
    follow_up_at: Mapped[datetime | None] = mapped_column(index=True)  # the next reminder to ask how they are now
    follow_ups: Mapped[int] = mapped_column(Integer, default=0, server_default="0")  # reminders given so far
    talking_since: Mapped[datetime | None]  # a coordinator and the parent write to each other through the bot


class Note(Base):
    """What a coordinator saw, said or agreed about a case.  Goes with the case's text."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    escalation_id: Mapped[int] = mapped_column(ForeignKey("escalations.id", ondelete="CASCADE"), index=True)
    author: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))  # NULL = the command line
    text: Mapped[str] = mapped_column(Sealed("notes|text"))  # short and factual
    created_at: Mapped[datetime]


class Letter(Base):
    """Words that a person wrote for another to read: sealed here, so that no delivery carries them."""

    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    escalation_id: Mapped[int] = mapped_column(ForeignKey("escalations.id", ondelete="CASCADE"), index=True)
    author: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))  # NULL = the parent
    text: Mapped[str] = mapped_column(Sealed("letters|text"))  # as it was written, never read as markup
    created_at: Mapped[datetime]


class Broadcast(Base):
    """One message of the team to many, and how far it has come.  Each recipient's part is a delivery."""

    __tablename__ = "broadcasts"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # what people call it: 1, 2, 3 ...
    state: Mapped[str] = mapped_column(String(16), index=True)  # programme/broadcast.py State
    words: Mapped[dict[str, Any]] = mapped_column(Sealed("broadcasts|words", "json"))  # language -> text and buttons
    revision: Mapped[int] = mapped_column(
        Integer, default=1, server_default="1"
    )  # counts changes of what is sent to whom
    audience: Mapped[dict[str, Any]] = mapped_column(JSON)  # whom it is for: programme/audience.py Audience
    hour: Mapped[str | None] = mapped_column(String(5))  # '10:00' on each parent's own clock; NULL = at once
    starts_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # what has not gone by then does not go any more
    gathered_to: Mapped[int] = mapped_column(default=0)  # the last enrolment that was looked at
    gather_end: Mapped[int | None]  # the newest enrolment when it began: who joins later is not of the audience
    gathered_at: Mapped[datetime | None]  # when everybody of the audience had a row or a count
    size: Mapped[int] = mapped_column(Integer, default=0)  # of the audience, as far as it is gathered
    excluded: Mapped[dict[str, Any]] = mapped_column(JSON)  # name -> how many got no row for it
    ledger: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # the sums when it ended: deliveries are pruned later
    why: Mapped[str | None] = mapped_column(String(64))  # it was paused, if not by a person
    author: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))  # NULL = the command line
    look_wanted_at: Mapped[datetime | None]  # its author waits for a preview since then
    looked_at: Mapped[datetime | None]  # when this revision was counted and shown to its author
    looked_count: Mapped[int | None] = mapped_column(Integer)  # how many would have got it then
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))  # NULL = nobody had to
    corrects: Mapped[int | None]  # the broadcast whose words these are to replace where it has arrived
    amending: Mapped[str | None] = mapped_column(
        String(8)
    )  # what was sent: 'edit' | 'delete' under way; 'edited' | 'deleted'
    amended_to: Mapped[int | None]  # the last delivery that was changed so
    amend_from: Mapped[datetime | None]  # not before: what is under way with the old words has arrived by then
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]  # finished or cancelled, and nothing is under way any more


class ProgressCard(Base):
    """A message in a coordinator's chat that shows how far a broadcast is, and is kept true until it has ended."""

    __tablename__ = "progress_cards"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # of the delivery that brought it
    broadcast_id: Mapped[int] = mapped_column(ForeignKey("broadcasts.id"))
    coordinator_id: Mapped[int] = mapped_column(ForeignKey("coordinators.id"))
    message_id: Mapped[str | None] = mapped_column(String(32))  # NULL until it has arrived; the delivery is soon pruned
    shown: Mapped[str] = mapped_column(String(64), default="", server_default="")  # a hash of what it shows


class LineCheck(Base):
    """Somebody of the team called a support line: it works, or it failed.  The newest one counts."""

    __tablename__ = "line_checks"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    country: Mapped[str] = mapped_column(String(2))  # ISO 3166, as the name of the file in content/support
    number: Mapped[str] = mapped_column(String(64))  # as the library writes it
    works: Mapped[bool]  # False takes the line out of use at once
    checked_by: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))  # NULL = the command line
    checked_on: Mapped[date]  # the day in the programme's zone
    created_at: Mapped[datetime]


class Coordinator(Base):
    """Staff who take escalations.  Authority is this row and the sender's id, never what a button carries."""

    __tablename__ = "coordinators"
    __table_args__ = (UniqueConstraint("channel", "identifier", name="uq_coordinators_address"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    channel: Mapped[str] = mapped_column(String(16))
    identifier: Mapped[str] = mapped_column(String(64))
    name: Mapped[str | None] = mapped_column(Sealed("coordinators|name"))
    language: Mapped[str] = mapped_column(String(16))
    role: Mapped[str] = mapped_column(String(16))  # lead | coordinator | author
    on_duty: Mapped[bool] = mapped_column(default=True)  # told first of new cases
    duty_until: Mapped[datetime | None]  # on duty until then; NULL = until they say otherwise
    away_until: Mapped[datetime | None]  # away until then, and on duty again by itself
    talks_in: Mapped[int | None]  # the case their typed words go to
    awaiting: Mapped[str | None] = mapped_column(String(48))  # what their next message is: note:12
    created_at: Mapped[datetime]
    unconfirmed_since: Mapped[datetime | None]  # followed a lead's link, and no lead has said yes: no right at all yet
    revoked_at: Mapped[datetime | None]


class Invitation(Base):
    """A single-use link that makes somebody a coordinator.  The token itself is never stored."""

    __tablename__ = "invitations"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256 of what the link carries
    role: Mapped[str] = mapped_column(String(16))
    invited_by: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))  # NULL = the command line
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    redeemed_at: Mapped[datetime | None]
    redeemed_by: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))
    decided_at: Mapped[datetime | None]  # a lead said yes or no to whoever followed it; from the shell nobody has to


class NamedCohort(Base):
    """A group that joins by a link of its own, made by a lead in the chat; others stand in `content/settings.yml`."""

    __tablename__ = "cohorts"
    code: Mapped[str] = mapped_column(String(62), primary_key=True)  # the link ends with c_{code}
    created_by: Mapped[int | None] = mapped_column(ForeignKey("coordinators.id"))  # NULL = the command line
    created_at: Mapped[datetime]


class Tag(Base):
    """A word by which the team finds a family again (`programme/tags.py`); it is forgotten with the family."""

    __tablename__ = "tags"
    tag: Mapped[str] = mapped_column(String(20), primary_key=True)  # first: a broadcast asks who has it
    family_id: Mapped[int] = mapped_column(
        ForeignKey("families.id", ondelete="CASCADE"), primary_key=True, autoincrement=False, index=True
    )
    created_at: Mapped[datetime]


class Audit(Base):
    """Who did what, appended and never changed."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(32))  # 'coordinator:7' | 'shell' | 'parent:9' | 'programme'
    action: Mapped[str] = mapped_column(String(48))  # what they did, in one word: 'acknowledged'
    subject: Mapped[str] = mapped_column(String(48))  # 'escalation:12'
    detail: Mapped[str] = mapped_column(String(255), default="")  # facts only, never a person's words


class Tally(Base):
    """How often planning came to no message, since the last heartbeat: what was never promised leaves no delivery."""

    __tablename__ = "tallies"
    what: Mapped[str] = mapped_column(String(16), primary_key=True)  # late | failed | held ...: services/nudges.py
    count: Mapped[int]  # parents whose moment came


class Heartbeat(Base):
    """A morning on which the team was told how the daily messages went."""

    __tablename__ = "heartbeats"
    on: Mapped[date] = mapped_column(primary_key=True)  # the day in the programme's zone
    since: Mapped[datetime]  # it told of what was promised from then ...
    until: Mapped[datetime]  # ... to just before then; the next one goes on there
    passed: Mapped[dict[str, Any]] = mapped_column(JSON)  # the tallies of that time


class Lease(Base):
    """Who leads.  The fence grows with every new leader, so that a late one's writes are recognised and refused."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))  # host and process that leads
    fence: Mapped[int]  # counts leaders
    expires_at: Mapped[datetime]


class Mark(Base):
    """A moment that must be remembered over a restart."""

    __tablename__ = "marks"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)  # heard: when nothing waited for us unseen
    at: Mapped[datetime]


class KeyCheck(Base):
    """One known sentence per encryption key, so that a wrong key is noticed before anything is written."""

    __tablename__ = "key_checks"
    key_id: Mapped[str] = mapped_column(String(8), primary_key=True)
    sealed: Mapped[str] = mapped_column(Sealed("key_checks|sealed"))  # a sentence known to us
    since: Mapped[datetime]  # first used
