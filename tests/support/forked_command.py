"""`softphone` as a process, a second of imports cheaper: a fork of one that has imported it.

`command_line()` gives the words that start it, in the place of `python -m softphone`.  They are a
small program that hands its arguments, folder, environment and standard streams to a server of this
test process, passes on signals, and ends as the fork ends.  The server begins with the first use
and ends with the test process.  Where a variable differs that is read before a command begins (of
FIPS mode, the kernel, the interpreter, the language), the program becomes `python -m softphone`
itself.

What is about starting, interrupted imports or the process's number starts a process as it is.
"""

from __future__ import annotations

import array
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
REAL = (sys.executable, "-m", "softphone")
READ_EARLY = (
    *("LANG", "LC_", "LD_", "OPENSSL_", "PYTHON", "SOFTPHONE_FIPS", "SOFTPHONE_KERNEL"),
    *("SSL_", "TERM", "TZ"),
)
"""Beginnings of variables that an interpreter or a library reads before a command begins."""
PRELOADED = ("softphone.cli.commands", "softphone.cli.lab", "aiohttp.web", "rich.progress")
PATIENCE = 60.0

CLIENT = """#!{python} -IS
import os, signal
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket
REAL, EARLY, KNOWN, PLACE = {real!r}, {early!r}, {known!r}, {place!r}
import sys
here = {{name: value for name, value in os.environ.items() if name.startswith(EARLY)}}
server = socket(AF_UNIX, SOCK_SEQPACKET)
try:
    if here != KNOWN:
        raise OSError
    server.connect(PLACE)
except OSError:
    os.execv(REAL[0], [*REAL, *sys.argv[1:]])
forwarded = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1,
             signal.SIGUSR2, signal.SIGWINCH]
ignored = [int(each) for each in forwarded if signal.getsignal(each) == signal.SIG_IGN]
signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
import json
told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ), ignored]).encode()
# Through a file, since a message has a limit.
text = os.memfd_create("command")
os.write(text, told)
fds = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, text))
server.sendmsg([b"\\0"], [(SOL_SOCKET, SCM_RIGHTS, fds)])
def forward(number, frame):
    try:
        server.send(bytes([number]))
    except OSError:
        pass
for each in forwarded:
    if int(each) not in ignored:
        signal.signal(each, forward)
signal.pthread_sigmask(signal.SIG_UNBLOCK, forwarded)
status = int(server.recv(16) or b"-9")
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if status != -9 else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""


@functools.cache
def _program() -> Path:
    """Start the server, and write the program that asks it."""
    folder = tempfile.TemporaryDirectory(prefix="softphone-forks-")
    place, program = Path(folder.name) / "server", Path(folder.name) / "softphone"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(place))
    listener.listen(64)
    early = {name: value for name, value in os.environ.items() if name.startswith(READ_EARLY)}
    client = CLIENT.format(
        python=sys.executable, real=REAL, early=READ_EARLY, known=early, place=str(place)
    )
    program.write_text(client)
    program.chmod(0o755)
    # It ends when the writing end of its input is closed: with this process, whatever ends that.
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.forked_command", str(listener.fileno())],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        pass_fds=[listener.fileno()],
        start_new_session=True,
    )
    listener.close()
    _kept.extend((folder, server))
    return program


_kept: list[object] = []


def command_line() -> list[str]:
    """The words that start `softphone`, to be followed by its arguments."""
    return [str(_program())]


def folder_of_program() -> str:
    """The folder of a program `softphone`, for PATH."""
    return str(_program().parent)


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[str]:
    """Give the first line of output of a command that runs in a folder; interrupt it after it."""
    with subprocess.Popen(
        [*command_line(), *arguments], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            if not (line := process.stdout.readline()):
                pytest.fail(f"softphone {' '.join(arguments)} did not start")
            yield line
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            process.wait(90)
        finally:
            process.kill()
    assert process.returncode == 0


# The server ---------------------------------------------------------------------------------------


class Server:
    """Forks a command for each connection; `serve` returns in the command only."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.selector.register(0, selectors.EVENT_READ)
        self.commands: dict[socket.socket, tuple[int, int]] = {}
        """Of each connection the process, and the handle that tells when it has ended."""

    def serve(self) -> list[str]:
        """Fork until the input ends; in a fork, become the command and give its arguments."""
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    arguments = self._accept()
                    if arguments is not None:
                        return arguments
                elif key.fileobj == 0:
                    self._end()
                elif isinstance(key.fileobj, socket.socket):
                    self._pass_on(key.fileobj)
                else:
                    self._ended(key.data)

    def _accept(self) -> list[str] | None:
        connection, _ = self.listener.accept()
        _, control, _, _ = connection.recvmsg(1, socket.CMSG_SPACE(16))
        fds = array.array("i")
        for _, _, data in control:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        if len(fds) != 4:
            connection.close()
            return None
        process = os.fork()
        if process == 0:
            return self._become(list(fds))
        for fd in fds:
            os.close(fd)
        handle = os.pidfd_open(process)
        self.commands[connection] = (process, handle)
        self.selector.register(connection, selectors.EVENT_READ)
        self.selector.register(handle, selectors.EVENT_READ, connection)
        return None

    def _become(self, fds: list[int]) -> list[str]:
        self.selector.close()
        self.listener.close()
        for connection, (_, handle) in self.commands.items():
            connection.close()
            os.close(handle)
        with os.fdopen(fds[3], "rb") as file:
            file.seek(0)
            arguments, folder, environment, ignored = json.load(file)
        for number, fd in enumerate(fds[:3]):
            os.dup2(fd, number)
            os.close(fd)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False, buffering=1 if os.isatty(1) else -1)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, buffering=1, errors="backslashreplace")  # noqa: SIM115
        sys.orig_argv = [*REAL, *arguments]
        sys.argv = [str(PROJECT / "softphone" / "__main__.py"), *arguments]
        return list(arguments)

    def _pass_on(self, connection: socket.socket) -> None:
        """A signal; or the program is gone, killed, and the command goes as well."""
        process, _ = self.commands[connection]
        number = connection.recv(1)
        with suppress(ProcessLookupError):
            os.kill(process, number[0] if number else signal.SIGKILL)
        if not number:
            self.selector.unregister(connection)

    def _ended(self, connection: socket.socket) -> None:
        process, handle = self.commands.pop(connection)
        self.selector.unregister(handle)
        os.close(handle)
        with suppress(KeyError):
            self.selector.unregister(connection)
        _, status = os.waitpid(process, 0)
        with connection, suppress(OSError):
            connection.send(b"%d" % os.waitstatus_to_exitcode(status))

    def _end(self) -> None:
        for process, _ in self.commands.values():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for process, _ in self.commands.values():
            while time.monotonic() < deadline and not os.waitpid(process, os.WNOHANG)[0]:
                time.sleep(0.01)
        os._exit(0)


def serve(number: int) -> None:
    """Load what commands need, fork them, and be one."""
    import asyncio
    import gc
    import importlib

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in PRELOADED:
        importlib.import_module(name)
    from softphone.preloading import preload

    asyncio.run(preload())
    gc.collect()
    gc.freeze()
    Server(socket.socket(fileno=number)).serve()
    from softphone.cli import main

    main()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
