"""Reading scenarios: what is not supported is named by file and line, all of it at once."""

from __future__ import annotations

import contextlib
import os
import time

import pytest

from softphone.errors import ConfigurationError
from softphone.load.sipp import read_scenario
from softphone.load.sipp.elements.xml_elements import MOST_OCTETS
from softphone.load.sipp.scenario import PauseStep, ReceiveStep, SendStep, ShellCommand
from softphone.load.sipp.template import encode_text
from tests.load.sipp.conftest import send


def refusal(path, **options):
    with pytest.raises(ConfigurationError) as refused:
        read_scenario(path, **options)
    return str(refused.value).replace(f"{path}:", "")


def test_everything_unknown_is_named_by_its_line(scenario):
    text = "\n".join(
        (
            '<recv response="200" colour="red" />',
            "<sample />",
            '<recv response="200"><action>',
            '<setdest host="a" port="1" protocol="udp" />',
            '<exec verify="a.wav" />',
            "</action></recv>",
            '<pause distribution="negbin" n="1" p="0.5" />',
            '<send next="nowhere"><![CDATA[',
            "  OPTIONS sip:a SIP/2.0",
            "  X: [file name=/etc/passwd]",
            "]]></send>",
            '<recv request="INFO" next="nowhere" optional="maybe" />',
        )
    )
    told = refusal(scenario(text)).splitlines()
    for line, what in (
        (3, 'colour="…" is not supported'),
        (4, "<sample> is not supported"),
        (6, "action <setdest> is not supported"),
        (7, '<exec>: verify="…" is not supported'),
        (9, 'distribution="negbin" is not supported'),
        (12, "keyword [file]: a scenario reads files only with --allow-exec"),
        (14, 'optional="maybe" is not supported'),
        (14, "there is no label 'nowhere'"),
    ):
        assert any(each.startswith(f"{line}: ") and what in each for each in told), (line, what)


def test_at_most_fifty_problems_are_named_and_the_others_counted(scenario):
    told = refusal(scenario("<sample />\n" * 60)).splitlines()
    assert len(told) == 51
    assert told[-1] == "… and 11 more"


def test_commands_are_refused_unless_allowed(scenario):
    path = scenario(send("INFO") + '<nop><action><exec command="touch [call_id]" /></action></nop>')
    assert "only with --allow-exec" in refusal(path)
    (_, nop) = read_scenario(path, allow_exec=True).steps
    assert isinstance(nop.actions[0], ShellCommand)


def test_files_are_refused_by_line_unless_allowed(scenario):
    path = scenario(
        send("INFO", more='X: [file name="/etc/hostname"]')
        + '\n<recv response="200"><action><log message="[file name=a.txt]" /></action></recv>'
    )
    told = refusal(path).splitlines()
    assert [each.partition(": ")[2] for each in told] == [
        "keyword [file]: a scenario reads files only with --allow-exec"
    ] * 2
    assert len({each.partition(": ")[0] for each in told}) == 2


@pytest.mark.parametrize(
    ("keyword", "why"),
    [
        ("[file name=none.txt]", "none.txt: No such file or directory"),
        ("[file name=.]", ": it is a folder, not a file"),
        ("[file name=fifo]", "fifo: it is a pipe, not a file"),
        ("[file name=large.txt]", "large.txt: more than 65,535 octets"),
        ("[file name=[field0].txt]", "name= is a fixed name, without keywords"),
        ('[file name="[last_From:]"]', "name= is a fixed name, without keywords"),
        ("[file name=$name]", "name= is a fixed name, without keywords"),
        ('[file name=""]', "name= is a fixed name, without keywords"),
        ("[file ]", "name= is missing"),
        ("[file path=a]", "path= is not supported"),
    ],
)
def test_a_file_that_cannot_be_put_into_a_message_is_named_by_line(scenario, keyword, why):
    path = scenario(send("INFO", more=f"X: {keyword}") + '<recv response="200" />')
    os.mkfifo(path.with_name("fifo"))
    path.with_name("large.txt").write_text("x" * 65_536)
    told = refusal(path, allow_exec=True)
    assert "keyword [file]: " in told
    assert told.endswith(why)


def test_an_allowed_file_is_read_once_from_beside_the_scenario_or_here(
    scenario, tmp_path, monkeypatch
):
    path = scenario(send("INFO", more='X: [file name="a b.txt"]\nY: [file name=here.txt]'))
    path.with_name("a b.txt").write_bytes(b"secret\xff[call_id]")
    here = tmp_path / "elsewhere"
    here.mkdir()
    (here / "here.txt").write_text("z")
    monkeypatch.chdir(here)
    (step,) = read_scenario(path, allow_exec=True).steps
    marks = [each for each in step.message.keywords() if each.name == "file"]
    texts = [each.argument("text", None) for each in marks]
    # Not a keyword of the scenario, and octets that are no UTF-8 stay what they are.
    assert [encode_text(text) for text in texts] == [b"secret\xff[call_id]", b"z"]
    assert "secret" not in repr(step)


def test_a_keyword_of_the_user_is_known_by_its_name(scenario):
    path = scenario(send("INFO", more="X-Exten: [exten]"))
    assert "[exten] is not supported" in refusal(path)
    assert read_scenario(path, keys={"exten": "600"}).steps


def test_steps_are_typed(scenario):
    text = send("INVITE", attributes='retrans="500"')
    text += '<recv response="180" optional="true" /><recv request="BYE" optional="global" />'
    text += '<recv response="200" rrs="true" timeout="100" /><pause />'
    steps = read_scenario(scenario(text)).steps
    assert [type(step) for step in steps] == [SendStep, *[ReceiveStep] * 3, PauseStep]
    assert (steps[0].message.method, steps[0].retransmit_ms) == ("INVITE", 500)
    assert [step.optional for step in steps[1:4]] == [True, True, False]
    assert [step.anywhere for step in steps[1:4]] == [False, True, False]
    assert (steps[3].record_route, steps[3].timeout_ms) == (True, 100)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<scenario>", "this is no XML"),
        ("<other />", "expected <scenario>"),
        ("<scenario></scenario>", "there is no send and no recv"),
        ("<scenario><send><![CDATA[\n\n]]></send></scenario>", "no message to send"),
        ("<scenario><recv /></scenario>", "either request or response"),
        ('<scenario><recv response="2x0" /></scenario>', "response='2x0' is not supported"),
        ('<scenario><recv request="A" timeout="-1" /></scenario>', 'timeout="-1": expected a'),
        (
            '<scenario><recv request="A" /><pause distribution="gamma" k="0" theta="1" />'
            "</scenario>",
            "k and theta have to be above 0",
        ),
        ('<scenario><label id="a" /><label id="a" /></scenario>', "label 'a' is there twice"),
        ('<scenario><init><pause /></init><recv request="A" /></scenario>', "<pause> is not"),
        ('<scenario><init><nop next="a" /></init></scenario>', 'next="…" is not supported'),
        ('<scenario><recv request="A">text</recv></scenario>', "has text"),
        (
            '<!DOCTYPE scenario [<!ENTITY a "aaaa">]><scenario name="&a;" />',
            "an entity is declared",
        ),
        (
            '<!DOCTYPE scenario [<!ATTLIST nop a CDATA "aaaa">]><scenario><nop /></scenario>',
            "attributes are declared",
        ),
        ('<?xml version="1.0" encoding="utf-7"?><scenario />', "encoding is not read"),
        ('<?xml version="1.0" encoding="hex"?><scenario />', "encoding is not read"),
    ],
)
def test_a_faulty_file_is_told_with_its_line(tmp_path, text, told):
    path = tmp_path / "faulty.xml"
    path.write_text(text)
    assert told in refusal(path)


def test_a_document_type_is_tolerated_and_never_fetched(tmp_path):
    path = tmp_path / "typed.xml"
    path.write_text(
        '<!DOCTYPE scenario SYSTEM "/dev/zero"><scenario><recv request="OPTIONS" /></scenario>'
    )
    assert len(read_scenario(path).steps) == 1


def test_size_and_depth_are_bounded(tmp_path):
    path = tmp_path / "large.xml"
    for text, told in (
        ("<scenario>" + " " * MOST_OCTETS + "</scenario>", "too large"),
        ("<scenario>" + "<a>" * 9, "too many elements"),
        ("<scenario>" + "<a/>" * 20_001 + "</scenario>", "too many elements"),
        ("<scenario " + " ".join(f'a{n}=""' for n in range(40_001)) + "/>", "too large"),
    ):
        path.write_text(text)
        assert told in refusal(path)


def test_reading_takes_time_in_line_with_the_size(tmp_path):
    """Long texts, many keywords and many brackets: twice the size takes about twice the time."""
    path = tmp_path / "long.xml"

    def seconds(text, times):
        path.write_text(f"<scenario><send><![CDATA[\nX\n{text * times}]]></send></scenario>")
        began = time.process_time()
        with contextlib.suppress(ConfigurationError):  # it is long, not right
            read_scenario(path)
        return time.process_time() - began

    for text in ("[call_id]", "[", "[field0 line=", "a\n", "x "):
        small = min(seconds(text, 4_000) for _ in range(2))
        large = min(seconds(text, 16_000) for _ in range(2))
        assert large < 12 * max(small, 0.01), text
