"""Texts of `register` and `doctor` about the digest algorithms that a server accepts (RFC 8760)."""

from __future__ import annotations

from softphone.account import Account


def digest_text(line: Account) -> str:
    """Return the algorithms and realms in which the account has authenticated; "" for none."""
    used = [f"{name} in realm {realm!r}" for realm, name in line.digest_algorithms.items()]
    return f"by digest {', '.join(used)}" if used else ""


def digest_warnings(line: Account) -> list[str]:
    """Return a sentence for each realm in which the server accepts nothing stronger than MD5."""
    return [
        f"realm {realm!r} takes MD5 and nothing better: whoever sees an answer to it can guess"
        " passwords at leisure; have the server offer SHA-256 (RFC 8760)"
        for realm, name in line.digest_algorithms.items()
        if name.startswith("MD5")
    ]
