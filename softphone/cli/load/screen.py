"""The live screen of a load run: how many calls are up, how they sound, and how we are."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from softphone.cli.console.output import printable
from softphone.load.measure.tally import RunSecond, Tally
from softphone.load.plan import LoadPlan
from softphone.load.result import failure_causes, quantiles_text

__all__ = ["LoadScreen"]

CAUSES = 6


class LoadScreen:
    """What is to be seen; `add_second` every second, and draw `view()`."""

    def __init__(self, plan: LoadPlan, workers: int) -> None:
        self._plan = plan
        self._workers = workers
        self._total = Tally()
        self._second = RunSecond(0.0)
        self._registering = (0, len(plan.users))

    def add_second(self, second: RunSecond) -> None:
        """Take a second of the run."""
        self._second = second
        self._total.merge(second.tally)

    def progress(self, done: int, whole: int) -> None:
        """So many users have registered, or have been refused."""
        self._registering = (done, whole)

    def view(self) -> Group:
        """The whole screen."""
        return Group(self._head(), self._figures(), *self._failures())

    def _head(self) -> Text:
        plan, second = self._plan, self._second
        whom = printable(plan.target or "each other")
        text = Text(f"{plan.scenario} -> {whom}", style="bold")
        if not second.at:
            done, whole = self._registering
            text.append(f"   registering {done} of {whole} users", style="yellow")
        else:
            text.append(f"   {second.at:.0f} s", style="cyan")
        if self._workers > 1:
            text.append(f"   {second.workers} of {self._workers} workers", style="cyan")
        return text

    def _figures(self) -> Table:
        total, second = self._total, self._second
        now = second.tally
        table = Table(show_header=False, expand=False, pad_edge=False)
        for _ in range(4):
            table.add_column(justify="right")
        rows = (
            ("calls up", f"{second.up:,} of {self._plan.calls:,}"),
            ("set-ups a second", f"{now.answered:,}"),
            ("attempted", f"{total.attempted:,}"),
            ("answered", f"{total.answered:,}"),
            ("users registered", f"{total.registered:,} of {len(self._plan.users):,}"),
            ("turned away", f"{total.registrations_failed.total():,}"),
            ("failed", f"{total.failed.total():,}"),
            ("dropped", f"{total.dropped.total():,}"),
            ("set-up p50 / p99, ms", quantiles_text(total.setup_ms, 0.5, 0.99)),
            ("MOS p5 / p50", quantiles_text(second.mos_now, 0.05, 0.5)),
            ("packets sent", f"{total.sent:,}"),
            ("packets received", f"{total.received:,}"),
            ("lost", f"{total.lost:,} ({total.loss_percent:.3f} %)"),
            ("jitter p50 / p95, ms", quantiles_text(second.jitter_now_ms, 0.5, 0.95)),
            ("own processor", _busy(second.cpu)),
            ("own lateness p99, ms", quantiles_text(now.lateness_ms, 0.99)),
        )
        for left, right in zip(rows[::2], rows[1::2], strict=True):
            table.add_row(left[0], Text.from_markup(left[1]), right[0], Text.from_markup(right[1]))
        return table

    def _failures(self) -> list[Text]:
        worst = sorted(failure_causes(self._total).items(), key=lambda item: -item[1])[:CAUSES]
        return [Text(f"{count:>8,}  {printable(cause)}", style="red") for cause, count in worst]


def _busy(cpu: float) -> str:
    text = f"{cpu:.0%} of a core"
    return f"[red]{text}[/red]" if cpu > 0.85 else text
