"""Detects the media type of a file by its first bytes; the name is ignored.

It knows the media types (RFC 6838) of common formats, and tells text from binary data.  It neither
opens files nor decodes content.
"""

from __future__ import annotations

HEAD = 512
"""The number of bytes of a file that are examined."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (8, b"WEBP", "image/webp"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"MZ", "application/x-msdownload"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"#!", "text/x-script"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (4, b"ftyp", "video/mp4"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "application/ogg"),
)
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/bmp", "image/webp"})


def media_type_of(head: bytes) -> str:
    """Return the media type of a file by its first bytes; application/octet-stream if unknown."""
    for place, magic, name in _MAGIC:
        if head[place : place + len(magic)] == magic:
            return name
    if b"\0" in head:
        return "application/octet-stream"
    try:
        head.decode()
    except UnicodeDecodeError as exc:
        # The end of `head` may cut the last UTF-8 character.
        if exc.start < len(head) - 3:
            return "application/octet-stream"
    return "text/html" if b"<html" in head.lower() else "text/plain"
