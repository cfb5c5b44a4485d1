"""`softphone lab`: a CUCM-like server on loopback, until interrupted."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import DONE
from softphone.cli.lab_options import LabOptions
from softphone.errors import ConfigurationError
from softphone.lab import (
    DISCOVERY_DOMAIN,
    DOMAIN,
    EXTENSIONS,
    CapfAuthMode,
    LabConfig,
    LabServer,
    SharedLine,
    find_prosody,
    make_load_users,
    parse_pending_enrollment,
)
from softphone.lab.im_presence import IM_PRESENCE_DOMAIN
from softphone.sans_io import Transport
from softphone.sip.event_packages import VoiceQualityReport
from softphone.trust import write_private


def has_chat() -> bool:
    """Whether the lab can run a chat server: Prosody and the extra `im` are installed."""
    return find_prosody() is not None and find_spec("slixmpp") is not None


async def run_lab(output: CommandOutput, options: LabOptions) -> int:
    """Run the lab until it is interrupted, which counts as success.

    Without a folder it works in a temporary one.  The lab admits `register_rate` registrations per
    second, in bursts of four times as many.  Raises ConfigurationError.
    """
    folder, register_rate, ready = options.folder, options.register_rate, False
    if not 1 <= register_rate <= 100_000:
        raise ConfigurationError(f"--register-rate {register_rate}: expected 1 to 100,000")
    config = LabConfig(
        users=LabConfig().users + make_load_users(options.users),
        registration_rate=float(register_rate),
        registration_burst=4 * register_rate,
        # One for each user and as many that end meanwhile.
        connections=max(LabConfig().connections, 2 * options.users),
        files=True,
        tvs=True,
        directory=True,
        dns=True,
        voicemail=True,
        im_presence=True,
        edge=True,
        sign_on=True,
        chat=has_chat(),
        capf_orders=tuple(parse_pending_enrollment(text) for text in options.capf or ()),
        shared_lines=(SharedLine("620", ("bob", "carol")),),
    )
    with ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="softphone-lab-")))
        with suppress(asyncio.CancelledError):
            async with LabServer(folder, config) as lab:
                _ready(output, lab)
                ready = True
                lab.collector.on_report = lambda report: _reported(output, report)
                await asyncio.Event().wait()
    if ready:
        removed = "" if options.folder is not None else ", and its folder is removed"
        output.copyable(f"The lab has ended{removed}.")
    return DONE


def _ready(output: CommandOutput, lab: LabServer) -> None:
    places = {
        f"sip_{transport.value}": f"{lab.addresses[transport][0]}:{lab.addresses[transport][1]}"
        for transport in (Transport.TLS, Transport.TCP, Transport.UDP)
    }
    beside = {"capf": lab.capf_address, "tvs": lab.tvs_address}
    if lab.cluster is not None:
        beside |= lab.cluster.addresses
    places |= {name: f"{at[0]}:{at[1]}" for name, at in beside.items() if at is not None}
    if lab.directory is not None:
        places["uds"] = f"{lab.directory.address[0]}:{lab.directory.address[1]}"
    if lab.dns is not None:
        places["dns"] = f"{lab.dns.address[0]}:{lab.dns.address[1]}"
    if lab.voicemail is not None:
        places["voicemail"] = f"{lab.voicemail.address[0]}:{lab.voicemail.address[1]}"
    if lab.im_presence is not None:
        at = {"": lab.im_presence.address, "_xmpp": lab.im_presence.xmpp_address}
        places |= {f"im_presence{name}": f"{host}:{port}" for name, (host, port) in at.items()}
    if lab.edge is not None and lab.outside_dns is not None:
        beside_edge = {
            "edge": lab.edge.web.address,
            "edge_sip": lab.edge.sip_address,
            "dns_outside": lab.outside_dns.address,
        }
        places |= {name: f"{at[0]}:{at[1]}" for name, at in beside_edge.items()}
    if lab.sign_on is not None:
        places["sign_on"] = f"{lab.sign_on.address[0]}:{lab.sign_on.address[1]}"
    accounts = {name: str(path) for name, path in lab.accounts.items()}
    strings = {} if lab.capf is None else dict(lab.capf.strings)
    orders = {} if lab.capf is None else lab.capf.auth_modes
    mics = {} if lab.capf is None else {name: str(path) for name, path in lab.capf.mics.items()}
    signer = "" if lab.cluster is None else lab.cluster.files.fingerprint
    facts: dict[str, Any] = {
        **places,
        "extensions": EXTENSIONS,
        "shared_lines": {line.name: list(line.users) for line in lab.config.shared_lines},
        "accounts": accounts,
        "auth_strings": strings,
        "capf_orders": orders,
        "mics": mics,
        "signer_sha256": signer,
        "directory": str(lab.directory_file or ""),
        "presence_accounts": {name: str(path) for name, path in lab.presence_accounts.items()},
        "sign_on_accounts": {name: str(path) for name, path in lab.sign_on_accounts.items()},
        "chats": {} if lab.chat is None else {n: str(p) for n, p in lab.chat.accounts.items()},
    }
    # For scripts that are started alongside.
    write_private(lab.files.folder / "lab.json", json.dumps(facts, indent=1).encode())
    output.event("ready", **facts)
    output.copyable(_text(places, facts))


def _reported(output: CommandOutput, report: VoiceQualityReport) -> None:
    """Print the voice quality report of a phone (RFC 6035)."""
    quality = {
        "mos": report.local.get("QualityEst", "MOSCQ"),
        "mos_far": None if report.remote is None else report.remote.get("QualityEst", "MOSCQ"),
        "loss": report.local.get("PacketLoss", "NLR"),
        "round_trip_ms": report.local.get("Delay", "RTD"),
    }
    said = ", ".join(f"{name} {value}" for name, value in quality.items() if value is not None)
    ours, theirs = report.session["LocalID"], report.session["RemoteID"]
    text = f"{report.kind} of {ours} with {theirs}: {said or 'nothing was heard'}"
    identity = {"call_id": report.session["CallID"], "local": ours, "remote": theirs}
    output.event("voice_report", text, report=report.kind.value, **identity, **quality)


def _text(places: dict[str, str], facts: dict[str, Any]) -> str:
    """Return the facts for people, in lines that are never wrapped: paths can be copied."""
    accounts, strings, signer = facts["accounts"], facts["auth_strings"], facts["signer_sha256"]
    first = next(iter(accounts.values()))
    rows = [
        *places.items(),
        ("signer_sha256", signer),
        *_devices(facts),
        *((f"extension {name}", meaning) for name, meaning in EXTENSIONS.items()),
        *((f"shared line {name}", ", ".join(who)) for name, who in facts["shared_lines"].items()),
        *_accounts(accounts),
    ]
    width = max(len(name) for name, _ in rows) + 2
    lines = ["The lab is ready, on loopback only.", ""]
    lines += [f"  {name:<{width}}{value}" for name, value in rows]
    lines += ["", f"Try: softphone call 600 --account {first} --duration 5"]
    device = next(iter(facts["capf_orders"]))
    shown = f" --auth-string {strings[device]}" if device in strings else ""
    lines += [
        f" or: softphone boot {device} --server http://{places['http']} --store {device}"
        f" --pin {signer}{shown}",
        f" or: softphone contacts search alice --config {facts['directory']}",
    ]
    if "dns" in places:
        folder = Path(first).parent
        lines.append(
            f" or: softphone discover carol@{DISCOVERY_DOMAIN} --nameserver {places['dns']}"
            f" --ca {folder}/ca.crt --password-file {folder}/carol.secret --cache {folder}/found"
        )
        lines.append(f" or: {_sign_in(places, facts, folder)}")
    if "dns_outside" in places:
        folder = Path(first).parent
        lines.append(
            f" or: softphone discover carol@{DISCOVERY_DOMAIN} --nameserver {places['dns_outside']}"
            f" --ca {folder}/ca.crt --password-file {folder}/carol.secret --cache {folder}/outside"
            f" --account-file {folder}/carol-outside.toml"
        )
        lines.append(f" or: {_sign_in_outside(places, folder)}")
    if "voicemail" in places:
        lines.append(f" or: softphone voicemail list --account {first}")
    lines += [f" or: {command}" for command in _signed_in_commands(facts)]
    return "\n".join([*lines, "Ctrl-C ends it."])


def _signed_in_commands(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the commands of the files of a single sign-on and of chats."""
    if facts["sign_on_accounts"]:
        yield f"softphone sso sign-in --account {next(iter(facts['sign_on_accounts'].values()))}"
    for chats, domain in (
        (facts["chats"], DOMAIN),
        (facts["presence_accounts"], IM_PRESENCE_DOMAIN),
    ):
        if len(chats) > 1:
            user, account = next(iter(chats.items()))
            other = next(name for name in chats if name != user)
            yield f"softphone im chat {other}@{domain} --account {account}"


def _sign_in(places: Mapping[str, str], facts: Mapping[str, Any], folder: Path) -> str:
    """Return the command that signs a user in from a mail address.

    Another user than that of `softphone boot`, whose string serves once.
    """
    device = list(facts["capf_orders"])[-1]
    user = device.removeprefix("CSF").lower()
    words = [
        f"softphone sign-in {user}@{DISCOVERY_DOMAIN} --nameserver {places['dns']}",
        f"--ca {folder}/ca.crt --password-file {folder}/{user}.secret",
        f"--cache {folder}/found --device-store {folder}/{user}",
    ]
    if "im_presence_xmpp" in places:
        words.append(f"--xmpp-port {places['im_presence_xmpp'].rpartition(':')[2]}")
    string = facts["auth_strings"].get(device)
    if string is not None:
        words.append(f"--auth-string {string}")
    return " ".join(words)


def _sign_in_outside(places: Mapping[str, str], folder: Path) -> str:
    """Return the command that signs a user in through the edge, where no device can enroll."""
    return (
        f"softphone sign-in carol@{DISCOVERY_DOMAIN} --nameserver {places['dns_outside']}"
        f" --ca {folder}/ca.crt --password-file {folder}/carol.secret"
        f" --cache {folder}/outside --device-store {folder}/carol-outside"
    )


def _accounts(accounts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield a line for each of the lab's own users, and one for all load users."""
    many = [name for name in accounts if name.startswith("load")]
    yield from (
        (f"account {name}", path) for name, path in accounts.items() if not name.startswith("load")
    )
    if many:
        folder = Path(accounts[many[0]]).parent
        yield "users", f"{many[0]} to {many[-1]}, --password-file '{folder}/{{user}}.secret'"


def _devices(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield for each device how it may enroll, and what it needs for that."""
    for name, ways in facts["capf_orders"].items():
        string = facts["auth_strings"].get(name)
        if ways == [CapfAuthMode.STRING]:
            yield f"device {name}", f"authentication string {string}"
            continue
        shown = "" if string is None else f" (string: {string})"
        yield f"device {name}", f"enrolls by {', then '.join(ways)}{shown}"
        if name in facts["mics"]:
            yield f"device {name}", f"MIC {facts['mics'][name]}"
