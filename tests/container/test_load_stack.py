"""The watched load run of docs/deploy fits compose.yaml, the dashboards and the command."""

from __future__ import annotations

import yaml

from tests.container.recipe import PROJECT
from tests.container.test_manifests import FLAG, TEXT, jsonschema, record, several

DEPLOY = PROJECT / "docs" / "deploy"
STACK, BASE = (
    yaml.safe_load(path.read_text())
    for path in (DEPLOY / "compose.load.yaml", PROJECT / "compose.yaml")
)
NAMES = {"type": "object", "additionalProperties": TEXT}
SERVICE = record(
    image=TEXT,
    build=TEXT,
    command=several(TEXT),
    environment=NAMES,
    volumes=several({"type": "string", "pattern": "^[^:]+:/[^:]+(:ro)?$"}),
    ulimits=record(nofile={"type": "integer"}),
    stop_signal=TEXT,
    stop_grace_period={"type": "string", "pattern": "^[0-9]+s$"},
    read_only=FLAG,
    cap_drop=several(TEXT),
    # Nothing is published beyond this machine.
    ports=several({"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}),
    network_mode={"enum": ["service:load"]},
    depends_on={
        "type": "object",
        "additionalProperties": record("condition", condition={"enum": ["service_healthy"]}),
    },
)
SCHEMA = record("services", services={"type": "object", "additionalProperties": SERVICE})


def read(path):
    """A YAML file of docs/deploy."""
    return yaml.safe_load((DEPLOY / path).read_text())


def test_the_stack_is_valid_and_its_files_and_services_are_there():
    jsonschema.validate(STACK, SCHEMA)
    services = BASE["services"] | STACK["services"]
    for service in STACK["services"].values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in BASE["volumes"] or (PROJECT / source).exists()


def test_prometheus_reads_the_page_and_grafana_reads_prometheus():
    load, grafana = STACK["services"]["load"], STACK["services"]["grafana"]
    port = next(word.partition("=")[2] for word in load["command"] if "--prometheus=" in word)
    (job,) = read("prometheus.yml")["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"127.0.0.1:{port}"]}]
    (source,) = read("provisioning/datasources/prometheus.yaml")["datasources"]
    assert source["url"] == "http://load:9090"
    (provider,) = read("provisioning/dashboards/softphone.yaml")["providers"]
    assert f"./docs/deploy/grafana:{provider['options']['path']}:ro" in grafana["volumes"]


def test_the_load_calls_as_the_bot_does():
    load, bot = STACK["services"]["load"], BASE["services"]["bot"]
    assert load["environment"] == bot["environment"]
    assert "--no-register" in load["command"]  # the binding is the bot's
    extensions = (PROJECT / "docs" / "container" / "extensions.conf").read_text()
    (target,) = (word.partition("=")[2] for word in load["command"] if "--target=" in word)
    assert f"exten => {target},1,Answer()" in extensions
