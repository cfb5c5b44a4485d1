"""The live screen of a campaign: how far it is, what became of the calls, and those in progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from softphone.campaign import Campaign, Outcome
from softphone.cli.console.output import printable

WIDE = 80
"""The least columns of a terminal for two figures side by side."""
MOST_ROWS = 8
"""How many calls in progress are listed."""
SOON = 5.0
"""Seconds to the next call from which on its time is shown."""


class CampaignScreen:
    """The screen of a campaign of `numbers` numbers; `name` is that of its list."""

    def __init__(
        self,
        campaign: Campaign,
        name: str,
        numbers: int,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._campaign = campaign
        self._name = name
        self._numbers = numbers
        self._wall = wall
        self._begun = wall()

    def view(self, width: int = WIDE) -> Group:
        """Return the screen."""
        parts: list[RenderableType] = [self._head(), self._figures(2 if width >= WIDE else 1)]
        if self._campaign.calls:
            parts.append(self._calls(width))
        return Group(*parts)

    def line(self) -> str:
        """Return the progress in one line, for output that is no terminal."""
        scheduler = self._campaign.scheduler
        counts = ", ".join(f"{count} {name}" for name, count in self._counts())
        said = f"{self._done:,} of {self._numbers:,} numbers done, {scheduler.in_progress} in call"
        return f"{said}: {counts}" if counts else said

    @property
    def _done(self) -> int:
        scheduler = self._campaign.scheduler
        return self._numbers - scheduler.waiting - scheduler.in_progress

    def _counts(self) -> list[tuple[str, int]]:
        found = self._campaign.scheduler.outcomes
        return [(each.value.replace("_", " "), found[each]) for each in Outcome if found[each]]

    def _head(self) -> Text:
        now = self._wall()
        text = Text(printable(self._name), style="bold")
        text.append(f"   {_duration(now - self._begun)}", style="cyan")
        due = self._campaign.scheduler.next_time(now)
        if due is not None and due - now > SOON:
            when = time.strftime("%a %H:%M:%S", time.localtime(due))
            text.append(f"   next call at {when}", style="yellow")
        return text

    def _figures(self, abreast: int) -> Table:
        scheduler = self._campaign.scheduler
        share = 100 * scheduler.abandoned / scheduler.live if scheduler.live else 0.0
        rows = [
            ("done", f"{self._done:,} of {self._numbers:,}"),
            ("to be called", f"{scheduler.waiting:,}"),
            ("in call", f"{scheduler.in_progress:,}"),
            ("people who answered", f"{scheduler.live:,}"),
            ("abandoned", f"{scheduler.abandoned:,} ({share:.1f} %)"),
            *((name, f"{count:,}") for name, count in self._counts() if name != "abandoned"),
        ]
        table = Table(show_header=False, expand=False, pad_edge=False)
        for _ in range(2 * abreast):
            table.add_column(justify="right")
        for start in range(0, len(rows), abreast):
            cells = [part for row in rows[start : start + abreast] for part in row]
            table.add_row(*(Text(cell) for cell in cells))
        return table

    def _calls(self, width: int) -> Table:
        now = self._wall()
        table = Table(expand=False, pad_edge=False, show_edge=False)
        columns = ("number", "name", "attempt", "state", "seconds")
        for column in columns:
            table.add_column(column, overflow="ellipsis", no_wrap=True, max_width=width // 3)
        calls = sorted(self._campaign.calls.values(), key=lambda each: each.since)
        for each in calls[:MOST_ROWS]:
            number = each.number
            cells = (number.number, number.name, str(each.attempt), each.state)
            table.add_row(
                *(Text(printable(cell)) for cell in cells), Text(f"{now - each.since:.0f}")
            )
        if len(calls) > MOST_ROWS:
            table.add_row(Text(f"and {len(calls) - MOST_ROWS} more"))
        return table


def _duration(seconds: float) -> str:
    hours, rest = divmod(max(0, round(seconds)), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
