"""The live screen of a load run: the calls that are up, their quality, and our own load."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from softphone.cli.console.output import printable
from softphone.load.distribute import RunControl
from softphone.load.live import OWN_PROCESSOR, live_figures
from softphone.load.measure.tally import RunSecond, Tally
from softphone.load.plan import LoadPlan
from softphone.load.result import failure_causes, quantiles_text
from softphone.load.run.bottleneck import BottleneckDetector

CAUSES = 6
WIDE = 80
"""The least columns of a terminal for two figures side by side."""
BUSY = 0.85
"""The share of a core from which on our own processor time is shown in red."""
LINE_EVERY = 10.0
"""Seconds of a run between two lines of progress."""


class LoadScreen:
    """The screen of a run, or of the `trial` of that name; call `add_second`, draw `view()`.

    `control` may change the number of calls.
    """

    def __init__(
        self, plan: LoadPlan, workers: int, trial: str = "", control: RunControl | None = None
    ) -> None:
        self._plan = plan
        self._control = control
        self._trial = trial
        self._workers = workers
        self._total = Tally()
        self._second = RunSecond(0.0)
        self._registering = (0, len(plan.users))

    def add_second(self, second: RunSecond) -> None:
        """Add the figures of one second of the run."""
        self._second = second
        self._total.merge(second.tally)

    def progress(self, done: int, whole: int) -> None:
        """Note that `done` of `whole` users have registered or have been refused."""
        self._registering = (done, whole)

    def view(self, width: int = WIDE) -> Group:
        """Return the screen; on a narrow terminal one figure per line, with its whole label."""
        return Group(self._head(), self._figures(2 if width >= WIDE else 1), *self._failures())

    def _head(self) -> Text:
        plan, second = self._plan, self._second
        whom = printable(plan.target or "each other")
        text = Text(f"{plan.scenario} -> {whom}", style="bold")
        if self._trial:
            text.append(f"   {self._trial}", style="cyan")
        if not second.at:
            done, whole = self._registering
            text.append(f"   registering {done} of {whole} users", style="yellow")
        else:
            text.append(f"   {second.at:.0f} s", style="cyan")
        if self._workers > 1:
            text.append(f"   {second.workers} of {self._workers} workers", style="cyan")
        return text

    def _figures(self, abreast: int) -> Table:
        table = Table(show_header=False, expand=False, pad_edge=False)
        for _ in range(2 * abreast):
            table.add_column(justify="right")
        calls = _calls(self._plan, self._control)
        figures = live_figures(
            self._total,
            self._second,
            calls=calls,
            users=self._registering[1],
            media=self._plan.has_media,
        )
        busy = self._second.cpu > BUSY
        rows = [
            (name, Text(value, style="red" if busy and name == OWN_PROCESSOR else ""))
            for name, value in figures
        ]
        for start in range(0, len(rows), abreast):
            table.add_row(*(part for cell in rows[start : start + abreast] for part in cell))
        return table

    def _failures(self) -> list[Text]:
        worst = sorted(failure_causes(self._total).items(), key=lambda item: -item[1])[:CAUSES]
        return [Text(f"{count:>8,}  {printable(cause)}", style="red") for cause, count in worst]


class LatenessWarning:
    """Warns once, from LINE_EVERY seconds into a run on, that the run is invalid so far.

    Single moments of late media cause no warning: only their share counts.
    """

    def __init__(self, plan: LoadPlan, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned = False
        self._detector = BottleneckDetector(
            shared=plan.sockets == "shared", tolerate_late=plan.tolerate_late
        )

    def add_second(self, second: RunSecond) -> None:
        """Add a second of the run; warn if the run is invalid so far."""
        self._detector.add_second(second)
        if second.at < LINE_EVERY or self._warned:
            return
        for reason in self._detector.invalid_reasons()[:1]:
            self._warn(f"if it stays so, this run is invalid: {reason}")
            self._warned = True


class ProgressLines:
    """Replaces the screen where there is no terminal: a line of progress now and then.

    `registered` gives one at each quarter of the users, `running` one each ten seconds; else None.
    Each begins with the `trial`, where there are several.  `control` may change how many calls are
    to be up.
    """

    def __init__(self, plan: LoadPlan, trial: str = "", control: RunControl | None = None) -> None:
        self._plan = plan
        self._control = control
        self._before = f"{trial}, " if trial else ""
        self._total = Tally()
        self._quarters = 0
        self._next = LINE_EVERY

    def registered(self, done: int, whole: int) -> str | None:
        """Note that `done` of `whole` users registered or were refused; return a line or None."""
        quarters = 4 * done // max(1, whole)
        if whole < 2 or quarters <= self._quarters:
            return None
        self._quarters = quarters
        return f"{self._before}registering: {done:,} of {whole:,} users"

    def running(self, second: RunSecond) -> str | None:
        """Add the figures of one second of the run; return a line or None."""
        self._total.merge(second.tally)
        if second.at < self._next:
            return None
        self._next = second.at + LINE_EVERY - second.at % LINE_EVERY
        total, calls = self._total, _calls(self._plan, self._control)
        if self._plan.workload is not None:
            return self._without_calls(second, calls)
        parts = [
            f"{self._before}{second.at:.0f} s: {second.up:,} of {calls:,} calls up",
            f"{total.answered:,} of {total.attempted:,} answered",
            f"{total.failed.total():,} failed",
            f"{total.dropped.total():,} dropped",
            f"MOS p5 {quantiles_text(second.mos_now, 0.05)}",
        ]
        return ", ".join(parts)

    def _without_calls(self, second: RunSecond, calls: int) -> str:
        total = self._total
        parts = [f"{self._before}{second.at:.0f} s: {second.up:,} of {calls:,} at once"]
        if total.registrations:
            failed = total.registrations_failed.total()
            parts.append(f"{total.registered:,} registered, {failed:,} attempts failed")
        parts += [
            f"{name.replace('_', ' ')} {tally.succeeded:,} of {tally.attempted:,}"
            for name, tally in total.operations.items()
        ]
        return ", ".join(parts)


def _calls(plan: LoadPlan, control: RunControl | None) -> int:
    return plan.calls if control is None else control.calls
