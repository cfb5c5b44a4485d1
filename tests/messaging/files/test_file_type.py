"""A file is what its first bytes say."""

from __future__ import annotations

import pytest

from softphone.messaging.files.file_type import HEAD, media_type_of


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"MZ\x90\0", "application/x-msdownload"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"#!/bin/sh", "text/x-script"),
        (b"<!DOCTYPE html><html>", "text/html"),
        ("gr\u00fc\u00df dich".encode(), "text/plain"),
        (("\u00fc" * HEAD).encode()[: HEAD - 1], "text/plain"),
        (b"", "text/plain"),
        (b"a\0b", "application/octet-stream"),
        (b"\xff\xfe\xfd" * 50, "application/octet-stream"),
    ],
)
def test_a_type_is_told_from_bytes(head, kind):
    assert media_type_of(head) == kind
