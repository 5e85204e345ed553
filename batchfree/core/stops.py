"""Why a run stops before every row is done, and the exit codes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

OK, ROWS_FAILED, USAGE, NEEDS_A_PERSON, BUG, TRY_LATER = 0, 1, 2, 3, 70, 75
INTERRUPTED, TERMINATED = 130, 143


class StopReason(StrEnum):
    """Why a run stopped early. `EXIT_CODES` holds the exit code of each reason."""

    QUOTA = "quota"
    DEADLINE = "deadline"
    POOL_DOWN = "pool_down"
    LOCKED = "locked"
    SERVICE_DOWN = "service_down"
    LEDGER_DOWN = "ledger_down"
    WORKERS_LOST = "workers_lost"
    INTERRUPTED = "interrupted"
    TERMINATED = "terminated"
    KEY_REFUSED = "key_refused"
    KEY_MISSING = "key_missing"
    CREDITS_OWED = "credits_owed"
    CHARGED = "charged"
    PRIVACY_SETTING = "privacy_setting"
    NO_MODEL = "no_model"
    REFUSED = "refused"
    DISK = "disk"
    MEMORY = "memory"
    INPUT = "input"
    REQUEST = "request"


EXIT_CODES = {
    StopReason.QUOTA: TRY_LATER,
    StopReason.DEADLINE: TRY_LATER,
    StopReason.POOL_DOWN: TRY_LATER,
    StopReason.LOCKED: TRY_LATER,
    StopReason.SERVICE_DOWN: TRY_LATER,
    StopReason.LEDGER_DOWN: TRY_LATER,
    StopReason.WORKERS_LOST: TRY_LATER,
    StopReason.INTERRUPTED: INTERRUPTED,
    StopReason.TERMINATED: TERMINATED,
    StopReason.KEY_REFUSED: NEEDS_A_PERSON,
    StopReason.KEY_MISSING: NEEDS_A_PERSON,
    StopReason.CREDITS_OWED: NEEDS_A_PERSON,
    StopReason.CHARGED: NEEDS_A_PERSON,
    StopReason.PRIVACY_SETTING: NEEDS_A_PERSON,
    StopReason.NO_MODEL: NEEDS_A_PERSON,
    StopReason.REFUSED: NEEDS_A_PERSON,
    StopReason.DISK: NEEDS_A_PERSON,
    StopReason.MEMORY: NEEDS_A_PERSON,
    StopReason.INPUT: USAGE,
    StopReason.REQUEST: USAGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """An early end: its reason, a sentence for the user, and when to go on, in epoch seconds, if that is known."""

    reason: StopReason
    message: str
    until: float | None = None

    @property
    def is_outside(self) -> bool:
        """Whether the run never began because another run holds the lock. The other run will write the table."""
        return self.reason is StopReason.LOCKED

    @property
    def exit_code(self) -> int:
        """The exit code of this reason."""
        return EXIT_CODES[self.reason]


OUT_OF_MEMORY = Stopped(
    reason=StopReason.MEMORY,
    message="there is not enough memory. Recorded answers are safe; give the run more memory, or lower "
    "limits.concurrency, and run the command again",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts(Mapping[str, int]):
    """Number of rows by status: `counts.ok`, or `counts["ok"]` as in a dictionary."""

    ok: int = 0
    failed: int = 0
    pending: int = 0

    def __getitem__(self, status: str) -> int:
        return {"ok": self.ok, "failed": self.failed, "pending": self.pending}[status]

    def __iter__(self) -> Iterator[str]:
        return iter(("ok", "failed", "pending"))

    def __len__(self) -> int:
        return 3

    @property
    def rows(self) -> int:
        """Number of all rows."""
        return self.ok + self.failed + self.pending


def exit_code(
    stopped: Stopped | None,
    counts: Counts,
    *,
    limit_reached: bool,
    fail_threshold: float,
    may_ask_more: bool = False,
) -> int:
    """The exit code of a run.

    `fail_threshold` is the percentage of rows that may fail for good, from 0 to 100. `limit_reached` says that the run
    took as many rows as `--limit` allows and that none of them is pending. `may_ask_more` says that rows with an answer
    still lack votes or a pack check.
    """
    unfinished = counts.pending or may_ask_more
    if stopped is not None and (unfinished or stopped.exit_code in (NEEDS_A_PERSON, USAGE) or stopped.is_outside):
        return stopped.exit_code
    if counts.pending and not limit_reached:
        return TRY_LATER
    return ROWS_FAILED if counts.failed * 100 > fail_threshold * counts.rows else OK
