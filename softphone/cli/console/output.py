"""What a person, or a script, sees: sentences and tables with rich, or one JSON object a line.

Nothing that came over the wire reaches a terminal unprintable; rich is loaded when it is needed.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
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
"""In the place of the lock, as long as nothing is known."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


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


def _shown(text: str) -> str:
    """A sentence of the library as a terminal shows it, with the options of the command line."""
    return printable(name_options(text))


def security_line(state: SecurityState) -> str:
    """One line that says how secure a call is, on whose word, and why it is not more."""
    lock = NO_LOCK if state.level is SecurityLevel.UNKNOWN else LOCK[state.lock]
    return f"{lock} {state}"


class CommandOutput:
    """Output of one command.

    `summary` are the fields that the last object has whatever happens, beside result, status and
    reason; None: the command ends without a summary.
    """

    def __init__(
        self, *, json: bool, ladder: bool = False, summary: Mapping[str, Any] | None = None
    ) -> None:
        self.json = json
        replace_unknown_characters()
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
            said = {k: to_json_value(v) for k, v in fields.items()}
            said = {k: name_options(v) if isinstance(v, str) else v for k, v in said.items()}
            self._line(json.dumps({"event": name, **said}))
        elif sentence:
            self._print(self.stdout_console, Text(_shown(sentence)))

    def copyable(self, text: str) -> None:
        """Show lines to a person that no width of a terminal breaks, so that they can be copied."""
        if not self.json:
            self._print(self.stdout_console, Text(printable(text)), whole=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show a table to a person; what is too wide goes on in the next line, uncut."""
        if not self.json:
            self._print(self.stdout_console, make_table(title, columns, rows))

    def facts(
        self, title: str, facts: Mapping[str, Any], columns: Sequence[str] = ("", "")
    ) -> None:
        """Show names and what they have as a table of two columns; what is blank is left out.

        Fingerprints stand below the table, each whole in its line.
        """
        rows = [(name.replace("_", " "), _fact_text(value)) for name, value in facts.items()]
        digests = [row for row in rows if _DIGEST.fullmatch(row[1])]
        self.table(title, columns, [row for row in rows if row[1] and row not in digests])
        self.fingerprints(digests)

    def fingerprints(self, rows: Sequence[tuple[str, str]]) -> None:
        """Show names and digests to a person, each pair in a line to be copied."""
        for name, digest in rows:
            self.copyable(f"{name} {digest}")

    def question(self, title: str, rows: Sequence[Sequence[str]], below: str) -> None:
        """Show what somebody at the terminal is about to be asked; `below` is to be copied."""
        self._print(self.stderr_console, make_table(title, ("what", "value"), rows))
        self._print(self.stderr_console, Text(printable(below)), whole=True)

    @contextmanager
    def waiting(self, sentence: str) -> Iterator[Callable[[str], None]]:
        """Show on a terminal what is waited for; gives what changes the sentence."""
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
        self._print(self.stderr_console, Text(f"warning: {_shown(sentence)}", style="yellow"))

    def log(self, sentence: str) -> None:
        """A line of the log, or several, on standard error."""
        self._print(self.stderr_console, Text(printable(sentence), style="dim"), whole=True)

    def warn_once(self, sentence: str) -> None:
        """A warning of what is so and stays so, however often it is noticed."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            self.warn(sentence)

    def error(self, sentence: str, code: int, *, hint: str = "") -> None:
        """The sentence that explains a failure, on standard error; for scripts an object, too.

        `hint` says what may be done about it, in a line of its own.
        """
        self._print(self.stderr_console, Text(f"error: {_shown(sentence)}", style="red"))
        if hint:
            self._print(self.stderr_console, Text(f"hint: {_shown(hint)}"))
        if self.json:
            self.event("error", message=sentence, exit_code=code, hint=hint)

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

    def failed(
        self, sentence: str, code: int, *, result: str, status: int = 0, hint: str = ""
    ) -> int:
        """Explain a failure and end; gives `code`."""
        self.error(sentence, code, hint=hint)
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
        """Print; a text is broken between its words, unless it is to be left `whole`."""
        self._drop_lost_terminal()
        if self._status is not None and console.is_terminal:
            # Whoever draws on the terminal writes this above what is drawn.
            console = self.stdout_console
        try:
            if isinstance(what, Text) and not whole and not console.soft_wrap:
                what = Text(_break_lines(what.plain, console.width), style=what.style)
            console.print(what, markup=False, soft_wrap=True if isinstance(what, Text) else None)
        except OSError as error:
            _drop_lost_reader(error, console.file)


def make_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Make a table of text, printable; cells that are too wide go on in the next line."""
    table = Table(title=Text(printable(title)) if title else None, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(cell)) for cell in row))
    return table


def _break_lines(text: str, width: int) -> str:
    """Break lines between words only: a longer word, such as a path, can be copied whole."""
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
