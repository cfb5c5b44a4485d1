"""The version of softphone."""

__version__ = "0.1.0"
