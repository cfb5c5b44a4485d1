"""The commands `softphone enroll`, `boot` and `config`: their options."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated

import typer

from softphone.cli.console.options import (
    AskedPassphraseOptions,
    CommandOptions,
    DeviceArgument,
    FirstUseOption,
    JsonOption,
    LadderOption,
    PassphraseOptions,
    PinOption,
    StoreOption,
    TrustOptions,
    option,
    option_dataclass,
)


@option_dataclass
class _EnrollTrustOptions(TrustOptions):
    """The certificate options; accepted certificates are stored with the device's own."""

    store: Path | None = None
    passphrase: AskedPassphraseOptions = field(default_factory=AskedPassphraseOptions)


@option_dataclass
class EnrollOptions(CommandOptions):
    """Get or renew a device's certificate from CUCM's CAPF."""

    carried_out_by = "softphone.cli.device.enroll:enroll_device"
    examples = (
        "softphone enroll CSFALICE --capf cucm.example.com --store CSFALICE --auth-string 1234",
    )
    device: DeviceArgument
    capf: Annotated[str, option("--capf", "The CAPF server.", "HOST[:PORT]")]
    store: Annotated[Path, option("--store", "Where key and certificate are kept.", "DIR")]
    auth_string: Annotated[str | None, option("--auth-string", "Show this string.", "N")] = None
    null_string: Annotated[
        bool, option("--null-string", "Show nothing: the server asks for nothing.")
    ] = False
    lsc: Annotated[bool, option("--lsc", "Show the certificate that is in the store.")] = False
    mic: Annotated[
        Path | None, option("--mic", "Show this certificate; its key is with it.", "FILE")
    ] = None
    ca: Annotated[
        Path | None, option("--ca", "The CAPF server's certificate; remembered.", "FILE")
    ] = None
    trust: _EnrollTrustOptions = field(default_factory=_EnrollTrustOptions)
    json: JsonOption = False


@option_dataclass
class BootOptions(CommandOptions):
    """Boot a device from its bare name, as a Cisco phone does, and stay registered.

    Trust lists, configuration, certificate (CAPF), registration: each step is verified.
    """

    carried_out_by = "softphone.cli.device.boot:run_boot"
    examples = (
        "softphone boot CSFALICE --server cucm.example.com --store CSFALICE --pin signer.pem",
    )
    device: DeviceArgument
    server: Annotated[
        list[str],
        option(
            "--server",
            "HOST, tftp://H:P, http://H:P or https://H:P; may be repeated, in order.",
            "HOST|URL",
        ),
    ]
    store: StoreOption
    pin: PinOption = None
    first_use: FirstUseOption = False
    auth_string: Annotated[
        str | None, option("--auth-string", "Enroll with this string, if asked to.", "N")
    ] = None
    ca: Annotated[
        list[Path] | None, option("--ca", "Trust this authority for https servers.", "FILE")
    ] = None
    once: Annotated[bool, option("--once", "Register, report, and leave.")] = False
    take_over: Annotated[
        bool, option("--take-over", "End the registration of this device by another client.")
    ] = False
    model: Annotated[
        int | None,
        option("--model", "The device's product number, such as 503 for a CSF.", "N", min=1),
    ] = None
    patience: Annotated[
        float,
        option(
            "--patience",
            "How long the server may take to encrypt for a new certificate.",
            "SECONDS",
            min=0,
        ),
    ] = 60.0
    passphrase: AskedPassphraseOptions = field(default_factory=AskedPassphraseOptions)
    json: JsonOption = False
    ladder: LadderOption = False


@option_dataclass
class ConfigFileOptions(CommandOptions):
    """A file, the store and the name to check it by, and the device whose key decrypts it."""

    file: Annotated[
        Path,
        typer.Argument(
            help="A .cnf.xml, .cnf.xml.sgn or .cnf.xml.enc.sgn file, or a device that the store"
            " knows."
        ),
    ]
    store: StoreOption
    name: Annotated[
        str | None, option("--name", "The name it was asked for by; else the file's.", "NAME")
    ] = None
    device: str | None = None
    passphrase: PassphraseOptions | None = None


@option_dataclass
class VerifyConfigOptions(ConfigFileOptions):
    """Check name, signature, signer and age of a file; nothing is stored."""

    carried_out_by = "softphone.cli.device.config:verify_one"
    examples = ("softphone config verify CSFALICE --store CSFALICE",)
    json: JsonOption = False


@option_dataclass
class ShowConfigOptions(ConfigFileOptions):
    """Show the contents of a configuration, secrets masked, and whether it can be trusted."""

    carried_out_by = "softphone.cli.device.config:show_file"
    examples = ("softphone config show CSFALICE --store CSFALICE",)
    device: Annotated[
        str | None, option("--device", "Whose key opens it; else the file's name says.", "NAME")
    ] = None
    passphrase: AskedPassphraseOptions = field(default_factory=AskedPassphraseOptions)
    json: JsonOption = False


@option_dataclass
class DecryptConfigOptions(ShowConfigOptions):
    """Verify a file, decrypt it with the device's key, and print it, secrets masked."""

    carried_out_by = "softphone.cli.device.config:decrypt_one"
    examples = ("softphone config decrypt CSFALICE --store CSFALICE --out CSFALICE.xml",)
    out: Annotated[
        Path | None, option("--out", "Write it there, secrets and all (0600).", "FILE")
    ] = None
