"""The [im] table: in an account's file or alone, checked key by key."""

from __future__ import annotations

import pytest

from softphone.config import load_account
from softphone.config.messaging_file import load_messaging
from softphone.errors import AuthenticationFailed, ConfigurationError
from softphone.messaging.config import SubscriptionApproval
from softphone.messaging.encryption_policy import EncryptionPolicy
from softphone.messaging.im_presence import CertificateName
from softphone.messaging.server_location import TlsMode
from softphone.security import RevocationMode
from softphone.trust import Service
from tests.support.certificates import authority

# The stand-in of a chat server needs the extra "im", which not every system of ours has.
pytest.importorskip("slixmpp")

from tests.support.chat import ALICE, user

ALONE = f'[im]\njid = "{ALICE}"\npassword = "long enough"\n'
TLS = '[tls]\nca = "ca.crt"\ncertificate = "alice.crt"\nkey = "alice.key"\n'


@pytest.fixture
def read(tmp_path):
    credential = user(authority(), ALICE).write(tmp_path, "alice")
    assert credential.key.name == "alice.key"
    authority().write(tmp_path)
    (tmp_path / "secret").write_text("from a file\n")
    (tmp_path / "secret").chmod(0o600)

    def load(text):
        path = tmp_path / "im.toml"
        path.write_text(text)
        path.chmod(0o600)
        return load_messaging(path, environment={"SECRET": "from the environment"})

    return load


def test_a_file_of_its_own_needs_little(read):
    file = read(ALONE)
    assert (file.config.jid, file.config.password.reveal()) == (ALICE, b"long enough")
    assert file.config.policy == EncryptionPolicy(False, True)
    assert file.config.tls.service is Service.XMPP
    assert file.warnings == ()


def test_everything_can_be_said(read, tmp_path):
    file = read(
        f'fips = false\n{TLS}[im]\njid = "{ALICE}"\npassword_file = "secret"\nserver = "h:1"\n'
        'mode = "starttls"\nresource = "desk"\nsupport_aes = true\nsupport_no_encoding = false\n'
        'approve = "nobody"\ndisable_history = true\narchive = "im.db"\narchive_key = "key"\n'
        "archive_client_to_client = true\ntimeout = 5\n"
    )
    config = file.config
    assert config.policy == EncryptionPolicy(True, False)
    assert (config.server, config.mode, config.resource) == ("h:1", TlsMode.STARTTLS, "desk")
    assert config.approve is SubscriptionApproval.NOBODY
    assert config.history.archive == f"sqlite+aiosqlite:///{tmp_path}/im.db"
    assert config.history.archive_key == tmp_path / "key"
    assert (config.history.disable_history, config.timeout, file.fips) == (True, 5.0, False)
    assert config.password.reveal() == b"from a file"
    assert config.tls.credential.certificate == tmp_path / "alice.crt"


def test_it_lies_in_an_account_s_file_and_may_have_tls_of_its_own(read, tmp_path):
    account = 'aor = "sip:alice@x.test"\nregistrar = "sips:x.test"\n'
    text = (
        f'{account}[policy]\nrevocation = "hard"\n[im]\njid = "{ALICE}"\npassword_env = "SECRET"\n'
    )
    file = read(text + TLS.replace("[tls]", "[im.tls]"))
    assert file.config.tls.credential is not None
    assert file.config.tls.revocation is RevocationMode.HARD
    assert file.config.password.reveal() == b"from the environment"
    assert load_account(tmp_path / "im.toml").config.aor == "sip:alice@x.test"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fips = true\n", "no table \\[im\\]"),
        ("im = 1\n", "expected a table"),
        ('[im]\npassword = "x"\n', "a jid is missing"),
        (ALONE + 'colour = "red"\n', ":4: im.colour: there is no such key"),
        (ALONE + "suport_aes = true\n", "did you mean 'support_aes'"),
        (ALONE + 'support_aes = "yes"\n', ":4: im.support_aes: expected true or false"),
        (ALONE + "support_aes = false\nsupport_no_encoding = false\n", "both false"),
        (ALONE + "support_aes = true\n", "needs a certificate of ours"),
        (ALONE + 'password_file = "secret"\n', "one only"),
        (ALONE + 'mode = "plain"\n', "known are direct, starttls"),
        (ALONE + 'server = "h:x"\n', ":4: im.server"),
        (ALONE + "timeout = 0\n", ":4: im.timeout"),
        (ALONE + 'archive_key = "k"\n', "no archive to encrypt"),
        ("aor = 1\n[im]\njid = 7\n", "expected a text"),
        ("other = 1\n" + ALONE, "there is no such key"),
        (ALONE + '[im.tls]\nserver_name = "x"\n', "there is no such key"),
        ("[im\n", "this is no TOML"),
        (f'[im]\njid = "{ALICE}"\n', "password or a client certificate"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(read, text, words):
    with pytest.raises(ConfigurationError, match=words):
        read(text)


def test_a_missing_file_says_where_its_tables_are_described(tmp_path):
    with pytest.raises(ConfigurationError, match=r"there is no such .* under Instant messages"):
        load_messaging(tmp_path / "none.toml")


NODES = f'{TLS}{ALONE}[im.im_presence]\nservers = ["imp1.example.test", "imp2.example.test:443"]\n'


async def test_a_token_comes_from_a_file_or_a_command_alone_or_in_json(read, tmp_path):
    (tmp_path / "token").write_text('{"access_token": "opaque-tok.en", "expires_in": 60}\n')
    (tmp_path / "token").chmod(0o600)
    alone = f'[im]\njid = "{ALICE}"\n[im.oauth]\n'
    config = read(f'{alone}token_file = "token"\n').config
    assert ((await config.token(False)).reveal(), config.password) == (b"opaque-tok.en", None)
    assert "opaque-tok" not in repr(config)
    (tmp_path / "token").write_text("another")
    assert (await config.token(True)).reveal() == b"another"
    (tmp_path / "token").write_text("no token")
    with pytest.raises(AuthenticationFailed, match="not a bearer token"):
        await config.token(False)
    token = await read(f'{alone}command = ["echo", "xyz"]\n').config.token(False)
    assert token.reveal() == b"xyz"
    for wrong in ("", 'token_file = "token"\ncommand = ["a"]\n', "expires_in = 1\n"):
        with pytest.raises(ConfigurationError, match="oauth"):
            read(f"{alone}{wrong}")


def test_nodes_of_im_and_presence_are_read(read):
    found = read(
        f'{NODES}user = "ali"\nxmpp_port = 5223\nversion = "none"\ncertificate_name = "node"\n'
        "check_domain = false\nfollow_home_node = false\ntimeout = 3\n"
    ).config.im_presence
    assert [each.soap_port for each in found.nodes] == [8443, 443]
    assert (found.user, found.xmpp_port, found.version) == ("ali", 5223, "none")
    assert found.timeout == 3.0
    assert found.certificate_name is CertificateName.NODE
    assert not found.check_domain
    assert not found.follow_home_node
    assert found.tls.service is Service.HTTPS
    assert read(ALONE).config.im_presence is None


def test_the_service_is_trusted_by_the_account_s_authorities_or_its_own(read, tmp_path):
    pin = "sha256:" + "0" * 64
    pinned = NODES.replace("[im]", f'pin = "{pin}"\n[im]')
    config = read(pinned).config
    assert (config.tls.pin, config.im_presence.tls.pin) == (pin, None)
    assert config.im_presence.tls.store is config.tls.store
    own = read(f'{NODES}[im.im_presence.tls]\nca = "ca.crt"\npin = "{pin}"\n').config
    assert own.im_presence.tls.pin == pin
    assert own.im_presence.tls.credential is None
    assert own.im_presence.tls.store is not own.tls.store


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("[im.im_presence]\n", "servers is missing"),
        ('[im.im_presence]\nserver = "a"\n', "did you mean 'servers'"),
        ("[im.im_presence]\nservers = []\n", "servers is missing|1 to 8 nodes"),
        ('[im.im_presence]\nservers = ["a"]\nxmpp_port = 0\n', r"im.toml:6: .*xmpp_port"),
        ('allow_plain = true\n[im.im_presence]\nservers = ["a"]\n', "allow_plain"),
    ],
)
def test_a_wrong_table_is_named_with_its_line(read, table, words):
    with pytest.raises(ConfigurationError, match=words):
        read(f"{ALONE}{table}")
