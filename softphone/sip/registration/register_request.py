"""The REGISTER requests of one registration (RFC 3261 section 10.2, RFC 5626 section 4.2)."""

from __future__ import annotations

from dataclasses import replace

from softphone.sans_io import Entropy
from softphone.sip.message import Field, NameAddr, Request
from softphone.sip.registration.config import RegistrationConfig

LONGEST_EXPIRES = 2**31 - 1
"""The longest Min-Expires that is accepted, in seconds."""


class RegisterBuilder:
    """Builds REGISTER requests: one Call-ID, rising CSeq, adjusted after 423 and 439."""

    def __init__(self, config: RegistrationConfig, *, entropy: Entropy) -> None:
        self._config = config
        self._call_id = entropy(16).hex()
        self._tag = entropy(8).hex()
        self._cseq = int.from_bytes(entropy(3), "big")
        self._expires = config.expires
        self._outbound = config.outbound and bool(config.instance_id)
        self._granted = False

    @property
    def expires(self) -> int:
        """The time to ask for, in seconds."""
        return self._expires

    def raise_expires(self, seconds: int) -> bool:
        """Ask for `seconds` from now on (423); False unless longer and within the bound."""
        if not self._expires < seconds <= LONGEST_EXPIRES:
            return False
        self._expires = seconds
        return True

    def give_up_outbound(self) -> bool:
        """Stop asking for outbound (439); False if it was off already."""
        before, self._outbound = self._outbound, False
        return before

    @property
    def tag(self) -> str:
        """The From tag of every request."""
        return self._tag

    @property
    def call_id(self) -> str:
        """The Call-ID of every REGISTER."""
        return self._call_id

    def mark_granted(self) -> None:
        """Note that the binding was granted: leave out `first_headers` and `first_body` now."""
        self._granted = True

    def note_sequence(self, request: Request) -> None:
        """Continue from the CSeq of a request that was sent again with credentials."""
        self._cseq = max(self._cseq, request.cseq.number)

    def complete_contact(self, contact: NameAddr) -> NameAddr:
        """Add instance, reg-id and the configured parameters to a Contact."""
        config = self._config
        if config.instance_id:
            contact = contact.with_parameter("+sip.instance", f"<{config.instance_id}>")
        if self._outbound:
            contact = contact.with_parameter("reg-id", str(config.reg_id))
        return replace(contact, parameters=(*contact.parameters, *config.contact_parameters))

    def build_register(
        self, contact: NameAddr, superseded: NameAddr | None, *, leaving: bool = False
    ) -> Request:
        """Build the next REGISTER; it also removes our old contact `superseded` (expires=0).

        `leaving` removes the binding itself (Expires: 0).
        """
        self._cseq += 1
        first = not self._granted and not leaving
        contacts = [contact]
        if superseded is not None:
            contacts.append(superseded.with_parameter("expires", "0"))
        fields: list[Field] = [
            *self._addresses(),
            ("Call-ID", self._call_id),
            ("CSeq", f"{self._cseq} REGISTER"),
            *(("Contact", str(one)) for one in contacts),
            ("Expires", "0" if leaving else str(self._expires)),
            *self._supported(),
            *(self._config.first_headers if first else ()),
            *self._config.headers,
        ]
        body = self._config.first_body if first else None
        if body is not None:
            fields.append(("MIME-Version", "1.0"))
        return Request.build("REGISTER", self._config.registrar, fields, body)

    def build_keep_alive(self, contact: NameAddr) -> Request:
        """Build a keep-alive REGISTER for a standby server; it creates no binding (Cisco)."""
        marked = contact.with_parameter("expires", "0").with_parameter("cisco-keep-alive")
        return self.build_register(marked, None, leaving=True)

    def build_options(self) -> Request:
        """Build an OPTIONS request to the registrar as a probe: any response will do."""
        return Request.build("OPTIONS", self._config.registrar, self._addresses())

    def _addresses(self) -> list[Field]:
        return [
            *(("Route", str(route)) for route in self._config.route_set),
            ("From", str(self._config.aor.with_tag(self._tag))),
            ("To", str(self._config.aor)),
        ]

    def _supported(self) -> list[Field]:
        tags = self._option_tags()
        return [("Supported", ", ".join(tags))] if tags else []

    def _option_tags(self) -> list[str]:
        if self._config.option_tags is not None:
            return list(self._config.option_tags)
        tags = ["path"]
        if self._outbound:
            tags.append("outbound")
        if self._config.gruu and self._config.instance_id:
            tags.append("gruu")
        return tags
