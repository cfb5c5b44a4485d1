"""libopus, through ctypes: the copy that PyAV's wheel brings, else the system's.

PyAV gives no access to discontinuous transmission in the encoder or forward error correction in the
decoder, so both are called directly.  Only functions of the documented public API (opus.h) are
used.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from functools import cache
from pathlib import Path

from softphone_codecs.codec import CodecUnavailable

_HOMES = ("../av.libs", ".dylibs", ".")
_PATTERNS = ("libopus*.so*", "libopus*.dylib", "libopus*.dll", "opus*.dll")


def _bundled() -> list[str]:
    """The libopus files in PyAV's wheels, on Linux, macOS and Windows."""
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        return []
    home = Path(spec.origin).parent
    return [
        str(found)
        for place in _HOMES
        for pattern in _PATTERNS
        for found in sorted((home / place).glob(pattern))
    ]


@cache
def load_libopus() -> ctypes.CDLL:
    """Load libopus and declare its prototypes.  Raises CodecUnavailable."""
    system = ctypes.util.find_library("opus")
    for name in [*_bundled(), *([system] if system else [])]:
        try:
            return _declared(ctypes.CDLL(name))
        except (OSError, AttributeError):  # not loadable, or without a function: try the next
            continue
    raise CodecUnavailable("Opus needs libopus, of your system or of PyAV")


def _declared(lib: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    prototypes = {
        "opus_get_version_string": (ctypes.c_char_p, []),
        "opus_strerror": (ctypes.c_char_p, [integer]),
        "opus_encoder_create": (pointer, [ctypes.c_int32, integer, integer, pointer]),
        "opus_encoder_destroy": (None, [pointer]),
        "opus_encoder_ctl": (integer, [pointer, integer]),
        "opus_encode": (ctypes.c_int32, [pointer, pointer, integer, pointer, ctypes.c_int32]),
        "opus_decoder_create": (pointer, [ctypes.c_int32, integer, pointer]),
        "opus_decoder_destroy": (None, [pointer]),
        "opus_decode": (
            integer,
            [pointer, ctypes.c_char_p, ctypes.c_int32, pointer, integer, integer],
        ),
        "opus_decoder_get_nb_samples": (integer, [pointer, ctypes.c_char_p, ctypes.c_int32]),
        "opus_packet_get_samples_per_frame": (integer, [ctypes.c_char_p, ctypes.c_int32]),
    }
    for name, (result, arguments) in prototypes.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
