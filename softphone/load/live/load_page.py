"""The page of `--ui`: a run or a search as it goes on, and buttons that steer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from softphone.load.capacity import CapacityTrial
from softphone.load.distribute import RunControl, RunObserver
from softphone.load.live.live_run import LiveRun
from softphone.load.measure import RunSecond
from softphone.load.plan import ExpectationVerdict, LoadPlan
from softphone.load.result import LoadResult
from softphone.monitoring import PageAccess
from softphone.web import BadRequest, EventFeed, SiteContent, WebSite
from softphone.web.web_site import LAST_EVENTS

if TYPE_CHECKING:
    from aiohttp import web

FILES = ("load.html", "load.js", "chart.js", "load.css", "chart.css")
MOST = 1e9
"""Larger numbers in a request are refused before they are converted."""
EVERY_USERS = 0.02
"""The share of users whose registration causes the next update of the page."""


class LoadPage(WebSite):
    """An async context that serves the page of a run; give the run the observer of `watch`.

    Raises ConfigurationError without aiohttp, or when the address cannot be bound.
    """

    def __init__(
        self,
        live: LiveRun,
        control: RunControl,
        access: PageAccess,
        *,
        on_sign_in: Callable[[], None] = lambda: None,
    ) -> None:
        self._live = live
        self._control = control
        self._reported = 0
        self.feed = EventFeed(lambda: ("begin", live.heading()))
        folder = files("softphone.load.live").joinpath("static")
        content = SiteContent(
            files={name: folder.joinpath(name) for name in FILES},
            index="load.html",
            get={
                "events": self.feed.stream,
                "failed": self._show_failed,
                "older": self._list_older,
            },
            post={"stop": self._stop_run, "change": self._change_load},
        )
        super().__init__(content, access, what="the page of this load run", on_sign_in=on_sign_in)

    # What the run reports -------------------------------------------------------------------------

    def watch(self, observer: RunObserver) -> RunObserver:
        """Return an observer of a run that passes everything on to `observer` and to this page."""

        def second(latest: RunSecond) -> None:
            observer.second(latest)
            self._live.add_second(latest)
            self._tell()

        def progress(done: int, whole: int) -> None:
            observer.progress(done, whole)
            self._live.progress(done, whole)
            if done == whole or done - self._reported >= EVERY_USERS * whole:
                self._reported = done
                self._tell()

        def begin(plan: LoadPlan) -> None:
            observer.begin(plan)
            self._live.begin_trial(plan)
            self._reported = 0
            self.feed.publish("begin", self._live.heading())

        return replace(
            observer,
            begin=begin,
            second=second,
            progress=progress,
            worker=self._live.add_worker,
            failure=self._live.add_failure,
        )

    def add_trial(self, trial: CapacityTrial) -> None:
        """Show how a run of a search ended."""
        self._live.add_trial(trial)
        self._tell()

    async def finish(
        self, result: LoadResult, verdicts: Sequence[ExpectationVerdict], sentence: str
    ) -> None:
        """Show how the run ended, and end the streams of events."""
        self._live.finish(result, verdicts, sentence)
        self._tell()
        await self.feed.finish(LAST_EVENTS)

    def _tell(self) -> None:
        if self.feed.browsers:
            self.feed.publish("now", self._live.state())

    # What a browser asks for --------------------------------------------------------------------

    async def _show_failed(self, request: web.Request) -> web.StreamResponse:
        """Answer with the ladder and messages of a failed call, secrets masked."""
        from aiohttp import web

        number = _id_of(request, "id")
        call = None if number is None else self._live.failed_call(number)
        if call is None:
            raise web.HTTPNotFound(text="that call is not kept any more\n")
        return web.json_response(call.to_plain())

    async def _list_older(self, request: web.Request) -> web.StreamResponse:
        """Answer with failed calls older than the one of number `before`."""
        from aiohttp import web

        before = _id_of(request, "before")
        return web.json_response([] if before is None else self._live.older_failed(before))

    def _stop_run(self, given: Mapping[str, Any]) -> None:
        self._control.stop()

    def _change_load(self, given: Mapping[str, Any]) -> None:
        if unknown := given.keys() - {"rate", "calls"}:
            raise BadRequest(f"{', '.join(sorted(map(str, unknown)))} cannot be changed")
        rate, calls = _number(given, "rate"), _number(given, "calls")
        if calls is not None and calls != int(calls):
            raise BadRequest("calls: expected a whole number")
        self._control.change(rate=rate, calls=None if calls is None else int(calls))
        self._tell()


def _id_of(request: web.Request, name: str) -> int | None:
    """The number of a failed call in a query; None for what is none."""
    number = request.query.get(name, "")
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else None


def _number(given: Mapping[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    # A bool is an int in Python, and Python's JSON reader accepts huge numbers and Infinity.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MOST:
        raise BadRequest(f"{name}: expected a number")
    return float(value)
