"""The commands `softphone discover` and `softphone sign-in`: their options.

`softphone ui` takes those of `UserSignInOptions`, too.
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import (
    AskedPassphraseOptions,
    CertificateOptions,
    CommandOptions,
    FirstUseOption,
    JsonOption,
    LadderOption,
    PinOption,
    option,
    option_dataclass,
)


@option_dataclass
class UserOptions(CommandOptions):
    """What finds a user's services: the address, the domains, and what is trusted."""

    account: Annotated[str, typer.Argument(help="The user's mail address.")]
    user: Annotated[
        str | None, option("--user", "The user's name in CUCM, where it is another.", "NAME")
    ] = None
    password_file: Annotated[
        Path | None, option("--password-file", "Else the terminal is asked.", "FILE")
    ] = None
    ca: Annotated[
        list[str] | None, option("--ca", 'Trust this authority, or "system".', "FILE")
    ] = None
    services_domain: Annotated[
        str | None, option("--services-domain", "Ask this domain's records.", "NAME")
    ] = None
    voice_domain: Annotated[
        str | None,
        option("--voice-domain", "The voice services domain: asked before any other.", "NAME"),
    ] = None
    exclude: Annotated[
        list[str] | None,
        option("--exclude", "Leave out WEBEX, CUCM or CUP; repeatable.", "SERVICE"),
    ] = None
    next_record: Annotated[
        bool,
        option(
            "--next-record/--no-next-record",
            "Whether the next record is followed when no server of the first one can be reached.",
        ),
    ] = True
    inside: Annotated[
        list[str] | None,
        option("--inside", "Outside: a further domain or host to reach behind the edge.", "NAME"),
    ] = None
    clear_files: Annotated[
        bool, option("--clear-files", "Let the profile and the settings come in clear.")
    ] = False
    trust_remote_config: Annotated[
        bool,
        option("--trust-remote-config", "Let settings over verified TLS relax ours, too."),
    ] = False
    config_file: Annotated[
        str, option("--config-file", "The file of settings; a group may have its own.", "NAME")
    ] = "jabber-config.xml"
    nameserver: Annotated[
        list[str] | None,
        option("--nameserver", "Ask this DNS server; repeatable.", "HOST[:PORT]"),
    ] = None
    timeout: Annotated[float, option("--timeout", "The time limit of one request.", "SECONDS")] = (
        10.0
    )
    cache: Annotated[
        Path | None, option("--cache", "Where the results are kept for 24 hours.", "DIR")
    ] = None
    trust: CertificateOptions = field(default_factory=CertificateOptions)
    json: JsonOption = False


@option_dataclass
class DiscoverOptions(UserOptions):
    """Find a user's servers, devices and settings from a mail address, and say why.

    Outside, where only an edge server (Expressway) is found, the password is shown to the edge,
    whose certificate must name the domain, and the rest is asked through it.

    The password goes to servers in the user's domain or in that of --services-domain or
    --voice-domain, to those whose certificate names one of these, and to those that you confirm;
    without one, only what needs none is asked.
    """

    carried_out_by = "softphone.cli.discovery.discover:discover_services"
    examples = (
        "softphone discover alice@example.com --ca ca.pem",
        "softphone discover alice@example.com --password-file alice.secret --json",
    )
    account_file: Annotated[
        Path | None,
        option("--account-file", "Outside: write an account file for the soft phone.", "FILE"),
    ] = None
    ask_edge_sso: Annotated[
        bool,
        option("--ask-edge-sso", "Outside: ask the edge for single sign-on; show its answer."),
    ] = False
    device: Annotated[
        str | None, option("--device", "The device of that file, by default the CSF.", "NAME")
    ] = None


@option_dataclass
class UserSignInOptions(UserOptions):
    """What signs a user in, beyond what finds the services: for each command that does it."""

    only: Annotated[
        list[str] | None,
        option(
            "--only", "Sign in to this: phone, chat, directory, voicemail; repeatable.", "SERVICE"
        ),
    ] = None
    device: Annotated[
        str | None, option("--device", "The device to register, if not the CSF.", "NAME")
    ] = None
    device_store: Annotated[
        Path | None,
        option("--device-store", "Where the device's trust lists and identity are kept.", "DIR"),
    ] = None
    pin: PinOption = None
    first_use: FirstUseOption = False
    auth_string: Annotated[
        str | None,
        option("--auth-string", "Enroll with this string; else the terminal is asked.", "N"),
    ] = None
    take_over: Annotated[
        bool, option("--take-over", "End the registration of this device by another client.")
    ] = False
    sign_on: Annotated[
        Path | None,
        option(
            "--sign-on",
            "Sign in with the tokens of this file's [oauth], instead of a password.",
            "FILE",
        ),
    ] = None
    device_code: Annotated[
        bool,
        option("--device-code", "With --sign-on: show a code to type in elsewhere, no browser."),
    ] = False
    voicemail_password_file: Annotated[
        Path | None,
        option("--voicemail-password-file", "The mailbox's password, if it is another.", "FILE"),
    ] = None
    presence_domain: Annotated[
        str | None,
        option("--presence-domain", "The domain of the chat address; else a node tells.", "NAME"),
    ] = None
    xmpp_port: Annotated[
        int, option("--xmpp-port", "The port of XMPP at IM and Presence.", "PORT", min=1, max=65535)
    ] = 5222
    edge_xmpp: Annotated[
        str, option("--edge-xmpp", "How TLS begins for chat at an edge: starttls, direct.", "HOW")
    ] = "starttls"
    passphrase: AskedPassphraseOptions = field(default_factory=AskedPassphraseOptions)


@option_dataclass
class SignInOptions(UserSignInOptions):
    """Sign a user in from a mail address: phone, chat, directory and voicemail.

    Finds the services, boots the user's soft phone (CSF) with CAPF and registers it, and stays
    signed in until interrupted.  Outside it signs in at the edge server (Expressway) and goes on
    through it, without CAPF.  The password goes where that of `softphone discover` goes, and with
    --sign-on the token goes there in its place: the stored one, or that of a browser or a device
    code, as `softphone sso sign-in` gets it.
    """

    carried_out_by = "softphone.cli.discovery.sign_in:sign_in_user"
    examples = (
        "softphone sign-in alice@example.com --ca ca.pem",
        "softphone sign-in alice@example.com --password-file alice.secret --once --json",
        "softphone sign-in alice@example.com --ca ca.pem --sign-on sign-on.toml --device-code",
    )
    once: Annotated[bool, option("--once", "Sign in, report, and leave.")] = False
    ladder: LadderOption = False
