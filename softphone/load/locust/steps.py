"""The steps of a Locust user: what is asked of the call process, and what Locust counts of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from softphone.errors import SoftphoneError
from softphone.load.locust.process_client import CallProcess, CallProcessLost, StepRefused
from softphone.load.measure import MEDIA_STOPPED, NO_MEDIA, failure_cause

logger = logging.getLogger("softphone.load")

SIP = "SIP"
RTP = "RTP"
MOS = "MOS x100"
"""The entry of the voice quality: Locust rounds the percentiles of numbers below 100 to whole
ones, and of those below 1000 to tens."""
OF_MEDIA = (NO_MEDIA, MEDIA_STOPPED)
"""The causes that are counted with the quality; any other is one of the call's end."""


class StepFailed(SoftphoneError):
    """A step of a user has failed, and was counted; `cause` is short, and one of few.

    In a task of Locust one that nobody catches ends the task, as RescheduleTask does.
    """

    _hint = "the failures of Locust's page have its cause; -L DEBUG and softphone's log say more"

    def __init__(self, cause: str, text: str = "") -> None:
        super().__init__(text if text.startswith(cause) else f"{cause}: {text}" if text else cause)
        self.cause = cause
        self.text = text

    def __repr__(self) -> str:
        """The text alone, which is how Locust shows a failure."""
        return str(self)


class UserLost(StepFailed):
    """A step has failed after which no other can succeed: the call process has ended."""


@dataclass(slots=True)
class CallResult:
    """What came of a call: times in ms, `mos` by ITU-T G.107 or None when nothing was received.

    `suite` is the SRTP suite, or "clear"; `failure` why the call failed, "" when it did not.
    """

    target: str
    setup_ms: float | None = None
    suite: str = ""
    mos: float | None = None
    jitter_ms: float | None = None
    loss_percent: float | None = None
    bye_ms: float | None = None
    failure: str = ""

    @property
    def ok(self) -> bool:
        """Whether the call was answered, had media, and ended as it should."""
        return not self.failure

    def context(self) -> dict[str, Any]:
        """The figures for listeners of Locust's request event."""
        return {
            "target": self.target,
            "suite": self.suite,
            "mos": self.mos,
            "jitter_ms": self.jitter_ms,
            "loss_percent": self.loss_percent,
        }


class Fire(Protocol):
    """Locust's `environment.events.request.fire`."""

    def __call__(self, **values: Any) -> None:
        """Report one request."""


class RequestReporter:
    """Reports requests to Locust; failures by cause, each with the text of its first error.

    `first_texts` has that text by cause, for all users.  The texts of errors may have what the far
    end says: only the first of each cause is kept, so that a server cannot fill Locust's memory.
    """

    def __init__(
        self,
        fire: Fire,
        context: Callable[[], dict[str, Any]],
        first_texts: dict[str, str],
    ) -> None:
        self._fire = fire
        self._context = context
        self._first_texts = first_texts

    def succeeded(
        self, kind: str, name: str, ms: float | None, *, octets: int = 0, **context: Any
    ) -> None:
        """Report a request that succeeded; without a time it only counts."""
        self._report(kind, name, ms, octets, None, context)

    def failed(self, kind: str, name: str, failure: StepFailed, *, ms: float | None = None) -> None:
        """Report a request that failed."""
        cause, text = failure.cause, failure.text
        if cause not in self._first_texts:
            self._first_texts[cause] = text
            logger.warning("the first failure of %s: %s", name, failure)
        shown = StepFailed(cause, self._first_texts[cause])
        self._report(kind, name, ms, 0, shown, {"error": str(failure)})

    def _report(
        self,
        kind: str,
        name: str,
        ms: float | None,
        octets: int,
        failed: StepFailed | None,
        context: dict[str, Any],
    ) -> None:
        self._fire(
            request_type=kind,
            name=name,
            response_time=ms,
            response_length=octets,
            exception=failed,
            start_time=time.time() - (ms or 0.0) / 1e3,
            context=self._context() | context,
        )


@dataclass(slots=True)
class UserCall:
    """A call that is up, in the block of `SoftphoneClient.dial`; `result` is whole after it.

    Each method raises StepFailed, which ends the task unless it is caught.
    """

    client: SoftphoneClient
    step: int
    result: CallResult
    suffix: str = ""

    def talk(self, seconds: float) -> None:
        """Talk for `seconds`; a call that ends before is a failure of BYE."""
        if not self.client.run_step("talk", call=self.step, seconds=seconds)["up"]:
            raise self.client.failure("the call ended before its time")

    def send_digits(self, digits: str) -> None:
        """Send DTMF digits; returns when they have been sent."""
        self.client.measure(RTP, f"DTMF{self.suffix}", "digits", call=self.step, digits=digits)

    def hold(self) -> None:
        """Put the far end on hold."""
        self.client.measure(SIP, f"re-INVITE hold{self.suffix}", "hold", call=self.step)

    def resume(self) -> None:
        """Resume the call."""
        self.client.measure(SIP, f"re-INVITE resume{self.suffix}", "resume", call=self.step)

    def transfer(self, target: str) -> None:
        """Transfer the far end to `target`, which ends our call."""
        self.client.measure(SIP, f"REFER{self.suffix}", "transfer", call=self.step, target=target)


class SoftphoneClient:
    """What a Locust user calls with: each step is reported as a request.

    `connect` returns the call process and the number of the user's account, once; `disconnect`
    gives both back and returns why the figures say nothing of the target.  A call with a MOS below
    `least_mos` has failed.  `failed` is raised by a step that fails, `lost` when no other can
    succeed, since the call process has ended.
    """

    def __init__(
        self,
        connect: Callable[[], tuple[CallProcess, int]],
        disconnect: Callable[[], tuple[str, ...]],
        reporter: RequestReporter,
        *,
        least_mos: float | None = None,
        failed: type[StepFailed] = StepFailed,
        lost: type[StepFailed] = UserLost,
    ) -> None:
        self._connect = connect
        self._disconnect = disconnect
        self._reporter = reporter
        self._least_mos = least_mos
        self._process: CallProcess | None = None
        self._account = 0
        self._registered = False
        self._failed = failed
        self._lost = lost

    # Registration -------------------------------------------------------------------------------

    def register(self) -> None:
        """Connect and register; does nothing when that is done.

        It waits, and tries again, where the registrar asks for that by 503.  Of users who share an
        account the first registers it.  Raises StepFailed.
        """
        if self._registered:
            return
        if self._process is None:
            try:
                self._process, self._account = self._connect()
            except SoftphoneError as error:
                failure = self._failure_of(error)
                self._reporter.failed(SIP, "REGISTER", failure)
                raise failure from error
        found = self._run_reported(SIP, "REGISTER", "register", user=self._account)
        self._registered = True
        if found["ms"] is not None:
            self._reporter.succeeded(SIP, "REGISTER", found["ms"])

    def close(self) -> None:
        """Unregister, and let go of the account; the last user's ends the call process.

        Reports the reasons why the figures say nothing of the target as failures of "generator".
        """
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if self._registered:
                self._registered = False
                process.run_step("unregister", user=self._account)
        except SoftphoneError as error:
            logger.warning("a user could not leave as it should: %s", error)
        finally:
            for reason in self._disconnect():
                failure = StepFailed("the run is invalid", reason)
                self._reporter.failed("softphone", "generator", failure)

    # Calls --------------------------------------------------------------------------------------

    def call(self, target: str, *, seconds: float, digits: str = "", name: str = "") -> CallResult:
        """Call `target`, send `digits` once it has answered, talk for `seconds`, and hang up.

        Returns what came of it, and raises nothing when the call fails.  `name` tells its requests
        from others of their kind.
        """
        result = CallResult(target)
        try:
            with self._dial(result, name) as call:
                if digits:
                    call.send_digits(digits)
                call.talk(seconds)
        except StepFailed as error:
            if isinstance(error, self._lost):
                raise
            result.failure = result.failure or str(error)
        return result

    @contextmanager
    def dial(self, target: str, *, name: str = "") -> Iterator[UserCall]:
        """Call `target`; the block is entered on answer, and the call hung up after it.

        Raises StepFailed when it is not answered.
        """
        with self._dial(CallResult(target), name) as call:
            yield call

    @contextmanager
    def _dial(self, result: CallResult, name: str) -> Iterator[UserCall]:
        self.register()
        suffix = f" {name}" if name else ""
        process = self._process
        assert process is not None
        step = process.begin_step("dial", user=self._account, target=result.target)
        try:
            found = process.await_step(step)
        except SoftphoneError as error:
            failure = self._failure_of(error)
            result.failure = str(failure)
            self._reporter.failed(SIP, f"INVITE{suffix}", failure)
            raise failure from error
        result.setup_ms, result.suite = found["ms"], found["suite"]
        self._reporter.succeeded(SIP, f"INVITE{suffix}", result.setup_ms, **result.context())
        try:
            yield UserCall(self, step, result, suffix)
        finally:
            self._end(process, step, result, suffix)

    def _end(self, process: CallProcess, step: int, result: CallResult, suffix: str) -> None:
        """Hang up, and report the quality and the end."""
        try:
            found = process.run_step("end", call=step)
        except SoftphoneError as error:
            failure = self._failure_of(error)
            result.failure = str(failure)
            self._reporter.failed(SIP, f"BYE{suffix}", failure)
            return
        result.mos, result.jitter_ms = found["mos"], found["jitter_ms"]
        result.loss_percent, result.bye_ms = found["loss_percent"], found["bye_ms"]
        cause = found["cause"]
        of_media = cause.startswith(OF_MEDIA)
        self._report_quality(result, suffix, cause if of_media else "", found["octets"])
        if cause and not of_media:
            result.failure = f"the call was dropped: {cause}"
            self._reporter.failed(SIP, f"BYE{suffix}", StepFailed(result.failure), ms=result.bye_ms)
        elif result.bye_ms is not None:
            self._reporter.succeeded(SIP, f"BYE{suffix}", result.bye_ms, **result.context())

    def _report_quality(self, result: CallResult, suffix: str, cause: str, octets: int) -> None:
        """Report the MOS; without one only that there was no media."""
        name, least = f"{MOS}{suffix}", self._least_mos
        value = None if result.mos is None else 100.0 * result.mos
        if not cause and least is not None and result.mos is not None and result.mos < least:
            cause = f"MOS below {least:g}"
        if cause:
            result.failure = cause
            self._reporter.failed(RTP, name, StepFailed(cause), ms=value)
        elif value is not None:
            self._reporter.succeeded(RTP, name, value, octets=octets, **result.context())

    # Steps --------------------------------------------------------------------------------------

    def failure(self, cause: str, text: str = "") -> StepFailed:
        """Make the error of a step."""
        return self._failed(cause, text)

    def run_step(self, step: str, **arguments: Any) -> dict[str, Any]:
        """Run a step that Locust does not count.  Raises StepFailed."""
        assert self._process is not None
        try:
            return self._process.run_step(step, **arguments)
        except SoftphoneError as error:
            raise self._failure_of(error) from error

    def measure(self, kind: str, name: str, step: str, **arguments: Any) -> None:
        """Run a step and report it as a request.  Raises StepFailed."""
        found = self._run_reported(kind, name, step, **arguments)
        self._reporter.succeeded(kind, name, found["ms"])

    def _run_reported(self, kind: str, name: str, step: str, **arguments: Any) -> dict[str, Any]:
        """Run a step, and report it when it fails."""
        try:
            return self.run_step(step, **arguments)
        except StepFailed as failure:
            self._reporter.failed(kind, name, failure)
            raise

    def _failure_of(self, error: SoftphoneError) -> StepFailed:
        """The failure that Locust counts, by its cause."""
        if isinstance(error, StepRefused):
            return self._failed(error.cause, str(error))
        if isinstance(error, CallProcessLost):
            return self._lost("the call process has ended", str(error))
        return self._failed(failure_cause(error), str(error))
