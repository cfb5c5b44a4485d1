"""Writes `softphone/blocking/wrappers.py` from the asynchronous classes.

    python -m tests.blocking.generate --write

Each public method and property becomes one that waits, with the same parameters and the same text.
Members that only the engine calls (`:meta private:`), and those of `LEFT_OUT`, are left out.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TARGET = PROJECT / "softphone" / "blocking" / "wrappers.py"

WRAPPED = {
    "Phone": "softphone.phone.phone",
    "Account": "softphone.account.account",
    "Watch": "softphone.account.watch",
    "PresenceWatch": "softphone.account.watch",
    "OutgoingCall": "softphone.call.outgoing",
    "IncomingCall": "softphone.call.incoming",
    "Call": "softphone.call.call",
    "AudioStream": "softphone.call.audio_stream",
    "PlaybackMark": "softphone.media.audio.pcm_output",
    "Detection": "softphone.call.audio_stream",
    "Recording": "softphone.media.recording.recording",
    "Conference": "softphone.call.conference",
}
LEFT_OUT = {
    # Other nouns, which the blocking interface does not have.
    "Phone": {
        *("contacts", "open_directories", "messages", "sign_in", "sign_out", "sign_in_user"),
        *("voicemail", "open_voicemail"),
    },
    "Call": {"video", "record_video", "streams"},
    "AudioStream": {"sound", "track", "for_owner", "write_all"},
    # What the engine calls.
    "Account": {"start", "change", "emit_event", "reconfigure", "flow"},
    "PlaybackMark": {"resolve"},
    "Recording": {"watch"},
    "IncomingCall": {"ended"},
}
ENGINE_ONLY = {"inherited_policy", "session_uuid", "for_leg", "take_referral", "start"}
DROPPED = {("Phone", "boot"): {"tell"}}
"""Parameters that are callbacks."""

INIT = {
    "Phone": '''
    def __init__(
        self,
        *,
        policy: SecurityPolicy | None = None,
        trust: TrustStore | None = None,
        media: MediaConfig | None = None,
        fips: bool | None = None,
    ) -> None:
        super().__init__(
            None, AsyncPhone(policy=policy, trust=trust, media=media, fips=fips)
        )

    def __enter__(self) -> Self:
        """Enter the phone.  Raises FipsUnavailable when the process runs in another mode."""
        if self._background is not None:
            raise LocalProtocolError("the phone has been entered already")
        self._background = acquire_loop(self._leave)
        try:
            self._wait(self._inner.__aenter__)
        except BaseException:
            release_loop(self._leave)
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close all accounts, then the media.  Raises the first failure."""
        try:
            self._wait(lambda: self._inner.__aexit__(*exc_info))
        finally:
            release_loop(self._leave)

    def _leave(self) -> None:
        self.__exit__(None, None, None)
''',
    "Conference": """
    def __init__(
        self, *, clock_rate_hz: int = 16_000, minimum: SecurityLevel | None = None
    ) -> None:
        loop = running_loop()
        made = loop.call(lambda: AsyncConference(clock_rate_hz=clock_rate_hz, minimum=minimum))
        super().__init__(loop, made)
""",
}
MORE = {
    "Account": '''
    @property
    def listening(self) -> tuple[Transport, str, int] | None:
        """Transport, address and port where it listens; None where it registers only."""
        return self._call(lambda: self._inner.listening)
''',
    "IncomingCall": '''
    @property
    def replaces(self) -> Call | None:
        """Our call that this one is to replace (RFC 3891); None for most."""
        replaced = self._call(lambda: self._inner.replaces)
        return None if replaced is None else Call(self._loop, replaced)

    def ended(self) -> CallEnded:
        """Wait for the end of the call, also when the caller cancels; return how it ended."""
        return self._wait(lambda: self._inner.ended)
''',
    "AudioStream": '''
    def write_all(self, pieces: Iterable[PcmLike]) -> PlaybackMark:
        """Write what an iterable yields; return the mark behind it."""
        for pcm in pieces:
            self.write(pcm)
        return self.mark()
''',
    "PlaybackMark": '''
    @property
    def position(self) -> int:
        """The number of written samples before it."""
        return self._inner.position
''',
    "Recording": '''
    @property
    def problem(self) -> str:
        """Why the recording has stopped; "" while it runs."""
        return self._call(lambda: self._inner.problem)
''',
}
DOCSTRINGS = {
    "Phone": """A context manager that owns accounts and media; a process may hold several.

`policy` applies to every account's calls, in place of the policies of the accounts'
configurations; `trust` is used by accounts that name no certificate authority of their own.
A server whose certificate cannot be verified is refused.  `fips` is a bootstrap setting: the
phone opens only in a process that runs in the resulting mode.""",
    "Account": "One account: an address of record, its registration and its calls.",
    "OutgoingCall": "A call that is not answered yet; leaving the `with` block ends it.",
    "PlaybackMark": """A position in the written samples, after the first `position` of them.

`played()` returns True once all samples before it have been sent, and False if some never will
be, after a flush or the end of the call.""",
    "Recording": "A recording of both sides of a call; `AudioStream.record_both` makes it.",
}
"""The texts of classes that would speak of what the blocking interface does not have."""
REWORDED = (
    (r"; `tell` is called per step", ""),
    (r"`await (\w+\.\w+\(\))`", r"`\1`"),
    (r"an `async with`", "a `with`"),
    (r"`async with`", "`with`"),
    (r", or `answered` awaited", ", or `answered` called"),
    (r"async iterator", "iterator"),
    (r"asynchronously ", ""),
)
HEAD = '''"""The blocking classes: each wraps the asynchronous class of the same name.

Made by `python -m tests.blocking.generate --write`; change the asynchronous class instead.
"""

from __future__ import annotations

IMPORTS

'''


@dataclass(frozen=True)
class Member:
    """A method or property of a class, as written where it is defined."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    module: str
    is_property: bool

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def arguments(self) -> ast.arguments:
        return self.node.args


def members_of(name: str, kind: type) -> Iterator[Member]:
    """The members that are wrapped, in the order of the source, inherited ones first."""
    found: dict[str, Member] = {}
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("softphone"):
            continue
        for label, value in vars(base).items():
            function = value.fget if isinstance(value, property) else value
            public = not label.startswith("_") or label in ("__aenter__", "__aiter__")
            if not inspect.isfunction(function) or not public:
                continue
            (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
            assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            found[label] = Member(node, base.__module__, isinstance(value, property))
    for label, member in found.items():
        private = ":meta private:" in (ast.get_docstring(member.node) or "")
        if not private and label not in LEFT_OUT.get(name, set()) | ENGINE_ONLY:
            yield member


class Names:
    """Where the names that the wrappers use come from."""

    def __init__(self) -> None:
        self.wanted: dict[str, str] = {}

    def want(self, node: ast.AST, module: str) -> None:
        """Note the names of an annotation or default."""
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and not hasattr(builtins, each.id):
                self.wanted.setdefault(each.id, module)

    def imports(self) -> dict[str, list[str]]:
        """The names by module, but for those that the wrappers define themselves."""
        found: dict[str, list[str]] = {}
        for name, module in self.wanted.items():
            if name not in WRAPPED and name not in ("os", "Self"):
                found.setdefault(_origin(name, module), []).append(name)
        return found


def _origin(name: str, module: str) -> str:
    """The module that `module` takes a name from; itself where it defines it."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in {a.asname or a.name for a in node.names}:
            return node.module or ""
    return module


def class_text(name: str, names: Names) -> str:
    """One class."""
    kind = getattr(importlib.import_module(WRAPPED[name]), name)
    text = DOCSTRINGS.get(name) or inspect.getdoc(kind) or ""
    parts = [f"class {name}(Wrapper[Async{name}]):", docstring(text, 4)]
    parts.append(INIT.get(name, "").rstrip())
    for member in members_of(name, kind):
        if member.name == "__aenter__":
            if "__enter__" not in INIT.get(name, ""):
                parts.append(CONTEXT)
        else:
            parts.append(member_text(name, member, names))
    parts.append(MORE.get(name, "").rstrip())
    return "\n".join(part for part in parts if part)


CONTEXT = """
    def __enter__(self) -> Self:
        self._wait(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(lambda: self._inner.__aexit__(kind, error, trace))"""


def docstring(text: str, indent: int) -> str:
    """A docstring, reworded for a reader who does not await."""
    for before, after in REWORDED:
        text = re.sub(before, after, text)
    inner = textwrap.indent(text, " " * indent).lstrip()
    end = "\n" + " " * indent if "\n" in text else ""
    return f'{" " * indent}"""{inner}{end}"""'


def member_text(kind: str, member: Member, names: Names) -> str:
    """One method or property."""
    node = member.node
    dropped = DROPPED.get((kind, member.name), set())
    keyword = [
        (argument, default)
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        if argument.arg not in dropped
    ]
    node.args.kwonlyargs = [argument for argument, _ in keyword]
    node.args.kw_defaults = [default for _, default in keyword]
    for argument in (*node.args.args[1:], *node.args.kwonlyargs):
        names.want(argument.annotation or argument, member.module)
    if node.args.vararg is not None:
        names.want(node.args.vararg.annotation, member.module)
    for default in (*node.args.defaults, *node.args.kw_defaults):
        if default is not None:
            names.want(default, member.module)
    assert node.returns is not None
    given, wrapped = result(node, names, member.module)
    name = "__iter__" if member.name == "__aiter__" else member.name
    text = "\n    @property\n" if member.is_property else "\n"
    text += f"    def {name}({ast.unparse(node.args)}) -> {given}:\n"
    return (
        text
        + docstring(ast.get_docstring(node) or "", 8)
        + "\n"
        + textwrap.indent(wrapped, " " * 8)
    )


def result(
    node: ast.FunctionDef | ast.AsyncFunctionDef, names: Names, module: str
) -> tuple[str, str]:
    """What a member returns, and the statements that do it."""
    returns = node.returns
    assert returns is not None
    streams = isinstance(returns, ast.Subscript) and ast.unparse(returns.value) == "AsyncIterator"
    names.want(returns.slice if streams else returns, module)
    call = f"self._inner.{node.name}"
    if not _is_property(node):
        call += f"({passed(node.args)})"
    if streams:
        item = ast.unparse(returns.slice)
        wrap = f"lambda each: {item}(loop, each)" if item in WRAPPED else "lambda each: each"
        return (
            f"EventStream[{item}]",
            f"loop = self._loop\nreturn EventStream(loop, loop.call(lambda: {call}), {wrap})",
        )
    asynchronous = isinstance(node, ast.AsyncFunctionDef)
    value = f"self.{'_wait' if asynchronous else '_call'}(lambda: {call})"
    given = ast.unparse(returns)
    if given == "None":
        return given, value
    if given in WRAPPED:
        return given, f"return {given}(self._loop, {value})"
    if isinstance(returns, ast.BinOp) and ast.unparse(returns.left) in WRAPPED:
        kind = ast.unparse(returns.left)
        return (
            given,
            f"found = {value}\nreturn None if found is None else {kind}(self._loop, found)",
        )
    if isinstance(returns, ast.Subscript) and ast.unparse(returns.value) in ("tuple", "list"):
        items = returns.slice
        kind = ast.unparse(items.elts[0] if isinstance(items, ast.Tuple) else items)
        if kind in WRAPPED:
            each = f"{kind}(self._loop, each) for each in {value}"
            whole = f"tuple({each})" if ast.unparse(returns.value) == "tuple" else f"[{each}]"
            return given, f"return {whole}"
    return given, f"return {value}"


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(each) == "property" for each in node.decorator_list)


def passed(arguments: ast.arguments) -> str:
    """The arguments as they are handed on; of a wrapper, what it wraps."""

    def value(argument: ast.arg) -> str:
        named = {n.id for n in ast.walk(argument.annotation or argument) if isinstance(n, ast.Name)}
        return f"inner_of({argument.arg})" if named & set(WRAPPED) else argument.arg

    parts = [value(each) for each in arguments.args[1:]]
    if arguments.vararg is not None:
        parts.append(f"*{arguments.vararg.arg}")
    parts += [f"{each.arg}={value(each)}" for each in arguments.kwonlyargs]
    return ", ".join(parts)


def wrappers() -> str:
    """The whole module, formatted."""
    names = Names()
    classes = "\n\n\n".join(class_text(name, names) for name in WRAPPED)
    lines = [
        "import os",
        "from collections.abc import Iterable",
        "from types import TracebackType",
        "from typing import TYPE_CHECKING, Self",
        "",
        "from softphone.blocking.background import (",
        "    EventStream, Wrapper, acquire_loop, inner_of, release_loop, running_loop,",
        ")",
        "from softphone.errors import LocalProtocolError",
        *(f"from {module} import {name} as Async{name}" for name, module in WRAPPED.items()),
        "",
        "if TYPE_CHECKING:",
        "    from softphone.events import CallEnded",
        "    from softphone.media import MediaConfig",
        "    from softphone.sans_io import Transport",
        "    from softphone.security import SecurityLevel, SecurityPolicy",
        "    from softphone.trust import TrustStore",
    ]
    for module, found in names.imports().items():
        lines.append(f"    from {module} import {', '.join(sorted(found))}")
    return formatted(HEAD.replace("IMPORTS", "\n".join(lines)) + classes + "\n")


def formatted(text: str) -> str:
    """As ruff writes it, with the imports in order and those that nobody uses left out."""
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--fix", "-q", "--select", "I,F,RUF022"], ["format", "-q"]):
        done = subprocess.run(
            [*ruff, *command, "--stdin-filename", str(TARGET), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            cwd=PROJECT,
        )
        if not done.stdout:
            raise RuntimeError(done.stderr)
        text = done.stdout
    return text


def main() -> int:
    """Say whether the file is as it would be written, or write it."""
    text = wrappers()
    if sys.argv[1:] == ["--write"]:
        TARGET.write_text(text)
        return 0
    same = TARGET.read_text() == text
    print("same" if same else f"{TARGET.relative_to(PROJECT)} differs: run it with --write")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
