"""What the image has and lacks, by its recipe."""

from __future__ import annotations

import importlib.metadata
import json
import re
import runpy
import signal
import subprocess
import sys
from importlib.metadata import distributions

import jsonschema
import pytest

from softphone.config import load_account
from tests.container.image import UNWANTED
from tests.container.podman import BuilderMissing, Podman
from tests.container.recipe import PROJECT, stages
from tests.docs.test_blocks import beside_a_lab, environment

__all__ = ["beside_a_lab"]

SCRIPT = "docs/container/bill_of_materials.py"
TEXT = {"type": "string", "minLength": 1}
COMPONENT = {
    "type": "object",
    "properties": {
        "type": {"enum": ["container", "library", "platform"]},
        **dict.fromkeys(("bom-ref", "name", "version", "purl"), TEXT),
        "licenses": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["expression"],
                "properties": {"expression": TEXT},
            },
            "maxItems": 1,
        },
        "externalReferences": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": {"const": "bom"}, "url": {"pattern": "^file:///"}},
                "required": ["type", "url"],
            },
        },
    },
    "required": ["type", "name", "version", "bom-ref"],
    "additionalProperties": False,
}
BILL = {
    "type": "object",
    "properties": {
        "bomFormat": {"const": "CycloneDX"},
        "specVersion": {"const": "1.6"},
        "version": {"const": 1},
        "metadata": {"properties": {"component": COMPONENT}, "required": ["component"]},
        "components": {"type": "array", "items": COMPONENT, "uniqueItems": True},
        "dependencies": {"type": "array"},
    },
    "required": ["bomFormat", "specVersion", "version", "metadata", "components", "dependencies"],
    "additionalProperties": False,
}
"""Of CycloneDX 1.6, what the bill of an image has."""
TOOLS = re.compile(r"\b(gcc|g\+\+|build-essential|clang|cargo|rustc|[\w.-]+-dev|git|curl|wget)\b")


def test_two_stages_share_a_base_and_only_the_environment_goes_over():
    build, image = stages()
    assert build.base == image.base == "${BASE}"
    assert image.arguments("COPY") == ["--from=build /opt/softphone /opt/softphone"]


def test_the_result_has_no_compiler_and_no_pip():
    build, image = stages()
    assert [TOOLS.findall(step) for step in image.arguments("RUN")] == [[], []]
    assert build.arguments("RUN")[-1].endswith("pip uninstall -q -y pip")


def test_pip_of_the_base_is_removed_and_a_compiler_would_be_found():
    step = stages()[1].arguments("RUN")[0]
    for each in ("bin/pip*", "site-packages/pip*", "ensurepip", "/usr/share/python-wheels"):
        assert each in step
    found = ("gcc", "gcc-14", "cc", "pip3", "pip3.13", "pip-25.1.1-py3-none-any.whl", "ld.bfd")
    assert all(UNWANTED.fullmatch(name) for name in found)
    assert not any(UNWANTED.fullmatch(name) for name in ("ld.so", "ldconfig", "aspell", "python3"))


def test_a_missing_builder_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "podman" else f"/bin/{name}")
    with pytest.raises(BuilderMissing, match="install podman and runc"):
        Podman(tmp_path)


def test_nothing_is_compiled_in_the_first_stage_either():
    (step,) = stages()[0].arguments("RUN")
    assert not TOOLS.search(step)
    assert step.count("--only-binary :all:") == 2


def test_it_runs_as_a_user_without_rights_and_ends_in_order():
    _, image = stages()
    assert image.arguments("USER") == ["10001:10001"]
    assert "--uid 10001" in image.arguments("RUN")[0]
    assert image.arguments("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(image.arguments("ENTRYPOINT")[0]) == ["softphone"]
    words = [word for word, _ in image.steps]
    assert words.index("USER") > words.index("RUN")


def test_the_image_has_a_bill_of_what_is_in_it():
    _, image = stages()
    words = [word for word, _ in image.steps]
    (step,) = [step for step in image.arguments("RUN") if "sbom" in step]
    assert f"source={SCRIPT}" in step
    assert f"!{SCRIPT}" in (PROJECT / ".dockerignore").read_text().splitlines()
    assert words.index("USER") > image.steps.index(("RUN", step)) > words.index("COPY")


STATUS = """\
Package: libopus0
Status: install ok installed
Architecture: amd64
Version: 1.5.2-2
Description: the codec
 Version: 9 is no field of its own

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1:2.0+dfsg
"""


@pytest.fixture
def root(tmp_path):
    """The files of a Debian that the bill is made from."""
    for name, text in (
        ("etc/os-release", 'PRETTY_NAME="Debian 13"\nID=debian\nVERSION_ID="13"\n\n'),
        ("var/lib/dpkg/status", STATUS),
    ):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_bill_names_what_is_installed_by_package_urls(root):
    bill = runpy.run_path(str(PROJECT / SCRIPT))["bill"]
    # Once each: the folder of an extra for tests may have a package again.
    each_once = list({each.name: each for each in distributions()}.values())
    made = bill(root, each_once)
    assert made == bill(root, reversed(each_once))  # the same each time
    jsonschema.validate(made, BILL)
    urls = [each["purl"] for each in made["components"]]
    assert [each for each in urls if each.startswith("pkg:deb")] == [
        "pkg:deb/debian/libopus0@1.5.2-2?arch=amd64&distro=debian-13"
    ]
    installed = importlib.metadata.version
    for name in ("softphone", "numpy", "cryptography"):
        assert f"pkg:pypi/{name}@{installed(name)}" in urls
    assert made["dependencies"] == [{"ref": "image", "dependsOn": urls}]
    assert made["metadata"]["component"]["version"] == installed("softphone")
    within = {each["name"] for each in made["components"] if "externalReferences" in each}
    assert "av" in within  # its wheel brings FFmpeg, and says so


def test_there_is_no_bill_without_softphone(root):
    bill = runpy.run_path(str(PROJECT / SCRIPT))["bill"]
    with pytest.raises(ValueError, match="unpack"):
        bill(root, [])


def test_the_health_check_is_a_program_that_succeeds_here():
    _, image = stages()
    (check,) = image.arguments("HEALTHCHECK")
    python, *rest = json.loads(check.partition("CMD ")[2])
    assert python == "python"
    command = [each.replace("os.kill(1, 0)", "os.kill(os.getpid(), 0)") for each in rest]
    ended = subprocess.run([sys.executable, *command], check=False, timeout=60)
    assert ended.returncode == 0


def test_all_that_the_first_stage_copies_is_there_and_not_ignored():
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    for step in stages()[0].arguments("COPY"):
        for name in step.split()[:-1]:
            assert (PROJECT / name).exists()
            assert f"!{name}" in ignored


def test_the_bots_account_file_is_one(tmp_path, monkeypatch):
    monkeypatch.setenv("BOT_PASSWORD", "change-me")
    text = (PROJECT / "docs" / "container" / "bot.toml").read_text()
    path = tmp_path / "bot.toml"
    (tmp_path / "ca.crt").touch()
    path.write_text(text.replace("/keys/ca.crt", str(tmp_path / "ca.crt")))
    config = load_account(path).config
    assert str(config.registrar) == "sips:asterisk:5061"


def test_the_bot_answers_a_call_in_echo_and_ends_by_sigterm(beside_a_lab):
    command = [sys.executable, str(PROJECT / "docs" / "container" / "bot.py"), "lab/bob.toml"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as bot:
        try:
            assert bot.stdout.readline() == "ready\n"
            call = ["softphone", "call", "bob", "--account", "lab/alice.toml", "--duration", "1"]
            called = subprocess.run(
                [*call, "--srtp", "required", "--json"],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=40,
                check=False,
            )
        finally:
            bot.send_signal(signal.SIGTERM)
        _, errors = bot.communicate(timeout=30)
    assert called.returncode == 0, called.stdout + called.stderr
    summary = json.loads(called.stdout.splitlines()[-1])
    assert summary["security"]["level"] == "encrypted"
    assert summary["audio"]["packets_received"] > 20
    # A busy machine makes media late, and the bot says so: that is no fault of its own.
    lines = [line for line in errors.splitlines() if not line.startswith("media was ")]
    assert (bot.returncode, lines) == (0, [])
