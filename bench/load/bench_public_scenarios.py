"""Runs public SIPp scenarios, at pinned commits, by SIPp and by us:
`python bench/load/bench_public_scenarios.py FOLDER`.

FOLDER holds a Git repository for each of `COMMITS`, named as there with `+` for `/`; nothing is
fetched, and no scenario is kept: the result has the SHA-256 of each.  Pauses are shortened.  A
scenario runs with SIPp on its own side and us on the other, and the other way round; it is the same
when every message of both runs is.  What we refuse is named by its first line.

Results go to results/public_scenarios.json.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from softphone.errors import ConfigurationError
from softphone.load.sipp import read_scenario
from tests.load.sipp.exchange import Pair
from tests.peers.root import open_root
from tests.peers.sipp.many_scenarios import ManyScenarios

RESULT = Path(__file__).parents[1] / "results" / "public_scenarios.json"
COMMITS = {
    "SIPp/sipp": "31658c2fe7fa9ca508020e68956d7039c4a840cb",
    "kamailio/kamailio-tests": "b5ba961e0e58e1677ebea724dfbe0522309209d9",
    "lundgrel/sipp-scenarios": "c0bc97e3ca7ab9a7fff0a85ba38db2b1a305a4b6",
    "sergey-safarov/sipp-scenarios": "549b57b0dabb601dbd7d0e75effe234dba29a26f",
    "siphon-project/siphon-sip": "f2eb61320780f89680c47bb0017d1c0b53f33afa",
}
_CAPTURE = re.compile(rb'play_pcap_audio="([^"]*)"')
_STREAMED = re.compile(rb'rtp_stream="([^",]*[.][^",]*)')
_PAUSE = re.compile(rb'milliseconds\s*=\s*"[0-9]+"')


@dataclass(frozen=True)
class Public:
    """A scenario: its repository and path, the other side, and whether it is the one that calls.

    `keys` are the values of its keywords, `injection` the path of its CSV file.
    """

    repository: str
    path: str
    other: str
    calls: bool = True
    keys: tuple[tuple[str, str], ...] = ()
    injection: str = ""


_SIPHON, _LUNDGREL = "siphon-project/siphon-sip", "lundgrel/sipp-scenarios"
SCENARIOS = (
    Public(_SIPHON, "sipp/subscribe_uas.xml", "sipp/subscribe_uac.xml", calls=False),
    Public(_SIPHON, "sipp/b2bua_cancel_uac.xml", "answer_canceled"),
    Public(_SIPHON, "sipp/b2bua_early_media_uac.xml", "sipp/b2bua_early_media_uas.xml"),
    Public(_SIPHON, "sipp/b2bua_refer_uac.xml", "sipp/b2bua_refer_uas.xml"),
    Public(_SIPHON, "sipp/b2bua_lcr_uac.xml", "uas"),
    Public(_SIPHON, "sipp/b2bua_failure_uac.xml", "answer_busy"),
    Public(_LUNDGREL, "sipp_uac_PAI.xml", "uas"),
    Public(_LUNDGREL, "sipp_uac_audio_video.xml", "uas"),
    Public(_LUNDGREL, "sipp_uas_486.xml", "busy", calls=False),
    Public(_LUNDGREL, "sipp_uas_double_bye.xml", "uac", calls=False),
    Public("sergey-safarov/sipp-scenarios", "sipp_uac_anonymous.xml", "uas"),
    Public("sergey-safarov/sipp-scenarios", "sipp_uas_delayed_answer.xml", "uac", calls=False),
    Public("SIPp/sipp", "docs/regexp.xml", "uas"),
    Public("SIPp/sipp", "regress/github-#0262/uac.xml", "regress/github-#0262/uas.xml"),
    Public("SIPp/sipp", "regress/github-#0850/uas.xml", "uac", calls=False),
    Public(
        "SIPp/sipp",
        "sipp_scenarios/pfca_uac_apattern_crypto_simple.xml",
        "sipp_scenarios/pfca_uas_audio_crypto_simple.xml",
    ),
    Public("SIPp/sipp", "regress/github-#0259/uac.xml", "regress/github-#0259/uas.xml"),
    Public(
        _SIPHON,
        "sipp/ims/register_ims.xml",
        "challenge",
        keys=(("domain", "ims.test"),),
        injection="sipp/ims/alice_contact.csv",
    ),
    Public(_SIPHON, "sipp/prack_uac.xml", "sipp/prack_uas.xml"),
    Public(_SIPHON, "sipp/b2bua_update_uac.xml", "sipp/b2bua_update_uas.xml"),
    Public(_SIPHON, "sipp/message.xml", "sipp/message_uas.xml"),
    Public(_SIPHON, "sipp/b2bua_session_timer_uac.xml", "sipp/b2bua_session_timer_uas.xml"),
    Public("SIPp/sipp", "docs/uac_pcap.xml", "uas"),
)


def read_blob(folder: Path, repository: str, path: str) -> bytes:
    """The octets of a file at the pinned commit of its repository."""
    place = folder / repository.replace("/", "+")
    place = place / "repo" if (place / "repo").is_dir() else place
    command = ["git", "-C", str(place), "show", f"{COMMITS[repository]}:{path}"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def refusal(name: str, text: bytes, folder: Path, keys: Iterable[str]) -> str:
    """The first thing that is not supported, with its line; "" for a scenario that is read."""
    path = folder / f"{name}.xml"
    path.write_bytes(text)
    try:
        read_scenario(path, keys=tuple(keys))
    except ConfigurationError as error:
        return str(error).splitlines()[0].removeprefix(f"{path}:")
    return ""


def files_beside(folder: Path, each: Public, text: bytes) -> dict[str, bytes]:
    """The captures, streams and injections that a scenario reads, by the name it has for them."""
    found = {}
    for raw in _CAPTURE.findall(text):
        found[raw.decode()] = read_blob(folder, each.repository, raw.decode())
    for raw in _STREAMED.findall(text):
        beside = str(Path(each.path).parent / raw.decode())
        found[raw.decode()] = read_blob(folder, each.repository, beside)
    if each.injection:
        data = read_blob(folder, each.repository, each.injection)
        found[Path(each.injection).name] = data
    return found


def pair_of(folder: Path, number: int, text: bytes, more: dict[str, bytes]) -> Pair:
    """The two sides of a scenario; their texts, with short pauses, go into `more`."""
    each = SCENARIOS[number]
    other = each.other
    more[f"public-{number}.xml"] = _PAUSE.sub(b'milliseconds="40"', text)
    if other.endswith(".xml"):
        shown = read_blob(folder, each.repository, other)
        other = f"other-{number}"
        more[f"{other}.xml"] = _PAUSE.sub(b'milliseconds="40"', shown)
    sides = (f"public-{number}", other) if each.calls else (other, f"public-{number}")
    injections = (Path(each.injection).name,) if each.injection else ()
    return Pair(*sides, injections=injections, keys=each.keys, media=b"<exec rtp_" in text)


def measure(folder: Path, work: Path) -> list[dict[str, object]]:
    """Read all, run those that can be, and return a row for each."""
    rows: list[dict[str, object]] = []
    more: dict[str, bytes] = {}
    pairs: dict[int, Pair] = {}
    for number, each in enumerate(SCENARIOS):
        text = read_blob(folder, each.repository, each.path)
        for name, data in files_beside(folder, each, text).items():
            more[name] = data
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_bytes(data)
        why = refusal(f"public-{number}", text, work, dict(each.keys))
        rows.append(
            {
                "repository": each.repository,
                "commit": COMMITS[each.repository],
                "path": each.path,
                "sha256": hashlib.sha256(text).hexdigest(),
                "other": each.other,
                "keys": dict(each.keys),
                "injection": each.injection,
                "refused": why,
                "messages": 0,
                "same": False,
                "failed": [],
            }
        )
        if not why:
            pairs[number] = pair_of(folder, number, text, more)
    many = ManyScenarios(open_root(make=False), work / "pairs", tuple(pairs.values()), more)
    runs = asyncio.run(many.run())
    for number, pair in pairs.items():
        run = runs[pair.name]
        rows[number]["messages"] = len(run.of_client)
        rows[number]["same"] = run.of_client == run.of_server
        rows[number]["failed"] = [text.splitlines()[0][:200] for text in run.failed]
    return rows


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        rows = measure(arguments.folder, Path(work))
    for row in rows:
        print(row["path"], row["refused"] or (row["messages"], row["same"], row["failed"]))
    RESULT.write_text(json.dumps({"scenarios": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
