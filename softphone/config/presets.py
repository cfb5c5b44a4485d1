"""What carriers demand of a SIP trunk, as data: each rule with its reason, source and date.

Taken from the carriers' own pages and from stored copies; none was tested against a carrier.  A
rule fills a key that is not given, and says where a given one contradicts it.

No standard: the rules are the carriers', and name the RFCs that they concern.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

from softphone.config.listener import DIGEST_ALGORITHMS
from softphone.errors import ConfigurationError
from softphone.sans_io import Transport
from softphone.security import CryptoSuite, SrtpPolicy

# `Any`, because the module of `AccountConfig` imports this one.
AnyAccount: TypeAlias = Any

CHECKED = "2026-11-27"


class RuleKind(StrEnum):
    """How the value of a key is compared with that of a rule; DEFAULT only supplies the value."""

    DEFAULT = "default"

    SAME = "same"
    WITHIN = "within"
    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    GIVEN = "given"
    OVER_TLS = "over_tls"


class Evidence(StrEnum):
    """How a rule is known: read at its source, or inferred from what is written there."""

    SEEN = "seen"
    INFERRED = "inferred"


@dataclass(frozen=True, slots=True)
class PresetRule:
    """One demand of a carrier on one key of the account.

    `value` is what the key gets if it is not given; None leaves it to the user.  `side` limits the
    rule to accounts that dial or that listen ("" for both).  `why` completes the sentence "the
    carrier …".
    """

    key: str
    kind: RuleKind
    value: Any
    why: str
    evidence: Evidence = Evidence.SEEN
    side: str = ""

    def contradiction(self, config: AnyAccount) -> str | None:
        """Return how the account contradicts the rule; None if it keeps it."""
        listens = config.listen is not None
        if (self.side == "dials" and config.server_uri is None) or (
            self.side == "listens" and not listens
        ):
            return None
        found = config.srtp if self.key == "media.srtp" else value_at(config, self.key)
        if self._keeps(found, config):
            return None
        if self.kind is RuleKind.GIVEN:
            return f"{self.key}: missing; the carrier {self.why}"
        if self.kind is RuleKind.OVER_TLS:
            return f"{self.key}: this is not TLS; the carrier {self.why}"
        return f"{self.key}: {_shown(found)} is given; the carrier {self.why}"

    def _keeps(self, found: Any, config: AnyAccount) -> bool:
        match self.kind:
            case RuleKind.DEFAULT:
                return True
            case RuleKind.SAME:
                return bool(found == self.value)
            case RuleKind.WITHIN:
                return set(found) <= set(self.value)
            case RuleKind.AT_LEAST:
                return bool(found == 0 or found >= self.value)  # 0: without limit
            case RuleKind.AT_MOST:
                return bool(0 < found <= self.value)  # 0: never
            case RuleKind.GIVEN:
                return found is not None
            case RuleKind.OVER_TLS:
                return _over_tls(config)


@dataclass(frozen=True, slots=True)
class CarrierPreset:
    """The rules of one carrier, when they were looked up and where."""

    name: str
    title: str
    sources: tuple[str, ...]
    rules: tuple[PresetRule, ...]
    checked: str = CHECKED

    def contradictions(self, config: AnyAccount) -> tuple[str, ...]:
        """Return how an account contradicts the rules, in their order."""
        found = (rule.contradiction(config) for rule in self.rules)
        return tuple(f"preset {self.name}: {each}" for each in found if each is not None)

    def apply(self, config: AnyAccount, given: Collection[str] | None) -> AnyAccount:
        """Return the account with the rules' values for keys that are not `given`.

        None takes each key for given that has another value than its default.
        """
        for rule in self.rules:
            fills = rule.value is not None and rule.kind is not RuleKind.OVER_TLS
            fills = fills and not _lacks_table(config, rule.key)
            if not fills or _is_given(config, rule.key, given):
                continue
            if rule.key in _SERVERS and not self._names_servers(config, rule.key):
                continue
            config = _with_value(config, rule.key, rule.value)
        return replace(config, preset=self.name)

    def _names_servers(self, config: AnyAccount, key: str) -> bool:
        """Whether the preset's servers are those of the account, which may name others."""
        if key == "outbound_proxy" or config.registrar is not None:
            return config.registrar is None
        own = next((rule.value for rule in self.rules if rule.key == "outbound_proxy"), None)
        return bool(config.outbound_proxy == own and config.options_interval > 0)


_SERVERS = ("outbound_proxy", "fallback_proxies")


def value_at(config: AnyAccount, key: str) -> Any:
    """Return the value of a key, "media.codecs"; None where there is no such table."""
    found: Any = config
    for name in key.split("."):
        found = None if found is None else getattr(found, name)
    return found


def _with_value(config: AnyAccount, key: str, value: Any) -> AnyAccount:
    table, _, name = key.rpartition(".")
    if not table:
        return replace(config, **{name: value})
    return replace(config, **{table: replace(getattr(config, table), **{name: value})})


def _is_given(config: AnyAccount, key: str, given: Collection[str] | None) -> bool:
    if given is not None:
        return key in given
    table, _, name = key.rpartition(".")
    owner: Any = getattr(config, table) if table else config
    return bool(getattr(owner, name) != type(owner).__dataclass_fields__[name].default)


def _lacks_table(config: AnyAccount, key: str) -> bool:
    """Whether the key is one of a table that the account has not: [credentials]."""
    table, _, _ = key.rpartition(".")
    return bool(table) and value_at(config, table) is None


def _over_tls(config: AnyAccount) -> bool:
    if config.server_uri is not None and not config.secure_transport:
        return False
    return config.listen is None or config.listen_at()[0] is Transport.TLS


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(getattr(each, "value", each)) for each in value)
    return str(getattr(value, "value", value)).lower()


_SHA1_80, _SHA1_32 = (CryptoSuite.AES_CM_128_HMAC_SHA1_80, CryptoSuite.AES_CM_128_HMAC_SHA1_32)
_TLS = PresetRule("registrar", RuleKind.OVER_TLS, None, "takes signaling over TLS only")


def _srtp(why: str, evidence: Evidence = Evidence.SEEN) -> PresetRule:
    return PresetRule("media.srtp", RuleKind.SAME, SrtpPolicy.REQUIRED, why, evidence)


def _suites(*suites: CryptoSuite, why: str, evidence: Evidence = Evidence.INFERRED) -> PresetRule:
    return PresetRule("media.suites", RuleKind.WITHIN, suites, why, evidence)


def _codecs(*codecs: str, why: str, evidence: Evidence = Evidence.SEEN) -> PresetRule:
    return PresetRule("media.codecs", RuleKind.WITHIN, codecs, why, evidence)


def _server(uri: str, why: str) -> PresetRule:
    return PresetRule("outbound_proxy", RuleKind.DEFAULT, uri, why)


def _md5(why: str, evidence: Evidence = Evidence.SEEN) -> PresetRule:
    """List MD5, which is answered over verified TLS only where no list says so."""
    key = "credentials.algorithms"
    return PresetRule(key, RuleKind.DEFAULT, DIGEST_ALGORITHMS, why, evidence)


def _options(evidence: Evidence) -> PresetRule:
    why = "takes a trunk for down that sends no OPTIONS every minute"
    return PresetRule("options_interval", RuleKind.AT_MOST, 60, why, evidence, side="dials")


_WHATSAPP = CarrierPreset(
    "whatsapp",
    "WhatsApp Business Calling (Meta)",
    ("https://developers.facebook.com/documentation/business-messaging/whatsapp/calling/sip/",),
    (
        _server("sips:wa.meta.vc", "is reached at wa.meta.vc"),
        _options(Evidence.SEEN),
        _TLS,
        _srtp("takes SRTP only, by SDES where that is chosen"),
        _suites(_SHA1_80, why="names no other suite"),
        _codecs("OPUS", "PCMA", "PCMU", why="takes Opus and G.711"),
        PresetRule("reinvite", RuleKind.SAME, False, "takes no re-INVITE: no hold, no new offer"),
        PresetRule(
            "media.comfort_noise",
            RuleKind.SAME,
            False,
            "hangs up after 20 s without media at the start, 30 s in the call",
        ),
        PresetRule(
            "credentials",
            RuleKind.GIVEN,
            None,
            "challenges for a digest: the business number, and the password of its API",
            side="dials",
        ),
        _md5("challenges with MD5, in the realm wa.meta.vc"),
        PresetRule(
            "challenge",
            RuleKind.GIVEN,
            None,
            "calls from its network, and recommends to challenge it",
            side="listens",
        ),
    ),
)

_OPENAI = CarrierPreset(
    "openai",
    "OpenAI Realtime and GPT-Live",
    ("https://developers.openai.com/api/docs/guides/realtime-sip",),
    (
        _server("sips:sip.api.openai.com", "is reached at sip.api.openai.com"),
        _TLS,
        _srtp("demands SRTP for GPT-Live"),
        _codecs("PCMU", "PCMA", why="takes G.711", evidence=Evidence.INFERRED),
        PresetRule(
            "timer_c",
            RuleKind.AT_LEAST,
            60,
            "rings until a webhook has been answered, which may take a minute",
            Evidence.INFERRED,
        ),
    ),
)

_TWILIO = CarrierPreset(
    "twilio",
    "Twilio Elastic SIP Trunking with secure trunking",
    (
        "https://www.twilio.com/docs/voice/api/secure-media",
        "https://www.twilio.com/docs/sip-trunking",
        "https://www.twilio.com/docs/api/twilio-sip/sip-auth",
    ),
    (
        _TLS,
        _srtp("refuses RTP while secure trunking is on (32209)"),
        _suites(
            _SHA1_80,
            _SHA1_32,
            why="takes the two suites of AES_CM_128, and no MKI",
            evidence=Evidence.SEEN,
        ),
        _codecs("PCMU", "PCMA", why="takes G.711"),
        _md5("keeps MD5 hashes of passwords and names no algorithm in a challenge, which is MD5"),
    ),
)

_TEAMS = CarrierPreset(
    "teams",
    "Microsoft Teams Direct Routing",
    ("https://learn.microsoft.com/microsoftteams/direct-routing-plan",),
    (
        _server("sips:sip.pstnhub.microsoft.com", "is reached at sip.pstnhub.microsoft.com first"),
        _options(Evidence.INFERRED),
        PresetRule(
            "fallback_proxies",
            RuleKind.DEFAULT,
            ("sips:sip2.pstnhub.microsoft.com", "sips:sip3.pstnhub.microsoft.com"),
            "is reached at sip2 and sip3 where the first does not answer, in this order",
        ),
        _TLS,
        _srtp("takes RTP/SAVP only"),
        _suites(_SHA1_80, why="names no other suite"),
        _codecs("G722", "PCMU", "PCMA", why="takes G.722 and G.711, of what is here"),
        PresetRule(
            "contact_host",
            RuleKind.GIVEN,
            None,
            "demands the SBC's full name and port in Contact, and an address there is refused",
        ),
        PresetRule(
            "tls.certificate",
            RuleKind.GIVEN,
            None,
            "verifies both ends: the SBC shows a certificate of a listed public authority",
            side="dials",
        ),
    ),
)

_TELNYX = CarrierPreset(
    "telnyx",
    "Telnyx SIP trunking",
    ("https://developers.telnyx.com/docs/voice/sip-trunking/tls-requirements",),
    (
        _TLS,
        _srtp("encrypts media where the connection is set so", Evidence.INFERRED),
        _md5("challenges with MD5 in traces of its users", Evidence.INFERRED),
    ),
)

_TELEKOM = CarrierPreset(
    "telekom",
    "Deutsche Telekom CompanyFlex",
    ("https://backstage.telekom.de/hilfe/downloads/1tr119.pdf",),
    (
        _TLS,
        _srtp("takes SRTP whenever signaling is TLS"),
        _suites(_SHA1_80, why="names no other suite"),
        _codecs("G722", "PCMA", "PCMU", why="takes G.722 and G.711", evidence=Evidence.INFERRED),
        PresetRule(
            "mediasec",
            RuleKind.SAME,
            True,
            "negotiates SDES by mediasec (RFC 3329, TS 24.229) at each registration",
        ),
        PresetRule(
            "credentials",
            RuleKind.GIVEN,
            None,
            "registers by digest",
            Evidence.INFERRED,
            side="dials",
        ),
        _md5("names no digest but that of RFC 3261, which is MD5", Evidence.INFERRED),
    ),
)

PRESETS: Mapping[str, CarrierPreset] = {
    each.name: each for each in (_WHATSAPP, _OPENAI, _TWILIO, _TEAMS, _TELNYX, _TELEKOM)
}
"""The presets by name."""


def preset_named(name: str) -> CarrierPreset:
    """Find a preset.  Raises ConfigurationError for an unknown name."""
    if name not in PRESETS:
        raise ConfigurationError(f"preset: {name!r} is unknown; known are {', '.join(PRESETS)}")
    return PRESETS[name]
