"""The commands: names, places and sentences; what one needs is imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from softphone._version import __version__
from softphone.cli.console.command_tree import OptionCommand, command_group

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed (a far end's refusal too), 2 wrong usage and nothing sent, "
    "3 we refused (security, or a rule of yours), 4 a measurement (load, bot-test) was invalid or "
    "judged nothing, 130 interrupted."
)

COMMANDS = (
    ("call", "call.options:CallOptions", "Call somebody: play, show, record, send digits"),
    (
        "answer",
        "call.options:AnswerOptions",
        "Wait for one call and answer it; the exit code is that of the call",
    ),
    (
        "campaign",
        "campaign.options:CampaignOptions",
        "Call the numbers of a list, some at a time, and do something after each outcome",
    ),
    (
        "bot-test",
        "bot_test.options:BotTestOptions",
        "Call a bot as simulated callers do, measure it, and judge",
    ),
    (
        "register",
        "call.options:RegisterOptions",
        "Register and stay registered until interrupted",
    ),
    (
        "watch",
        "call.options:WatchOptions",
        "Register and print the calls, or the presence, of other users, until interrupted",
    ),
    (
        "ui",
        "ui.options:UiOptions",
        "Serve a page for a person: calls, lock and why, contacts, chat, voicemail, certificates",
    ),
    (
        "discover",
        "discovery.options:DiscoverOptions",
        "Find a user's servers, devices and settings from a mail address, and say why",
    ),
    (
        "sign-in",
        "discovery.options:SignInOptions",
        "Sign a user in from a mail address: phone, chat, directory and voicemail",
    ),
    (
        "mcp",
        "mcp.options:McpOptions",
        "Let a model telephone: serve calls as tools of the Model Context Protocol (MCP)",
    ),
    ("lab", "lab_options:LabOptions", "Run a CUCM-like server on loopback until interrupted"),
    (
        "demo",
        "demo.options:DemoOptions",
        "Show phones that boot from bare names and call; the lock follows each transfer",
    ),
    (
        "doctor",
        "diagnose.options:DoctorOptions",
        "Check an account step by step, and say what to fix",
    ),
    (
        "explain",
        "diagnose.options:ExplainOptions",
        "Say why a call was refused: which m-line, which crypto line, which rule",
    ),
    (
        "devices",
        "diagnose.options:DevicesOptions",
        "List the sound cards, by the names that --device takes",
    ),
    (
        "enroll",
        "device.options:EnrollOptions",
        "Get or renew a device's certificate from CUCM's CAPF",
    ),
    (
        "boot",
        "device.options:BootOptions",
        "Boot a device from its bare name, as a Cisco phone does, and stay registered",
    ),
)
"""Each command that is in no group, the place of its options, and the sentence of their docstring.

`softphone --help` shows the sentences, and importing the places would take a fifth of its time.
"""

GROUPS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    (
        "agent",
        "Calls that a bot or a realtime speech service talks in.",
        "agent",
        {"serve": "AgentServeOptions", "call": "AgentCallOptions", "run": "AgentRunOptions"},
    ),
    (
        "config",
        "Show, verify and decrypt configuration files.",
        "device",
        {
            "show": "ShowConfigOptions",
            "verify": "VerifyConfigOptions",
            "decrypt": "DecryptConfigOptions",
        },
    ),
    (
        "compliance",
        "Look after the audit table of messages and files.",
        "messaging",
        {"verify": "VerifyAuditOptions", "setup": "SetupAuditOptions"},
    ),
    (
        "contacts",
        "Search the directories: LDAPS, CUCM's UDS.",
        "messaging",
        {"search": "SearchOptions"},
    ),
    (
        "csr",
        "Make and check certificate requests.",
        "trust",
        {"new": "NewCsrOptions", "check": "CheckCsrOptions"},
    ),
    (
        "im",
        "Send and receive instant messages.",
        "messaging",
        {
            "send": "SendOptions",
            "chat": "ChatOptions",
            "fetch": "FetchOptions",
            "history": "HistoryOptions",
            "search": "SearchMessagesOptions",
        },
    ),
    (
        "load",
        "Many calls at once: measured, judged, reported.",
        "load",
        {
            "run": "LoadOptions",
            "find-capacity": "CapacityOptions",
            "calibrate": "CalibrateOptions",
            "compare": "CompareOptions",
            "import": "ImportOptions",
            "conformance": "ConformanceOptions",
        },
    ),
    (
        "sso",
        "Single sign-on: sign in once by browser or device code, and out.",
        "sso",
        {"check": "CheckSignOnOptions", "sign-in": "SignOnOptions", "sign-out": "SignOutOptions"},
    ),
    (
        "trust",
        "Show and change what the phone trusts.",
        "trust",
        {
            "show": "ShowStoreOptions",
            "check": "CheckListOptions",
            "import": "ImportListsOptions",
            "reset": "ResetListsOptions",
            "verify": "VerifyServerOptions",
            "requirements": "RequirementsOptions",
            "roots": "CloudRootsOptions",
            "accepted": "AcceptedOptions",
        },
    ),
    (
        "voicemail",
        "Read a voice mailbox at Unity Connection.",
        "voicemail",
        {
            "list": "ListMessagesOptions",
            "play": "PlayMessageOptions",
            "fetch": "FetchMessageOptions",
            "read": "ReadMessageOptions",
            "delete": "DeleteMessageOptions",
        },
    ),
    (
        "fips",
        "FIPS mode: cryptography by OpenSSL's FIPS provider, or not at all.",
        "fips",
        {"setup": "FipsSetupOptions", "status": "FipsStatusOptions", "run": "FipsRunOptions"},
    ),
)
"""Each group of commands: its name, its sentence, the package of its options, and the class of
options of each command."""

# Arguments after the program's name belong to the program.
_THE_PROGRAMS_OWN = {"ignore_unknown_options": True, "allow_interspersed_args": False}


def _group(name: str, text: str, options: str, commands: Mapping[str, str]) -> TyperGroup:
    places = {word: f"softphone.cli.{options}.options:{kind}" for word, kind in commands.items()}
    return command_group(name, text, [OptionCommand(*each) for each in places.items()])


def _groups() -> tuple[TyperGroup, ...]:
    groups = {group[0]: _group(*group) for group in GROUPS}
    groups["fips"].commands["run"].context_settings.update(_THE_PROGRAMS_OWN)
    return tuple(groups.values())


class Program(TyperGroup):
    """`softphone`: every command below it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, place, sentence in COMMANDS:
            self.commands[name] = OptionCommand(name, f"softphone.cli.{place}", sentence)
        self.commands.update({group.name: group for group in _groups() if group.name is not None})


application = typer.Typer(
    cls=Program,
    name="softphone",
    help="A secure SIP and SRTP softphone engine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softphone {__version__}")
        raise typer.Exit


@application.callback(epilog=EXIT_CODES)
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose", "-v", count=True, show_default=False, help="The same as after a command."
        ),
    ] = 0,
    log_format: Annotated[
        str | None,
        typer.Option("--log-format", metavar="FORMAT", help="The same as after a command."),
    ] = None,
    fips: Annotated[
        bool | None,
        typer.Option("--fips/--no-fips", help="FIPS mode or not, whatever else says so."),
    ] = None,
) -> None:
    """A secure SIP and SRTP softphone engine."""
    if fips is not None:
        from softphone.cli.fips.options import choose_mode

        choose_mode(fips)


ZSH_SCRIPT = """#compdef %(prog_name)s

%(complete_func)s() {
  eval $(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" %(autocomplete_var)s=complete_zsh \\
    %(prog_name)s)
}

if [[ $funcstack[1] == _%(prog_name)s ]]; then
  %(complete_func)s "$@"
else
  compdef %(complete_func)s %(prog_name)s
fi
"""
"""Completion for zsh, as a file in `$fpath` or sourced.

Typer's own only names its function when zsh loads it from `$fpath`: the first Tab did nothing.
"""


def use_own_zsh_script() -> None:
    """Have typer print and install `ZSH_SCRIPT`, where its table of scripts is the one we know."""
    from typer import _completion_shared

    scripts = getattr(_completion_shared, "_completion_scripts", {})
    if "zsh" in scripts:
        scripts["zsh"] = ZSH_SCRIPT


def main() -> None:
    """The entry point of the `softphone` command."""
    if any(each.endswith("-completion") for each in sys.argv):
        use_own_zsh_script()
    # The name that shell completion knows, however the program was started.
    application(prog_name="softphone")
