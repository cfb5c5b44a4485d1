"""Whoever asks the lab for a file chooses the name; it is logged, one line each."""

from __future__ import annotations

import asyncio
import logging

import pytest

from softphone.lab import Authority
from softphone.lab.cucm.file_service import FileService


@pytest.mark.parametrize(
    "path", ["a%0AERROR%20forged", "a%1b[2J", "..%2f..%2fetc%2fpasswd", "%00", "../../etc/passwd"]
)
async def test_a_name_with_a_line_break(tmp_path, caplog, path):
    caplog.set_level(logging.DEBUG, "softphone.lab")
    asked = []
    credential = Authority().server("lab").write(tmp_path, "server")
    async with FileService(asked.append, credential) as service:
        reader, writer = await asyncio.open_connection(*service.addresses["http"])
        writer.write(f"GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    assert answer.split(b" ")[1] in (b"404", b"400")
    assert all(name.isprintable() for name in asked)
    assert all(record.getMessage().isprintable() for record in caplog.records)
