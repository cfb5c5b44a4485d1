"""Loads beforehand, in a thread, what a phone would otherwise import while it runs.

Packages are imported when they are first needed, which keeps programs that need few of them quick.
An event loop that must never wait for the disk loads them before.
"""

from __future__ import annotations

from importlib import import_module

# Without `typing`, as in `softphone` itself: this module is loaded by the use of any name there.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from softphone.config import AccountConfig

_PHONE = (
    "softphone.phone.phone",
    "softphone.account",
    "softphone.config",
    "softphone.media.recording",
    "softphone.net.http",
    "softphone.personas.standard",
    # A boot, and the persona of the lines that it brings.
    "softphone.device",
    "softphone.personas.cisco_phone",
    # anyio loads it with the first request over HTTP.
    "anyio._backends._asyncio",
    # NumPy loads these with their first use.
    "numpy.fft",
    "numpy.random",
    # The resolver loads the types of records that it is answered with.
    "dns.asyncresolver",
    *(f"dns.rdtypes.IN.{kind}" for kind in ("A", "AAAA", "NAPTR", "SRV")),
    *(f"dns.rdtypes.ANY.{kind}" for kind in ("CNAME", "OPT", "SOA")),
    # The system's resolver encodes names with it.
    "encodings.idna",
)


async def preload(*configs: AccountConfig) -> None:
    """Import what calls and a boot need, in a thread; afterwards they import nothing.

    `configs` are the accounts that will be registered: their codecs, personas and, where they have
    video, its library are loaded, too.  Without any, those of a plain account are.  Messages,
    directories and tracks are loaded when they are first used.  Raises ConfigurationError for
    what is no AccountConfig.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    # The first import brings what the names of the rest are taken from.
    await loop.run_in_executor(None, import_module, "softphone.config")
    await loop.run_in_executor(None, _load, configs)


def _load(configs: tuple[AccountConfig, ...]) -> None:
    from softphone.config import AccountConfig
    from softphone.value_types import check_config

    for config in configs:
        check_config(config, AccountConfig, taker="preload", reader="load_account(path).config")
    for name in (*_PHONE, *_modules_of(configs)):
        import_module(name)
    import softphone

    for name in softphone.__all__:
        # Each is imported when it is first asked for.
        getattr(softphone, name)
    from softphone.config import MediaPreferences
    from softphone.media.kernel import load_kernel
    from softphone.personas import persona_names
    from softphone_codecs import find_codec

    persona_names()
    load_kernel()
    chosen = [each.media.codecs for each in configs] or [MediaPreferences().codecs]
    for codec in {name for codecs in chosen for name in codecs}:
        find_codec(codec)
    for config in configs:
        config.media.load_speech_model()


def _modules_of(configs: tuple[AccountConfig, ...]) -> Iterator[str]:
    """Return the modules of what the accounts choose."""
    for config in configs:
        yield f"softphone.personas.{config.persona}"
        if config.stir is not None:
            yield "softphone.account.caller_attestation"
        if config.media.video:
            yield "softphone.media.video.codec"
            yield "av"
