"""The commands of `softphone trust` and `softphone csr`: their options."""

from __future__ import annotations

import sys
from dataclasses import field
from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import (
    AskedPassphraseOptions,
    CommandOptions,
    FirstUseOption,
    JsonOption,
    PinOption,
    StoreOption,
    option,
    option_dataclass,
)


@option_dataclass
class ShowStoreOptions(CommandOptions):
    """Show the trust lists, anchors and pins of a store; no key is ever shown."""

    carried_out_by = "softphone.cli.trust.lists:show_store"
    examples = ("softphone trust show --store CSFALICE",)
    store: StoreOption
    json: JsonOption = False


@option_dataclass
class CheckListOptions(CommandOptions):
    """Check a trust list against those that are held; nothing is stored."""

    carried_out_by = "softphone.cli.trust.lists:check_list"
    examples = ("softphone trust check CTLFile.tlv --store CSFALICE",)
    file: Annotated[Path, typer.Argument(help="A CTL or an ITL (.tlv).")]
    store: StoreOption
    pin: PinOption = None
    first_use: FirstUseOption = False
    json: JsonOption = False


@option_dataclass
class ImportListsOptions(CommandOptions):
    """Store trust lists that are accepted; one that is refused replaces nothing."""

    carried_out_by = "softphone.cli.trust.lists:import_lists"
    examples = ("softphone trust import CTLFile.tlv ITLFile.tlv --store CSFALICE --pin signer.pem",)
    files: Annotated[list[Path], typer.Argument(help="A CTL, an ITL, or both (.tlv).")]
    store: StoreOption
    pin: PinOption = None
    first_use: FirstUseOption = False
    json: JsonOption = False


@option_dataclass
class ResetListsOptions(CommandOptions):
    """Delete the trust lists, as when the phone moves to another cluster.

    Anchors, pins and the device's own certificate stay.
    """

    carried_out_by = "softphone.cli.trust.lists:reset_lists"
    examples = ("softphone trust reset --store CSFALICE",)
    store: StoreOption
    yes: Annotated[bool, option("--yes", "Do not ask.")] = False
    json: JsonOption = False

    def carry_out(self) -> None:
        """Ask, unless --yes was given, and then run the command; exit with its exit code.

        Raises typer.BadParameter where nobody can be asked.
        """
        # Asked before there is an event loop, so that Ctrl-C is heard.
        if not self.yes and (self.json or not sys.stdin.isatty()):
            raise typer.BadParameter("there is nobody to ask: add --yes")
        question = (
            f"Forget the trust lists in {self.store}? The next ones need a pin or a first use."
        )
        if not self.yes and not typer.confirm(question, err=True):
            raise typer.Exit(1)
        super().carry_out()


@option_dataclass
class VerifyServerOptions(CommandOptions):
    """Look at a server's certificates: the chain, each check, and what would make it pass."""

    carried_out_by = "softphone.cli.trust.verify:verify_server"
    examples = ("softphone trust verify cucm.example.com:5061 --service sip --ca ca.pem",)
    place: Annotated[str, typer.Argument(metavar="HOST:PORT", help="A TLS server.")]
    service: Annotated[str, option("--service", "sip, https, xmpp or capf.", "NAME")]
    ca: Annotated[
        list[str] | None, option("--ca", 'Trust this authority, or "system".', "FILE")
    ] = None
    store: Annotated[
        Path | None,
        option("--store", "Trust this store, too: its trust lists and what was accepted.", "DIR"),
    ] = None
    name: Annotated[
        str | None, option("--name", "Whom the certificate has to name: a domain.", "NAME")
    ] = None
    revocation: Annotated[str, option("--revocation", "off, soft or hard.", "MODE")] = "soft"
    allow: Annotated[
        list[str] | None,
        option(
            "--allow",
            "Let this pass: sha1, rsa-1024, invalid-revocation or local-revocation; repeatable.",
            "WORD",
        ),
    ] = None
    tls: Annotated[
        str | None,
        option(
            "--tls",
            "How a chat server begins: direct, or starttls (as on port 5222 anyway).",
            "MODE",
        ),
    ] = None
    json: JsonOption = False


@option_dataclass
class RequirementsOptions(CommandOptions):
    """Show which certificate each server of a deployment presents, and what has to be in it."""

    carried_out_by = "softphone.cli.trust.verify:show_requirements"
    examples = ("softphone trust requirements",)
    json: JsonOption = False


@option_dataclass
class CloudRootsOptions(CommandOptions):
    """Show which public authorities of the cloud services a trust store holds, and their state."""

    carried_out_by = "softphone.cli.trust.roots:show_roots"
    examples = ("softphone trust roots --ca system",)
    ca: Annotated[
        list[str] | None,
        option(
            "--ca", 'Look into this file or folder, or "system" (without --store: that).', "FILE"
        ),
    ] = None
    store: Annotated[Path | None, option("--store", "Look into this store, too.", "DIR")] = None
    json: JsonOption = False


@option_dataclass
class AcceptedOptions(CommandOptions):
    """Show the certificates that were accepted, and take one away: it is asked about again."""

    carried_out_by = "softphone.cli.trust.accepted:show_accepted"
    examples = ("softphone trust accepted",)
    store: Annotated[
        Path | None, option("--store", "The store, else that of the command line.", "DIR")
    ] = None
    remove: Annotated[
        list[str] | None, option("--remove", "Take away what has this; repeatable.", "SHA256")
    ] = None
    json: JsonOption = False


ProfileOption = Annotated[
    str,
    option(
        "--profile",
        "The kind of authority: public, public-multi (several names) or private.",
        "NAME",
    ),
]


@option_dataclass
class NewCsrOptions(CommandOptions):
    """Make keys and certificate requests; nothing that an authority would refuse is written."""

    carried_out_by = "softphone.cli.trust.csr:make_requests"
    examples = ("softphone csr new --service tomcat --name cucm.example.com --dir requests",)
    service: Annotated[
        str, option("--service", "tomcat, cup-xmpp, CallManager, or client.", "NAME")
    ]
    name: Annotated[
        list[str],
        option("--name", "A server's full name, or a client's SIP URI; repeat it.", "FQDN"),
    ]
    folder: Annotated[Path, option("--dir", "Where keys and requests go.", "DIR")] = Path()
    profile: ProfileOption = "private"
    domain: Annotated[
        str | None, option("--domain", "The domain of the users, for XMPP and SIP.", "NAME")
    ] = None
    each: Annotated[bool, option("--each", "One request a name; else one with all of them.")] = (
        False
    )
    key: Annotated[
        str, option("--key", "rsa-2048, rsa-3072, rsa-4096, ec-p256, ec-p384, ec-p521.", "KIND")
    ] = "rsa-2048"
    common_name: Annotated[
        str, option("--common-name", "Else the first name; it is a name, too.", "NAME")
    ] = ""
    organization: Annotated[str, option("--organization", "", "TEXT")] = ""
    unit: Annotated[str, option("--unit", "Organizational unit.", "TEXT")] = ""
    locality: Annotated[str, option("--locality", "", "TEXT")] = ""
    state: Annotated[str, option("--state", "", "TEXT")] = ""
    country: Annotated[str, option("--country", "Two capitals.", "CC")] = ""
    passphrase: AskedPassphraseOptions = field(default_factory=AskedPassphraseOptions)
    json: JsonOption = False


@option_dataclass
class CheckCsrOptions(CommandOptions):
    """Check requests by an authority's rules, and several for the fields that must be equal."""

    carried_out_by = "softphone.cli.trust.csr:check_requests"
    examples = ("softphone csr check requests/tomcat-cucm.example.com.csr --profile private",)
    files: Annotated[list[Path], typer.Argument(help="Requests (PEM or DER), ours or others'.")]
    profile: ProfileOption = "public"
    json: JsonOption = False
