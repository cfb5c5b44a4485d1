"""What a person, or a script, sees: sentences and tables with rich, or one JSON object a line.

Nothing that came over the wire reaches a terminal unprintable; rich is loaded when it is needed.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

from softphone.security import Scope, SecurityLevel, SecurityState

if TYPE_CHECKING:
    from softphone.diagnostics.ladder import Ladder

LOCK = {True: "\N{LOCK}", False: "\N{OPEN LOCK}"}
NO_LOCK = "\N{HORIZONTAL ELLIPSIS}"
"""In the place of the lock, as long as nothing is known."""


def to_json_value(value: Any) -> Any:
    """A value as JSON has it: enumerations by value, dataclasses as objects."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, SecurityState):
        return {
            "level": value.level.value,
            "scope": value.scope.value,
            "lock": value.lock,
            "fips": value.fips,
            "shortfalls": [shortfall.code.value for shortfall in value.shortfalls],
        }
    if is_dataclass(value) and not isinstance(value, type):
        return {key: to_json_value(item) for key, item in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json_value(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def printable(text: str) -> str:
    """Without what would steer a terminal; lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def security_line(state: SecurityState, *, direct: bool = False) -> str:
    """One line that says how secure a call is, on whose word, and why it is not more.

    `direct`: there is no server between us and the far end.
    """
    media = ", ".join(str(stream.suite or "in clear") for stream in state.media) or "none"
    signaling = state.signaling.protocol or "in clear"
    reasons = "; ".join(shortfall.explanation for shortfall in state.shortfalls)
    lock = NO_LOCK if state.level is SecurityLevel.UNKNOWN else LOCK[state.lock]
    line = f"{lock} {_reach(state, direct)} (signaling {signaling}, media {media})"
    return f"{line}: {reasons}" if reasons else line


def _reach(state: SecurityState, direct: bool) -> str:
    if state.lock and direct:
        return "encrypted end to end, the far end's certificate verified by us"
    if state.lock:
        return "encrypted to the server, and by its word to the far end"
    if state.level is SecurityLevel.ENCRYPTED and state.scope is Scope.HOP:
        return "encrypted to the next hop" if direct else "encrypted to the server"
    if state.level is SecurityLevel.UNKNOWN:
        return "not known yet"
    return str(state.level.value).replace("_", " ")


class CommandOutput:
    """Output of one command.

    `summary` are the fields that the last object has whatever happens, beside result, status and
    reason; None: the command ends without a summary.
    """

    def __init__(
        self, *, json: bool, ladder: bool = False, summary: Mapping[str, Any] | None = None
    ) -> None:
        self.json = json
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="replace")
        # Lines are left whole for pipes, and broken between words for people.
        # What is said is said as it is: in an address ":a:" is no emoji.
        as_it_is: Any = {"highlight": False, "emoji": False}
        self.stdout_console = Console(**as_it_is, soft_wrap=not sys.stdout.isatty())
        self.stderr_console = Console(**as_it_is, stderr=True, soft_wrap=not sys.stderr.isatty())
        self.ladder = _ladder() if ladder else None
        self._blank = summary
        self._status: Status | Live | None = None
        self._ended = False
        self._terminals = [each for each in (sys.stdout, sys.stderr) if each.isatty()]
        self._warned: set[str] = set()

    def event(self, name: str, sentence: str = "", /, **fields: Any) -> None:
        """Tell of something: the sentence to a person, name and fields to a script."""
        if self.json:
            self._line(
                json.dumps({"event": name, **{k: to_json_value(v) for k, v in fields.items()}})
            )
        elif sentence:
            self._print(self.stdout_console, printable(sentence))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table to a person; what is too wide goes on in the next line, uncut."""
        if not self.json:
            self._print(self.stdout_console, _table(title, columns, rows))

    def facts(
        self, title: str, facts: Mapping[str, Any], columns: Sequence[str] = ("", "")
    ) -> None:
        """Show names and what they have as a table of two columns; what is blank is left out."""
        rows = [(name.replace("_", " "), _fact_text(value)) for name, value in facts.items()]
        self.table(title, columns, [row for row in rows if row[1]])

    def question(self, title: str, rows: Sequence[Sequence[str]]) -> None:
        """Show what somebody at the terminal is about to be asked."""
        self._print(self.stderr_console, _table(title, ("what", "value"), rows))

    @contextmanager
    def waiting(self, sentence: str) -> Iterator[Callable[[str], None]]:
        """Show on a terminal what is waited for; gives what changes the sentence."""
        if not self.draws:
            yield lambda _: None
            return
        with self.stdout_console.status(Text(printable(sentence)), refresh_per_second=5) as status:
            self._status = status
            try:
                yield lambda text: status.update(Text(printable(text)))
            finally:
                self._drop_lost_terminal()
                self._status = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Keep the terminal still while somebody is asked something."""
        status = self._status
        if status is not None:
            status.stop()
        self._status = None
        try:
            yield
        finally:
            self._status = status
            if status is not None:
                status.start()

    @property
    def draws(self) -> bool:
        """Whether what changes can be shown: on a terminal, and not to a script."""
        return not self.json and self.stdout_console.is_terminal

    def progress(self, sentence: str | None) -> None:
        """Tell on standard error, to a person who sees nothing drawn, how far we are."""
        if sentence and not self.json:
            self._print(self.stderr_console, Text(printable(sentence)))

    @contextmanager
    def screen(self, first: RenderableType) -> Iterator[Callable[[RenderableType], None]]:
        """Show something that changes, on a terminal; gives what changes it."""
        if not self.draws:
            yield lambda _: None
            return
        live = Live(first, console=self.stdout_console, refresh_per_second=4, transient=True)
        with live:
            self._status = live
            try:
                yield live.update
            finally:
                self._drop_lost_terminal()
                self._status = None

    def warn(self, sentence: str) -> None:
        """A warning, on standard error."""
        self._print(self.stderr_console, Text(f"warning: {printable(sentence)}", style="yellow"))

    def warn_once(self, sentence: str) -> None:
        """A warning of what is so and stays so, however often it is noticed."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            self.warn(sentence)

    def error(self, sentence: str, code: int) -> None:
        """The sentence that explains a failure, on standard error; for scripts an object, too."""
        self._print(self.stderr_console, Text(f"error: {printable(sentence)}", style="red"))
        if self.json:
            self.event("error", message=sentence, exit_code=code)

    def summary(self, sentence: str, /, **fields: Any) -> None:
        """The last word, said once; fields that are not given are there and blank."""
        if self._ended:
            return
        self._ended = True
        blank = {key: value for key, value in (self._blank or {}).items() if key not in fields}
        self.event("summary", sentence, **fields, **blank)

    def fill_blank(self, **fields: Any) -> None:
        """Fields that the last object has where the command itself does not give them."""
        self._blank = {**(self._blank or {}), **fields}

    def done(
        self, sentence: str, /, *, reason: str | None = None, status: int = 0, **fields: Any
    ) -> int:
        """The last word of a command that did what it should; gives its exit code, 0.

        `reason`, for scripts, is the sentence where it is not given.
        """
        said = sentence if reason is None else reason
        self.summary(sentence, result="completed", status=status, reason=said, **fields)
        return 0

    def failed(self, sentence: str, code: int, *, result: str, status: int = 0) -> int:
        """Explain a failure and end; gives `code`."""
        self.error(sentence, code)
        if self._blank is not None:
            self.summary("", result=result, status=status, reason=sentence)
        return code

    def interrupted(self) -> int:
        """The command was interrupted, and has tidied up."""
        self._print(self.stderr_console, Text("interrupted"))
        if self._blank is not None:
            self.summary("", result="failed", status=0, reason="interrupted")
        return 130

    def close(self) -> None:
        """Print the ladder, if one was asked for."""
        if self.ladder is not None:
            self._print(
                self.stderr_console if self.json else self.stdout_console,
                Text(self.ladder.text()),
                whole=True,
            )

    def _drop_lost_terminal(self) -> None:
        """Write nothing more to a terminal that was closed: each write would fail."""
        for stream in self._terminals:
            if not stream.isatty():
                _write_to_nobody(stream)

    def _line(self, text: str) -> None:
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except OSError as error:
            _drop_lost_reader(error, sys.stdout)

    def _print(self, console: Console, what: Any, *, whole: bool = False) -> None:
        self._drop_lost_terminal()
        if self._status is not None and console.is_terminal:
            # Whoever draws on the terminal writes this above what is drawn.
            console = self.stdout_console
        try:
            console.print(what, markup=False, soft_wrap=True if whole else None)
        except OSError as error:
            _drop_lost_reader(error, console.file)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=Text(printable(title)) if title else None, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _fact_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)


def _ladder() -> Ladder:
    from softphone.diagnostics.ladder import Ladder

    return Ladder()


def _drop_lost_reader(error: OSError, stream: IO[str]) -> None:
    """A reader of our output has gone: the call goes on and is ended as it should be.

    Raises any other error.
    """
    # EIO: the terminal was closed.
    if error.errno not in (errno.EPIPE, errno.EIO):
        raise error
    _write_to_nobody(stream)


def _write_to_nobody(stream: IO[str]) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
