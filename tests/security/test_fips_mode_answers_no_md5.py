"""MD5 digest in FIPS mode: neither asked for nor answered, whatever the account allows."""

from __future__ import annotations

from tests.support import fips

BOTH_SIDES = """
import random
from tests.sip.auth.test_digest_client import OWN, challenged, digest, make_session, request
from softphone.security import KeyMaterial
from softphone.sip import DigestAlgorithm
from softphone.sip.auth.digest_algorithm import DigestUnavailable, ha1
from softphone.sip.auth.digest_server import DigestVerifier, VerifierConfig

print([algorithm.value for algorithm in DigestAlgorithm if not algorithm.available])
try:
    ha1(DigestAlgorithm.MD5, "alice", "example.test", KeyMaterial(b"secret"))
except DigestUnavailable as error:
    print(error)
entropy, sent = random.Random(1).randbytes, request()
session = make_session(entropy)
for algorithm in ("MD5", "MD5-sess"):
    offered = challenged(sent, digest(algorithm=algorithm))
    print(type(session.authorize(sent, offered, flow=OWN)).__name__)
both = challenged(sent, digest(algorithm="MD5"), digest(algorithm="SHA-256"))
print(session.authorize(sent, both, flow=OWN).authorizations[-1].parameter("algorithm"))
verifier = DigestVerifier(VerifierConfig("test"), entropy=entropy, lookup=lambda *_: None)
offered = " ".join(value for _, value in verifier.verify(sent, now=0.0).headers)
print("MD5" in offered, "SHA-256" in offered)
"""


def test_md5_is_neither_offered_nor_answered():
    assert fips.in_fips_mode(BOTH_SIDES).splitlines() == [
        "['MD5', 'MD5-sess']",
        "the hash of digest algorithm MD5 is not available in this process; in FIPS mode MD5"
        " never is",
        "AuthenticationRefused",
        "AuthenticationRefused",
        "SHA-256",
        "False True",
    ]
