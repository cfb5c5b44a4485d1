"""Reads JSON messages of bots and services: bounded, and without a word of theirs in an error."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

MOST_PARTS = 8192
"""The most brackets and commas of a message: a long answer's text has hundreds."""


def parse_object(message: str | bytes, most_parts: int = MOST_PARTS) -> Mapping[str, Any]:
    """Return a JSON object.  Raises ValueError, in words that hold nothing of the message."""
    if isinstance(message, bytes):
        try:
            message = message.decode()
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8") from None
    if sum(map(message.count, "[{,")) > most_parts:
        # To build a megabyte of small values takes a third of a second.
        raise ValueError("it has too many parts")
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def object_in(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object that is a field of another one; an empty one if there is none."""
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def objects_in(parent: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list that is a field of an object."""
    found = parent.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def text_in(parent: Mapping[str, Any], name: str) -> str:
    """Return the text that is a field of an object; "" if there is none."""
    found = parent.get(name)
    return found if isinstance(found, str) else ""


def encode_base64(octets: bytes) -> str:
    """Encode octets for a JSON message."""
    return base64.b64encode(octets).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Decode octets of a JSON message.  Raises ValueError."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("its sound is not base64") from None
