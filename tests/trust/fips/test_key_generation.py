"""Long-lived keys from the provider: made there, of the kind asked for, never below its bounds."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import load_der_private_key

from softphone.errors import FipsUnavailable
from softphone.trust.fips.key_generation import generate_key
from tests.support import fips
from tests.support.pki import needs_openssl


@needs_openssl
def test_a_key_comes_through_the_pipe():
    key = load_der_private_key(generate_key("EC", ["ec_paramgen_curve:P-384"]), password=None)
    assert key.curve.name == "secp384r1"


def test_every_kind_that_authorities_take_is_made_by_the_provider():
    said = fips.in_fips_mode(
        """
        import subprocess
        from softphone.trust.csr.request import KeyKind, new_key
        made, run = [], subprocess.run
        def counted(command, **given):
            made.append(command[1])
            return run(command, **given)
        subprocess.run = counted
        kinds = [kind for kind in KeyKind if kind not in (KeyKind.RSA_3072, KeyKind.RSA_4096)]
        for kind in kinds:
            key = new_key(kind)
            print(kind.value, key.key_size, getattr(getattr(key, "curve", None), "name", "-"))
        assert made == ["genpkey"] * len(kinds), made
        """
    )
    assert said.splitlines() == [
        "rsa-2048 2048 -",
        "ec-p256 256 secp256r1",
        "ec-p384 384 secp384r1",
        "ec-p521 521 secp521r1",
    ]


@pytest.mark.parametrize(
    ("algorithm", "option"),
    [("RSA", "rsa_keygen_bits:1024"), ("EC", "ec_paramgen_curve:secp256k1"), ("X25519", "")],
)
def test_what_the_provider_does_not_make_is_an_error_with_its_reason(algorithm, option):
    said = fips.in_fips_mode(
        """
        import sys
        from softphone.errors import FipsUnavailable
        from softphone.trust.fips.key_generation import generate_key
        try:
            generate_key(sys.argv[1], [each for each in sys.argv[2:] if each])
        except FipsUnavailable as error:
            print(error)
        """,
        algorithm,
        option,
    )
    assert said.startswith(f"`openssl genpkey` made no {algorithm} key: ")


def test_a_missing_program_is_said():
    with pytest.raises(FipsUnavailable, match="no-such-openssl, which cannot be run"):
        generate_key("EC", [], openssl="no-such-openssl")
