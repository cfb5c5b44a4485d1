"""Long-lived keys in FIPS mode, made by `openssl genpkey` within the FIPS provider.

`cryptography` makes keys outside of any provider, in FIPS mode too; the program that comes with
OpenSSL does not.  It gets this process's configuration by the environment, and gives the key
through a pipe: no file ever holds it on the way.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from softphone.errors import FipsUnavailable

_PATIENCE = 60.0


def generate_key(algorithm: str, options: Sequence[str], *, openssl: str = "openssl") -> bytes:
    """A new private key, PKCS#8 in DER; `options` are those of `openssl genpkey`.

    Takes seconds for a long RSA key.  Raises FipsUnavailable when the provider makes none.
    """
    command = [openssl, "genpkey", "-quiet", "-algorithm", algorithm, "-outform", "DER"]
    command += [word for option in options for word in ("-pkeyopt", option)]
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise FipsUnavailable(
            f"in FIPS mode keys are made by {openssl}, which cannot be run: {exc}"
        ) from exc
    if ended.returncode or not ended.stdout:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
        raise FipsUnavailable(f"`openssl genpkey` made no {algorithm} key: {said[-1]}")
    return ended.stdout
