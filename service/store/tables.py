"""The tables, with a prefix since Optuna keeps a table `studies` of its own in the same database.

Times are UTC; SQLite returns them without a zone, so `Moment` puts it back."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service.lifecycle import Status, shown

Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts up only a plain INTEGER primary key."""


class Moment(TypeDecorator[datetime]):
    """A point in time, UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a time needs its zone: {value!r}")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


def now() -> datetime:
    """The present, UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Common metadata."""

    type_annotation_map = {datetime: Moment(), dict[str, Any]: JSON(), list[Any]: JSON()}


class Study(Base):
    """One question. The API writes a row at submission and `desired` later; everything else is the dispatcher's."""

    __tablename__ = "gb_studies"

    ordinal: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64), index=True)
    spec: Mapped[str] = mapped_column(Text)
    """Canonical JSON, so that it comes back to the bit."""
    priority: Mapped[int]
    runs: Mapped[int]
    """Runs per fold and cell, extensions included."""
    total: Mapped[int]
    """Replicates of the whole study."""
    desired: Mapped[str] = mapped_column(String(16), default="run")
    """What the user asked for last: run, pause, cancel, delete."""
    status: Mapped[str] = mapped_column(String(16), default="queued", index=True)
    """What the dispatcher made of it; `service.lifecycle` says what a user sees."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it failed."""
    done: Mapped[int] = mapped_column(default=0)
    """Stored replicates."""
    revision: Mapped[int] = mapped_column(default=0)
    """Counts up with each change that a watcher may want to see."""
    dataset_sha256: Mapped[str | None] = mapped_column(String(64))
    numeric_class: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    recorded: Mapped[str | None] = mapped_column(String(16))
    """The status that Optuna's record shows."""

    images: Mapped[int | None]
    """Images of the data set, once it is prepared."""
    looks: Mapped[int] = mapped_column(default=1, server_default="1")
    """How often its answer could be seen: one more with each extension after a result."""
    race_runs: Mapped[int | None]
    """Runs that are open in the present round of a race; None for a study that does not race."""
    token: Mapped[str | None] = mapped_column(String(8))
    """Id of the token that submitted it; None without one."""

    @property
    def optuna_name(self) -> str:
        """Its name in Optuna's tables."""
        return f"{self.name} [{self.id}]"

    __table_args__ = (CheckConstraint("done >= 0 AND done <= total", name="done_within_total"),)

    @property
    def shown(self) -> Status:
        """The status a user sees."""
        return shown(self.status, self.desired, extended=self.done < self.total)


class Cell(Base):
    """One (learning rate, momentum) of an opened study, with its running statistics."""

    __tablename__ = "gb_cells"

    study_id: Mapped[str] = mapped_column(ForeignKey("gb_studies.id", ondelete="CASCADE"), primary_key=True)
    cell: Mapped[int] = mapped_column(primary_key=True)
    learning_rate: Mapped[float] = mapped_column(Float(53))
    momentum: Mapped[float] = mapped_column(Float(53))
    labels: Mapped[list[Any]]
    in_grid: Mapped[bool]
    n: Mapped[int] = mapped_column(default=0)
    """Replicates with a score: finished and diverged."""
    diverged: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    recorded_n: Mapped[int] = mapped_column(default=0)
    """How many of them Optuna's record knows."""
    dropped_after: Mapped[int | None]
    """Runs after which a race gave it no more."""


class Pack(Base):
    """A lease on replicates that train together."""

    __tablename__ = "gb_packs"

    ordinal: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    study_id: Mapped[str] = mapped_column(ForeignKey("gb_studies.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(16))
    """waiting, running, done, split, discarded, quarantined"""
    members: Mapped[list[Any]]
    """[[cell, fold, run], ...]"""
    attempt: Mapped[int] = mapped_column(default=0)
    """Counts submissions; a result is accepted only for the running one."""
    charged: Mapped[int] = mapped_column(default=0)
    """Attempts that ended with the death of their worker."""
    worker: Mapped[str | None] = mapped_column(Text)
    epochs_done: Mapped[int] = mapped_column(default=0)
    """Network-epochs of the running attempt, as its worker tells."""
    seconds: Mapped[float | None] = mapped_column(Float(53))
    log: Mapped[str] = mapped_column(Text, default="")
    """What happened to its attempts."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (Index("gb_packs_by_study_and_state", "study_id", "state"),)


class Replicate(Base):
    """One training's result, exactly one for each (cell, fold, run)."""

    __tablename__ = "gb_replicates"

    study_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    cell: Mapped[int] = mapped_column(primary_key=True)
    fold: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(String(16))
    accuracy: Mapped[float | None] = mapped_column(Float(53))
    brier: Mapped[float | None] = mapped_column(Float(53))
    loss: Mapped[float | None] = mapped_column(Float(53))
    train_loss: Mapped[float | None] = mapped_column(Float(53))
    curve: Mapped[dict[str, Any]]
    correct: Mapped[bytes | None] = mapped_column(LargeBinary)
    seconds: Mapped[float] = mapped_column(Float(53))
    engine: Mapped[str] = mapped_column(Text)
    precision: Mapped[str] = mapped_column(Text)
    device: Mapped[str] = mapped_column(Text)
    numeric_class: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    pack: Mapped[str] = mapped_column(String(32))
    attempt: Mapped[int]
    worker: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        ForeignKeyConstraint(["study_id", "cell"], ["gb_cells.study_id", "gb_cells.cell"], ondelete="CASCADE"),
        CheckConstraint("outcome IN ('finished', 'diverged', 'failed')", name="known_outcome"),
    )


class IdempotencyKey(Base):
    """The study that a key made, so that a repeated request makes no second one."""

    __tablename__ = "gb_idempotency_keys"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    """As `submission.own_key` gives it."""
    request_sha256: Mapped[str] = mapped_column(String(64))
    study_id: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now)


class Suite(Base):
    """Several studies with one table; the API writes it with its studies and never changes it."""

    __tablename__ = "gb_suites"

    ordinal: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(Text)
    spec: Mapped[str] = mapped_column(Text)
    """Canonical JSON."""
    key: Mapped[str | None] = mapped_column(String(200), unique=True)
    """The Idempotency-Key that made it, as `submission.own_key` gives it."""
    created_at: Mapped[datetime] = mapped_column(default=now)


class SuiteStudy(Base):
    """A study of a suite. It outlives the study, so that the suite's table can say that it was deleted."""

    __tablename__ = "gb_suite_studies"

    suite_id: Mapped[str] = mapped_column(ForeignKey("gb_suites.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    """In the specification's list of studies."""
    study_id: Mapped[str] = mapped_column(String(32))


class Token(Base):
    """A secret that lets in, or a login with one. Only the secret's hash is kept."""

    __tablename__ = "gb_tokens"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    """The token's visible beginning."""
    name: Mapped[str] = mapped_column(Text)
    """Whom it was made for."""
    scope: Mapped[str] = mapped_column(String(8))
    """read, submit or admin"""
    sha256: Mapped[str] = mapped_column(String(64))
    login_of: Mapped[str | None] = mapped_column(ForeignKey("gb_tokens.id", ondelete="CASCADE"))
    """The token that somebody logged in with; None for one made on the command line."""
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    """To the hour."""


class Leader(Base):
    """The one dispatcher; each of its transactions checks that the epoch is still its own."""

    __tablename__ = "gb_leader"

    id: Mapped[int] = mapped_column(primary_key=True)
    epoch: Mapped[int]
