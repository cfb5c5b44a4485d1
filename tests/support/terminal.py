"""A pseudo-terminal: records what a program shows, and types its input."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from contextlib import contextmanager

from tests.support.forked_command import command_line

_CONTROL = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


def lines_shown(written: str) -> list[str]:
    """What a terminal of any height shows after all of this was written to it."""
    lines, row, column = [""], 0, 0
    for control in _CONTROL.finditer(written):
        text, number, letter = control[0], control[1], control[2]
        if text == "\r":
            column = 0
        elif text == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif letter == "A":
            row = max(0, row - int(number or 1))
        elif letter == "K":
            assert number == "2", text
            lines[row] = ""
        elif letter is None:
            before = lines[row].ljust(column)[:column]
            lines[row] = before + text + lines[row][column + len(text) :]
            column += len(text)
        else:
            assert letter in "mhl", text  # colors, and whether the cursor is seen
    return [line.rstrip() for line in lines]


class Terminal:
    """Use as a context; `shown` is everything that was written to it."""

    def __enter__(self):
        self.master, self.slave = pty.openpty()
        os.set_blocking(self.master, False)
        self.shown = b""
        self.started = []
        return self

    def __exit__(self, *exc_info):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()
        for handle in (self.master, self.slave):
            os.close(handle)

    def look(self) -> str:
        """All that was shown until now."""
        try:
            while data := os.read(self.master, 65536):
                self.shown += data
        except BlockingIOError:
            pass
        return self.shown.decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    @contextmanager
    def attended(self):
        """This process's own standard input and error are it; not across a test's fixtures."""
        before = sys.stdin, sys.stderr
        with (
            os.fdopen(os.dup(self.slave), "r") as stdin,
            os.fdopen(os.dup(self.slave), "w") as stderr,
        ):
            sys.stdin, sys.stderr = stdin, stderr
            try:
                yield
            finally:
                sys.stdin, sys.stderr = before

    def run(self, *arguments, **environment) -> subprocess.Popen:
        """A softphone command whose terminal this is."""
        process = subprocess.Popen(
            [*command_line(), *map(str, arguments)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=os.environ | {"COLUMNS": "200"} | environment,
        )
        self.started.append(process)
        return process
