"""Registrations: one server, several, lists of nodes, digest, bearer tokens, lost connections."""

from __future__ import annotations

from collections.abc import Callable

from softphone.sans_io import Transport
from softphone.security import KeyMaterial
from softphone.sip.auth.bearer import BearerSession, bearer_challenge
from softphone.sip.auth.digest_client import DigestCredentials, DigestSession
from softphone.sip.auth.digest_server import DigestVerified, DigestVerifier, VerifierConfig
from softphone.sip.message.headers import Field
from softphone.sip.message.message import Request
from softphone.sip.registration.node_list import NodeRegistration
from softphone.sip.transport.keepalive import KeepAliveConfig
from tests.golden.transcript import Transcript, Watch, record
from tests.support.challenges import own_server_everywhere
from tests.support.clock import seeded_entropy
from tests.support.node_world import NodeWorld
from tests.support.registrar_world import World

Answer = tuple[int, list[Field]]
OUTBOUND = (("Require", "outbound"), ("Flow-Timer", "120"))


def recorded(world: World) -> tuple[World, Transcript]:
    """A world whose endpoint and registration are recorded."""
    transcript = Transcript(lambda: world.now)
    record(world.endpoint, transcript, "endpoint")
    Watch(transcript, "registration", lambda: world.events)
    Watch(transcript, "unclaimed", lambda: world.unclaimed)
    transcript.probes.append(
        lambda: transcript.deadline("registration", world.registration.next_timer())
    )
    return world, transcript


def lived(world: World, transcript: Transcript, seconds: float) -> None:
    """Register, refresh for a time, unregister."""
    transcript.title("register, and refresh")
    world.registration.register(now=world.now)
    world.run(seconds)
    transcript.title("unregister")
    world.registration.unregister(now=world.now)
    world.run(40)
    transcript.probe()


def plain(transport: Transport) -> str:
    """Registered, refreshed and unregistered, with what a registrar may add."""
    world, transcript = recorded(World(transport=transport))

    def more(request: Request) -> Answer:
        return world.granting(
            request,
            300,
            ("Service-Route", "<sip:edge.test;lr>"),
            ("P-Associated-URI", "<sip:+4930@example.test>"),
            ("Path", "<sip:path.test;lr>"),
        )

    world.script = [(423, [("Min-Expires", "4000")]), more, more]
    lived(world, transcript, 900.0)
    return transcript.text


def digest(algorithm_seed: int) -> str:
    """Every REGISTER may be challenged; the nonce ends after a while."""
    entropy = seeded_entropy(algorithm_seed)
    verifier = DigestVerifier(
        VerifierConfig("example.test"), entropy=entropy, lookup=lambda *_: KeyMaterial(b"pw")
    )
    session = DigestSession(
        [DigestCredentials("alice", KeyMaterial(b"pw"))],
        entropy=entropy,
        policy=own_server_everywhere(),
    )
    world, transcript = recorded(World(credentials=session))

    def answer(request: Request) -> Answer:
        verdict = verifier.verify(request, now=world.now)
        if isinstance(verdict, DigestVerified):
            return world.granting(request)
        return 401, list(verdict.headers)

    world.answer = answer
    lived(world, transcript, 2000.0)
    transcript.title("the password is not believed any more")
    challenge = 'Digest realm="example.test", nonce="other", algorithm=SHA-256, qop="auth"'
    world.answer = lambda request: (401, [("WWW-Authenticate", challenge)])
    world.registration.register(now=world.now)
    world.run(100)
    return transcript.text


def token() -> str:
    """A bearer token, sent once it is asked for."""
    session = BearerSession(
        KeyMaterial(b"eyJhbGciOi.J9-secret_token~+/=="), policy=own_server_everywhere()
    )
    world, transcript = recorded(World(credentials=session))
    world.script = [(401, [bearer_challenge("ccmsipline")])]
    lived(world, transcript, 700.0)
    return transcript.text


def outbound() -> str:
    """RFC 5626: pings as agreed, a pong that does not come, a flow that is lost, one refused."""
    world, transcript = recorded(World(expires=3600, count=2))
    world.script = [lambda request: world.granting(request, 600, *OUTBOUND)] * 4
    world.registration.register(now=world.now)
    world.run(400)
    transcript.title("no pong comes")
    world.servers["192.0.2.100"].pongs = False
    world.run(300)
    transcript.title("the connection is lost; nobody takes a new one for a while")
    world.servers["192.0.2.100"].up = world.servers["192.0.2.101"].up = False
    world.cut()
    world.run(120)
    world.servers["192.0.2.101"].up = True
    world.run(120)
    transcript.title("a server that is overloaded, then one that refuses for good")
    world.script = [(503, [("Retry-After", "30")]), (500, []), (403, [])]
    world.registration.refresh(now=world.now)
    world.run(3000)
    return transcript.text


def silent() -> str:
    """Over UDP nobody answers; then a NAT shows another address; then probes by OPTIONS."""
    world, transcript = recorded(
        World(transport=Transport.UDP, keepalive=KeepAliveConfig(), expires=120)
    )
    world.servers["192.0.2.100"].speaks = False
    world.registration.register(now=world.now)
    world.run(100)
    world.servers["192.0.2.100"].speaks = True
    world.run(400)
    transcript.title("unregister, and nobody answers")
    world.servers["192.0.2.100"].speaks = False
    world.registration.unregister(now=world.now)
    world.run(60)
    return transcript.text


def nodes() -> str:
    """A list of nodes as a Cisco phone has it: standby, failover, failback, move."""
    world = NodeWorld(count=3)
    _, transcript = recorded(world)
    world.registration.register(now=world.now)
    world.run(150)
    transcript.title("the first node ends")
    world.down(0)
    world.run(200)
    transcript.title("it is back, and gone back to once it is stable")
    world.back(0)
    world.run(400)
    transcript.title("a move to another credential; one that is refused")
    registration = world.registration
    assert isinstance(registration, NodeRegistration)
    registration.move_to_new_flow("renewed", now=world.now)
    world.run(60)
    world.script.append((403, []))
    registration.move_to_new_flow("again", now=world.now)
    world.run(60)
    transcript.title("all nodes are away; then unregister")
    for index in range(3):
        world.down(index)
    world.run(100)
    world.back(2)
    world.run(120)
    world.registration.unregister(now=world.now)
    world.run(60)
    return transcript.text


TRANSCRIPTS: dict[str, Callable[[], str]] = {
    "register-tls": lambda: plain(Transport.TLS),
    "register-udp": lambda: plain(Transport.UDP),
    "register-digest": lambda: digest(5),
    "register-token": token,
    "register-outbound": outbound,
    "register-silent": silent,
    "register-nodes": nodes,
}
