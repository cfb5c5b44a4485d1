"""Detects that the generator itself was the bottleneck; then a run says nothing of the target.

Judges processor use, lateness of packets, late arrivals, overflows of receive buffers, exhausted
ports and descriptors, and faulty scenarios.  Each has a limit and advice on what to change.  Reads
no clock.
"""

from __future__ import annotations

from collections import deque

from softphone.load.measure.generator_check import GeneratorCheck
from softphone.load.measure.tally import TOLERATE_LATE, TOO_LATE_MS, RunSecond, Tally

FRAME_MS = 20.0
BUSY = 0.9
"""The share of a core above which lateness rises steeply."""
BUSY_SECONDS = 5
"""Seconds over which the share is averaged; a shorter run is judged as a whole."""
OURS = 0.5
"""The share of a core below which other processes must have caused the delay."""
MOST_OVERFLOWS = 0.001
SILENT_SECONDS = 1.0
BEHIND = 1.0
"""Seconds that an arrival may begin late."""


class BottleneckDetector:
    """Collects the seconds of one worker and says at the end what made the run invalid.

    `shared` says that calls already share sockets, `full` that every core of the machine already
    has a worker; neither is then given as advice.  `tolerate_late` is the share of packets, in
    percent, that may leave too late.  Above the default, it is also the share of media time that
    may be skipped.
    """

    def __init__(
        self, *, shared: bool = False, full: bool = False, tolerate_late: float = TOLERATE_LATE
    ) -> None:
        self._shared = shared
        self._full = full
        self._most_too_late = tolerate_late / 100.0
        self._most_jumps = self._most_too_late if tolerate_late > TOLERATE_LATE else 0.0
        self._cpu: deque[float] = deque(maxlen=BUSY_SECONDS)
        self._busiest = 0.0
        self._used = self._at = 0.0
        self._total = Tally()
        self._behind = 0.0
        self._starved: set[str] = set()
        self._broken = ""
        self._breaks = 0

    def add_second(self, second: RunSecond) -> None:
        """Add a second of the run."""
        self._used += second.cpu * (second.at - self._at)
        self._at = second.at
        self._cpu.append(second.cpu)
        if len(self._cpu) == BUSY_SECONDS:
            self._busiest = max(self._busiest, sum(self._cpu) / BUSY_SECONDS)
        self._total.merge(second.tally)

    def add_late_arrival(self, seconds: float) -> None:
        """Record that an arrival began `seconds` late."""
        self._behind = max(self._behind, seconds)

    def add_exhausted_resource(self, what: str) -> None:
        """Record that a call failed because a port, a descriptor or the like ran out here."""
        self._starved.add(what)

    def add_scenario_error(self, scenario: str, error: Exception) -> None:
        """Record that a scenario run failed by a fault of the scenario itself."""
        self._breaks += 1
        if not self._broken:
            detail = f": {error}" if str(error) else ""
            self._broken = (
                f"the scenario {scenario} is to be mended: {type(error).__name__}{detail}"
            )

    @property
    def _share(self) -> float:
        """The average share of a core over the run."""
        return self._used / self._at if self._at else 0.0

    def _slow(self) -> str:
        """The signs that the generator was too slow, then one piece of advice; "" without signs."""
        total = self._total
        short = len(self._cpu) < BUSY_SECONDS
        busiest, seconds = (self._share, self._at) if short else (self._busiest, BUSY_SECONDS)
        busy = busiest > BUSY
        too_late = total.lateness_ms.share_above(TOO_LATE_MS)
        signs = (
            (busy, f"the generator used {busiest:.0%} of a core for {seconds:.0f} s"),
            (
                too_late > self._most_too_late,
                f"{too_late:.1%} of our packets left more than {TOO_LATE_MS:g} ms late",
            ),
            (
                total.jumps * FRAME_MS / 1e3 > self._most_jumps * self._at,
                f"media time jumped over {total.jumps} frames, since nothing ran for more than "
                "200 ms",
            ),
            (
                self._behind > BEHIND,
                f"calls began up to {self._behind:.1f} s after their time",
            ),
        )
        seen = [sign for shown, sign in signs if shown]
        return f"{'; '.join(seen)}: {self._cure(busy=busy)}" if seen else ""

    def _cure(self, *, busy: bool) -> str:
        if not busy and self._share < OURS:
            return (
                f"the generator itself used {self._share:.0%} of a core, so something else had the "
                "processor (or a scenario of your own blocks): end it, use another machine, or say"
                " with --tolerate-late how many late packets you bear"
            )
        sockets = "" if self._shared else "--sockets shared, "
        slower = "a lower --rate, " if self._behind > BEHIND else ""
        return f"use {self._more_cores()}, {sockets}{slower}or fewer calls"

    def _more_cores(self) -> str:
        return "a machine with more cores" if self._full else "more --workers on free cores"

    def invalid_reasons(self) -> tuple[str, ...]:
        """Why the run is invalid, each reason with what to change; () when it is valid."""
        return tuple(self.failed_checks())

    def failed_checks(self) -> dict[str, GeneratorCheck]:
        """The reasons of `invalid_reasons`, each with the check that it belongs to."""
        total = self._total
        slow = self._slow()
        found = {slow: GeneratorCheck.SPEED} if slow else {}
        if total.call_seconds > SILENT_SECONDS and not total.sent:
            reason = (
                "not one packet left though calls were up: the log says what the media engine met"
            )
            found[reason] = GeneratorCheck.SENDING
        if total.overflows > MOST_OVERFLOWS * max(1, total.received):
            reason = (
                f"{total.overflows} packets were dropped in our own receive buffers: "
                f"raise net.core.rmem_max, or use {self._more_cores()}"
            )
            found[reason] = GeneratorCheck.BUFFERS
        if self._broken:
            reason = f"{self._broken} ({self._breaks} times; the log has where)"
            found[reason] = GeneratorCheck.SCENARIO
        for what in sorted(self._starved):
            found[f"the generator ran out of {what}"] = GeneratorCheck.RESOURCES
        return found
