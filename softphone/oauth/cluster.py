"""Asks a server of a cluster whether single sign-on is on: CUCM, IM and Presence, Unity Connection.

No credentials are sent.  Of the answer only version and status are read: the rest is not public.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from softphone.errors import SingleSignOnError
from softphone.net.http import HttpsClient, HttpsRequest
from softphone.oauth.authorization import shown
from softphone.sip.event_packages.xml_document import XmlElement, XmlLimits, read_elements
from softphone.sip.message import MalformedMessage

PATH = "/ssosp/ws/public/singleSignOn"
PORT = 8443


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """Whether a server has single sign-on; `version` is "" if it does not say."""

    enabled: bool
    version: str = ""


async def query_single_sign_on(client: HttpsClient, host: str, port: int = PORT) -> SingleSignOn:
    """Ask a server; one without the service (404) has no single sign-on.

    Raises SingleSignOnError for another answer, TransportError and CertificateError.
    """
    name = f"[{host}]" if ":" in host else host
    answer = await client.send_request(HttpsRequest(f"https://{name}:{port}{PATH}"))
    if answer.status == 404:
        return SingleSignOn(False)
    if answer.status != 200:
        raise SingleSignOnError(
            f"{host} answered {answer.status} to the question for single sign-on"
        )
    return read_single_sign_on(answer.body)


def read_single_sign_on(body: bytes) -> SingleSignOn:
    """Read the answer of the service.  Raises SingleSignOnError."""
    try:
        found = next(_named(read_elements(body, XmlLimits()), "SingleSignOn"), None)
    except MalformedMessage as error:
        raise SingleSignOnError("the answer about single sign-on is no XML that is read") from error
    status = None if found is None else next(_named(found, "Status"), None)
    enabled = "" if status is None else status.attribute("enabled").lower()
    if found is None or enabled not in ("true", "false"):
        raise SingleSignOnError("the answer about single sign-on does not say whether it is on")
    return SingleSignOn(enabled == "true", shown(found.attribute("version")))


def _named(element: XmlElement, name: str) -> Iterator[XmlElement]:
    """Iterate over an element and its descendants with a local name, in any namespace."""
    if element.local_name == name:
        yield element
    for child in element.children:
        yield from _named(child, name)
