"""The commands; each is a dataclass of its options, carried out by a module that is imported when
the command is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from softphone._version import __version__
from softphone.cli.call.options import AnswerOptions, CallOptions, RegisterOptions, WatchOptions
from softphone.cli.console.options import (
    CommandOptions,
    JsonOption,
    LadderOption,
    add_command,
    option,
    option_dataclass,
)
from softphone.cli.device.options import (
    BootOptions,
    DecryptConfigOptions,
    EnrollOptions,
    ShowConfigOptions,
    VerifyConfigOptions,
)
from softphone.cli.diagnose.options import DevicesOptions, DoctorOptions, ExplainOptions
from softphone.cli.fips.options import (
    FipsRunOptions,
    FipsSetupOptions,
    FipsStatusOptions,
    choose_mode,
)
from softphone.cli.load.options import EXIT_CODES as LOAD_EXIT_CODES
from softphone.cli.load.options import CapacityOptions, CompareOptions, LoadOptions
from softphone.cli.messaging.options import (
    ChatOptions,
    FetchOptions,
    HistoryOptions,
    SearchOptions,
    SendOptions,
    SetupAuditOptions,
    VerifyAuditOptions,
)
from softphone.cli.trust.options import (
    CheckCsrOptions,
    CheckListOptions,
    ImportListsOptions,
    NewCsrOptions,
    RequirementsOptions,
    ResetListsOptions,
    ShowStoreOptions,
    VerifyServerOptions,
)
from softphone.cli.voicemail.options import (
    DeleteMessageOptions,
    FetchMessageOptions,
    ListMessagesOptions,
    PlayMessageOptions,
    ReadMessageOptions,
)

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed (a far end's refusal too), 2 wrong usage and nothing sent, "
    "3 we refused on security grounds, 130 interrupted."
)


@option_dataclass
class LabOptions(CommandOptions):
    """Run a CUCM-like server on loopback until interrupted."""

    carried_out_by = "softphone.cli.lab:run_lab"
    examples = ("softphone lab --dir lab",)
    folder: Annotated[
        Path | None, option("--dir", "Where certificates and account files go.", "DIR")
    ] = None
    capf: Annotated[
        list[str] | None,
        option(
            "--capf",
            "Let a device enroll by string, string:N, null-string, lsc or mic; repeated for one "
            "device: one after the other.",
            "DEVICE=WAY",
        ),
    ] = None
    users: Annotated[
        int, option("--users", "So many more users, load00001 and on, each with a password in DIR.")
    ] = 0
    register_rate: Annotated[
        int,
        option("--register-rate", "New connections a second that may register; the others wait."),
    ] = 100
    json: JsonOption = False

    def blank_summary(self) -> None:
        return None


@option_dataclass
class DemoOptions(CommandOptions):
    """Show phones that boot from bare names and call; the lock follows each transfer."""

    carried_out_by = "softphone.cli.demo.demo:run_demo"
    examples = ("softphone demo --ladder",)
    ladder: LadderOption = False
    json: JsonOption = False


application = typer.Typer(
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
    fips: Annotated[
        bool | None,
        typer.Option("--fips/--no-fips", help="FIPS mode or not, whatever else says so."),
    ] = None,
) -> None:
    """A secure SIP and SRTP softphone engine."""
    choose_mode(fips)


def _add_group(name: str, text: str, commands: Mapping[str, type[CommandOptions]]) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)
    for word, kind in commands.items():
        add_command(group, word, kind)
    application.add_typer(group, name=name)
    return group


add_command(application, "call", CallOptions)
add_command(application, "answer", AnswerOptions)
add_command(application, "register", RegisterOptions)
add_command(application, "watch", WatchOptions)
add_command(application, "lab", LabOptions)
add_command(application, "demo", DemoOptions)
add_command(application, "doctor", DoctorOptions)
add_command(application, "explain", ExplainOptions)
add_command(application, "devices", DevicesOptions)
add_command(application, "enroll", EnrollOptions)
add_command(application, "boot", BootOptions)
_add_group(
    "config",
    "Show, verify and decrypt configuration files.",
    {"show": ShowConfigOptions, "verify": VerifyConfigOptions, "decrypt": DecryptConfigOptions},
)
_add_group(
    "compliance",
    "Look after the audit table of messages and files.",
    {"verify": VerifyAuditOptions, "setup": SetupAuditOptions},
)
_add_group("contacts", "Search the directories: LDAPS, CUCM's UDS.", {"search": SearchOptions})
_add_group(
    "csr", "Make and check certificate requests.", {"new": NewCsrOptions, "check": CheckCsrOptions}
)
_add_group(
    "im",
    "Send and receive instant messages.",
    {
        "send": SendOptions,
        "chat": ChatOptions,
        "fetch": FetchOptions,
        "history": HistoryOptions,
    },
)
_load = _add_group("load", "Many calls at once: measured, judged, reported.", {})
add_command(_load, "run", LoadOptions, epilog=LOAD_EXIT_CODES)
add_command(_load, "find-capacity", CapacityOptions, epilog=LOAD_EXIT_CODES)
add_command(_load, "compare", CompareOptions, epilog=LOAD_EXIT_CODES)
_add_group(
    "trust",
    "Show and change whom the phone believes.",
    {
        "show": ShowStoreOptions,
        "check": CheckListOptions,
        "import": ImportListsOptions,
        "reset": ResetListsOptions,
        "verify": VerifyServerOptions,
        "requirements": RequirementsOptions,
    },
)
_add_group(
    "voicemail",
    "Read a voice mailbox at Unity Connection.",
    {
        "list": ListMessagesOptions,
        "play": PlayMessageOptions,
        "fetch": FetchMessageOptions,
        "read": ReadMessageOptions,
        "delete": DeleteMessageOptions,
    },
)
_fips = _add_group(
    "fips",
    "FIPS mode: cryptography by OpenSSL's FIPS provider, or not at all.",
    {"setup": FipsSetupOptions, "status": FipsStatusOptions},
)
# Arguments after the program's name belong to the program.
_THE_PROGRAMS_OWN = {"ignore_unknown_options": True, "allow_interspersed_args": False}
add_command(_fips, "run", FipsRunOptions, context_settings=_THE_PROGRAMS_OWN)


def main() -> None:
    """The entry point of the `softphone` command."""
    # The name that shell completion knows, however the program was started.
    application(prog_name="softphone")
