"""A headless SIP and SRTP softphone engine."""

from softphone._version import __version__

__all__ = ["__version__"]
