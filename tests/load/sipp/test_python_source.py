"""Scenarios as Python: what `python_source` writes does what the XML does, and code adds to it."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace

import pytest

from softphone.errors import ConfigurationError
from softphone.load.sipp import RunSettings, SippEndpoint, python_source, read_scenario
from softphone.load.sipp.scenario import SearchAction
from tests.load.sipp.conftest import Played, flow_over, head_of, send
from tests.load.sipp.exchange import DATA, PAIRS, exchange


@pytest.fixture
def imported(tmp_path):
    """`imported(PATH)` gives the scenario that the Python file for one says."""

    def read(path, **settings):
        shutil.copy(DATA / "tone.ulaw", tmp_path)  # is beside its scenario
        written = tmp_path / f"{path.stem}_imported.py"
        written.write_text(python_source(path, **settings))
        return read_scenario(written, **settings)

    return read


def without_lines(scenario):
    """A scenario whose steps and searches are in no line."""
    steps = [
        replace(
            step,
            line=0,
            actions=tuple(
                replace(each, line=0) if isinstance(each, SearchAction) else each
                for each in step.actions
            ),
        )
        for step in (*scenario.begins_with, *scenario.steps)
    ]
    return (scenario.name, scenario.labels, steps, scenario.global_variables)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_what_is_imported_sends_what_the_scenario_sends(imported, pair):
    paths = [DATA / f"{name}.xml" for name in (pair.client, pair.server)]
    read = [read_scenario(path) for path in paths]
    written = [imported(path) for path in paths]
    assert [without_lines(each) for each in written] == [without_lines(each) for each in read]
    assert exchange(*written, pair) == exchange(*read, pair)


HOSTILE = [
    "plain",
    'three """ quotes',
    "''' and \\",
    "a\\nb \\x5bcall_id\\x5d",
    "{braces} %s #comment",
    "\\",
    "both \"kinds\" of 'quotes'",
    "\u2028 line \u00e9",
    '"""\n__import__("os").abort()\n"""',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_scenario_is_run(imported, scenario, text):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    escaped = escaped.replace("\n", "&#10;")
    one_line = text.replace("\n", " ")
    path = scenario(
        send("INFO", more=f"X-Text: {one_line}")
        + f'<nop next="{escaped}"><action><log message="{escaped}" /></action></nop>'
        + f'<label id="{escaped}" />'
    )
    assert without_lines(imported(path)) == without_lines(read_scenario(path))


def test_no_name_of_a_file_declares_an_encoding(scenario, tmp_path):
    """In UTF-7 a literal ends where its base64 says so, and what follows is code."""
    code = base64.b64encode('"); raise SystemExit("run"); ("'.encode("utf-16-be")).decode()
    path = tmp_path / "call coding=utf-7 .xml"
    text = scenario(send("INFO")).read_text()
    path.write_text(text.replace("<send", f'<label id="+{code.rstrip("=")}-" /><send', 1))
    written = tmp_path / "call.py"
    written.write_text(python_source(path))
    assert without_lines(read_scenario(written))[1:] == without_lines(read_scenario(path))[1:]


def test_what_is_not_supported_is_told_by_the_line_in_xml(scenario):
    path = scenario(send("INFO") + "\n<sample />\n<nop other='1' />")
    with pytest.raises(ConfigurationError) as refused:
        python_source(path)
    assert str(refused.value).count("\n") == 1
    assert "<sample> is not supported" in str(refused.value)


def test_commands_stay_refused_without_leave(imported, scenario, tmp_path):
    path = scenario(send("INFO") + '<nop><action><exec command="true" /></action></nop>')
    with pytest.raises(ConfigurationError, match="only with --allow-exec"):
        python_source(path)
    imported(path, allow_exec=True)
    (written,) = tmp_path.glob("*_imported.py")
    with pytest.raises(ConfigurationError, match=rf"{written}:[0-9]+: <exec command>"):
        read_scenario(written)


CODE = """
from softphone.load.sipp import MessageScenario, action

scenario = MessageScenario("made")
MESSAGE = '''
    {method} sip:b@[remote_ip] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From: <sip:a@[local_ip]>;tag=a
    To: <sip:b@[remote_ip]>
    Call-ID: [call_id]
    CSeq: [cseq] {method}
    X-Sum: [$sum]
    Content-Length: [len]
'''


def add_up(call):
    sum = call.variables.number("sum")
    call.variables.assign("sum", sum + len(call.last.values("X-Part")))


for method in ("INFO", "OPTIONS"):
    scenario.send(MESSAGE.format(method=method), retrans=500)
    scenario.recv(response=200, actions=[add_up])
scenario.send(MESSAGE.format(method="MESSAGE"))
"""


def play_code(tmp_path, code):
    path = tmp_path / "made.py"
    path.write_text(code)
    return Played(SippEndpoint(RunSettings(read_scenario(path), 7), limit=1), flow_over())


def test_code_makes_steps_and_its_functions_are_actions(tmp_path):
    played = play_code(tmp_path, CODE)
    assert played.call() == ["INFO sip:b@127.0.0.1 SIP/2.0"]
    played.get(head_of("200", "for INFO", "X-Part: a", "X-Part: b"))
    played.get(head_of("200", "for OPTIONS", "X-Part: c", cseq=2))
    assert b"X-Sum: 3.000000" in played.sent[-1]


def test_a_function_that_raises_fails_its_call_and_tells_no_text(tmp_path):
    played = play_code(tmp_path, CODE.replace("call.last.values", "call.last.secret"))
    played.call()
    played.get(head_of("200", "for INFO"))
    (outcome,) = played.outcomes
    assert outcome.cause.startswith("AttributeError of a function in line ")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("scenario = 1", "has no MessageScenario named 'scenario'"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        (CODE + "scenario.nop(other=1)\n", r"made.py:26: <nop>: other="),
        (CODE + "scenario.send('INFO [unknown]')\n", r"made.py:26: keyword \[unknown\]"),
        (CODE + "scenario.nop(actions=[action('none')])\n", "made.py:26: action <none>"),
    ],
)
def test_a_faulty_file_of_code_is_told_with_its_line(tmp_path, code, told):
    with pytest.raises(ConfigurationError, match=told):
        play_code(tmp_path, code)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no file"):
        read_scenario(tmp_path / "none.py")
