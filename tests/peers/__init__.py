"""Real peers for the tests: Asterisk, SIPp, baresip, Kamailio and rtpengine, on 127.0.0.1 only.

All of them live in one Debian root folder made by debootstrap (`root.py`), so that the machine's
own system and services are left alone.  Each peer runs in mount and PID namespaces of its own:
`/proc` of the root is mounted there and nowhere else, and everything a peer started ends with it,
even when we are killed.  `python -m tests.peers up --state FILE` prepares the root, starts the
shared peers and holds them; the fixtures of `conftest.py` hand them to the tests.

What the tests use:

    asterisk        the shared Asterisk 22           asterisk_of_its_own   one that may be restarted
    sipp            runs a SIPp scenario             baresip               starts a baresip
    kamailio        TLS proxy and registrar          rtpengine             SRTP with GCM to RTP
    capture         UDP payloads seen on loopback    relay                 a TCP path to cut

The root is kept in `~/.cache/softphone-peers` (`SOFTPHONE_PEERS_CACHE` moves it) under the
versions of its packages.  System packages are installed only with `CI` or `PEERS=install` set.
With `CI` set a missing peer fails its tests; elsewhere they are skipped and say what to do.
"""
