"""Who leads: a pure state machine over a Lease. Values in, values out; no clock, no I/O, no randomness.

Laws. D is the lease's duration, R the renew deadline, W the longest time a write may take; R + W <= D (15, 10 and 4 s).

1. A record is taken over only D after this machine first saw that very version of it, by its own monotonic clock, and
   the write that takes it names that version. Stamps of other machines' clocks decide nothing. A record that tells a
   longer duration, as another version of this program may write it, is waited for so long.
2. The leader may begin a write only within R of the *start* of its last renewal that was answered.
3. An absent Lease is made anew without a holder, and then law 1 holds for it as for any other record.
4. Only the holder's own release, made when all of its writing has ended, is taken at once.

Never two. Let the leader's last answered renewal begin at S. The API server carried it out at A >= S, and whoever saw
the result saw it at T >= A. While that record stands, nobody else takes it before T + D >= S + D (law 1); a record
that is edited or deleted by hand and made anew is a younger version, seen later still. The leader's last write begins
before S + R (law 2) and is given up before S + R + W <= S + D. So it has ended before another one's begins. Every time
is the difference of two readings of one clock, so offsets of clocks are nothing, and a standby's clock may run faster
than the leader's by the factor D / (R + W): 15 / 14 forgives 7%, where real clocks differ by 0.02%.

            S       A   T                     S+R           S+D             T+D
    leader  |-- may begin a write ------------|-- W --| .                    .
    standby .           |-- sees no change ---------------------------------| takes over

What remains. A write that was sent is given up after W, but the network or the server may hold it longer; and a
process can be stopped between its question and its write. Such a write is bound to what it was decided on: a scale by
the target's resourceVersion, a status by the resource's uid. It then fails, or finds a target that nobody has changed.

    now      answer                                      machine
    0        found, held by a, version 7                 standby, 7 seen at 0
    2 .. 14  found, version 7                            standby, 7 seen at 0
    15       -> take: holder b, if the version is 7
    15.1     found, held by b, version 8                 leads, may begin writes until 25
    17       -> renew, no answer; 21, 25 the same        leads, may begin none from 25 on
    29       -> renew: conflict; -> read: held by c      lost
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeAlias

from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kube.claim import RELEASED_SECONDS, Claim, Found, Missing

LEASE_SECONDS_MAX = 60.0
"""No record is waited for longer, whatever duration somebody wrote into it."""
JITTER_SHARE = 0.2
"""A standby's pause is up to so much longer than `retry_seconds`, so that standbys do not ask in step."""


class Role(Enum):
    """What a machine is. A leader that could not renew in time is paused: it leads on if nobody took over."""

    STANDBY = auto()
    LEADER = auto()
    PAUSED = auto()
    ENDED = auto()


class Heard(Enum):
    """What the last answer means for the next step: nothing came, all is as it was, or it calls for one at once."""

    NOTHING = auto()
    USUAL = auto()
    NEWS = auto()


@dataclass(frozen=True, slots=True)
class Timing:
    """D, R and the pause between two renewals or looks, in seconds. Raises ValueError when the laws would not hold."""

    lease_seconds: float = 15.0
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.retry_seconds < self.renew_seconds < self.lease_seconds:
            raise ValueError(f"not retry < renew < lease: {self.retry_seconds}, {self.renew_seconds}, "
                             f"{self.lease_seconds} s")

    @property
    def write_seconds(self) -> float:
        """W: four fifths of what lies between the renew deadline and the lease's end."""
        return (self.lease_seconds - self.renew_seconds) * 0.8


@dataclass(frozen=True, slots=True)
class Read:
    """Ask for the Lease."""


@dataclass(frozen=True, slots=True)
class Create:
    """Make the Lease with these words."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Update:
    """Change the Lease to these words if it still has this version."""

    claim: Claim
    version: str


Step: TypeAlias = Read | Create | Update
Answer: TypeAlias = Found | Missing | Unknown


@dataclass(frozen=True, slots=True)
class Election:
    """One machine of the election. Times are seconds of its own monotonic clock.

    Args:
        me: an identity that no other process ever has, not even the next one in the same pod.
        seen: the last answer about the Lease, None when it must be read (again).
        seen_at: when that version was first seen: the end of the request that told it.
        term: what was last written, or may have been, to take the Lease; kept while leading.
        renewed_at: the start of the last renewal that was answered; None for who does not lead.
        ended: why it takes no part any more; empty while it does.
        is_leaving: whether it lets go.
        heard: what the last answer means for the next step.
    """

    me: str
    timing: Timing = Timing()
    seen: Found | Missing | None = None
    seen_at: float = 0.0
    term: Claim | None = None
    renewed_at: float | None = None
    ended: str = ""
    is_leaving: bool = False
    heard: Heard = Heard.NEWS

    def may_write(self, now: float) -> bool:
        """Law 2."""
        if self.renewed_at is None or self.ended or self.is_leaving:
            return False
        return now < self.renewed_at + self.timing.renew_seconds

    def role(self, now: float) -> Role:
        """What it is at this time."""
        if self.ended:
            return Role.ENDED
        if self.renewed_at is None:
            return Role.STANDBY
        return Role.LEADER if self.may_write(now) else Role.PAUSED

    def step(self, now: float, stamp: str) -> Step | None:
        """What is to be asked of the API server now; None when there is nothing left to do.

        `stamp` is the wall clock's time for people, and makes this machine's terms differ.
        """
        if self.ended:
            return None
        if self.is_leaving:
            return self._parting(stamp)
        if self.seen is Missing.ABSENT:
            return Create(Claim("", _whole(self.timing.lease_seconds), "", stamp, 0))
        if not isinstance(self.seen, Found):
            return Read()
        if self.renewed_at is not None or self._is_free(self.seen, now):
            return Update(self._held(self.seen.claim, stamp), self.seen.version)
        return Read()

    def with_answer(self, step: Step, started: float, now: float, answer: Answer) -> Election:
        """The machine after the answer to `step`, which was asked at `started` and answered at `now`.

        No answer (Unknown) changes nothing: the step may have been carried out, or be carried out yet. A conflict
        tells so later, and the record is then known by its term.
        """
        asked = self if not isinstance(step, Update) or self.is_leaving else replace(self, term=step.claim)
        if self.ended or isinstance(answer, Unknown):
            return replace(asked, heard=Heard.NOTHING)
        if isinstance(answer, Found) and isinstance(step, Update):
            return asked._after_write(step, started, now, answer)
        return asked._after_look(now, answer)

    def leaving(self) -> Election:
        """It lets go: no write begins from now on. Who never tried to lead has nothing to let go."""
        if self.term is None:
            return replace(self, is_leaving=True, ended=self.ended or "it never led")
        return replace(self, is_leaving=True)

    def pause(self, now: float, jitter: float) -> float:
        """Seconds until the next step; `jitter` from 0 to 1.

        A leader renews; a standby looks again, at the latest when the record it sees is free.
        """
        if self.ended or self.heard is Heard.NEWS:
            return 0.0
        look_in = self.timing.retry_seconds * (1 + JITTER_SHARE * jitter)
        if self.renewed_at is not None:
            return self.timing.retry_seconds
        if self.heard is Heard.NOTHING or not isinstance(self.seen, Found):
            return look_in
        return min(look_in, max(0.0, self._free_at(self.seen) - now))

    def _parting(self, stamp: str) -> Step:
        """Only what is known to be its own is let go."""
        if not isinstance(self.seen, Found) or not self._is_mine(self.seen):
            return Read()
        claim = replace(self.seen.claim, holder="", seconds=RELEASED_SECONDS, renewed=stamp)
        return Update(claim, self.seen.version)

    def _after_write(self, step: Update, started: float, now: float, answer: Found) -> Election:
        if self.is_leaving:
            return replace(self, ended="the lease was released", renewed_at=None)
        return replace(self, seen=answer, seen_at=now, renewed_at=started, heard=Heard.USUAL)

    def _after_look(self, now: float, answer: Found | Missing) -> Election:
        """What was read, made without a holder, or stood in the way."""
        is_same = isinstance(answer, Found) and isinstance(self.seen, Found) and answer.version == self.seen.version
        looked = replace(self, seen=answer, seen_at=self.seen_at if is_same else now, heard=Heard.NEWS)
        if answer is Missing.CONFLICT or self._is_mine(answer):
            return looked
        if self.is_leaving:
            return replace(looked, ended="the lease was another's", renewed_at=None)
        if self.renewed_at is not None:
            return replace(looked, ended=_loss(answer), renewed_at=None)
        return looked if isinstance(answer, Missing) or answer.claim.is_released else replace(looked, heard=Heard.USUAL)

    def _is_mine(self, answer: Found | Missing) -> bool:
        """Whether it is what this machine wrote, whoever else changed its labels; a lost answer is found again so."""
        return isinstance(answer, Found) and self.term is not None and answer.claim.is_same_term(self.term)

    def _is_free(self, seen: Found, now: float) -> bool:
        """Laws 1 and 4, and what it wrote itself."""
        return self._is_mine(seen) or seen.claim.is_released or now >= self._free_at(seen)

    def _free_at(self, seen: Found) -> float:
        """Law 1."""
        told = min(float(seen.claim.seconds), LEASE_SECONDS_MAX)
        return self.seen_at + max(self.timing.lease_seconds, told)

    def _held(self, claim: Claim, stamp: str) -> Claim:
        """The same term once more, or a new one. One that was tried in vain, or so it seemed, is tried again."""
        term = self.term
        if term is not None and (claim.is_same_term(term) or term.transitions == claim.transitions + 1):
            return replace(term, renewed=stamp)
        return Claim(self.me, _whole(self.timing.lease_seconds), stamp, stamp, claim.transitions + 1)


def _loss(answer: Found | Missing) -> str:
    if isinstance(answer, Missing):
        return "the lease was deleted"
    return f"the lease is held by {answer.claim.holder}" if answer.claim.holder else "the lease was emptied"


def _whole(seconds: float) -> int:
    return max(2, round(seconds))
