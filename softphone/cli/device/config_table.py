"""Shows a configuration and its file as tables, and as objects for scripts; without secrets."""

from __future__ import annotations

from typing import Any

from softphone.cli.console.output import CommandOutput
from softphone.cli.trust.tables import header_facts
from softphone.provisioning import DeviceConfig, DeviceLine, VerifiedFile
from softphone.trust import fingerprint_of
from softphone.trust.lists import FileHeader

_MODES = {1: "not secure", 2: "authenticated", 3: "encrypted"}
_TRANSPORTS = {1: "tcp", 2: "udp", 3: "tls", 4: "tcp or udp"}
_OPERATIONS = {
    0: "none",
    1: "by authentication string",
    2: "by null string",
    3: "by existing certificate (LSC)",
    4: "by existing certificate (MIC)",
}


def file_facts(header: FileHeader, verified: VerifiedFile | None) -> dict[str, Any]:
    """Return the shown fields of a signed file; `verified` None: it was not verified."""
    facts: dict[str, Any] = {
        "name": header.filename,
        **header_facts(header),
        "encrypted": header.content_key is not None,
        "verified": verified is not None,
    }
    if verified is not None:
        facts["signer_sha256"] = fingerprint_of(verified.signer)
        facts["basis"] = verified.basis
        facts["notes"] = verified.notes
    return facts


def config_facts(config: DeviceConfig) -> dict[str, Any]:
    """Return the shown fields of a configuration."""
    return {
        "full": config.full,
        "protocol": config.protocol,
        "security": _MODES[config.security_mode],
        "transport": _TRANSPORTS[config.transport],
        "oauth": config.oauth,
        "encrypted": config.encrypted,
        "certificate_md5": config.certificate_hash,
        "enrollment": _OPERATIONS[config.capf_auth_mode],
        "register_expires": config.timers.register_expires,
        "media_ports": f"{config.media.first_port}-{config.media.last_port}",
        "version_stamp": config.version_stamp,
        "contradictions": config.contradictions,
        "call_managers": [
            {
                "priority": each.priority,
                "host": each.host,
                "sip": each.sip_port,
                "secured_sip": each.secured_sip_port,
            }
            for each in config.call_managers
        ],
        "capf": [{"host": each.host, "port": each.port} for each in config.capf],
        "tvs": [
            {"priority": each.priority, "host": each.host, "port": each.port} for each in config.tvs
        ],
        "lines": [_line(line) for line in config.lines],
    }


def _line(line: DeviceLine) -> dict[str, Any]:
    return {
        "index": line.index,
        "name": line.name,
        "display_name": line.display_name,
        "contact": line.contact,
        "proxy": line.proxy,
        "auth_name": line.auth_name,
        "auth_password": "***" if line.auth_password else "",
        "max_calls": line.max_calls,
    }


def show_config(output: CommandOutput, facts: dict[str, Any]) -> None:
    """Print tables of the device, of its servers, and of its lines."""
    lists = ("call_managers", "capf", "tvs", "lines")
    output.facts("Configuration", {k: v for k, v in facts.items() if k not in lists})
    servers = [
        *(
            ("call server", each["host"], f"sip {each['sip']}, secured {each['secured_sip']}")
            for each in facts["call_managers"]
        ),
        *(("CAPF", each["host"], str(each["port"])) for each in facts["capf"]),
        *(("TVS", each["host"], str(each["port"])) for each in facts["tvs"]),
    ]
    if servers:
        output.table("Servers, in order", ("", "host", "port"), servers)
    names = ("index", "name", "display_name", "contact", "auth_name", "auth_password", "max_calls")
    lines = [tuple(str(line[name]) for name in names) for line in facts["lines"]]
    if lines:
        output.table("Lines", [name.replace("_", " ") for name in names], lines)
