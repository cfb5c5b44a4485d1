"""`softphone sign-in` at the lab's cluster: what a person and a script see, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest

from softphone.cli.console.options import CertificateOptions
from softphone.cli.console.output import CommandOutput
from softphone.cli.discovery.options import SignInOptions
from softphone.cli.discovery.sign_in import _print_messages, _string_prompt, _watched, sign_in_user
from softphone.discovery.jabber_config import SECURITY_KEYS
from softphone.errors import AuthenticationFailed
from softphone.phone.user_sign_in import UserService
from tests.support.terminal import Terminal
from tests.support.waiting import until


@pytest.fixture
def ready(lab):
    return json.loads((lab["carol"].parent / "lab.json").read_text())


@pytest.fixture
def options(lab, ready, tmp_path):
    """The options with which the lab's cluster is found and believed."""
    folder = lab["carol"].parent

    def of(user, *more):
        return (
            *("sign-in", f"{user}@example.test", "--nameserver", ready["dns"]),
            *("--ca", folder / "ca.crt", "--password-file", folder / f"{user}.secret"),
            *("--xmpp-port", ready["im_presence_xmpp"].rpartition(":")[2]),
            *("--cache", tmp_path / "found", "--device-store", tmp_path / user),
            *("--store", tmp_path / "store", *more),
        )

    return of


def services(ended):
    return {name: each["outcome"] for name, each in ended.summary["services"].items()}


def test_a_script_gets_each_step_and_each_service(cli, options):
    ended = cli(*options("carol", "--once", "--json"))
    assert ended.code == 0, ended.err
    assert set(services(ended).values()) == {"signed in"}
    states = {each["name"]: each for each in ended.events if each["event"] == "service_state"}
    assert [name for name in states if states[name]["lock"]] == ["chat", "directory", "voicemail"]
    steps = [each for each in ended.events if each["event"] == "step"]
    assert {"home cluster", "boot", "presence domain", "phone"} <= {each["name"] for each in steps}
    assert [each for each in steps if not each["why"]] == []
    settings = {each["key"]: each["applies"] for each in ended.events if each["event"] == "setting"}
    assert settings["Disable_IM_History"] is True


def test_a_person_sees_a_lock_for_each_service(cli, options, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    ended = cli(*options("dave", "--once"))
    assert ended.code == 0, ended.err
    assert ended.out.count("\N{LOCK}") == 3
    assert "no soft phone" in ended.out
    assert "Disable_IM_History: true applies" in ended.out
    assert "dave@example.test was signed in" in ended.out


def test_outside_it_goes_through_the_edge_and_shows_no_lock(cli, options, ready, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    more = ("--once", "--inside", "corp.example", "--nameserver", ready["dns_outside"])
    words = options("carol", *more)
    at = words.index("--nameserver")
    ended = cli(*words[:at], *words[at + 2 :])
    assert ended.code == 0, ended.err
    assert "\N{LOCK}" not in ended.out
    assert "edge: edge.example.test:" in ended.out
    assert "the edge server" in ended.out
    assert "carol@presence.lab.test by CISCO-VTG-TOKEN" in ended.out
    assert "carol@example.test was signed in" in ended.out


def test_a_failure_is_told_with_its_reason_and_hides_nothing(cli, options, lab, tmp_path):
    """The mailbox's password is wrong: the other services are signed in to."""
    wrong = tmp_path / "wrong.secret"
    wrong.write_text("guessed-password\n")
    wrong.chmod(0o600)
    only = ("--only", "directory", "--only", "voicemail")
    ended = cli(*options("dave", "--once", "--json", *only, "--voicemail-password-file", wrong))
    assert ended.code == 1
    found = services(ended)
    assert (found["directory"], found["voicemail"]) == ("signed in", "failed")
    assert found["chat"] == found["phone"] == "left out"
    assert ended.summary["reason"] == "not signed in to: voicemail"
    (error,) = (each for each in ended.events if each["event"] == "error")
    assert "401" in error["message"]
    assert "guessed-password" not in ended.out + ended.err


@pytest.fixture
def by_token(options):
    """The options with the tokens of a file in place of the password."""

    def of(user, folder, *more):
        words = options(user, *more)
        at = words.index("--password-file")
        account = folder / f"sign-on-{user}.toml"
        return (*words[:at], *words[at + 2 :], "--sign-on", account)

    return of


BROWSER = """
import base64, ssl, sys, urllib.request as web

authority, user, password, url = sys.argv[1:]
signed_in = web.Request(url)
given = base64.b64encode(f"{user}:{password}".encode()).decode()
signed_in.add_unredirected_header("Authorization", f"Basic {given}")
trusted = web.HTTPSHandler(context=ssl.create_default_context(cafile=authority))
opened = web.build_opener(web.ProxyHandler({}), trusted)
opened.open(signed_in, timeout=30).read()
"""


def test_tokens_sign_in_and_the_browser_is_opened_only_without_one(cli, by_token, lab, monkeypatch):
    """The first sign-in opens a browser, the second uses the stored token."""
    folder = lab["carol"].parent
    secret = (folder / "bob.secret").read_text().strip()
    browser = [sys.executable, "-c", BROWSER, f"{folder}/ca.crt", "bob", secret, "%s"]
    monkeypatch.setattr(webbrowser, "open", webbrowser.GenericBrowser(browser).open)
    only = ("--only", "chat", "--only", "directory", "--presence-domain", "presence.lab.test")
    words = by_token("bob", folder, "--once", "--json", *only, "--no-prompt")
    alone = cli(*words)
    assert alone.code == 1
    assert "there is no token" in alone.err
    words = tuple(each for each in words if each != "--no-prompt")
    for browsers in (1, 0):
        ended = cli(*words)
        assert ended.code == 0, ended.err
        assert ended.names().count("browser") == browsers
        assert services(ended) == {
            "phone": "left out",
            "chat": "signed in",
            "directory": "signed in",
            "voicemail": "left out",
        }
        chat = ended.summary["services"]["chat"]
        assert "by OAUTHBEARER" in chat["detail"]
    stored = json.loads((folder / "tokens" / "bob.json").read_text())
    for each in ("access_token", "refresh_token"):
        assert stored[each] not in ended.out + ended.err


def test_a_device_that_has_to_enroll_says_what_it_needs(cli, options):
    ended = cli(*options("alice", "--once", "--json", "--only", "phone"))
    assert ended.code == 1
    assert services(ended)["phone"] == "failed"
    assert "--auth-string" in ended.err


def test_it_stays_until_it_is_interrupted_and_signs_out(start, options):
    process = start(*options("carol", "--json", "--only", "phone", "--only", "voicemail"))
    process.until('"mailbox"')
    ended = process.end(signal.SIGINT)
    assert ended.code == 130
    assert ended.summary["reason"] == "interrupted"
    assert [each["state"] for each in ended.events if each["event"] == "registration"][-1] == (
        "unregistered"
    )


@pytest.mark.parametrize(
    ("only", "awaited", "states"),
    [
        (None, "mailbox", ["unregistered"]),
        (["directory"], "service_state", []),
    ],
    ids=["all", "directory"],
)
async def test_each_service_is_watched_and_interrupting_signs_out(
    lab, ready, tmp_path, capsys, only, awaited, states
):
    """The same in this process, where its branches are recorded, and with the chat."""
    folder = lab["carol"].parent
    options = SignInOptions(
        account="carol@example.test",
        nameserver=[ready["dns"]],
        ca=[str(folder / "ca.crt")],
        password_file=folder / "carol.secret",
        xmpp_port=int(ready["im_presence_xmpp"].rpartition(":")[2]),
        cache=tmp_path / "found",
        device_store=tmp_path / "carol",
        trust=CertificateOptions(store=tmp_path / "store"),
        only=only,
    )
    printed = []

    def events():
        printed.append(capsys.readouterr().out)
        return [json.loads(line) for line in "".join(printed).splitlines()]

    running = asyncio.ensure_future(sign_in_user(CommandOutput(json=True, summary={}), options))
    await until(lambda: any(each.get("event") == awaited for each in events()))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    ended = events()
    assert ended[-1]["reason"] == "interrupted"
    assert [each["state"] for each in ended if each.get("event") == "registration"] == states


WITHOUT_SLIXMPP = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "slixmpp":
            raise ModuleNotFoundError(name, name="slixmpp")

sys.meta_path.insert(0, Missing())
from softphone.cli import main
main()
"""


def test_without_the_extra_of_the_chat_the_other_services_are_signed_in_to(options):
    only = ("--only", "chat", "--only", "directory", "--once", "--json")
    command = [sys.executable, "-c", WITHOUT_SLIXMPP, *map(str, options("dave", *only))]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert {name: each["outcome"] for name, each in summary["services"].items()} == {
        "phone": "left out",
        "chat": "failed",
        "directory": "signed in",
        "voicemail": "left out",
    }
    assert "instant messages need slixmpp: " in summary["services"]["chat"]["why"]
    assert ended.returncode == 1


class EndedChat:
    """A phone whose chat has ended, by itself or by an error."""

    def __init__(self, error=None):
        self.messages = self
        self.error = error

    async def __aiter__(self):
        for each in ():
            yield each


async def test_a_chat_that_has_ended_is_lost_by_its_error_if_it_has_one():
    output = CommandOutput(json=True)
    await _print_messages(output, EndedChat())
    with pytest.raises(AuthenticationFailed, match="the server wants another password"):
        await _print_messages(
            output, EndedChat(AuthenticationFailed("the server wants another password"))
        )


async def test_a_service_that_is_lost_is_told_with_its_reason(capsys):
    async def refused():
        raise AuthenticationFailed("the server wants another password")

    output = CommandOutput(json=True)
    await _watched(output, UserService.CHAT, refused())
    await _watched(output, UserService.VOICEMAIL, asyncio.sleep(0))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    lost = [(each["name"], each["why"]) for each in told if each["event"] == "service_lost"]
    assert lost == [
        ("chat", "the server wants another password"),
        ("voicemail", "the server has signed us out"),
    ]


@pytest.mark.parametrize(
    "more",
    [
        ("--only", "mail"),
        ("--pin", "x"),
        ("--presence-domain", "no domain"),
        ("--voicemail-password-file", "/nonexistent"),
        ("--xmpp-port", "0"),
        ("--edge-xmpp", "never"),
        ("--device-code",),
        ("--sign-on", "sign-on.toml"),
    ],
)
def test_what_cannot_be_meant_is_exit_code_2(cli, options, more):
    ended = cli(*options("carol", *more))
    assert ended.code == 2, ended.err


def test_without_a_password_nothing_is_sent(cli, options):
    words = options("carol", "--json")
    at = words.index("--password-file")
    ended = cli(*words[:at], *words[at + 2 :])
    assert ended.code == 2
    assert "--password-file" in ended.err


@pytest.mark.parametrize(("typed", "string"), [("1234\n", b"1234"), ("\n", None)])
async def test_a_person_is_asked_for_the_authentication_string(typed, string):
    with Terminal() as terminal, terminal.attended():
        options = SignInOptions(account="a@example.test")
        ask = _string_prompt(CommandOutput(json=False), options)
        asked = asyncio.ensure_future(ask("CSFALICE"))
        await until(lambda: "CSFALICE" in terminal.look())
        terminal.type(typed)
        given = await asked
        assert (None if given is None else given.reveal()) == string
    assert _string_prompt(CommandOutput(json=True), options) is None


def test_the_page_says_what_is_done_for_every_setting():
    page = Path(__file__).parents[3] / "docs" / "guides" / "sign-in.md"
    table = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    assert [key for key in SECURITY_KEYS if not any(f"`{key}`" in line for line in table)] == []
