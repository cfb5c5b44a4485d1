"""parse(print(x)) == x for descriptions and crypto lines; hostile text is only ever refused."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from softphone.sdp import (
    Attribute,
    Bandwidth,
    Connection,
    Crypto,
    KeyParameter,
    MalformedDescription,
    MediaDescription,
    Origin,
    SessionDescription,
    TimeDescription,
    UnreadableCrypto,
    read_crypto,
)
from softphone.sdp.codecs import read_formats
from softphone.security import KeyMaterial

TOKEN = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`{|}~", min_size=1, max_size=12)
TEXT = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n\0"), max_size=30
)
NUMBER = st.integers(0, 2**53)
CONNECTION = st.one_of(
    st.ip_addresses(v=4).map(lambda address: Connection(str(address))),
    st.ip_addresses(v=6).map(lambda address: Connection(str(address), "IP6")),
    st.just(Connection("host.example.com")),
    st.just(Connection("233.252.0.1", suffix="/127/3")),
)
ATTRIBUTE = st.builds(Attribute, TOKEN, st.none() | TEXT)
BANDWIDTH = st.builds(Bandwidth, TOKEN, NUMBER)
RTP_FORMATS = st.lists(st.integers(0, 127).map(str), min_size=1, max_size=5).map(tuple)


def few(strategy):
    return st.lists(strategy, max_size=4).map(tuple)


RTP = st.builds(
    MediaDescription,
    media=TOKEN,
    port=st.integers(0, 65535),
    protocol=st.sampled_from(["RTP/AVP", "RTP/SAVP", "RTP/AVPF", "UDP/TLS/RTP/SAVPF"]),
    formats=RTP_FORMATS,
    port_count=st.integers(1, 9999),
    title=st.none() | TEXT,
    connections=few(CONNECTION),
    bandwidth=few(BANDWIDTH),
    attributes=few(ATTRIBUTE),
)
OTHER = st.builds(
    MediaDescription,
    media=TOKEN,
    port=st.integers(0, 65535),
    protocol=st.sampled_from(["udptl", "TCP/MSRP", "UDP/BFCP"]),
    formats=st.lists(TOKEN, min_size=1, max_size=3).map(tuple),
)
DESCRIPTION = st.builds(
    SessionDescription,
    origin=st.builds(Origin, TOKEN, TOKEN, NUMBER, TOKEN, TOKEN, TOKEN),
    media=few(RTP | OTHER),
    session_name=TEXT.filter(bool),
    information=st.none() | TEXT,
    uri=st.none() | TEXT,
    emails=few(TEXT),
    phones=few(TEXT),
    connection=st.none() | CONNECTION,
    bandwidth=few(BANDWIDTH),
    times=st.lists(
        st.builds(TimeDescription, NUMBER, NUMBER, few(TEXT)), min_size=1, max_size=3
    ).map(tuple),
    zone=st.none() | TEXT,
    attributes=few(ATTRIBUTE),
)


@settings(max_examples=150, deadline=None)
@given(DESCRIPTION)
def test_a_printed_description_reads_as_it_was(description):
    assert SessionDescription.parse(description.encode()) == description


LETTERS = st.sampled_from([f"{letter}=" for letter in "vosiuepcbtrzkamx"])
LINES = st.lists(st.builds(str.__add__, LETTERS, TEXT), max_size=12)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | LINES.map(lambda lines: "\r\n".join(["v=0", *lines]).encode()))
def test_hostile_bytes_are_refused_and_nothing_else(data):
    try:
        description = SessionDescription.parse(data)
    except MalformedDescription:
        return
    assert SessionDescription.parse(description.encode()) == description


HOSTILE = st.lists(
    st.builds(
        Attribute,
        st.sampled_from(["crypto", "rtpmap", "fmtp", "rtcp-fb", "rtcp", "ptime"]),
        TEXT | st.just("96 opus/48000/2"),
    ),
    max_size=6,
)


@settings(max_examples=200, deadline=None)
@given(RTP_FORMATS, HOSTILE)
def test_hostile_attributes_never_raise(formats, attributes):
    media = MediaDescription("audio", 4, "RTP/SAVP", formats, attributes=tuple(attributes))
    read_formats(media)
    lines = read_crypto(media)
    assert len(lines) == sum(1 for attribute in attributes if attribute.name == "crypto")


KEY = st.builds(
    lambda data, lifetime, mki: KeyParameter(KeyMaterial(data), lifetime, *mki),
    st.binary(min_size=1, max_size=64),
    st.none() | st.integers(1, 2**48) | st.integers(1, 48).map(lambda power: 1 << power),
    st.just((None, 0)) | st.tuples(st.integers(0, 2**31), st.integers(1, 128)),
)
CRYPTO = st.builds(
    Crypto,
    tag=st.integers(0, 999_999_999),
    suite_name=st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=64),
    key_params=st.lists(KEY, min_size=1, max_size=3).map(tuple),
    session_params=few(TOKEN),
)


@settings(max_examples=150, deadline=None)
@given(CRYPTO)
def test_a_printed_crypto_line_reads_as_it_was(crypto):
    assert Crypto.parse(crypto.to_wire()).to_wire() == crypto.to_wire()


@settings(max_examples=100, deadline=None)
@given(CRYPTO, st.integers(0, 200), st.characters(blacklist_categories=["Cs"]))
def test_a_damaged_crypto_line_is_read_or_said_to_be_unreadable(crypto, position, character):
    text = crypto.to_wire()
    damaged = text[:position] + character + text[position + 1 :]
    media = MediaDescription(
        "audio", 4, "RTP/SAVP", ("0",), attributes=(Attribute("crypto", damaged),)
    )
    (line,) = read_crypto(media)
    assert isinstance(line, Crypto | UnreadableCrypto)
