"""Keys in SDP reach the wire and the cipher, and nothing that a log or a traceback prints."""

from __future__ import annotations

import base64
import copy
import pickle
import traceback

import pytest

from softphone.events import Direction
from softphone.sdp import (
    CodecCapability,
    LocalMediaLine,
    MalformedDescription,
    MediaCapability,
    OfferAnswerSession,
    SessionDescription,
    read_crypto,
)
from softphone.security import CryptoSuite
from softphone.srtp import (
    ReceiveContext,
    SdesNegotiation,
    SendContext,
    SrtpBackend,
    check_crypto_answer,
    choose_crypto,
    make_crypto_answer,
    make_crypto_offer,
)

AUDIO = MediaCapability("audio", (CodecCapability("PCMU", 8000, payload_type=0),))
SUITES = tuple(CryptoSuite)


def spellings(lines) -> list[str]:
    """Every way in which the keys of these lines could be written."""
    found = []
    for line in lines:
        key = line.key_params[0].key.reveal()
        found += [base64.b64encode(key).decode()[:16], key.hex()[:16], repr(key)[2:18]]
    return found


def check_hidden(secrets: list[str], *things: object) -> None:
    for thing in things:
        for text in (repr(thing), str(thing), f"{thing}"):
            assert not any(secret in text for secret in secrets), type(thing)


def test_no_representation_shows_a_key(entropy):
    offered = make_crypto_offer(SUITES, entropy=entropy)
    session = OfferAnswerSession([AUDIO], address="192.0.2.1", session_id=1)
    description = session.make_offer(
        [LocalMediaLine("audio", 4000, profile="RTP/SAVP", crypto=offered)]
    )
    secrets = spellings(offered)
    assert any(secret in description.encode().decode() for secret in secrets)
    other = OfferAnswerSession([AUDIO], address="192.0.2.2", session_id=1)
    lines = other.apply_offer(SessionDescription.parse(description.encode()))
    choice = choose_crypto(lines[0].crypto, allowed=SUITES)
    answer = make_crypto_answer(choice.crypto, entropy=entropy)
    other.make_answer({0: LocalMediaLine("audio", 5000, crypto=(answer,))})
    secrets += spellings([answer])
    plan = SdesNegotiation(SUITES, entropy=entropy)
    agreement = plan.make_answer(
        plan.choose_line(offered), remote=("192.0.2.1", 4000), direction=Direction.SENDRECV
    )
    secrets += spellings([agreement.local])
    contexts = [
        kind(agreement.suite, agreement.send_key, backend=backend)
        for kind in (SendContext, ReceiveContext)
        for backend in SrtpBackend
    ]
    check_hidden(
        secrets,
        description,
        description.media[0].attributes,
        read_crypto(description.media[0]),
        lines,
        choice,
        choose_crypto(lines[0].crypto, allowed=()),
        check_crypto_answer(offered, [answer, answer]),
        other.negotiated,
        agreement,
        *contexts,
        *(context._transform for context in contexts),
    )


def test_no_traceback_of_a_parser_shows_a_key():
    text = "A" * 16 + "SECRETSECRET"
    for line in (f"a=crypto:1 X inline:{text}|?", f"a=crypto:1 X inline:{text}\0"):
        data = f"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nm=audio 4 RTP/SAVP 0\n{line}\n".encode()
        try:
            (media,) = SessionDescription.parse(data).media
        except MalformedDescription:
            assert "SECRET" not in "".join(traceback.format_exc(limit=None).splitlines()[-1:])
        else:
            assert "SECRET" not in repr(read_crypto(media))


@pytest.mark.parametrize("taken", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_crypto_lines_key_is_not_copied_by_accident(taken, entropy):
    (line,) = make_crypto_offer(SUITES[:1], entropy=entropy)
    with pytest.raises(TypeError, match="not pickled or copied"):
        taken(line.key_params[0].key)
