"""Runs tests in a process in FIPS mode, under the real provider: `python -m tests.under_fips`.

Arguments go to pytest, after the tests that are chosen here.  `--lenient` is the set-up of that
name: it lets the server's side, which is in the same process in most tests, sign over SHA-1 and
encrypt for a device.  With `--peers` chat, directories and audit run against real servers.
`--smoke` takes a few files of each, as `make test` does; `make nightly` takes them all.  Tests of
what only another provider does (MD5, weak keys) are left out by name, each group with its reason.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from softphone import openssl_provider
from tests.support.fips import fips_environment, setup

LENIENT = (
    "tests/trust",
    "tests/provisioning",
    "tests/lab/test_authority.py",
    "tests/lab/cucm/test_capf.py",
    "tests/lab/cucm/test_cluster.py",
    "tests/lab/cucm/test_files.py",
    "tests/lab/cucm/test_tvs.py",
    "tests/net/stream/test_tls_handshake.py",
    "tests/security/test_a_revoked_peer_sees_no_data.py",
    "tests/security/test_capf_attacks.py",
    "tests/security/test_forged_signed_files.py",
    "tests/security/test_forged_trust_lists.py",
    "tests/security/test_tls_client_certificates.py",
    "tests/end_to_end/test_boot.py",
)
STRICT = (
    "tests/trust/capf/test_client.py",
    "tests/trust/lists/test_file_crypto.py",
    "tests/trust/lists/test_trust_list.py",
    "tests/provisioning/test_signed_file.py",
    "tests/messaging",
    "tests/contacts",
    "tests/voicemail",
    "tests/discovery",
    "tests/oauth",
    "tests/lab/test_uds_directory.py",
    "tests/end_to_end/test_directory_names.py",
    "tests/net/stream/test_inner_tls.py",
    "tests/srtp/test_cryptography_backend.py",
    "tests/end_to_end/test_demo.py",
    "tests/end_to_end/test_lab_calls.py",
)
PEERS = (
    "tests/peers/test_postgresql_audit.py",
    "tests/peers/test_postgresql_certificates.py",
    "tests/peers/test_prosody_bearer.py",
    "tests/peers/test_prosody_certificates.py",
    "tests/peers/test_prosody_external.py",
    "tests/peers/test_prosody_files.py",
    "tests/peers/test_prosody_messages.py",
    "tests/peers/test_prosody_policy.py",
    "tests/peers/test_slapd_certificates.py",
    "tests/peers/test_slapd_external.py",
    "tests/peers/test_slapd_search.py",
)
"""With `--peers`, and nothing else then: our side is in FIPS mode, the servers are as they are."""
SMOKE = (
    "tests/trust/lists/test_file_crypto.py",
    "tests/trust/lists/test_trust_list.py",
    "tests/provisioning/test_signed_file.py",
    "tests/messaging/e2e",
    "tests/oauth",
    "tests/net/stream/test_inner_tls.py",
    "tests/srtp/test_cryptography_backend.py",
    "tests/end_to_end/test_demo.py",
    "tests/end_to_end/test_lab_calls.py",
)
LENIENT_SMOKE = (
    "tests/trust/certificate",
    "tests/net/stream/test_tls_handshake.py",
    "tests/end_to_end/test_boot.py",
)
PEERS_SMOKE = (
    "tests/peers/test_postgresql_certificates.py",
    "tests/peers/test_prosody_certificates.py",
    "tests/peers/test_slapd_certificates.py",
)
OF_OTHER_PROCESSES = ("--ignore=tests/trust/fips",)
LEFT_OUT: dict[str, tuple[str, ...]] = {
    "they are about MD5, which is not there": (
        "tests/lab/cucm/test_cluster.py::test_a_device_is_asked_to_enroll_until_it_has",
        "tests/provisioning/test_device_config.py::test_a_stub_announces_the_encrypted_file",
        "tests/provisioning/test_enrollment_decision.py::test_the_hash_of_a_certificate_is_its_md5",
    ),
    "they sign with keys that the provider signs with no more": (
        "tests/trust/csr/test_check.py::test_others_keys_and_hashes_are_judged",
        "tests/trust/certificate/test_path_checks.py::test_weak_keys_are_refused_wherever_they_are",
        "tests/trust/certificate/test_path_checks.py::test_weak_signatures_and_keys_pass_where_settings_say_so",
        "tests/trust/certificate/test_path_checks.py::test_every_weakness_that_passes_is_named_in_the_order_of_the_path",
    ),
    "they are about settings and ciphers that FIPS mode rules out": (
        "tests/net/stream/test_tls_handshake.py::test_a_forged_answer_counts_as_none_where_a_setting",
        "tests/trust/test_tls_settings.py::test_no_weak_cipher_is_spoken[False]",
        "tests/trust/test_tls_settings.py::test_openssl_s_level_is_lowered_by_settings_only",
    ),
}
SERVER_SIDE = (
    "tests/provisioning/test_signed_file.py::test_what_is_encrypted_and_signed_is_opened",
    "tests/provisioning/test_signed_file.py::test_files_are_over_sha_512_and_dated",
    "tests/provisioning/test_signed_file.py::test_the_digest_of_an_encrypted_text",
    "tests/trust/lists/test_trust_list.py::test_a_vector_is_made_again_byte_for_byte",
    "tests/trust/lists/test_file_crypto.py::test_every_failure_to_open_says_the_same",
    "tests/trust/lists/test_file_crypto.py::test_no_padding_is_taken_at_its_word",
    "tests/trust/lists/test_file_crypto.py::test_signing_again_gives_every_vector_byte_for_byte",
    "tests/trust/lists/test_file_crypto.py::test_what_is_sealed_opens_again",
)
"""What the strict set-up does not let a server do."""


def main() -> None:
    """Run pytest in FIPS mode and leave with its exit status."""
    if openssl_provider.fips_in_force():
        sys.exit("this process is in FIPS mode already")
    given = sys.argv[1:]
    lenient = "--lenient" in given
    peers = "--peers" in given
    smoke = "--smoke" in given
    left_out = [name for each in LEFT_OUT.values() for name in each]
    left_out += [] if lenient else SERVER_SIDE
    if smoke:
        places = PEERS_SMOKE if peers else LENIENT_SMOKE if lenient else SMOKE
    else:
        places = PEERS if peers else LENIENT if lenient else STRICT
    chosen = [*places, *(() if peers else (f"--deselect={name}" for name in left_out))]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "softphone", "-p", "no:cacheprovider"]
    own = {"--lenient", "--peers", "--only", "--smoke"}
    if "--only" not in given:
        command += [*chosen, *OF_OTHER_PROCESSES]
    command += (each for each in given if each not in own)
    try:
        made = setup(lenient=lenient)
    except pytest.skip.Exception as missing:
        sys.exit(print(missing))
    ended = subprocess.run(command, env=fips_environment(made), check=False)
    sys.exit(ended.returncode)


if __name__ == "__main__":
    main()
