"""Parses `jabber-config.xml`, and decides which of its security settings apply.

The file is not signed; only the transport protects it.  A setting that makes the client stricter
always applies.  One that relaxes it, or names a server, applies only if the file came over verified
TLS and the local configuration trusts it.  Unknown settings are kept, and not decided about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from softphone.errors import DiscoveryError
from softphone.sip.event_packages.xml_document import XmlLimits, read_elements
from softphone.sip.message import MalformedMessage

LARGEST = 1 << 20
_LIMITS = XmlLimits(octets=LARGEST, depth=8, elements=5_000, attributes=5_000)
_ON, _OFF = frozenset({"true", "on", "1"}), frozenset({"false", "off", "0"})
_BOOLEAN = _ON | _OFF
_TEXT = None
_HIDDEN = "(not shown)"
_SECRET = re.compile(
    "passw|pwd|passphrase|passcode|secret|token|credential|bearer|(key|pin|pass)$", re.ASCII
)
"""Found in the keys of secrets, once "_", "-" and "." are left out."""
_NO_SECRETS = frozenset({"voicemailservice_usecredentialsfrom", "ldap_usecredentialsfrom"})
"""Keys that name whose credentials are used, and hold none."""


@dataclass(frozen=True, slots=True)
class _KeyRule:
    """What a key means, and which of its values, in lower case, make the client stricter.

    `values` are the known ones, None for any text.  `never` says why no value of the key applies
    in this file.
    """

    meaning: str
    strict: frozenset[str] = frozenset()
    never: str = ""
    values: frozenset[str] | None = _BOOLEAN


_RULES: Mapping[str, _KeyRule] = {
    "FIPS_MODE": _KeyRule(
        "FIPS mode", never="FIPS mode is a bootstrap setting, which stands in no file of a server"
    ),
    "Disable_IM_History": _KeyRule("drop the history when a chat's window closes", _ON),
    "InvalidCertificateBehavior": _KeyRule(
        "what happens with a certificate that cannot be verified",
        frozenset({"rejectandnotify", "promptpersession"}),
        values=frozenset({"rejectandnotify", "promptpersession"}),
    ),
    "VoiceServicesDomain": _KeyRule("the domain whose records are asked", values=_TEXT),
    "ServicesDomain": _KeyRule("the domain whose records are asked", values=_TEXT),
    "ServicesDomainSsoEmailPrompt": _KeyRule("ask for a mail address before single sign-on", _ON),
    "SSO_Enabled": _KeyRule("single sign-on"),
    "ForceLaunchBrowser": _KeyRule("single sign-on in the system's browser", _ON),
    "CachePasswordMobile": _KeyRule("keep the password on the device", _OFF),
    "Telephony_Enabled": _KeyRule("calls", _OFF),
    "Voicemail_Enabled": _KeyRule("voicemail", _OFF),
    "VoicemailPrimaryServer": _KeyRule("the voicemail server", values=_TEXT),
    "VoicemailBackup1Server": _KeyRule("a backup of the voicemail server", values=_TEXT),
    "VoicemailBackup2Server": _KeyRule("a backup of the voicemail server", values=_TEXT),
    "VoiceMailService_UseCredentialsFrom": _KeyRule(
        "whose credentials voicemail gets", values=_TEXT
    ),
    "LDAP_UseCredentialsFrom": _KeyRule("whose credentials the directory gets", values=_TEXT),
    "ConnectionUsername": _KeyRule("the user that the directory is searched as", values=_TEXT),
    "ConnectionPassword": _KeyRule(
        "the password of the directory",
        never="a password in a file that anybody can fetch is not used",
        values=_TEXT,
    ),
    "EnablePRTEncryption": _KeyRule("problem reports are encrypted", _ON),
    "PRTCertificateName": _KeyRule(
        "the certificate that problem reports are encrypted to", values=_TEXT
    ),
    "PRTCertificateUrl": _KeyRule("where that certificate is", values=_TEXT),
    "DiagnosticsToolEnabled": _KeyRule("the diagnostics tool", _OFF),
    "support_ssl_encoding": _KeyRule("messages encrypted to the server"),
    "support_aes_encoding": _KeyRule("messages encrypted client to client", _ON),
    "support_no_encoding": _KeyRule("messages that are not encrypted client to client", _OFF),
    "screen_capture_enabled": _KeyRule("screen captures", _OFF),
    "file_transfer_enabled": _KeyRule("file transfers", _OFF),
    "local_archive_enabled": _KeyRule("a local archive of messages", _OFF),
    "imcatcher_disable": _KeyRule("keeps other programs from opening chats", _ON),
    "IP_MODE": _KeyRule("IPv4, IPv6 or both", values=_TEXT),
}
_BY_NAME = {name.lower(): name for name in _RULES}
SECURITY_KEYS = tuple(_RULES)
"""The keys that are decided about."""


@dataclass(frozen=True, slots=True)
class ConfigSetting:
    """One setting as written in the file; the value of a password is not kept."""

    group: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class SettingDecision:
    """Whether a security setting applies, and why."""

    setting: ConfigSetting
    meaning: str
    applies: bool
    why: str


@dataclass(frozen=True, slots=True)
class JabberConfig:
    """The settings of a file: `url` is its source, `verified` whether it came over verified TLS.

    `kept` is True for stored settings of an earlier file; they can only make the client stricter.
    `fingerprint` is that of the server's certificate.
    """

    settings: tuple[ConfigSetting, ...]
    url: str = ""
    verified: bool = False
    kept: bool = False
    fingerprint: str = field(default="", compare=False)

    def decisions(self, *, trusted: bool = False) -> tuple[SettingDecision, ...]:
        """Decide about each security setting; `trusted`: local configuration trusts the file."""
        return tuple(
            _decide(each, _RULES[name], trusted=trusted and self.verified and not self.kept)
            for each in self.settings
            if (name := _BY_NAME.get(each.key.lower())) is not None
        )

    def in_force(self, key: str, *, trusted: bool = False) -> frozenset[str]:
        """Return the values of a key that apply, in lower case: several if the file has several."""
        return frozenset(
            each.setting.value.lower()
            for each in self.decisions(trusted=trusted)
            if each.applies and each.setting.key.lower() == key.lower()
        )

    @property
    def refuses_unknown_certificates(self) -> bool:
        """Whether a certificate that cannot be verified is refused without asking the user."""
        return "rejectandnotify" in self.in_force("InvalidCertificateBehavior")

    @property
    def keeps_no_certificates(self) -> bool:
        """Whether a certificate that the user accepts is trusted for this session only."""
        return "promptpersession" in self.in_force("InvalidCertificateBehavior")


def parse_jabber_config(
    data: bytes, url: str = "", *, verified: bool = False, fingerprint: str = ""
) -> JabberConfig:
    """Parse the file.  Raises DiscoveryError for an invalid document."""
    try:
        root = read_elements(data, _LIMITS)
    except MalformedMessage as error:
        raise DiscoveryError(f"the configuration is not read: {error}") from error
    if root.local_name.lower() != "config":
        raise DiscoveryError(f"the configuration begins with {_line(root.local_name)[:40]!r}")
    settings = tuple(
        ConfigSetting(_line(group.local_name), key, _shown(key, _line(each.text)))
        for group in root.children
        for each in group.children
        if (key := _line(each.local_name))
    )
    return JabberConfig(settings, url, verified, fingerprint=fingerprint)


def _decide(setting: ConfigSetting, rule: _KeyRule, *, trusted: bool) -> SettingDecision:
    if rule.never:
        return SettingDecision(setting, rule.meaning, False, rule.never)
    if rule.values is not None and setting.value.lower() not in rule.values:
        why = f"the value {setting.value[:80]!r} is not known: what it wants is not done"
        return SettingDecision(setting, rule.meaning, False, why)
    if setting.value.lower() in rule.strict:
        return SettingDecision(setting, rule.meaning, True, "it makes the client stricter")
    if trusted:
        why = "the file came over verified TLS, and the local configuration trusts it"
        return SettingDecision(setting, rule.meaning, True, why)
    why = (
        "a file that nobody signed may make the client stricter and nothing else"
        if rule.strict
        else "a file that nobody signed may not set this"
    )
    return SettingDecision(setting, rule.meaning, False, why)


def _shown(key: str, value: str) -> str:
    """Return the value, unless it may be a password."""
    name = key.lower()
    secret = name not in _NO_SECRETS and _SECRET.search(re.sub("[_.-]", "", name))
    plain = value.lower() in _ON | _OFF or not value
    return _HIDDEN if secret and not plain else value


def _line(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text).strip()
