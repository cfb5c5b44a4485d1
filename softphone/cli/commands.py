"""The commands and their options; each is carried out by a file of its own, imported when used."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softphone._version import __version__
from softphone.cli.console.options import (
    AcceptOption,
    AskPassphraseOption,
    FilesCaOption,
    FileServerOption,
    FirstUseOption,
    JsonOption,
    KeepOption,
    KeyringOption,
    ModelOption,
    NoPromptOption,
    PassphraseFdOption,
    PatienceOption,
    PinOption,
    StoreOption,
    run_command,
    trust_options_of,
)
from softphone.cli.device import config_commands
from softphone.cli.fips import fips_commands
from softphone.cli.load import load_commands
from softphone.cli.messaging import compliance_commands, contacts_commands, im_commands
from softphone.cli.trust import csr_commands, trust_commands

if TYPE_CHECKING:
    from softphone.cli.console.output import CommandOutput

__all__ = ["application", "main"]

application = typer.Typer(
    name="softphone",
    help="A secure SIP and SRTP softphone engine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
application.add_typer(config_commands.group, name="config")
application.add_typer(compliance_commands.group, name="compliance")
application.add_typer(contacts_commands.group, name="contacts")
application.add_typer(csr_commands.group, name="csr")
application.add_typer(im_commands.group, name="im")
application.add_typer(load_commands.group, name="load")
application.add_typer(trust_commands.group, name="trust")
application.add_typer(fips_commands.group, name="fips")

EXIT_CODES = (
    "Exit codes: 0 done, 1 failed (a far end's refusal too), 2 wrong usage and nothing sent, "
    "3 we refused on security grounds, 130 interrupted."
)

AccountOption = Annotated[
    Path, typer.Option("--account", metavar="FILE", help="The account file (TOML).")
]
PlayOption = Annotated[
    Path | None, typer.Option("--play", metavar="WAV", help="Play this file to the far end.")
]
RecordOption = Annotated[
    Path | None, typer.Option("--record", metavar="WAV", help="Record the far end to a new file.")
]
RecordBothOption = Annotated[
    Path | None,
    typer.Option(
        "--record-both",
        metavar="FILE",
        help="Record both sides, ours left and theirs right, to a new .wav, .ogg, .mka, .mp4 ...",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME", help='Talk through a sound card, "default" for the system\'s.'
    ),
]
VideoOption = Annotated[
    str | None,
    typer.Option(
        "--video",
        metavar="FILE",
        help='Send this file\'s picture and sound, or a test pattern: "pattern".',
    ),
]
RecordVideoOption = Annotated[
    Path | None,
    typer.Option(
        "--record-video",
        metavar="FILE",
        help="Record the far end, picture and sound, to a new .mp4, .mkv or .webm; "
        "sends a test pattern if nothing else.",
    ),
]
DigitsOption = Annotated[
    str | None,
    typer.Option(
        "--digits",
        metavar="DIGITS",
        help="Send these digits once the call is up: 0-9 * # A-D; a comma waits half a second.",
    ),
]
DurationOption = Annotated[
    float | None,
    typer.Option(
        "--duration", metavar="SECONDS", help="Hang up this long after the answer; digits go first."
    ),
]
SrtpOption = Annotated[
    str | None,
    typer.Option("--srtp", metavar="MODE", help="required, optional or off, for this call."),
]
LadderOption = Annotated[
    bool, typer.Option("--ladder", help="Print the SIP messages as a ladder, secrets masked.")
]
CaptureOption = Annotated[
    Path | None,
    typer.Option(
        "--capture", metavar="PCAPNG", help="Write signaling and media, in clear, to a new file."
    ),
]
CaptureKeysOption = Annotated[
    bool, typer.Option("--capture-keys", help="Leave keys and passwords in the capture unmasked.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"softphone {__version__}")
        raise typer.Exit


@application.callback(epilog=EXIT_CODES)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    fips: Annotated[
        bool | None,
        typer.Option("--fips/--no-fips", help="FIPS mode or not, whatever else says so."),
    ] = None,
) -> None:
    """A secure SIP and SRTP softphone engine."""
    fips_commands.choose_mode(fips)


def _carry_out_call(
    command: Callable[[CommandOutput], Awaitable[int]], *, json: bool, ladder: bool
) -> None:
    """Run a command whose summary is a call's, and leave with its exit code."""
    from softphone.cli.call.summary import BLANK
    from softphone.cli.console.runner import RunOptions, run

    sys.exit(run(RunOptions(json, ladder, BLANK), command))


@application.command()
def call(
    target: Annotated[str, typer.Argument(help="A SIP URI, or a user of the account's domain.")],
    account: AccountOption,
    play: PlayOption = None,
    record: RecordOption = None,
    record_both: RecordBothOption = None,
    device: DeviceOption = None,
    video: VideoOption = None,
    record_video: RecordVideoOption = None,
    digits: DigitsOption = None,
    duration: DurationOption = None,
    srtp: SrtpOption = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", help="Wait this long for the server, and for an answer."
        ),
    ] = 60.0,
    accept: AcceptOption = None,
    no_prompt: NoPromptOption = False,
    keep: KeepOption = None,
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    json: JsonOption = False,
    ladder: LadderOption = False,
    capture: CaptureOption = None,
    capture_keys: CaptureKeysOption = False,
) -> None:
    """Call somebody: play, show, record, send digits.

    Hangs up after --duration, else at the end of --play or of the --video file, else when the far
    end does or on Ctrl-C.
    """

    async def command(output: CommandOutput) -> int:
        from softphone.cli.call.call import place_call
        from softphone.cli.call.call_options import CallOptions

        trusting = trust_options_of(accept, no_prompt, keep, passphrase_fd, keyring)
        kept = capture, capture_keys, record_both, device, video, record_video
        options = CallOptions(play, record, digits, duration, srtp, timeout, trusting, *kept)
        return await place_call(output, account, target, options)

    _carry_out_call(command, json=json, ladder=ladder)


@application.command()
def answer(
    account: AccountOption,
    play: PlayOption = None,
    record: RecordOption = None,
    record_both: RecordBothOption = None,
    device: DeviceOption = None,
    video: VideoOption = None,
    record_video: RecordVideoOption = None,
    digits: DigitsOption = None,
    duration: DurationOption = None,
    srtp: SrtpOption = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", help="Wait this long for the server, and for a call."
        ),
    ] = None,
    accept: AcceptOption = None,
    no_prompt: NoPromptOption = False,
    keep: KeepOption = None,
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    json: JsonOption = False,
    ladder: LadderOption = False,
    capture: CaptureOption = None,
    capture_keys: CaptureKeysOption = False,
) -> None:
    """Wait for one call and answer it; the exit code is that of the call.

    Hangs up after --duration, else at the end of --play or of the --video file, else when the far
    end does or on Ctrl-C.
    """

    async def command(output: CommandOutput) -> int:
        from softphone.cli.call.answer import answer_call
        from softphone.cli.call.call_options import CallOptions

        trusting = trust_options_of(accept, no_prompt, keep, passphrase_fd, keyring)
        kept = capture, capture_keys, record_both, device, video, record_video
        options = CallOptions(play, record, digits, duration, srtp, timeout, trusting, *kept)
        return await answer_call(output, account, options)

    _carry_out_call(command, json=json, ladder=ladder)


@application.command()
def register(
    account: AccountOption,
    duration: Annotated[
        float | None,
        typer.Option("--duration", metavar="SECONDS", help="Leave after this long."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Register, report, and leave.")] = False,
    accept: AcceptOption = None,
    no_prompt: NoPromptOption = False,
    keep: KeepOption = None,
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    json: JsonOption = False,
    ladder: LadderOption = False,
) -> None:
    """Register and stay registered until interrupted."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.call.register import stay_registered

        trusting = trust_options_of(accept, no_prompt, keep, passphrase_fd, keyring)
        return await stay_registered(output, account, 0.0 if once else duration, trusting)

    run_command(command, json=json, ladder=ladder)


@application.command()
def lab(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where certificates and account files go."),
    ] = None,
    capf: Annotated[
        list[str] | None,
        typer.Option(
            "--capf",
            metavar="DEVICE=WAY",
            help="Let a device enroll by string, string:N, null-string, lsc or mic;"
            " repeated for one device: one after the other.",
        ),
    ] = None,
    users: Annotated[
        int,
        typer.Option(
            "--users", help="So many more users, load00001 and on, each with a password in DIR."
        ),
    ] = 0,
    register_rate: Annotated[
        int,
        typer.Option(
            "--register-rate", help="New connections a second that may register; the others wait."
        ),
    ] = 100,
    json: JsonOption = False,
) -> None:
    """Run a CUCM-like server on loopback until interrupted."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.lab import run_lab

        return await run_lab(output, folder, capf or (), users, register_rate)

    from softphone.cli.console.runner import RunOptions, run

    sys.exit(run(RunOptions(json), command))


@application.command()
def demo(
    ladder: LadderOption = False,
    json: JsonOption = False,
) -> None:
    """See phones boot from bare names and call; the lock goes and comes with each transfer."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.demo.demo import run_demo

        return await run_demo(output)

    run_command(command, json=json, ladder=ladder)


@application.command()
def doctor(
    account: AccountOption,
    accept: AcceptOption = None,
    keep: KeepOption = None,
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    json: JsonOption = False,
) -> None:
    """Check an account step by step, and say what to fix."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.diagnose.doctor import examine_account

        trusting = trust_options_of(accept, True, keep, passphrase_fd, keyring)
        return await examine_account(output, account, trusting)

    run_command(command, json=json, ladder=False)


@application.command()
def explain(
    file: Annotated[
        Path | None,
        typer.Argument(help="SIP messages, a ladder, two SDPs or JSON lines; - is stdin."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say why a call was refused: which m-line, which crypto line, which rule."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.diagnose.explain import explain_file

        return await explain_file(output, file)

    run_command(command, json=json, ladder=False)


@application.command()
def enroll(
    device: Annotated[str, typer.Argument(help="The device's name, such as CSFALICE.")],
    capf: Annotated[str, typer.Option("--capf", metavar="HOST[:PORT]", help="The CAPF server.")],
    store: Annotated[
        Path, typer.Option("--store", metavar="DIR", help="Where key and certificate are kept.")
    ],
    auth_string: Annotated[
        str | None, typer.Option("--auth-string", metavar="N", help="Show this string.")
    ] = None,
    null_string: Annotated[
        bool, typer.Option("--null-string", help="Show nothing: the server asks for nothing.")
    ] = False,
    lsc: Annotated[
        bool, typer.Option("--lsc", help="Show the certificate that is in the store.")
    ] = False,
    mic: Annotated[
        Path | None,
        typer.Option("--mic", metavar="FILE", help="Show this certificate; its key is with it."),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", metavar="FILE", help="The CAPF server's certificate; remembered."),
    ] = None,
    accept: AcceptOption = None,
    no_prompt: NoPromptOption = False,
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    ask_passphrase: AskPassphraseOption = False,
    json: JsonOption = False,
) -> None:
    """Get or renew a device's certificate from CUCM's CAPF."""

    async def command(output: CommandOutput) -> int:
        from softphone.cli.device.enroll import EnrollOptions, enroll_device

        trusting = trust_options_of(
            accept, no_prompt, store, passphrase_fd, keyring, ask=ask_passphrase
        )
        options = EnrollOptions(capf, store, auth_string, null_string, lsc, mic, ca, trusting)
        return await enroll_device(output, device, options)

    run_command(command, json=json, ladder=False)


@application.command()
def boot(
    device: Annotated[str, typer.Argument(help="The device's name, such as CSFALICE.")],
    server: FileServerOption,
    store: StoreOption,
    pin: PinOption = None,
    first_use: FirstUseOption = False,
    auth_string: Annotated[
        str | None,
        typer.Option("--auth-string", metavar="N", help="Enroll with this string, if asked to."),
    ] = None,
    ca: FilesCaOption = None,
    once: Annotated[bool, typer.Option("--once", help="Register, report, and leave.")] = False,
    take_over: Annotated[
        bool,
        typer.Option("--take-over", help="End the registration of this device by another client."),
    ] = False,
    model: ModelOption = None,
    patience: PatienceOption = 60.0,
    passphrase_fd: PassphraseFdOption = None,
    keyring: KeyringOption = None,
    ask_passphrase: AskPassphraseOption = False,
    json: JsonOption = False,
    ladder: LadderOption = False,
) -> None:
    """Boot a device from its bare name, as a Cisco phone does, and stay registered.

    Trust lists, configuration, certificate (CAPF), registration: each step is verified.
    """

    async def command(output: CommandOutput) -> int:
        from softphone.cli.console.passphrase import PassphraseSource
        from softphone.cli.device.boot import BootOptions, run_boot

        secret = PassphraseSource(passphrase_fd, keyring, ask_passphrase)
        options = BootOptions(
            server,
            store,
            pin or (),
            first_use,
            auth_string,
            ca or (),
            once,
            take_over,
            secret,
            model,
            patience,
        )
        return await run_boot(output, device, options)

    run_command(command, json=json, ladder=ladder)


def main() -> None:
    """The entry point of the `softphone` command."""
    application()
