"""How many files a call that comes in runs through, from its octets to `account.incoming()`."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from pathlib import Path

import softphone
from softphone import Phone
from softphone.config import AccountConfig, MediaPreferences, TlsConfig
from softphone.events import CallState
from softphone.security import SrtpPolicy
from tests.support.certificates import authority, raw_server_context, server

MOST_FILES = 40
"""Files of softphone whose functions a call may run through before the application has it.

An engineer who follows a call has no more than these to read.
"""

INVITE = """\
INVITE {uri} SIP/2.0
Via: SIP/2.0/TLS 127.0.0.1:{port};branch=z9hG4bK{number}
Max-Forwards: 70
From: "Bob" <sip:bob@example.test>;tag=b{number}
To: <sip:alice@example.test>
Call-ID: call{number}@example.test
CSeq: 1 INVITE
Contact: <sip:bob@127.0.0.1:{port};transport=tls>
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE
Content-Type: application/sdp
Content-Length: {length}

{body}"""
OFFER = """\
v=0
o=- 9 9 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 40000 RTP/SAVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}
"""


class FilesOfCalls:
    """Counts calls of softphone's own functions, by file; module bodies do not count."""

    def __init__(self) -> None:
        self._root = str(Path(softphone.__file__).parent)
        self.calls: Counter[str] = Counter()

    def __enter__(self) -> FilesOfCalls:
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame, event, _) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(self._root) and frame.f_code.co_name != "<module>":
            self.calls[name.removeprefix(self._root).lstrip("/")] += 1

    def __str__(self) -> str:
        lines = [f"{count:5} {name}" for name, count in sorted(self.calls.items())]
        return "\n".join([f"{len(lines)} files, {self.calls.total()} calls", *lines])


class Server:
    """A registrar without any code of softphone's: it grants each binding, and calls it."""

    def __init__(self) -> None:
        self.port = 0
        self.bound = ""
        self._writer: asyncio.StreamWriter | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer every REGISTER with 200 and its own Contact; everything else is left alone."""
        self._writer = writer
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except asyncio.IncompleteReadError:
                writer.close()
                return
            if head.startswith("REGISTER"):
                fields = [line for line in head.split("\r\n") if re.match("Via|From|Call|CS", line)]
                to = re.search("(?m)^To: .*", head)[0].strip()
                contact = re.search("(?m)^Contact: .*", head)[0].strip()
                self.bound = re.search("<([^>]*)>", contact)[1]
                lines = ["SIP/2.0 200 OK", *fields, f"{to};tag=s", contact, "Expires: 600"]
                writer.write("\r\n".join([*lines, "Content-Length: 0", "", ""]).encode())

    def call(self, number: int) -> None:
        """Send an INVITE."""
        body = OFFER.format(key=f"{number:040}").replace("\n", "\r\n")
        text = INVITE.replace("\n", "\r\n").format(
            uri=self.bound, port=self.port, number=number, length=len(body), body=body
        )
        self._writer.write(text.encode())


async def test_a_call_runs_through_few_files_before_the_application_has_it(tmp_path):
    registrar = Server()
    context = raw_server_context(server().write(tmp_path, "server"))
    listener = await asyncio.start_server(registrar.serve, "127.0.0.1", 0, ssl=context)
    registrar.port = listener.sockets[0].getsockname()[1]
    config = AccountConfig(
        aor="sip:alice@example.test",
        registrar=f"sip:127.0.0.1:{registrar.port};transport=tls",
        tls=TlsConfig(ca=(authority().write(tmp_path),)),
        media=MediaPreferences(srtp=SrtpPolicy.REQUIRED),
    )
    async with listener, Phone() as phone:
        account = await phone.register(config)
        calls = account.incoming()
        registrar.call(1)  # what is made once, and kept, is no part of a call
        (await anext(calls)).reject()
        files = FilesOfCalls()
        registrar.call(2)
        with files:
            call = await anext(calls)
        assert call.state is CallState.TRYING
        call.reject()
        assert len(files.calls) <= MOST_FILES, f"at most {MOST_FILES} files, not\n{files}"
