"""The results of a campaign as JSON lines: the file from which a campaign goes on after a kill.

A line `dialing` is on disk before the INVITE leaves, and a line `ended` follows when the attempt is
over.  An attempt without the second has an unknown outcome.  The file is locked while a campaign
writes to it, so that no two call its numbers.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from softphone.campaign.outcome import Outcome
from softphone.campaign.scheduler import ListedNumber, NumberHistory
from softphone.errors import ConfigurationError, SoftphoneError
from softphone.operating_system import SAFE_OPEN, lock_file, restrict_mode, synchronize_folder

FORMAT = 1
"""The version of the lines."""
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("key", "number", "name", "reason", "detail", "call_id"), str),
    **dict.fromkeys(("line", "attempt", "status"), int),
    **dict.fromkeys(("started", "ended", "seconds"), int | float),
    "outcome": Outcome,
}
"""What a line may hold under each name."""


class JournalError(SoftphoneError):
    """The results cannot be written: without them no number may be called."""

    _hint = "make sure that the folder of the results can be written to, and that it has space"


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What became of one attempt.

    Times are seconds since 1970; `seconds` is how long the call lasted from its answer, 0 without
    one.  `status` and `reason` are of SIP; `detail` is what the function of the outcome returned.
    """

    key: str
    number: str
    name: str
    line: int
    attempt: int
    outcome: Outcome
    started: float
    ended: float
    seconds: float = 0.0
    status: int = 0
    reason: str = ""
    detail: str = ""
    call_id: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Return the result as JSON values, times in UTC (RFC 3339)."""
        plain = asdict(self) | {"outcome": self.outcome.value, "seconds": round(self.seconds, 3)}
        return plain | {name: time_text(plain[name]) for name in ("started", "ended")}


class Journal:
    """A context that holds the file open and locked; entering reads what earlier runs wrote.

    `results` are then those of earlier runs, those of cut-off attempts among them, as unknown.
    Raises ConfigurationError for a file that is no journal, or another campaign's.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        aor: str = "",
        key_of: Callable[[str], str] | None = None,
    ) -> None:
        """`aor` is the address of the account that calls, and `key_of` gives a number's key.

        Without `key_of` the keys are those that were written, by the rules of that time.
        """
        self._path = Path(path)
        self._aor = aor
        self._key_of = key_of
        self._handle = -1
        self._order = asyncio.Lock()
        self.results: list[AttemptResult] = []

    def __enter__(self) -> Self:
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | SAFE_OPEN
            self._handle = os.open(self._path, flags, 0o600)
            try:
                self._begin()
            except BaseException:
                os.close(self._handle)
                raise
        except OSError as error:
            raise ConfigurationError(f"{self._path}: {error.strerror or error}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            os.fsync(self._handle)
        finally:
            os.close(self._handle)

    def histories(self) -> dict[str, NumberHistory]:
        """Return what earlier runs know of each number, by its key."""
        found: dict[str, NumberHistory] = {}
        for each in self.results:
            found.setdefault(self._key(each), NumberHistory()).add(each.outcome, each.ended)
        return found

    def _key(self, result: AttemptResult) -> str:
        """Return the key of a number by the rules of today, or the one that was written."""
        if self._key_of is None:
            return result.key
        try:
            return self._key_of(result.number)
        except ConfigurationError:
            return result.key

    async def add_dialing(self, number: ListedNumber, attempt: int, now: float) -> None:
        """Write that a number is about to be called; returns when that is on disk.

        Raises JournalError.
        """
        line = {
            "event": "dialing",
            **_identity(number),
            "attempt": attempt,
            "started": time_text(now),
        }
        async with self._order:
            self._write(line)
            try:
                # In a thread: a slow disk must not delay the sound of other calls.
                await asyncio.to_thread(os.fsync, self._handle)
            except OSError as error:
                raise self._failure(error) from error

    def add_ended(self, result: AttemptResult) -> None:
        """Write how an attempt has ended.  Raises JournalError."""
        self._write({"event": "ended", **result.to_plain()})

    def _begin(self) -> None:
        if not lock_file(self._handle):
            raise ConfigurationError(f"{self._path}: another campaign writes to it")
        if not stat.S_ISREG(os.fstat(self._handle).st_mode):
            raise ConfigurationError(f"{self._path} is no file")
        with open(self._handle, "rb", closefd=False) as file:
            data = file.read()
        # A line that a crash has cut off was not on disk, so that its INVITE was never sent.
        whole = data[: data.rfind(b"\n") + 1]
        if not data:
            restrict_mode(self._handle, 0o600)
            self._write({"event": "campaign", "format": FORMAT, "account": self._aor})
            os.fsync(self._handle)
            synchronize_folder(self._path.parent)
            return
        open_attempts: dict[str, dict[str, Any]] = {}
        lines = list(self._lines(whole))
        restrict_mode(self._handle, 0o600)  # it is ours
        os.ftruncate(self._handle, len(whole))
        for line in lines:
            if line["event"] == "dialing":
                open_attempts[line["key"]] = line
            else:
                open_attempts.pop(line["key"], None)
                self.results.append(_result(line))
        for line in open_attempts.values():
            cut = _cut_off(line)
            self.results.append(cut)
            self.add_ended(cut)

    def _lines(self, whole: bytes) -> Iterator[dict[str, Any]]:
        for number, text in enumerate(whole.split(b"\n")[:-1] or [b""], 1):
            place = f"{self._path}:{number}"
            try:
                line = json.loads(text)
                if number > 1:
                    _check_line(line)
                    yield line
                elif line["event"] != "campaign" or line["format"] != FORMAT:
                    raise ValueError("another format")
                elif line["account"] != self._aor:
                    raise ConfigurationError(
                        f"{place}: these are results of {line['account']}: take another file"
                    )
            except (
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                OverflowError,
                RecursionError,
            ) as error:
                raise ConfigurationError(
                    f"{place}: this is no journal of a campaign ({error})"
                ) from error

    def _write(self, line: Mapping[str, Any]) -> None:
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            written = os.write(self._handle, data)
        except OSError as error:
            raise self._failure(error) from error
        if written != len(data):
            # Nothing may be appended to a part of a line: the file could not be read again.
            os.ftruncate(self._handle, os.fstat(self._handle).st_size - written)
            raise JournalError(f"{self._path} cannot be written: there is no space")

    def _failure(self, error: OSError) -> JournalError:
        return JournalError(f"{self._path} cannot be written: {error.strerror or error}")


def time_text(now: float) -> str:
    """Return seconds since 1970 as a time in UTC (RFC 3339), in milliseconds."""
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")


def _identity(number: ListedNumber) -> dict[str, Any]:
    return {
        "key": number.key,
        "number": number.number,
        "name": number.name,
        "line": number.line,
    }


def _check_line(line: Any) -> None:
    """Raise ValueError, KeyError or TypeError for what is no line of an attempt."""
    if line["event"] not in ("dialing", "ended") or not isinstance(line["key"], str):
        raise ValueError("an unknown line")
    result = _result(line) if line["event"] == "ended" else _cut_off(line)
    result.to_plain()


def _cut_off(line: Mapping[str, Any]) -> AttemptResult:
    """Return the result of an attempt whose end is not known."""
    ended = line["started"]
    return _result({**line, "outcome": Outcome.UNKNOWN, "ended": ended, "reason": "cut off"})


def _result(line: Mapping[str, Any]) -> AttemptResult:
    values = {each.name: line[each.name] for each in fields(AttemptResult) if each.name in line}
    values["outcome"] = Outcome(values["outcome"])
    for name in ("started", "ended"):
        values[name] = _seconds(values[name])
    for name, value in values.items():
        if not isinstance(value, _TYPES[name]) or isinstance(value, bool):
            raise TypeError(f"{name} is {value!r}")
    return AttemptResult(**values)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
