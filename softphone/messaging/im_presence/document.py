"""Makes the requests of the client configuration service, and parses its answers within limits.

SOAP 1.2, in the namespace `urn:cisco:epas:soap`.  Elements are found by their local names, since
there was no schema that shows the namespace of each.  No text of an answer gets into an exception:
a server could repeat the password in it.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from softphone.errors import ConfigurationError, MessagingError, SignInRefused, TransportError
from softphone.security import KeyMaterial
from softphone.sip.event_packages.xml_document import XmlElement, XmlLimits, read_elements
from softphone.sip.message import MalformedMessage

LARGEST = 1 << 18
"""The most octets of an answer."""
_LIMITS = XmlLimits(octets=LARGEST, depth=24, elements=8000, attributes=8000)
_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_EPAS = "urn:cisco:epas:soap"
_LONGEST_SECRET = 500
"""The most characters of a secret, below the 512 at which `read_elements` cuts a text off."""
_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DOMAIN = re.compile(r"(?!-)[A-Za-z0-9.-]{1,253}")
_ENDED = b"Invalid request"
_FAULT_CODES = frozenset(
    {"Sender", "Receiver", "VersionMismatch", "MustUnderstand", "DataEncodingUnknown"}
)


class SessionEnded(MessagingError):
    """The session key is no longer valid: the user has to log in again."""

    _hint = "sign in again"


def login_request(
    user: str, password: KeyMaterial, *, client_type: str, client_version: str
) -> bytes:
    """Make a login that asks for a new session key.

    Raises ConfigurationError for a character that XML does not have.
    """
    version, kind = quoteattr(client_version), quoteattr(client_type)
    secret = _escaped(password.reveal().decode("utf-8", "replace"), "im.password")
    return _envelope(
        f'<e:login client-version={version} client-type={kind} force="true">'
        f"<e:username>{_escaped(user, 'im_presence.user')}</e:username>"
        f"<e:password>{secret}</e:password></e:login>"
    )


def config_request(session: KeyMaterial) -> bytes:
    """Make a request for the configuration of system and user."""
    return _envelope(
        "<e:get-all-config><e:system-config/><e:user-config/>"
        '<e:federated-domains auth-policy="all"/><e:non-presence-aware-contacts/>'
        "<e:contact-info/></e:get-all-config>",
        session,
    )


def password_request(session: KeyMaterial) -> bytes:
    """Make a request for a one-time password."""
    return _envelope("<e:get-onetime-password/>", session)


def parse_login(data: bytes) -> KeyMaterial:
    """Return the session key of a login.

    Raises SignInRefused for an answer without success, TransportError for one that is not SOAP 1.2.
    """
    success = _at(_body(data), "login-resp", "success")
    if success is None:
        raise SignInRefused("the login was not accepted: user or password is wrong")
    return _secret(_at(success, "session-key"), "session key")


def parse_presence_domain(data: bytes) -> str:
    """Return the presence domain of a configuration, in lower case; "" if it has none.

    Raises SessionEnded, and TransportError for anything but an answer to this request.
    """
    answer = _answer(data, "get-all-config-resp")
    system = _at(answer, "get-system-config-resp")
    for each in () if system is None else system.children:
        if each.local_name == "property" and each.attribute("name") == "Presence.Domain":
            if _DOMAIN.fullmatch(each.text) is None:
                raise TransportError("the node tells a presence domain that is no domain")
            return each.text.lower()
    return ""


def parse_one_time_password(data: bytes) -> KeyMaterial:
    """Return a one-time password.  Raises as `parse_presence_domain` does."""
    answer = _answer(data, "get-onetime-password-resp")
    return _secret(_at(answer, "success", "password"), "one-time password")


def fault_code(data: bytes) -> str | None:
    """Return the code of a SOAP fault, "unknown" for one not of SOAP 1.2; None without a fault."""
    try:
        fault = _at(_body(data), "Fault")
    except TransportError:
        return None
    if fault is None:
        return None
    value = _at(fault, "Code", "Value")
    code = "" if value is None else value.text.rpartition(":")[2]
    return code if code in _FAULT_CODES else "unknown"


def is_session_end(data: bytes) -> bool:
    """Whether an answer says that the session key is no longer valid."""
    return _ENDED in data


def _answer(data: bytes, name: str) -> XmlElement:
    if is_session_end(data):
        raise SessionEnded("the node does not know the session any more")
    found = _at(_body(data), name)
    if found is None:
        raise TransportError(f"the node's answer has no {name}")
    return found


def _secret(element: XmlElement | None, what: str) -> KeyMaterial:
    text = "" if element is None else element.text
    if not text or len(text) > _LONGEST_SECRET or "\0" in text:
        raise TransportError(f"the node's answer has no usable {what}")
    return KeyMaterial(text.encode())


def _escaped(text: str, key: str) -> str:
    if _INVALID.search(text) is not None:
        raise ConfigurationError(f"{key}: it has a character that cannot be sent in XML")
    return escape(text)


def _envelope(body: str, session: KeyMaterial | None = None) -> bytes:
    header = ""
    if session is not None:
        key = escape(session.reveal().decode())
        header = f"<s:Header><e:session-key>{key}</e:session-key></s:Header>"
    return (
        f'<s:Envelope xmlns:s="{_SOAP}" xmlns:e="{_EPAS}">{header}<s:Body>{body}</s:Body>'
        "</s:Envelope>"
    ).encode()


def _body(data: bytes) -> XmlElement:
    try:
        root = read_elements(data, _LIMITS)
    except MalformedMessage as error:
        raise TransportError(f"the node's answer is not read: {error}") from error
    body = _at(root, "Body")
    if root.name != f"{_SOAP} Envelope" or body is None:
        raise TransportError("the node's answer is no SOAP 1.2")
    return body


def _at(element: XmlElement, *names: str) -> XmlElement | None:
    """Return the first descendant along a path of local names."""
    found: XmlElement | None = element
    for name in names:
        children = () if found is None else found.children
        found = next((each for each in children if each.local_name == name), None)
    return found
