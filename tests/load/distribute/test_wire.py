"""Lines between a crew and its workers."""

from __future__ import annotations

import pytest

from softphone.load.distribute.worker_channel import decode_line, encode_line


def test_a_line_comes_back_as_it_went():
    line = encode_line("second", {"at": 1.0, "causes": {"486 Busy Here\n": 2}})
    assert line.count(b"\n") == 1
    assert decode_line(line) == ("second", {"at": 1.0, "causes": {"486 Busy Here\n": 2}})
    assert decode_line(encode_line("go")) == ("go", None)


@pytest.mark.parametrize("line", [b"", b"x\n", b"[]\n", b"{}\n", b'{"a":1,"b":2}\n', b"\xff\n"])
def test_anything_else_is_refused(line):
    with pytest.raises(ValueError, match=r"."):
        decode_line(line)
