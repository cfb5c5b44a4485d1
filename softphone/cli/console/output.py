"""The output of a command: sentences and tables with rich, or one JSON object per line.

Text from the network is made printable before it reaches a terminal; rich is loaded when needed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from typing import IO, TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.live import Live
from rich.status import Status
from rich.table import Table
from rich.text import Text

from softphone.cli.console.option_names import name_options
from softphone.cli.console.symbols import replace_unknown_characters
from softphone.security import SecurityLevel, SecurityState

if TYPE_CHECKING:
    from softphone.diagnostics.ladder import Ladder

LOCK = {True: "\N{LOCK}", False: "\N{OPEN LOCK}"}
NO_LOCK = "\N{HORIZONTAL ELLIPSIS}"
"""Shown in place of the lock while the security is not known."""

LOGGER = "softphone.cli"
"""The logger of what the command itself says in a log of JSON."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


def to_json_value(value: Any) -> Any:
    """Convert a value to JSON types: enumerations by value, dataclasses as objects."""
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
    """Remove control characters that a terminal would interpret; line breaks stay."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def local_time(at: datetime, form: str = "%F %R") -> str:
    """Return a time by this machine's clock; by that of `at` where the calendar ends before."""
    try:
        return f"{at.astimezone():{form}}"
    except (OverflowError, ValueError):
        return f"{at:{form}}"


def _shown(text: str) -> str:
    """Return a sentence of the library in printable form, with the options of the command line."""
    return printable(name_options(text))


def security_line(state: SecurityState) -> str:
    """Return one line on a call's security level, its source, and why it is not higher."""
    lock = NO_LOCK if state.level is SecurityLevel.UNKNOWN else LOCK[state.lock]
    return f"{lock} {state}"


class CommandOutput:
    """Output of one command.

    `summary` are the fields that the last object has in any case, besides result, status and
    reason; None: the command prints no summary.  A command that says itself what late media
    mean sets `judges_lateness`: then no single moment is warned of.  With `json_log` what goes to
    standard error is one JSON object a line.
    """

    def __init__(
        self,
        *,
        json: bool,
        ladder: bool = False,
        summary: Mapping[str, Any] | None = None,
        json_log: bool = False,
    ) -> None:
        self.json = json
        self.json_log = json_log
        replace_unknown_characters()
        # Lines stay whole in pipes, and are wrapped between words on terminals.
        # Text is printed literally: ":a:" in an address is no emoji.
        as_it_is: Any = {"highlight": False, "emoji": False}
        self.stdout_console = Console(**as_it_is, soft_wrap=not sys.stdout.isatty())
        self.stderr_console = Console(**as_it_is, stderr=True, soft_wrap=not sys.stderr.isatty())
        self.ladder = _ladder() if ladder else None
        self._blank = summary
        self._status: Status | Live | None = None
        self._ended = False
        self._terminals = [each for each in (sys.stdout, sys.stderr) if each.isatty()]
        self._warned: set[str] = set()
        self.judges_lateness = False

    def event(self, name: str, sentence: str = "", /, **fields: Any) -> None:
        """Print an event: the sentence for people, name and fields for scripts."""
        if self.json:
            said = {k: to_json_value(v) for k, v in fields.items()}
            said = {k: name_options(v) if isinstance(v, str) else v for k, v in said.items()}
            self._line(json.dumps({"event": name, **said}))
        elif sentence:
            self._print(self.stdout_console, Text(_shown(sentence)))

    def copyable(self, text: str) -> None:
        """Print lines for people that are never wrapped, so that they can be copied."""
        if not self.json:
            self._print(self.stdout_console, Text(printable(text)), whole=True)

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        whole: Collection[str] = (),
    ) -> None:
        """Print a table for people; cells that are too wide are wrapped, not cut.

        Those of the columns `whole` are wrapped last, so that names can be copied.
        """
        if not self.json:
            self._print(self.stdout_console, make_table(title, columns, rows, whole=whole))

    def facts(
        self, title: str, facts: Mapping[str, Any], columns: Sequence[str] = ("", "")
    ) -> None:
        """Print names and values as a table of two columns; blank values are left out.

        Fingerprints are printed below the table, each whole on one line.
        """
        rows = [(name.replace("_", " "), _fact_text(value)) for name, value in facts.items()]
        digests = [row for row in rows if _DIGEST.fullmatch(row[1])]
        self.table(title, columns, [row for row in rows if row[1] and row not in digests])
        self.fingerprints(digests)

    def fingerprints(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print names and digests for people, each pair on one line to be copied."""
        for name, digest in rows:
            self.copyable(f"{name} {digest}")

    def question(self, title: str, rows: Sequence[Sequence[str]], below: str) -> None:
        """Print a question before it is asked on the terminal; `below` is to be copied."""
        self._print(self.stderr_console, make_table(title, ("what", "value"), rows))
        self._print(self.stderr_console, Text(printable(below)), whole=True)

    @contextmanager
    def waiting(self, sentence: str) -> Iterator[Callable[[str], None]]:
        """Show on a terminal what the command waits for; yields a function that changes it."""
        if not self.draws:
            yield lambda _: None
            return
        with self.stdout_console.status(
            Text(printable(sentence)), spinner=self._spinner(), refresh_per_second=5
        ) as status:
            self._status = status
            try:
                yield lambda text: status.update(Text(_shown(text)))
            finally:
                self._drop_lost_terminal()
                self._status = None

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Pause the live display while the user is asked a question."""
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
        """Whether a live display is possible: on a terminal, and not for a script."""
        return not self.json and self.stdout_console.is_terminal

    def progress(self, sentence: str | None) -> None:
        """Print progress on standard error, for people without a live display."""
        if sentence and not self.json:
            self._say("info", printable(sentence))

    @contextmanager
    def screen(self, first: RenderableType) -> Iterator[Callable[[RenderableType], None]]:
        """Show a live display on a terminal; yields a function that updates it."""
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
        """Print a warning on standard error."""
        self._say("warning", _shown(sentence), "warning: ", style="yellow")

    def log(self, sentence: str) -> None:
        """Print one or more lines of the log on standard error."""
        self._print(self.stderr_console, Text(printable(sentence), style="dim"), whole=True)

    def log_record(self, line: str) -> None:
        """Print a record of the log that is a line of JSON already."""
        self._print(self.stderr_console, Text(line), whole=True)

    def warn_once(self, sentence: str) -> None:
        """Print a warning of a permanent condition, once however often it is noticed."""
        if self.is_new_warning(sentence):
            self.warn(sentence)

    def is_new_warning(self, sentence: str) -> bool:
        """Whether a permanent condition has not been warned of."""
        new = sentence not in self._warned
        self._warned.add(sentence)
        return new

    def error(self, sentence: str, code: int, *, hint: str = "") -> None:
        """Print the sentence of a failure on standard error; for scripts also as an object.

        `hint` is advice, on a line of its own.
        """
        self._say("error", _shown(sentence), "error: ", style="red", hint=_shown(hint))
        if hint and not self.json_log:
            self._print(self.stderr_console, Text(f"hint: {_shown(hint)}"))
        if self.json:
            self.event("error", message=sentence, exit_code=code, hint=hint)

    def explain_failure(self, sentence: str) -> None:
        """Print on standard error why a command for a script fails, whose summary has it as fields.

        People read it as the sentence of the summary.
        """
        if self.json:
            self._say("error", _shown(sentence), style="red")

    def summary(self, sentence: str, /, **fields: Any) -> None:
        """Print the summary, once; fields that are not given are blank."""
        if self._ended:
            return
        self._ended = True
        blank = {key: value for key, value in (self._blank or {}).items() if key not in fields}
        self.event("summary", sentence, **fields, **blank)

    def fill_blank(self, **fields: Any) -> None:
        """Set fields of the last object that the command itself does not give."""
        self._blank = {**(self._blank or {}), **fields}

    def done(
        self, sentence: str, /, *, reason: str | None = None, status: int = 0, **fields: Any
    ) -> int:
        """Print the summary of a command that has succeeded; return its exit code, 0.

        `reason`, for scripts, defaults to the sentence.
        """
        said = sentence if reason is None else reason
        self.summary(sentence, result="completed", status=status, reason=said, **fields)
        return 0

    def failed(
        self, sentence: str, code: int, *, result: str, status: int = 0, hint: str = ""
    ) -> int:
        """Print a failure and the summary; return `code`."""
        self.error(sentence, code, hint=hint)
        if self._blank is not None:
            self.summary("", result=result, status=status, reason=sentence)
        return code

    def interrupted(self) -> int:
        """Print that the command was interrupted, after it has cleaned up; return the exit code."""
        self._say("info", "interrupted")
        if self._blank is not None:
            self.summary("", result="failed", status=0, reason="interrupted")
        return 130

    def close(self) -> None:
        """Print the ladder, if the user asked for one."""
        if self.ladder is None:
            return
        if self.json:
            self._say("info", self.ladder.text(), whole=True)
        else:
            self._print(self.stdout_console, Text(self.ladder.text()), whole=True)

    def _say(
        self,
        level: str,
        sentence: str,
        prefix: str = "",
        *,
        style: str = "",
        hint: str = "",
        whole: bool = False,
    ) -> None:
        """Print on standard error: text behind its prefix, or a line of JSON with its level."""
        if self.json_log:
            from softphone.diagnostics.json_log import log_line

            line = log_line(level=level, logger=LOGGER, message=sentence, hint=hint)
            self.log_record(line)
            return
        self._print(self.stderr_console, Text(f"{prefix}{sentence}", style=style), whole=whole)

    def _spinner(self) -> str:
        return "dots" if self.stdout_console.encoding.startswith("utf") else "line"

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

    def _print(self, console: Console, what: Text | RenderableType, *, whole: bool = False) -> None:
        """Print; a text is wrapped between words unless `whole`."""
        self._drop_lost_terminal()
        if self._status is not None and console.is_terminal:
            # A live display prints this above itself.
            console = self.stdout_console
        try:
            if isinstance(what, Text) and not whole and not console.soft_wrap:
                what = Text(_break_lines(what.plain, console.width), style=what.style)
            console.print(what, markup=False, soft_wrap=True if isinstance(what, Text) else None)
        except OSError as error:
            _drop_lost_reader(error, console.file)


def make_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    whole: Collection[str] = (),
) -> Table:
    """Make a table of printable text; cells that are too wide are wrapped, in `whole` last."""
    table = Table(title=Text(printable(title)) if title else None, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(Text(_shown(cell)) for cell in row))
    return table


def _break_lines(text: str, width: int) -> str:
    """Wrap lines between words only, so that a long word, such as a path, can be copied whole."""
    return "\n".join(
        textwrap.fill(
            line,
            # A lock takes two columns.
            max(width - cell_len(line) + len(line), 1),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.split("\n")
    )


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
    """Drop a stream whose reader has gone: the call continues and ends normally.

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
