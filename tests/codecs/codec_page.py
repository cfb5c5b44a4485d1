"""The codecs as a page of the docs: `python -m tests.codecs.codec_page [--write]`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from softphone_codecs import StatefulCodec, find_codec
from softphone_codecs.registry import CODECS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "codecs.md"
TEXT = """\
# Audio codecs

What `codecs` of `[media]` in an account file may list, in order of preference: the first that both
ends have is spoken. Made by `python -m tests.codecs.codec_page --write` from the codecs themselves.

| `codecs` | rtpmap | fmtp | samples, Hz | packet, ms | for each stream | what it is |
|---|---|---|---|---|---|---|
"""


APART = {
    "PCMU": "This is mu-law, of North America and Japan",
    "PCMA": "This is A-law, of the rest of the world",
    "L16": "This is narrowband, 8,000 samples a second",
    "L16/16000": "This is wideband, 16,000 samples a second",
}
"""What sets codecs apart that one module makes."""


def codec_page() -> str:
    """The page as the registry has it."""
    rows = []
    for name in CODECS:
        codec = find_codec(name)
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        rtpmap = f"`{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}`"
        state = "encoder and decoder" if isinstance(codec, StatefulCodec) else "nothing"
        listed = f'`"{name}"`'
        module = import_module(type(codec).__module__)
        what = " ".join((module.__doc__ or "").partition("\n\n")[0].split())
        what = f"{what} {APART[name]}." if name in APART else what
        cells = (listed, rtpmap, f"`{codec.fmtp}`" if codec.fmtp else "")
        rows.append((*cells, f"{codec.sample_rate:,}", str(codec.ptime), state, what))
    return TEXT + "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(codec_page())
    else:
        print(codec_page(), end="")
