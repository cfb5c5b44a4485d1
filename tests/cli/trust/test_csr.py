"""`softphone csr new` and `csr check`: what is written, what is refused, and what is said."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.pki import needs_openssl

ONE, TWO = "im1.example.com", "im2.example.com"


def new(cli, folder, *more, names=(ONE,), service="tomcat"):
    named = [word for name in names for word in ("--name", name)]
    return cli("csr", "new", "--service", service, *named, "--dir", folder, *more)


def request_in(path):
    return x509.load_pem_x509_csr(path.read_bytes())


def test_a_key_and_a_request_are_written(cli, tmp_path):
    done = new(cli, tmp_path, "--organization", "Example", "--country", "DE", "--json")
    assert done.code == 0
    assert done.names() == ["request", "summary"]
    request = request_in(tmp_path / f"tomcat-{ONE}.csr")
    assert request.subject.rfc4514_string() == f"CN={ONE},O=Example,C=DE"
    key = tmp_path / f"tomcat-{ONE}.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    opened = load_pem_private_key(key.read_bytes(), None)
    assert opened.public_key() == request.public_key()
    assert "PRIVATE" not in done.out


def test_nothing_is_written_over(cli, tmp_path):
    new(cli, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    again = new(cli, tmp_path)
    assert again.code == 2
    assert "exists: nothing was written" in again.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_is_not_there_is_made_for_its_owner_only(cli, tmp_path):
    folder = tmp_path / "new" / "requests"
    assert new(cli, folder).code == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.iterdir())) == 2
    (tmp_path / "file").write_text("")
    refused = new(cli, tmp_path / "file" / "below")
    assert refused.code == 2
    assert "cannot be made" in refused.err


def test_a_multi_server_request_has_all_names(cli, tmp_path):
    more = ("--domain", "example.com", "--common-name", "im1-ms.example.com")
    assert new(cli, tmp_path, *more, names=(ONE, TWO), service="cup-xmpp").code == 0
    request = request_in(tmp_path / "cup-xmpp-im1-ms.example.com.csr")
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    listed = names.get_values_for_type(x509.DNSName)
    assert listed == ["im1-ms.example.com", ONE, TWO, "example.com"]
    assert len(names.get_values_for_type(x509.OtherName)) == 3


def test_a_public_authority_gets_one_request_a_name(cli, tmp_path):
    assert new(cli, tmp_path, "--profile", "public", names=(ONE, TWO)).code == 0
    made = sorted(path.name for path in tmp_path.glob("*.csr"))
    assert made == [f"tomcat-{ONE}.csr", f"tomcat-{TWO}.csr"]
    checked = cli("csr", "check", *sorted(tmp_path.glob("*.csr")))
    assert checked.code == 0
    assert "nothing to object to" in checked.out


def test_a_client_s_request_has_its_uri(cli, tmp_path):
    assert new(cli, tmp_path, names=("sip:alice@example.com",), service="client").code == 0
    request = request_in(tmp_path / "client-alice_example.com.csr")
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["sip:alice@example.com"]


@pytest.mark.parametrize(
    ("more", "names", "words"),
    [
        (("--profile", "public", "--organization", "A & B"), (ONE,), "holds '&'"),
        (("--profile", "public", "--unit", "IT"), (ONE,), "organizational unit, 'IT'"),
        (("--profile", "public"), ("pbx.local",), "'pbx.local' is no public domain name"),
        (("--profile", "public", "--key", "ec-p521"), (ONE,), "its key is ec-p521"),
        (
            (
                "--profile",
                "friendly",
            ),
            (ONE,),
            "there is no profile 'friendly'",
        ),
        (
            (
                "--key",
                "rsa-1024",
            ),
            (ONE,),
            "expected one of rsa-2048",
        ),
        ((), ("short",), "'short' is no full domain name"),
    ],
)
def test_what_would_be_refused_is_not_written(cli, tmp_path, more, names, words):
    refused = new(cli, tmp_path, *more, names=names)
    assert refused.code == 2
    assert words in refused.err
    assert list(tmp_path.iterdir()) == []


def test_a_public_authority_has_nothing_for_clients(cli, tmp_path):
    names = ("sip:alice@example.com",)
    refused = new(cli, tmp_path, "--profile", "public", names=names, service="client")
    assert refused.code == 2
    assert "issues no certificates of clients" in refused.err
    assert "Use --profile private" in refused.err


def test_a_key_is_encrypted_with_what_a_descriptor_gives(cli, tmp_path):
    reading, writing = os.pipe()
    os.write(writing, b"open sesame\n")
    os.close(writing)
    assert new(cli, tmp_path, "--passphrase-fd", reading, "--json").code == 0
    os.close(reading)
    data = (tmp_path / f"tomcat-{ONE}.key").read_bytes()
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in data
    assert load_pem_private_key(data, b"open sesame").key_size == 2048


def test_requests_that_differ_are_told(cli, tmp_path):
    new(cli, tmp_path, "--locality", "Bonn")
    new(cli, tmp_path, "--locality", "Ulm", names=(TWO,))
    checked = cli("csr", "check", "--profile", "private", "--json", *tmp_path.glob("*.csr"))
    assert checked.code == 1
    assert checked.names() == ["request", "request", "violation", "summary"]
    assert "the locality differs" in checked.events[2]["violation"]
    assert checked.summary["violations"] == 1


@needs_openssl
def test_others_requests_are_judged_and_every_violation_is_shown(cli, tmp_path):
    path = tmp_path / "theirs.csr"
    command = ["openssl", "req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", "/dev/null"]
    command += ["-subj", "/O=A & B/CN=pbx", "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    checked = cli("csr", "check", path)
    assert checked.code == 1
    for words in ("its key is rsa-1024", "holds '&'", "no subject alternative name"):
        assert words in checked.out.replace("\n", " ").replace("│", "").replace("  ", " ")


def test_what_is_no_request_is_an_error(cli, tmp_path):
    path = tmp_path / "x.csr"
    path.write_text("hello")
    assert "is no certificate request" in cli("csr", "check", path).err
    assert "cannot be read" in cli("csr", "check", tmp_path / "gone.csr").err


def test_a_request_to_a_public_authority_is_said_to_be_for_servers_only(cli, tmp_path):
    name = ("--name", "pbx.example.com", "--dir", tmp_path)
    public = cli("csr", "new", "--service", "CallManager", "--profile", "public", *name)
    assert public.code == 0, public.err
    assert "these are for servers only" in public.err
    assert "--service client --profile private" in public.err
    folder = tmp_path / "private"
    private = cli(
        "csr",
        "new",
        "--service",
        "CallManager",
        "--profile",
        "private",
        *name[:2],
        "--dir",
        folder,
    )
    assert private.code == 0, private.err
    assert "for servers only" not in private.err
