"""A headless SIP and SRTP softphone engine.

    from softphone import AccountConfig, Phone

Names are imported on first use, so that `import softphone` stays fast.

The only user interface is the command line (`softphone.cli`), the only call server that of
`softphone.lab`, for tests and demonstrations.  SIP is RFC 3261 (`softphone.sip`), SDP RFC 8866 and
RFC 3264 (`softphone.sdp`), RTP RFC 3550 (`softphone.rtp`), SRTP RFC 3711 with keys by RFC 4568
(`softphone.srtp`), instant messaging RFC 6120 (`softphone.messaging`); each package lists its other
standards.  The modules next to the packages hold what all layers share: errors, events, the
security policy and the contract of machines without I/O.
"""

# Nothing is loaded here but `os`, which Python's own start has loaded: not even `__future__` or
# `typing`.  Until the command line has its handler, Ctrl-C ends in a traceback.
import os

if os.environ.get("SOFTPHONE_FIPS_FOLDER"):
    # Before anything can load `cryptography`; see the module.
    from importlib import import_module as _import_module

    _import_module("softphone.openssl_provider").load_fips_provider()

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from softphone._version import __version__
    from softphone.account import Account
    from softphone.call import (
        Call,
        Conference,
        ConferenceChanged,
        DialedAddress,
        FarEndIdentity,
        IncomingCall,
        OutgoingCall,
    )
    from softphone.call.audio_stream import AudioStream
    from softphone.config import (
        AccountConfig,
        AccountFile,
        CredentialConfig,
        MediaPreferences,
        OAuthConfig,
        PolicyConfig,
        TlsConfig,
        load_account,
    )
    from softphone.deprecation import SoftphoneDeprecationWarning
    from softphone.errors import SoftphoneError
    from softphone.events import CallState, Direction, RegistrationState, StreamStatistics
    from softphone.media.audio.fan_out import TeeSink
    from softphone.media.audio.pcm_input import ReceivedAudio
    from softphone.media.audio.pcm_ring import PcmRing
    from softphone.media.audio.sound_device import SoundDevice, SoundDeviceInfo, list_sound_devices
    from softphone.media.audio.sources import EchoSource, SilenceSource, ToneSource
    from softphone.media.audio.wav import WavSink, WavSource
    from softphone.media.interface import MediaConfig, PcmBlock, PortRange, Sink, Source
    from softphone.personas import DeviceIdentity
    from softphone.phone.phone import Phone
    from softphone.preloading import preload
    from softphone.security import (
        CryptoSuite,
        IdentityAssurance,
        KeyMaterial,
        OnDrop,
        Relaxation,
        RevocationMode,
        Scope,
        SecurityLevel,
        SecurityPolicy,
        SecurityShortfall,
        SecurityState,
        Shortfall,
        ShortfallCode,
        SrtpPolicy,
        TlsVersion,
    )
    from softphone.trust import TrustStore, UnknownCertificate

__all__ = [
    "Account",
    "AccountConfig",
    "AccountFile",
    "AudioStream",
    "Call",
    "CallState",
    "Conference",
    "ConferenceChanged",
    "CredentialConfig",
    "CryptoSuite",
    "DeviceIdentity",
    "DialedAddress",
    "Direction",
    "EchoSource",
    "FarEndIdentity",
    "IdentityAssurance",
    "IncomingCall",
    "KeyMaterial",
    "MediaConfig",
    "MediaPreferences",
    "OAuthConfig",
    "OnDrop",
    "OutgoingCall",
    "PcmBlock",
    "PcmRing",
    "Phone",
    "PolicyConfig",
    "PortRange",
    "ReceivedAudio",
    "RegistrationState",
    "Relaxation",
    "RevocationMode",
    "Scope",
    "SecurityLevel",
    "SecurityPolicy",
    "SecurityShortfall",
    "SecurityState",
    "Shortfall",
    "ShortfallCode",
    "SilenceSource",
    "Sink",
    "SoftphoneDeprecationWarning",
    "SoftphoneError",
    "SoundDevice",
    "SoundDeviceInfo",
    "Source",
    "SrtpPolicy",
    "StreamStatistics",
    "TeeSink",
    "TlsConfig",
    "TlsVersion",
    "ToneSource",
    "TrustStore",
    "UnknownCertificate",
    "WavSink",
    "WavSource",
    "__version__",
    "list_sound_devices",
    "load_account",
    "preload",
]

_MODULES = (
    # In the order of what they load: a name is looked for in one after the other.  The first is
    # there for programs that must not load the others in their event loop.
    "softphone.preloading",
    "softphone._version",
    "softphone.security",
    "softphone.events",
    "softphone.errors",
    "softphone.deprecation",
    "softphone.trust",
    "softphone.phone.phone",
    "softphone.media.interface",
    "softphone.media.audio.pcm_ring",
    "softphone.media.audio.pcm_input",
    "softphone.media.audio.fan_out",
    "softphone.media.audio.sources",
    "softphone.media.audio.sound_device",
    "softphone.media.audio.wav",
    "softphone.call.audio_stream",
    "softphone.call",
    "softphone.account",
    "softphone.config",
    "softphone.personas",
)


def __getattr__(name: str) -> "Any":
    if name in __all__:
        from importlib import import_module

        for each in _MODULES:
            module = import_module(each)
            if hasattr(module, name):
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module 'softphone' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
