"""The digest client (RFC 7616, RFC 8760, RFC 3261 section 22).

`DigestChallenge` is one challenge as received; `DigestSession` answers the challenges of 401 and
407 responses for one user agent and remembers its nonces.  The hashes are calculated in
`softphone.sip.auth.digest_algorithm`; the server is `softphone.sip.auth.digest_server`.  Neither
userhash (RFC 8760 does not bring it to SIP) nor Basic (RFC 3261 section 22 forbids it) is
supported.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from softphone.sans_io import Entropy, Flow, Target
from softphone.security import KeyMaterial
from softphone.sip.auth.authenticator import CHALLENGES, AuthenticationRefused
from softphone.sip.auth.challenge_policy import ChallengePolicy, is_verified, shown_realm
from softphone.sip.auth.digest_algorithm import DigestAlgorithm, DigestInput, digest_response, ha1
from softphone.sip.message import AuthValue, MalformedMessage, Request, Response

__all__ = [
    "AuthenticationRefused",
    "DigestAlgorithm",
    "DigestChallenge",
    "DigestCredentials",
    "DigestRole",
    "DigestSession",
]

MAXIMUM_CHALLENGES = 16
"""The number of challenges of each role that are read from one response."""
MAXIMUM_REALMS = 32
"""The number of realms, each per role, whose nonces one session remembers."""
MAXIMUM_ROUNDS = 4
"""The challenges in a row answered for one request (Call-ID and method) without a success."""
REJECTED = "did not accept the user name and password"
MD5_STRENGTH = DigestAlgorithm.MD5.strength
MAXIMUM_TRACKED = 256
"""The number of requests whose rounds are counted at a time."""


class DigestRole(Enum):
    """The challenger: a user agent server or a proxy (RFC 3261 sections 22.2 and 22.3).

    Each value holds the names of the three header fields, and the status of a challenge.
    """

    USER_AGENT = ("WWW-Authenticate", "Authorization", "Authentication-Info", 401)
    PROXY = ("Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info", 407)

    @property
    def challenge_header(self) -> str:
        """The header field that carries the challenge."""
        return self.value[0]

    @property
    def credentials_header(self) -> str:
        """The header field that carries the credentials."""
        return self.value[1]

    @property
    def information_header(self) -> str:
        """The header field that carries nextnonce and rspauth."""
        return self.value[2]

    @property
    def status(self) -> int:
        """The status code of the challenge."""
        return self.value[3]

    def credentials_of(self, request: Request) -> tuple[AuthValue, ...]:
        """Return the credentials for this role that a request carries, of any scheme."""
        proxy = self is DigestRole.PROXY
        return request.proxy_authorizations if proxy else request.authorizations


@dataclass(frozen=True, slots=True)
class DigestCredentials:
    """The user name and password that answer challenges.

    `realms` are those that the account lists, and the only ones answered; if empty, those that the
    account's server uses on REGISTER are.  `algorithms` are the allowed ones, each with its "-sess"
    variant (local policy, RFC 8760 section 2.4); the strongest one offered is used.  None allows
    SHA-256, SHA-512-256, and MD5 over verified TLS only.  The password is UTF-8.  `place` names
    the place in the user's configuration, for error messages.
    """

    username: str
    password: KeyMaterial
    realms: tuple[str, ...] = ()
    algorithms: tuple[DigestAlgorithm, ...] | None = None
    place: str = "[credentials]"


@dataclass(frozen=True, slots=True)
class DigestChallenge:
    """One challenge as received (RFC 7616 section 3.3).

    `algorithm` is None for an unknown one; `qop` is empty where the parameter is missing (RFC
    2069); the domain parameter is dropped, since SIP ignores it.
    """

    realm: str
    nonce: str
    algorithm: DigestAlgorithm | None = DigestAlgorithm.MD5
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False

    @classmethod
    def parse(cls, text: str) -> DigestChallenge | None:
        """Parse one header field value; None when it is no well-formed Digest challenge."""
        try:
            value = AuthValue.parse(text)
        except MalformedMessage:
            return None
        realm, nonce = value.parameter("realm"), value.parameter("nonce")
        if value.scheme.lower() != "digest" or realm is None or not nonce:
            return None
        name = (value.parameter("algorithm") or "MD5").lower()
        options = (value.parameter("qop") or "").lower().split(",")
        return cls(
            realm=realm,
            nonce=nonce,
            algorithm=next((known for known in DigestAlgorithm if known.lower() == name), None),
            qop=tuple(option.strip() for option in options if option.strip()),
            opaque=value.parameter("opaque"),
            stale=(value.parameter("stale") or "").lower() == "true",
        )

    @property
    def chosen_qop(self) -> str | None:
        """The qop to answer with: "auth", else "auth-int"; None for RFC 2069."""
        return next((option for option in ("auth", "auth-int") if option in self.qop), None)

    @property
    def answerable(self) -> bool:
        """Whether the algorithm is known, and one qop of those offered, if any."""
        return self.algorithm is not None and (not self.qop or self.chosen_qop is not None)


# The client -------------------------------------------------------------------------------------


Protection: TypeAlias = tuple[DigestRole, str]
"""The protection space of credentials: the challenger's role and realm (RFC 3261 section 22.1)."""


@dataclass(slots=True)
class _Nonce:
    """A nonce in use.

    The cnonce stays the same for the life of the nonce: "-sess" requires that (RFC 7616 section
    3.4.2), and the nonce count keeps responses different.  `places` are the challenged To URIs.
    `server` sent the challenge, `verified` says whether over verified TLS.  `confirmed` says that
    an answer with it got a 2xx, `announced` that it came as a nextnonce.
    """

    challenge: DigestChallenge
    algorithm: DigestAlgorithm
    credentials: DigestCredentials
    cnonce: str
    places: set[str]
    server: str
    verified: bool
    count: int = 0
    confirmed: bool = False
    announced: bool = False

    def answer(self, request: Request) -> str:
        """Return the credentials header field value for `request` and increment the nonce count."""
        self.count += 1
        challenge, qop = self.challenge, self.challenge.chosen_qop
        given = self._input(request.method, str(request.uri), request.body)
        parameters = [
            ("username", self.credentials.username),
            ("realm", challenge.realm),
            ("nonce", challenge.nonce),
            ("uri", given.uri),
            ("response", digest_response(self._stored(), given)),
            ("algorithm", self.algorithm.value),
        ]
        if challenge.opaque is not None:
            parameters.append(("opaque", challenge.opaque))
        if qop is not None:
            parameters += [("qop", qop), ("nc", f"{self.count:08x}")]
        if qop is not None or self.algorithm.session:
            parameters.append(("cnonce", self.cnonce))
        return str(AuthValue("Digest", tuple(parameters)))

    def proves(self, information: AuthValue, body: bytes, uri: str) -> bool:
        """Whether rspauth shows that the server knows the password (RFC 7616 section 3.5).

        True without rspauth, which is optional.
        """
        proof = information.parameter("rspauth")
        if proof is None:
            return True
        expected = digest_response(self._stored(), self._input("", uri, body))
        return hmac.compare_digest(expected.encode(), proof.lower().encode())

    def _input(self, method: str, uri: str, body: bytes) -> DigestInput:
        return DigestInput(
            algorithm=self.algorithm,
            method=method,
            uri=uri,
            nonce=self.challenge.nonce,
            cnonce=self.cnonce,
            nonce_count=self.count,
            qop=self.challenge.chosen_qop,
            body=body,
        )

    def _stored(self) -> str:
        mine = self.credentials
        return ha1(self.algorithm, mine.username, self.challenge.realm, mine.password)


class DigestSession:
    """The digest state of one user agent: an `Authenticator` with nonces by role and realm.

    One session serves all requests of an endpoint; `policy` decides which challenges are answered.
    `fips` refuses MD5 whatever the credentials allow.  The caller gives a request that is sent
    again a new CSeq number and branch (RFC 3261 section 22.2), and copies the credentials of an
    INVITE into the ACK for its 2xx (section 22.1).

    A request answers one challenge per realm, in either role: a second one may come from a callee
    that repeats the realm of the proxy.  Only a REGISTER whose nonce was accepted before answers
    `stale` with the new nonce.  Any other request that carried credentials in advance is sent
    again without them, so that the server, if the challenge was its own, challenges again.
    """

    answers = CHALLENGES

    def __init__(
        self,
        credentials: Iterable[DigestCredentials] = (),
        *,
        entropy: Entropy,
        policy: ChallengePolicy,
        fips: bool = False,
    ) -> None:
        self._credentials = tuple(credentials)
        self._entropy = entropy
        self._policy = policy
        self._fips = fips
        self._nonces: OrderedDict[Protection, _Nonce] = OrderedDict()
        self._rounds: OrderedDict[tuple[str, str], int] = OrderedDict()
        self.refusal: AuthenticationRefused | None = None
        """Why the latest challenge was not answered; None when it was."""

    def authorize(
        self, request: Request, response: Response, *, flow: Flow | None, alerted: bool = False
    ) -> Request | AuthenticationRefused:
        """Return the request with credentials for the challenges of a 401 or 407 `response`.

        `request` is the challenged one, with the credentials that it carried.  Refuses when the
        policy allows no answer, when the server rejected credentials for the same realm, and
        after `MAXIMUM_ROUNDS` rounds.
        """
        found = self._authorize(request, response, flow, alerted)
        self.refusal = found if isinstance(found, AuthenticationRefused) else None
        if self.refusal is not None:
            self._rounds.pop((request.call_id, request.method), None)
        return found

    def _authorize(
        self, request: Request, response: Response, flow: Flow | None, alerted: bool
    ) -> Request | AuthenticationRefused:
        offered = _challenges(response)
        if not offered:
            return AuthenticationRefused(f"the {response.status} holds no Digest challenge")
        if self._next_round(request) > MAXIMUM_ROUNDS:
            return AuthenticationRefused("the server keeps asking for new credentials")
        carried = _carried(request)
        refusals: list[AuthenticationRefused] = []
        answered: list[Protection] = []
        withdrawn: list[Protection] = []
        for protection, challenges in offered.items():
            # A response may hold challenges of both roles (RFC 3261 section 22.3); only one per
            # realm is answered.
            if any(one[1] == protection[1] for one in (*answered, *withdrawn)):
                continue
            before = [one for one in carried if one[1] == protection[1]]
            refusal = self._refusal_of(protection, request, flow, alerted)
            if refusal is None and before and not self._is_stale(protection, request, challenges):
                refusal = self._rejection_of(before, carried, challenges)
                withdrawn += before
            elif refusal is None:
                refusal = self._adopt_challenge(protection, challenges, request, flow)
                answered.append(protection)
            if refusal is None:
                continue
            if before:
                return refusal
            refusals.append(refusal)
            answered = [one for one in answered if one != protection]
        if not answered and not withdrawn:
            return refusals[0]
        return self._with_new_answers(request, carried, answered, withdrawn)

    def _with_new_answers(
        self,
        request: Request,
        carried: dict[Protection, AuthValue],
        answered: list[Protection],
        withdrawn: list[Protection],
    ) -> Request:
        for protection in withdrawn:
            self._nonces.pop(protection, None)
        if withdrawn:
            request = _without_digest(request)
        known = [one for one in carried if one in self._nonces and one not in answered]
        return self._with_answers(request, [*known, *answered])

    def _refusal_of(
        self, protection: Protection, request: Request, flow: Flow | None, alerted: bool
    ) -> AuthenticationRefused | None:
        """Return why the policy forbids an answer, with advice for the user; None if it may."""
        realm = protection[1]
        mine = self._credentials_for(realm)
        listed = mine is not None and realm in mine.realms
        reason = self._policy.why_refused(
            realm, method=request.method, flow=flow, alerted=alerted, listed=listed
        )
        if reason is None:
            return None
        if not alerted and self._policy.server_of(flow) is not None:
            reason += f"; if your provider uses it, {self._how_to_list(realm)}"
        return AuthenticationRefused(reason)

    def _how_to_list(self, realm: str) -> str:
        place = self._credentials[0].place if self._credentials else "[credentials]"
        return f"add {realm[:64]!r} to the realms of {place}"

    def _credentials_for(self, realm: str) -> DigestCredentials | None:
        listing = [one for one in self._credentials if realm in one.realms]
        return next(iter([*listing, *(one for one in self._credentials if not one.realms)]), None)

    def _is_stale(
        self, protection: Protection, request: Request, challenges: list[DigestChallenge]
    ) -> bool:
        """Whether a REGISTER challenge only replaces a nonce that was accepted before."""
        nonce, value = self._nonces.get(protection), _carried(request).get(protection)
        return (
            request.method == "REGISTER"
            and nonce is not None
            and value is not None
            and nonce.confirmed
            and nonce.challenge.nonce == value.parameter("nonce")
            and any(challenge.stale for challenge in challenges)
        )

    def _rejection_of(
        self,
        protections: list[Protection],
        carried: dict[Protection, AuthValue],
        challenges: list[DigestChallenge],
    ) -> AuthenticationRefused | None:
        """Return the refusal when the credentials carried for a realm are wrong.

        Returns None when they may only be out of date: they were added in advance, and no
        challenge repeats their nonce without `stale`.  A repeated nonce means a wrong password.
        """
        for protection in protections:
            value, nonce = carried[protection], self._nonces.get(protection)
            number = value.parameter("nonce")
            early = value.parameter("nc") not in (None, "00000001")
            if nonce is not None and nonce.challenge.nonce == number:
                early = early or nonce.announced
            same = any(one.nonce == number and not one.stale for one in challenges)
            if not early or same:
                asks_again = not same and any(one.stale for one in challenges)
                what = "asks again after an answer" if asks_again else REJECTED
                return AuthenticationRefused(f"{shown_realm(protection[1])} {what}")
        return None

    def preauthorize(self, request: Request, *, to: Flow | Target) -> Request:
        """Return a new request with credentials for the known realms, to save a round trip.

        Only requests to the server that sent the challenge get them, over verified TLS if the
        challenge came over it.  Proxy credentials go on every request but ACK and CANCEL; those
        for user agents only where the To URI was challenged before (RFC 3261 section 22.2).
        """
        server = self._policy.server_of(to)
        if request.method in ("ACK", "CANCEL") or server is None:
            return request
        place = str(request.to.uri)
        return self._with_answers(
            request,
            [
                (role, realm)
                for (role, realm), nonce in self._nonces.items()
                if nonce.challenge.chosen_qop is not None
                and nonce.server == server
                and (is_verified(to) or not nonce.verified)
                and (role is DigestRole.PROXY or place in nonce.places)
            ],
        )

    def note_accepted(self, request: Request, response: Response, *, flow: Flow | None) -> None:
        """Record a final response other than 401 or 407 to `request`, and its nextnonce.

        A nextnonce is used only from a 2xx whose rspauth, if any, is right (RFC 7616 section 3.5).
        """
        if response.status in (401, 407) or not response.final:
            return
        self._rounds.pop((request.call_id, request.method), None)
        if not response.success:
            return
        mine = [one for one in _carried(request) if one in self._nonces]
        for protection in mine:
            nonce = self._nonces[protection]
            nonce.confirmed = True
            self._policy.note_success(
                protection[1], method=request.method, flow=flow, algorithm=nonce.algorithm
            )
        for role in DigestRole:
            text = response.headers.get(role.information_header)
            asked = [one for one in mine if one[0] is role]
            # Authentication-Info names no realm: with two of them, it would be ambiguous.
            if text is not None and len(asked) == 1:
                self._apply_authentication_info(self._nonces[asked[0]], text, request, response)

    def _apply_authentication_info(
        self, nonce: _Nonce, text: str, request: Request, response: Response
    ) -> None:
        try:
            information = AuthValue.parse_info(text)
        except MalformedMessage:
            return
        following = information.parameter("nextnonce")
        if not following or following == nonce.challenge.nonce:
            return
        # After another request has incremented the count, rspauth can no longer be checked.
        latest = any(
            value.parameter("nc") == f"{nonce.count:08x}"
            and value.parameter("nonce") == nonce.challenge.nonce
            for value in _carried(request).values()
        )
        if latest and nonce.proves(information, response.body, str(request.uri)):
            nonce.challenge = replace(nonce.challenge, nonce=following)
            nonce.cnonce = self._entropy(16).hex()
            nonce.count = 0
            nonce.announced = True

    def _next_round(self, request: Request) -> int:
        key = (request.call_id, request.method)
        rounds = self._rounds.pop(key, 0) + 1
        self._rounds[key] = rounds
        while len(self._rounds) > MAXIMUM_TRACKED:
            self._rounds.popitem(last=False)
        return rounds

    def _adopt_challenge(
        self,
        protection: Protection,
        challenges: list[DigestChallenge],
        request: Request,
        flow: Flow | None,
    ) -> AuthenticationRefused | None:
        """Store the nonce of the strongest challenge that may be answered, or return why none."""
        realm = protection[1]
        credentials = self._credentials_for(realm)
        if credentials is None:
            advice = f": {self._how_to_list(realm)}" if self._credentials else ""
            return AuthenticationRefused(
                f"there are no credentials for {shown_realm(realm)}{advice}"
            )
        allowed = [one for one in challenges if self._may_answer(one, credentials, flow)]
        if not allowed:
            return AuthenticationRefused(_no_algorithm(realm, challenges, credentials, self._fips))
        chosen = max(allowed, key=lambda one: one.algorithm.strength if one.algorithm else 0)
        algorithm = chosen.algorithm or DigestAlgorithm.MD5
        strongest = self._policy.strongest(realm, flow)
        if strongest is not None and algorithm.strength < strongest.strength:
            return AuthenticationRefused(
                f"{shown_realm(realm)} has taken {strongest} before and offers {algorithm} at best"
                " now, as somebody in between would have it; if the server was changed, close the"
                " account and register it anew, which forgets what it took"
            )
        previous = self._nonces.pop(protection, None)
        places = set() if previous is None or len(previous.places) > 64 else previous.places
        self._nonces[protection] = _Nonce(
            chosen,
            algorithm,
            credentials,
            self._entropy(16).hex(),
            places | {str(request.to.uri)},
            self._policy.server_of(flow) or "",
            is_verified(flow),
        )
        while len(self._nonces) > MAXIMUM_REALMS:
            self._nonces.popitem(last=False)
        return None

    def _may_answer(
        self, challenge: DigestChallenge, credentials: DigestCredentials, flow: Flow | None
    ) -> bool:
        algorithm = challenge.algorithm
        if algorithm is None or not challenge.answerable:
            return False
        if algorithm.strength == MD5_STRENGTH and self._fips:
            return False
        if credentials.algorithms is None:
            return algorithm.available and (algorithm.strength > MD5_STRENGTH or is_verified(flow))
        # A "-sess" variant is as strong as its base and is allowed along with it.
        allowed = {one.strength for one in credentials.algorithms}
        return algorithm.strength in allowed and algorithm.available

    def _with_answers(self, request: Request, protections: list[Protection]) -> Request:
        for role in DigestRole:
            values = [self._nonces[one].answer(request) for one in protections if one[0] is role]
            if values:
                request = request.with_header(role.credentials_header, *values)
        return request


def _challenges(response: Response) -> dict[Protection, list[DigestChallenge]]:
    """Return the Digest challenges by role and realm, in either status (RFC 3261 section 22.3)."""
    found: dict[Protection, list[DigestChallenge]] = {}
    for role in DigestRole:
        for text in response.headers.get_all(role.challenge_header)[:MAXIMUM_CHALLENGES]:
            challenge = DigestChallenge.parse(text)
            if challenge is not None:
                found.setdefault((role, challenge.realm), []).append(challenge)
    return found


def _carried(request: Request) -> dict[Protection, AuthValue]:
    """Return the Digest credentials that a request carries, by role and realm."""
    found: dict[Protection, AuthValue] = {}
    for role in DigestRole:
        for value in role.credentials_of(request):
            realm = value.parameter("realm")
            if value.scheme.lower() == "digest" and realm is not None:
                found[role, realm] = value
    return found


def _without_digest(request: Request) -> Request:
    """Return the request without Digest credentials; those of other schemes stay."""
    for role in DigestRole:
        values = role.credentials_of(request)
        kept = [str(value) for value in values if value.scheme.lower() != "digest"]
        if len(kept) == len(values):
            continue
        request = request.without_header(role.credentials_header)
        if kept:
            request = request.with_header(role.credentials_header, *kept)
    return request


def _no_algorithm(
    realm: str, challenges: list[DigestChallenge], credentials: DigestCredentials, fips: bool
) -> str:
    """Return why none of the offered algorithms may be answered, with advice for the user."""
    names = ", ".join(dict.fromkeys(one.algorithm for one in challenges if one.algorithm))
    said = f"{shown_realm(realm)} offers {names or 'no algorithm that is known'}"
    weak = any(
        one.answerable and one.algorithm.strength == MD5_STRENGTH
        for one in challenges
        if one.algorithm
    )
    if weak and not fips and credentials.algorithms is None:
        return (
            f"{said}; without verified TLS that is answered only where it is listed: write "
            f'algorithms = ["SHA-256", "MD5"] into {credentials.place}'
        )
    return f"{said}; policy, or this process, allows none of it"
