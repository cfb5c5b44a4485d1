"""Texts whose secrets are marked, through the mask and through everything that shows text.

In `tests/data/redact` a secret stands between ⟦ and ⟧; a file that begins a SIP message is one.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from softphone.cli.console.output import CommandOutput
from softphone.cli.console.runner import _LogHandler
from softphone.diagnostics import Ladder, MaskingFormatter, mask
from softphone.diagnostics.capture import Capture
from softphone.sans_io import Flow, Transport

FOLDER = Path(__file__).parents[1] / "data" / "redact"
CORPUS = {path.stem: path.read_text() for path in FOLDER.glob("*.txt")}
SECRET = re.compile("⟦(.*?)⟧")
FLOW = Flow(1, Transport.UDP, ("192.0.2.1", 5060), ("192.0.2.2", 5060))
MESSAGES = sorted(name for name, text in CORPUS.items() if " SIP/2.0" in text.partition("\n")[0])


def clear(name):
    """The text as it is met."""
    return SECRET.sub(r"\1", CORPUS[name])


def secrets(name):
    return [secret.strip("\"'") for secret in SECRET.findall(CORPUS[name])]


def message(name):
    """The octets of a SIP message with the right Content-Length."""
    head, _, body = clear(name).replace("\n", "\r\n").partition("\r\n\r\n")
    octets = body.encode()
    return (
        head.replace("Content-Length: 0", f"Content-Length: {len(octets)}") + "\r\n\r\n"
    ).encode() + octets


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_every_secret_and_nothing_else_is_masked(name):
    assert secrets(name)
    assert mask(clear(name)) == SECRET.sub("***", CORPUS[name])
    crlf = clear(name).replace("\n", "\r\n")
    assert mask(crlf) == SECRET.sub("***", CORPUS[name]).replace("\n", "\r\n")


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_masked_evenly_every_length_stays(name):
    expected = SECRET.sub(lambda found: "*" * len(found[1]), CORPUS[name])
    assert mask(clear(name), evenly=True) == expected


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_masking_again_changes_nothing(name):
    once = mask(clear(name))
    assert mask(once) == once


@pytest.mark.parametrize("name", MESSAGES)
def test_no_secret_is_in_a_ladder(name):
    ladder = Ladder()
    ladder.signaling(message(name), flow=FLOW, outgoing=False, now=1.0)
    shown = ladder.text() + ladder.transcript()
    assert "malformed" not in shown
    assert "CSeq" in shown
    assert [secret for secret in secrets(name) if secret in shown] == []


@pytest.mark.parametrize("name", MESSAGES)
def test_no_secret_is_in_a_capture(name, tmp_path):
    capture = Capture(tmp_path / "x.pcapng")
    capture.signaling(message(name), flow=FLOW, outgoing=False, now=1.0)
    capture.close()
    data = (tmp_path / "x.pcapng").read_bytes()
    assert b"CSeq" in data
    assert [secret for secret in secrets(name) if secret.encode() in data] == []


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_no_secret_is_in_a_log(name, capsys):
    shown = []
    handler = logging.Handler()
    handler.emit = lambda record: shown.append(MaskingFormatter("%(message)s").format(record))
    logger = logging.Logger("of.the.test")
    logger.addHandler(handler)
    logger.addHandler(_LogHandler(CommandOutput(json=False)))
    try:
        raise ValueError(clear(name))
    except ValueError as error:
        logger.exception("%s", error)
    said = capsys.readouterr()
    text = "".join(shown) + said.out + said.err
    assert "ValueError" in text
    assert [secret for secret in secrets(name) if secret in text] == []
