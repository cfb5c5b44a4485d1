"""The authorization request with PKCE, and the verdict on the redirect that answers it.

RFC 6749 section 4.1, RFC 7636 (S256 only), RFC 9207.  A redirect counts only with our `state`,
each parameter at most once, and the right `iss`: anything else changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from softphone.errors import SingleSignOnError, SingleSignOnRefused
from softphone.sans_io import Entropy
from softphone.security import KeyMaterial

_MOST_PARAMETERS = 32
_LONGEST_CODE = 4096
_RESERVED = frozenset(
    {"response_type", "client_id", "redirect_uri", "state", "code_challenge", "scope"}
)


class UnexpectedRedirect(SingleSignOnError):
    """A request to the redirect address that is not the answer to our request; it is ignored."""

    _hint = "nothing: the sign-in goes on waiting for the browser's own answer"


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request for a code; `repr` shows neither `url`, `state` nor `verifier`.

    `issuer` is what `iss` must be, None if unknown; with `iss_required` it must be there.
    """

    url: str = field(repr=False)
    redirect_uri: str
    state: str = field(repr=False)
    verifier: KeyMaterial
    issuer: str | None
    iss_required: bool


def make_authorization_request(
    endpoint: str,
    *,
    client_id: str,
    scope: str,
    redirect_uri: str,
    issuer: str | None,
    iss_required: bool,
    entropy: Entropy,
) -> AuthorizationRequest:
    """Make a request with a new state and verifier, of 32 random octets each."""
    state, verifier = _text(entropy(32)), _text(entropy(32))
    challenge = _text(hashlib.sha256(verifier.encode()).digest())
    parts = urlsplit(endpoint)
    # The endpoint's own query is kept (RFC 6749 section 3.1).
    query = [pair for pair in parse_qsl(parts.query) if pair[0] not in _RESERVED]
    query += [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("state", state),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ]
    query += [("scope", scope)] if scope else []
    return AuthorizationRequest(
        urlunsplit(parts._replace(query=urlencode(query))),
        redirect_uri,
        state,
        KeyMaterial(verifier.encode()),
        issuer,
        iss_required,
    )


def read_redirect(request: AuthorizationRequest, target: str) -> KeyMaterial:
    """Return the code of the redirect to `target`, the path and query of its request line.

    Raises UnexpectedRedirect for one that is not the answer to `request`, and SingleSignOnRefused
    where the server, or the user there, said no.
    """
    path, _, query = target.partition("?")
    if path != urlsplit(request.redirect_uri).path:
        raise UnexpectedRedirect("the browser asked for another page")
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict"
        )
    except ValueError:
        raise UnexpectedRedirect("a redirect is malformed") from None
    values = dict(pairs)
    if len(values) != len(pairs):
        raise UnexpectedRedirect("a redirect has a parameter twice")
    if not hmac.compare_digest(values.get("state", "").encode(), request.state.encode()):
        raise UnexpectedRedirect("a redirect had another state than ours")
    _check_issuer(request, values.get("iss"))
    if "error" in values:
        why = shown(values.get("error_description", ""))
        said = shown(values["error"]) + (f": {why}" if why else "")
        raise SingleSignOnRefused(f"the authorization server gave no code: {said}")
    code = values.get("code", "")
    if not 0 < len(code) <= _LONGEST_CODE or not code.isascii() or not code.isprintable():
        raise UnexpectedRedirect("a redirect had no code")
    return KeyMaterial(code.encode())


def _check_issuer(request: AuthorizationRequest, iss: str | None) -> None:
    if iss is None:
        if request.iss_required:
            raise UnexpectedRedirect(
                "a redirect did not name its issuer, as this server says it does (RFC 9207)"
            )
    elif iss != request.issuer:
        raise UnexpectedRedirect(
            f"a redirect named the issuer {shown(iss)!r}, not {request.issuer!r}"
        )


def shown(text: str, *secrets: KeyMaterial | None) -> str:
    """Return a server's text for an error: printable, at most 200 characters, without `secrets`."""
    for secret in secrets:
        if secret is not None and len(secret):
            text = text.replace(secret.reveal().decode(), "…")
    return "".join(each if each.isprintable() else "?" for each in text[:200])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
