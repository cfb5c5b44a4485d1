"""The demands of a carrier, imitated by the lab: each switch refuses requests that break it.

The rules are those of `softphone.config.presets`, which were not tested against a carrier.
`CarrierJudge.judge` is asked before the lab's endpoint keeps anything of a request.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

from softphone.errors import ConfigurationError
from softphone.sans_io import Flow, Transport
from softphone.sip import Request, SipUri
from softphone.sip.message import Field
from softphone.sip.request_router import RequestRefusal
from softphone.sip.transport import is_numeric

SECURITY_SERVER: Field = ("Security-Server", "sdes-srtp;mediasec")


@dataclass(frozen=True, slots=True)
class CarrierRules:
    """The demands on the phones of a lab; all are off by default.

    `suites` and `codecs` are those that an offer may have, () for any.  `refuses_reinvite` refuses
    an INVITE within a dialog, `refuses_mki` a key with a master key identifier, and
    `named_contact` a Contact with an address.  `mediasec` demands the agreement of RFC 3329,
    and `agrees_first` demands it before the digest: the first REGISTER gets 494.  `digest` demands
    a digest of every user, `client_certificate` a certificate in the handshake of every client.  A
    call gets 403 unless OPTIONS came on its connection within `options_within` seconds; 0: at any
    time.  An extension rings for `rings_for` seconds before it answers.  A phone that sends
    nothing, or comfort noise only, for `silence_limit` seconds is hung up; 0: never.
    """

    tls_only: bool = False
    srtp_only: bool = False
    suites: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    refuses_mki: bool = False
    refuses_reinvite: bool = False
    refuses_comfort_noise: bool = False
    named_contact: bool = False
    mediasec: bool = False
    agrees_first: bool = False
    digest: bool = False
    client_certificate: bool = False
    options_within: float = 0.0
    rings_for: float = 0.0
    silence_limit: float = 0.0

    def judge(self, request: Request, flow: Flow) -> RequestRefusal | None:
        """Return the refusal of a request that breaks a rule; None if it keeps all of them.

        What depends on earlier requests is the part of `CarrierJudge`.
        """
        if self.tls_only and flow.transport is not Transport.TLS:
            return RequestRefusal(403, "TLS only")
        if self.mediasec and request.method in ("REGISTER", "INVITE"):
            refusal = self._judge_agreement(request)
            if refusal is not None:
                return refusal
        if request.method == "OPTIONS":
            return self._judge_contact(request)
        if request.method != "INVITE":
            return None
        if self.refuses_reinvite and request.to.tag is not None:
            return RequestRefusal(488, "No re-INVITE")
        refusal = self._judge_contact(request)
        return refusal or self._judge_offer(request.body.decode("utf-8", "replace"))

    def _judge_contact(self, request: Request) -> RequestRefusal | None:
        if self.named_contact and not _names_host(request):
            return RequestRefusal(403, "Contact is no full name")
        return None

    def _judge_agreement(self, request: Request) -> RequestRefusal | None:
        """Demand Security-Client at first, and Security-Verify with our answer afterwards."""
        first = request.method == "REGISTER" and not request.authorizations
        first &= not self.agrees_first
        name = "Security-Client" if first else "Security-Verify"
        tags = ", ".join(request.headers.get_all("Require"))
        if request.headers.get(name) == SECURITY_SERVER[1] and "mediasec" in tags:
            return None
        return RequestRefusal(494, "Security Agreement Required", (SECURITY_SERVER,))

    def _judge_offer(self, offer: str) -> RequestRefusal | None:
        lines = offer.splitlines()
        if not lines:
            return None
        crypto = [line.partition(":")[2].split() for line in lines if line.startswith("a=crypto:")]
        if self.srtp_only and not ("RTP/SAVP" in offer and crypto):
            return RequestRefusal(488, "SRTP only")
        if any(len(words) < 3 for words in crypto):
            return RequestRefusal(400, "A crypto line is incomplete")
        if self.suites and not {words[1] for words in crypto} <= set(self.suites):
            return RequestRefusal(488, "Suite is not known")
        if self.refuses_mki and any(":" in words[2].partition("|")[2] for words in crypto):
            return RequestRefusal(488, "No MKI")
        if self.mediasec and "a=3ge2ae:requested" not in lines:
            return RequestRefusal(488, "No 3ge2ae")
        return self._judge_codecs(lines)

    def _judge_codecs(self, lines: list[str]) -> RequestRefusal | None:
        formats = [line.split() for line in lines if line.startswith("a=rtpmap:")]
        mapped = [words[1].partition("/")[0] for words in formats if len(words) > 1]
        if self.refuses_comfort_noise and "CN" in mapped:
            return RequestRefusal(488, "No comfort noise")
        known = {"telephone-event", "CN", *self.codecs}
        if self.codecs and not {name.upper() for name in mapped} <= {one.upper() for one in known}:
            return RequestRefusal(488, "Codec is not known")
        return None

    @property
    def option_tags(self) -> tuple[str, ...]:
        """The option tags that the carrier supports beside the lab's."""
        return ("mediasec",) if self.mediasec else ()

    def answer_fields(self, request: Request, status: int) -> tuple[Field, ...]:
        """Return the header fields of a response to REGISTER that the rules add."""
        challenged = request.method == "REGISTER" and status in (401, 407)
        return (SECURITY_SERVER,) if self.mediasec and challenged else ()


MOST_REMEMBERED = 8192
"""The most connections whose last OPTIONS is remembered; the oldest are forgotten."""


class CarrierJudge:
    """Judges requests by a carrier's rules, and remembers which connections ask by OPTIONS."""

    def __init__(self, rules: CarrierRules) -> None:
        self._rules = rules
        self._asked: OrderedDict[Flow, float] = OrderedDict()

    def judge(self, request: Request, flow: Flow, now: float) -> RequestRefusal | None:
        """Return the refusal of a request that breaks a rule; None if it keeps all of them."""
        refusal = self._rules.judge(request, flow)
        within = self._rules.options_within
        if refusal is not None or not within:
            return refusal
        if request.method == "OPTIONS":
            self._asked[flow] = now
            self._asked.move_to_end(flow)
            if len(self._asked) > MOST_REMEMBERED:
                self._asked.popitem(last=False)
            return None
        asked = now - self._asked.get(flow, -math.inf) <= within
        if asked or request.method != "INVITE" or request.to.tag is not None:
            return None
        return RequestRefusal(403, f"The trunk is down: no OPTIONS within {within:g} s")


def _names_host(request: Request) -> bool:
    uris = [contact.uri for contact in request.contacts]
    return bool(uris) and all(
        isinstance(uri, SipUri) and not is_numeric(uri.host) and uri.port is not None
        for uri in uris
    )


_SHA1_80, _SHA1_32 = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
_SECURE = CarrierRules(tls_only=True, srtp_only=True)
_MINUTE = 65.0
"""A minute between two OPTIONS requests, and what may pass on their way."""

CARRIERS = {
    "whatsapp": CarrierRules(
        tls_only=True,
        srtp_only=True,
        suites=(_SHA1_80,),
        codecs=("opus", "PCMA", "PCMU"),
        refuses_reinvite=True,
        refuses_comfort_noise=True,
        digest=True,
        options_within=_MINUTE,
        silence_limit=20.0,
    ),
    "openai": CarrierRules(tls_only=True, srtp_only=True, codecs=("PCMU", "PCMA"), rings_for=55.0),
    "twilio": CarrierRules(
        tls_only=True,
        srtp_only=True,
        suites=(_SHA1_80, _SHA1_32),
        codecs=("PCMU", "PCMA"),
        refuses_mki=True,
    ),
    "teams": CarrierRules(
        tls_only=True,
        srtp_only=True,
        suites=(_SHA1_80,),
        codecs=("G722", "PCMU", "PCMA"),
        named_contact=True,
        client_certificate=True,
        options_within=_MINUTE,
    ),
    "telnyx": _SECURE,
    "telekom": CarrierRules(
        tls_only=True,
        srtp_only=True,
        suites=(_SHA1_80,),
        codecs=("G722", "PCMA", "PCMU"),
        mediasec=True,
        digest=True,
    ),
}
"""The rules of each carrier that has a preset."""


def carrier_named(name: str) -> CarrierRules:
    """Find a carrier's rules.  Raises ConfigurationError for an unknown name."""
    if name not in CARRIERS:
        raise ConfigurationError(f"carrier: {name!r} is unknown; known are {', '.join(CARRIERS)}")
    return CARRIERS[name]
