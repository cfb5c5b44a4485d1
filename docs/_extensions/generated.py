"""Parts of pages that are made from the code: `<!-- generated: NAME -->` is replaced at the build.

keys               every key of the account file, from the dataclasses that it is read into
commands           every command and option, from the command line itself
events             every event, from `softphone.events`
loggers            what each logger says, from the calls in the code
layers             the layers of the packages, from the import contracts in pyproject.toml
transactions       the four state machines of RFC 3261, from their tables
offer answer       that of RFC 3264, from its table
lock               when a lock is shown, from the table of the test that holds it
presets            the rules of each carrier, from `softphone.config.presets`
hearing …          tables of what was measured of the detectors of speech, and of echo
states             the states without a table, with the functions that set them

A part that ends with `<!-- end: NAME -->` also stands in the repository, for who reads the pages
in a clone.  `python docs/_extensions/generated.py` writes it again; a test holds it equal.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import tomllib
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diagrams import Step, layer_stack, state_machine
from hearing_tables import (
    hearing_accuracy,
    hearing_answers,
    hearing_cost,
    hearing_echo,
    hearing_noise,
)

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PROJECT = Path(__file__).resolve().parents[2]
MARK = re.compile(
    r"^<!-- generated: (?P<name>[a-z ]+) -->$(?P<kept>\n.*?^<!-- end: (?P=name) -->$)?", re.M | re.S
)


def records(head: tuple[str, ...], rows: list[tuple[str, ...]], kind: str = "") -> str:
    """A table whose rows a narrow screen shows one below the other, cell by cell."""
    return f'<div class="{f"records {kind}".strip()}">\n\n{table(head, rows)}\n\n</div>\n'


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
    "rates": "a table of numbers",
    "budget_per_hour": "a number",
    "budget_per_day": "a number",
}
"""Keys that a file writes otherwise than the dataclass holds them."""
RENAMED: Mapping[str, str] = {
    "password": "password`, `password_file` or `password_env",
    "passphrase": "passphrase_file",
    "server_passphrase": "server_passphrase_file",
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
    return records(("key", "value", "default", "what it says"), rows, "keys")


def keys() -> Iterator[str]:
    """Every table of the account file, of messages, compliance and directories."""
    from softphone import config
    from softphone.config.toml_reader import field_names
    from softphone.contacts import DirectoryLimits, LdapConfig, UdsConfig
    from softphone.messaging.compliance import ComplianceConfig
    from softphone.messaging.config import HistoryConfig, MessagingConfig
    from softphone.messaging.im_presence import ImPresenceConfig
    from softphone.personas import DeviceIdentity
    from softphone.voicemail import VoicemailConfig

    unused = field_names(config.OAuthConfig, "token_file", "command")
    nested = (
        "credentials",
        "further_credentials",
        "challenge",
        "routes",
        "device",
        "oauth",
        "quality",
        "dial_policy",
    )
    yield "## The account itself\n\nIn Python `AccountConfig`.\n"
    yield keys_table(config.AccountConfig, *nested)
    for name, kind, without in (
        ("[credentials]", config.CredentialConfig, ("place",)),
        ("[challenge]", config.ChallengeConfig, ("users",)),
        ("[[challenge.users]]", config.CallerConfig, ()),
        ("[[routes]]", config.RouteConfig, ("handler",)),
        ("[tls]", config.TlsConfig, ("system", "places")),
        ("[policy]", config.PolicyConfig, ()),
        ("[media]", config.MediaPreferences, ()),
        ("[quality]", config.QualityConfig, ()),
        ("[stir]", config.StirConfig, ()),
        ("[limits]", config.LimitsConfig, ()),
        ("[drain]", config.DrainConfig, ()),
        ("[dial_policy]", config.DialPolicyConfig, ()),
        ("[watchers]", config.WatchersConfig, ()),
        ("[dscp]", config.DscpConfig, ()),
        ("[device]", DeviceIdentity, ()),
        ("[oauth]", config.OAuthConfig, ("fetch", "tls")),
        ("[im]", MessagingConfig, ("encryption", "compliance", "im_presence", "token")),
        ("[im.im_presence]", ImPresenceConfig, ()),
        ("[im.oauth]", config.OAuthConfig, unused),
        ("[im], history", HistoryConfig, ("limit",)),
        ("[im.compliance]", ComplianceConfig, ("tls", "file_within")),
        ("[voicemail]", VoicemailConfig, ("token",)),
        ('[directory.NAME], kind = "ldap"', LdapConfig, ("name", "server_name")),
        ('[directory.NAME], kind = "uds"', UdsConfig, ("name", "token")),
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
    yield "## `softphone`\n\nBefore any command:\n"
    yield options_table(root)
    yield from command_page(root, "softphone")


def command_page(command: Any, name: str) -> Iterator[str]:
    """One command, or a group and all that is in it."""
    from softphone.cli.console.command_tree import break_example

    for key in sorted(getattr(command, "commands", {})):
        yield from command_page(command.commands[key], f"{name} {key}")
    if hasattr(command, "commands"):
        return
    command.make_options()
    yield f"\n## `{name}`\n"
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    usage = " ".join(
        [name, *(each.metavar or each.name.upper() for each in arguments), "[OPTIONS]"]
    )
    yield f"```text\n{usage}\n```\n"
    yield (command.help or "").strip() + "\n"
    yield "\n".join(["```text", *map(break_example, command.kind.examples), "```", ""])
    yield options_table(command)


def options_table(command: Any) -> str:
    """The options of a command."""
    rows = []
    for each in command.params:
        if each.param_type_name == "option" and not getattr(each, "hidden", False):
            flags = ", ".join(f"`{flag}`" for flag in (*each.opts, *each.secondary_opts))
            flag = each.is_flag or getattr(each, "count", False)
            metavar = "" if flag else f" `{each.metavar or each.name.upper()}`"
            default = each.default
            told = (
                ""
                if flag or default in (None, False, ()) or callable(default)
                else f" Default: `{default}`."
            )
            rows.append((flags + metavar, " ".join((each.help or "").split()) + told))
    return records(("option", "what it does"), rows)


# Events


def events() -> Iterator[str]:
    """Every event of accounts, calls and watches, with its fields."""
    from softphone import events as module

    unions = (
        ("Of an account", module.AccountEvent),
        ("Of a call", module.CallEvent),
        ("Of a watch", module.WatchEvent),
    )
    for title, union in unions:
        yield f"\n## {title}\n"
        rows = []
        for kind in sorted(typing.get_args(union), key=lambda each: each.__name__):
            told = ", ".join(f"`{each.name}`" for each in dataclasses.fields(kind))
            rows.append((f"`{kind.__name__}`", " ".join((kind.__doc__ or "").split()), told))
        yield records(("event", "when", "what it tells"), rows)


def errors() -> Iterator[str]:
    """Every exception, below the one that it is a kind of."""
    from softphone.errors import SoftphoneError

    def below(kind: type[SoftphoneError], depth: int) -> Iterator[str]:
        said = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
        stop = "" if kind._hint.endswith("?") else "."
        hint = f" Hint: {kind._hint}{stop}" if kind._hint else ""
        yield f"{'  ' * depth}* `{kind.__name__}`: {said}{hint}"
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
    yield records(("commands", "event", "fields"), rows)


def loggers() -> Iterator[str]:
    """Every call of a logger, by its name and level."""
    found: dict[str, set[tuple[str, str]]] = {}
    for path in sorted((PROJECT / "softphone").rglob("*.py")):
        tree = ast.parse(path.read_text())
        name = logger_name(tree)
        if name is None:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("logger."):
                said = logged_sentence(node)
                if said is not None:
                    found.setdefault(name, set()).add(said)
    levels = list(LOG_LEVELS)
    for name, lines in sorted(found.items()):
        rows = sorted(lines, key=lambda each: (levels.index(each[0]), each[1]))
        yield f"\n### `{name}`\n"
        yield table(("level", "message"), [(level, f"`{text}`") for level, text in rows])


LOG_LEVELS: Mapping[str, tuple[str, ...]] = {
    "ERROR": ("error", "exception"),
    "WARNING": ("warning",),
    "INFO": ("info",),
    "DEBUG": ("debug",),
    "by cause": ("log",),
}
"""The levels, and the methods that log at them."""


def logger_name(tree: ast.Module) -> str | None:
    """The name of a module's logger; None without one."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "logger":
            call = node.value
            assert isinstance(call, ast.Call)
            return str(ast.literal_eval(call.args[0]))
    return None


def logged_sentence(call: ast.Call) -> tuple[str, str] | None:
    """Level and message of a call; None for what logs nothing, or another's message."""
    assert isinstance(call.func, ast.Attribute)
    method = call.func.attr
    level = next((name for name, methods in LOG_LEVELS.items() if method in methods), None)
    said = call.args[1] if method == "log" else call.args[0]
    texts = [each for each in ast.walk(said) if isinstance(each, ast.Constant)]
    texts = [each for each in texts if isinstance(each.value, str)]
    text = " ".join(str(texts[0].value).split()) if texts else ""
    if level is None or not re.search("[a-z]", re.sub(r"%[.0-9]*[a-z]", "", text)):
        return None
    return level, text


def icons() -> Iterator[str]:
    """Each icon of the package, drawn, with its words."""
    from softphone.icons import Icon

    drawn = (each.svg.replace("<svg ", '<svg width="24" height="24" ', 1) for each in Icon)
    yield table(
        ("", "icon", "label"),
        [(svg, f"`{each}`", each.label) for svg, each in zip(drawn, Icon, strict=True)],
    )


def presets() -> Iterator[str]:
    """The rules of each carrier, from the table that fills and judges accounts."""
    from softphone.config.presets import PRESETS, RuleKind

    shown = {RuleKind.GIVEN: "to be given", RuleKind.OVER_TLS: "over TLS"}
    for preset in PRESETS.values():
        sources = ", ".join(f"<{source}>" for source in preset.sources)
        yield f"\n**`{preset.name}`**: {preset.title}; {sources}\n"
        rows = []
        for rule in preset.rules:
            value = shown.get(rule.kind) or f"`{toml(rule.value)}`"
            if rule.kind is RuleKind.AT_LEAST:
                value = f"at least {value}"
            elif rule.kind is RuleKind.AT_MOST:
                value = f"at most {value}"
            rows.append((f"`{rule.key}`", value, f"the carrier {rule.why}", rule.evidence.value))
        yield records(("key", "value", "why", "known"), rows, "keys")


def metrics() -> Iterator[str]:
    """Every metric of a phone's, an agent's and a load run's page, with its type."""
    from softphone.agents.figures import append_agent_figures
    from softphone.load.measure import RunSecond
    from softphone.load.report.prometheus import exposition
    from softphone.monitoring import phone_exposition
    from softphone.phone import Phone

    pages = (phone_exposition(Phone()), exposition(RunSecond(0.0), RunSecond(0.0)))
    lines = [line for page in pages for line in page.splitlines()]
    append_agent_figures(lines, 0, {})
    named = [line.split()[2:4] for line in lines if line.startswith("# TYPE ")]
    yield table(("metric", "type"), [(f"`{name}`", kind) for name, kind in named])


def sipp_pairs() -> Iterator[str]:
    """The pairs of scenarios that tests run with SIPp itself on one side: the list of the tests."""
    from tests.load.sipp.exchange import DATA, PAIRS
    from tests.peers.sipp.many_scenarios import BUILTIN_PAIRS

    rows = []
    for pair in PAIRS:
        comment = re.search(r"<!-- (.+?) -->", (DATA / f"{pair.client}.xml").read_text())
        assert comment is not None, f"{pair.client}.xml does not say what it is"
        rows.append((f"`{pair.client}`", f"`{pair.server}`", pair.transport.upper(), comment[1]))
    for pair in BUILTIN_PAIRS:
        names = (f"`{pair.client}` of SIPp", f"`{pair.server}` of SIPp")
        rows.append((*names, pair.transport.upper(), "SIPp's own, as `sipp -sd` prints them."))
    yield records(("calls", "answers", "over", "what it is"), rows)


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
    rows = [layer.split(" | ") for layer in found["layers"]]
    yield from layer_stack("The layers of the packages, highest first", rows)


def transactions() -> Iterator[str]:
    """The transaction state machines, without what changes nothing."""
    from softphone.sip.transaction import tables

    for name, title in (
        ("INVITE_CLIENT", "INVITE, client"),
        ("NON_INVITE_CLIENT", "Other requests, client"),
        ("INVITE_SERVER", "INVITE, server"),
        ("NON_INVITE_SERVER", "Other requests, server"),
    ):
        transitions = getattr(tables, name)
        steps = [
            Step(given.value, ", ".join(each.value for each in done), before.value, after.value)
            for (before, given), (done, after) in transitions.items()
            if done or before is not after
        ]
        states = list(dict.fromkeys(before.value for before, _ in transitions))
        yield f"\n### {title}\n"
        yield from state_machine(f"States of a transaction: {title}", states, steps)


def offer_answer() -> Iterator[str]:
    """The offer/answer exchange of a dialog."""
    from softphone.sip.invite.invite_dialog import OFFER_ANSWER

    steps = [
        Step(given.value, f"it is the {role.value}" if role else "", before.value, after.value)
        for (before, given), (role, after) in OFFER_ANSWER.items()
        if role or before is not after
    ]
    states = list(dict.fromkeys(before.value for before, _ in OFFER_ANSWER))
    yield from state_machine("States of an offer/answer exchange", states, steps)


def states() -> Iterator[str]:
    """The states that have no table: where the code enters each."""
    from softphone.events import CallState, RegistrationState
    from softphone.sip.invite.invite_dialog import InviteState
    from softphone.sip.subscription.subscriber import SubscriptionState

    for kind, title, *folders in (
        (InviteState, "An INVITE usage and its dialogs", "sip/invite"),
        (CallState, "A call", "call"),
        (RegistrationState, "A registration", "sip/registration", "account"),
        (SubscriptionState, "A subscription", "sip/subscription"),
    ):
        entered = places_entered(kind.__name__, folders)
        yield f"\n### {title}: `{kind.__name__}`\n"
        rows = [
            (f"`{state.value}`", ", ".join(f"`{each}`" for each in entered.get(state.name, ())))
            for state in kind
        ]
        yield records(("state", "entered in"), rows)


def places_entered(kind: str, folders: tuple[str, ...]) -> dict[str, list[str]]:
    """The functions that set each state of an enumeration, or say it in an event."""
    found: dict[str, list[str]] = {}
    for path in (
        p for each in folders for p in sorted((PROJECT / "softphone" / each).rglob("*.py"))
    ):
        for outer in ast.walk(ast.parse(path.read_text())):
            if not isinstance(outer, ast.ClassDef):
                continue
            for function in outer.body:
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    place = f"{outer.name}.{function.name}"
                    for state in states_set(function, kind):
                        if place not in found.setdefault(state, []):
                            found[state].append(place)
    return found


def states_set(function: ast.AST, kind: str) -> Iterator[str]:
    """The members of an enumeration that a function assigns, or passes on."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.keyword):
            values: list[ast.AST | None] = [node.value]
        elif isinstance(node, ast.Call):
            values = list(node.args)
        else:
            continue
        for value in filter(None, values):
            # A comparison chooses between states: it sets none.
            chosen = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            nested = [each for one in chosen for each in getattr(one, "elts", [one])]
            for each in nested:
                if isinstance(each, ast.Attribute) and ast.unparse(each.value) == kind:
                    yield each.attr


GENERATED: Mapping[str, Callable[[], Iterator[str]]] = {
    "keys": keys,
    "commands": commands,
    "events": events,
    "errors": errors,
    "hearing accuracy": hearing_accuracy,
    "hearing answers": hearing_answers,
    "hearing cost": hearing_cost,
    "hearing echo": hearing_echo,
    "hearing noise": hearing_noise,
    "json": json,
    "icons": icons,
    "layers": layers,
    "loggers": loggers,
    "lock": lock,
    "metrics": metrics,
    "presets": presets,
    "sipp pairs": sipp_pairs,
    "offer answer": offer_answer,
    "states": states,
    "transactions": transactions,
}


def part(name: str) -> str:
    """The text that stands at a mark."""
    return "\n".join(GENERATED[name]())


def fill(app: Sphinx, name: str, source: list[str]) -> None:
    """Replace the marks of one page."""
    source[0] = MARK.sub(lambda mark: part(mark["name"]), source[0])


def renew(page: str) -> str:
    """A page of the repository, with the parts that stand in it made again."""

    def renewed(mark: re.Match[str]) -> str:
        if mark["kept"] is None:
            return mark[0]
        head, _, _ = mark[0].partition("\n")
        return f"{head}\n\n{part(mark['name']).strip()}\n\n<!-- end: {mark['name']} -->"

    return MARK.sub(renewed, page)


def plain_signature(
    app: Sphinx, what: str, name: str, kind: Any, options: object, shown: str | None, returns: Any
) -> tuple[str, Any] | None:
    """Show a signature as an application may use it, without what only Python's machinery says.

    Enumerations and Protocols are not called, and objects of a class whose `__init__` says
    `:meta private:` are made by the engine: they are shown without parentheses.
    """
    if shown is None:
        return None
    engines_own = what == "class" and ":meta private:" in (kind.__init__.__doc__ or "")
    called = not (inspect.isclass(kind) and (issubclass(kind, Enum) or is_protocol(kind)))
    if engines_own or not called:
        return "", returns
    text = re.sub(r"<(?:factory|object object)>", "...", shown)
    return text_of_aliases(text), text_of_aliases(returns)


def text_of_aliases(text: Any) -> Any:
    """A type alias by its name; what is no text is given back."""
    named = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
    return named.sub(r"\1", text) if isinstance(text, str) else text


def is_protocol(kind: type) -> bool:
    return bool(getattr(kind, "_is_protocol", False))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    app.connect("autodoc-process-signature", plain_signature)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))  # for the table of the lock, which a test has
    for path in (PROJECT / "docs").rglob("*.md"):
        before = path.read_text()
        if (after := renew(before)) != before:
            path.write_text(after)
