"""Parts of pages that are made from the code: `<!-- generated: NAME -->` is replaced at the build.

keys               every key of the account file, from the dataclasses that it is read into
commands           every command and option, from the command line itself
events             every event, from `softphone.events`
layers             the layers of the packages, from the import contracts in pyproject.toml
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import tomllib
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PROJECT = Path(__file__).resolve().parents[2]
MARK = re.compile(r"^<!-- generated: (?P<name>[a-z ]+) -->$", re.M)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown; a bar within a cell is escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines
    )


# The account file


def field_texts(kind: type) -> dict[str, str]:
    """The sentence that stands below each field of a dataclass, in one line."""
    (made,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(made, ast.ClassDef)
    texts: dict[str, str] = {}
    for before, after in zip(made.body, made.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr):
            value = ast.literal_eval(after.value)
            texts[ast.unparse(before.target)] = " ".join(value.split())
    return texts


def values_of(hint: Any) -> str:
    """What a key may be, in the words of TOML."""
    options = [each for each in typing.get_args(hint) or (hint,) if each is not type(None)]
    if typing.get_origin(hint) in (tuple, frozenset):
        return f"list of {values_of(typing.get_args(hint)[0])}"
    found = []
    for each in options:
        if typing.get_origin(each) in (tuple, frozenset):
            found.append(values_of(each))
        elif inspect.isclass(each) and issubclass(each, Enum):
            names = (str(member.value) for member in each if member.name != "UNKNOWN")
            found.append(", ".join(f'`"{name}"`' for name in names))
        elif typing.get_origin(each) is not None:
            found = ["a path"]
        else:
            found.append(
                {bool: "true or false", int: "a number", float: "seconds"}.get(each, "text")
            )
    return " or ".join(dict.fromkeys(found))


def default_of(each: dataclasses.Field[Any]) -> str:
    """The default of a field as TOML has it; "" for one that has to be given or has none."""
    value = each.default
    if value is dataclasses.MISSING or value is None:
        return ""
    return f"`{toml(value)}`"


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return f'"{value.value}"'
    if isinstance(value, tuple | frozenset):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


APART: Mapping[str, str] = {
    "password": "text",
    "ports": "text",
    "passphrase": "a path",
    "ca": "a path, or a list of paths",
    "attributes": "a table of lists",
}
"""Keys that a file writes otherwise than the dataclass holds them."""
RENAMED: Mapping[str, str] = {
    "password": "password`, `password_file` or `password_env",
    "passphrase": "passphrase_file",
    "within": "timeout",
    "most": "limit",
}


def keys_table(kind: type, *without: str) -> str:
    """The keys of one table of a file."""
    texts, hints = field_texts(kind), typing.get_type_hints(kind)
    rows = []
    for each in dataclasses.fields(kind):
        if each.name in without or dataclasses.is_dataclass(hints[each.name]):
            continue
        if not texts.get(each.name):
            raise ValueError(f"{kind.__name__}.{each.name} has no sentence below it")
        name = f"`{RENAMED.get(each.name, each.name)}`"
        allowed = APART.get(each.name) or values_of(hints[each.name])
        rows.append((name, allowed, default_of(each), texts[each.name]))
    return table(("key", "value", "default", "what it says"), rows)


def keys() -> Iterator[str]:
    """Every table of the account file, of messages, compliance and directories."""
    from softphone import config
    from softphone.contacts import DirectoryLimits, LdapConfig, UdsConfig
    from softphone.messaging.compliance import ComplianceConfig
    from softphone.messaging.config import HistoryConfig, MessagingConfig
    from softphone.personas import DeviceIdentity

    nested = ("credentials", "further_credentials", "device", "oauth", "quality")
    yield "## The account itself\n\nIn Python `AccountConfig`.\n"
    yield keys_table(config.AccountConfig, *nested)
    for name, kind, without in (
        ("[credentials]", config.CredentialConfig, ("place",)),
        ("[tls]", config.TlsConfig, ("system",)),
        ("[policy]", config.PolicyConfig, ()),
        ("[media]", config.MediaPreferences, ()),
        ("[quality]", config.QualityConfig, ()),
        ("[limits]", config.LimitsConfig, ()),
        ("[device]", DeviceIdentity, ()),
        ("[oauth]", config.OAuthConfig, ("fetch",)),
        ("[im]", MessagingConfig, ("encryption", "compliance")),
        ("[im], history", HistoryConfig, ("limit",)),
        ("[im.compliance]", ComplianceConfig, ("tls", "file_within")),
        ('[directory.NAME], kind = "ldap"', LdapConfig, ("name", "server_name")),
        ('[directory.NAME], kind = "uds"', UdsConfig, ("name",)),
        ("[directory.NAME], bounds", DirectoryLimits, ()),
    ):
        yield f"\n## `{name}`\n\nIn Python `{kind.__name__}`.\n"
        yield keys_table(kind, *without)


# The command line


def commands() -> Iterator[str]:
    """Every command: its sentence, its usage, its options."""
    import typer

    from softphone.cli.commands import application

    root: Any = typer.main.get_command(application)
    yield from command_page(root, "softphone")


def command_page(command: Any, name: str) -> Iterator[str]:
    """One command, or a group and all that is in it."""
    for key in sorted(getattr(command, "commands", {})):
        yield from command_page(command.commands[key], f"{name} {key}")
    if hasattr(command, "commands"):
        return
    yield f"\n## `{name}`\n"
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = " ".join(
        [name, *(each.metavar or each.name.upper() for each in arguments), "[OPTIONS]"]
    )
    yield f"```text\n{usage}\n```\n"
    yield (command.help or "").strip() + "\n"
    rows = []
    for each in command.params:
        if each.param_type_name == "option" and not getattr(each, "hidden", False):
            flags = ", ".join(f"`{flag}`" for flag in (*each.opts, *each.secondary_opts))
            metavar = "" if each.is_flag else f" `{each.metavar or each.name.upper()}`"
            default = each.default
            told = (
                ""
                if default in (None, False, ()) or callable(default)
                else f" Default: `{default}`."
            )
            rows.append((flags + metavar, " ".join((each.help or "").split()) + told))
    if rows:
        yield table(("option", "what it does"), rows)


# Events


def events() -> Iterator[str]:
    """Every event of accounts and calls, with its fields."""
    from softphone import events as module

    for title, union in (("Of an account", module.AccountEvent), ("Of a call", module.CallEvent)):
        yield f"\n## {title}\n"
        rows = []
        for kind in sorted(typing.get_args(union), key=lambda each: each.__name__):
            told = ", ".join(f"`{each.name}`" for each in dataclasses.fields(kind))
            rows.append((f"`{kind.__name__}`", " ".join((kind.__doc__ or "").split()), told))
        yield table(("event", "when", "what it tells"), rows)


def errors() -> Iterator[str]:
    """Every exception, below the one that it is a kind of."""
    from softphone.errors import SoftphoneError

    def below(kind: type[Exception], depth: int) -> Iterator[str]:
        said = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
        yield f"{'  ' * depth}* `{kind.__name__}`: {said}"
        for each in sorted(kind.__subclasses__(), key=lambda each: each.__name__):
            if each.__module__ == "softphone.errors":
                yield from below(each, depth + 1)

    yield from below(SoftphoneError, 0)


def json() -> Iterator[str]:
    """Every event of `--json`, by the folder of its command, with the fields it is given."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in sorted((PROJECT / "softphone" / "cli").rglob("*.py")):
        area = path.relative_to(PROJECT / "softphone" / "cli").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            name = node.args[0] if node.func.attr == "event" and node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value:
                fields = found.setdefault((area, name.value), set())
                fields |= {each.arg for each in node.keywords if each.arg is not None}
    rows = [
        (area, f"`{name}`", ", ".join(f"`{each}`" for each in sorted(fields)))
        for (area, name), fields in sorted(found.items())
    ]
    yield table(("commands", "event", "fields"), rows)


def metrics() -> Iterator[str]:
    """Every metric of the Prometheus page, with its type."""
    from softphone.load.measure import RunSecond, Tally
    from softphone.load.report.prometheus import exposition

    lines = exposition(RunSecond(0.0), Tally()).splitlines()
    named = [line.split()[2:4] for line in lines if line.startswith("# TYPE ")]
    yield table(("metric", "type"), [(f"`{name}`", kind) for name, kind in named])


def lock() -> Iterator[str]:
    """What is shown for our own leg and the server's word: the table of the test that holds it."""
    from tests.security.test_the_lock_is_shown_by_this_table import ABSENT, SRTP, TABLE

    rows = []
    for transport, policy, said, level, scope, shown in TABLE:
        word = "nothing" if said in (ABSENT, None) else f"`{said.value}`"
        media = "SRTP" if policy is SRTP else "in clear"
        row = (
            transport.upper(),
            media,
            word,
            f"`{level.value}`",
            f"`{scope.value}`",
            "lock" if shown else "",
        )
        if row not in rows:
            rows.append(row)
    head = ("signaling", "our media", "the server says of the call", "level", "scope", "shown")
    yield table(head, rows)


def layers() -> Iterator[str]:
    """The layers, highest first."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = (each for each in contracts if each["id"] == "layers")
    yield "```text"
    yield from (layer.replace(" | ", "   ") for layer in found["layers"])
    yield "```"


GENERATED: Mapping[str, Callable[[], Iterator[str]]] = {
    "keys": keys,
    "commands": commands,
    "events": events,
    "errors": errors,
    "json": json,
    "layers": layers,
    "lock": lock,
    "metrics": metrics,
}


def fill(app: Sphinx, name: str, source: list[str]) -> None:
    """Replace the marks of one page."""
    source[0] = MARK.sub(lambda mark: "\n".join(GENERATED[mark["name"]]()), source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True}
