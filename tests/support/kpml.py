"""Key press markup as a server writes it (RFC 4730)."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from softphone.sip.event_packages.kpml import KPML_REQUEST
from softphone.sip.message import Body


def kpml_request(
    regex: str, *, tag: str = "", persist: str = "persist", flush: bool = False, **timers: str
) -> Body:
    """A request as a server writes it; `timers` are further attributes of the pattern."""
    more = "".join(f" {name}={quoteattr(text)}" for name, text in timers.items())
    flushed = "<flush>yes</flush>" if flush else ""
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<kpml-request xmlns="urn:ietf:params:xml:ns:kpml-request" version="1.0">'
        f'<pattern persist="{persist}"{more}>{flushed}'
        f"<regex tag={quoteattr(tag)}>{regex}</regex></pattern>"
        "</kpml-request>"
    )
    return Body(KPML_REQUEST, document.encode())
