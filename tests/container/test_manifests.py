"""The manifests for Kubernetes have only fields that there are, and what a bot needs to be safe."""

from __future__ import annotations

import copy
import re
import shlex

import jsonschema
import pytest
import yaml

from tests.container.recipe import PROJECT, stages

FOLDER = PROJECT / "docs" / "deploy" / "kubernetes"
BOT, JOB = (yaml.safe_load((FOLDER / name).read_text()) for name in ("bot.yaml", "load-job.yaml"))

NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "boolean"}
LABELS = {"type": "object", "additionalProperties": TEXT}


def record(required="", **fields):
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": required.split(),
        "additionalProperties": False,
    }


def several(schema):
    """A list of one or more."""
    return {"type": "array", "items": schema, "minItems": 1}


# Of the published types, the fields that are used: apps/v1, v1, and ray.io/v1 of KubeRay.
QUANTITIES = {
    "type": "object",
    "properties": {"cpu": TEXT, "memory": {"type": "string", "pattern": "^[0-9]+[MG]i$"}},
    "additionalProperties": False,
}
PROBE = record(
    "httpGet",
    httpGet=record("port", host=TEXT, path=TEXT, port=NUMBER),
    periodSeconds=NUMBER,
    timeoutSeconds=NUMBER,
    failureThreshold=NUMBER,
)
CONTAINER = record(
    "name image",
    name=NAME,
    image=TEXT,
    command=several(TEXT),
    args=several(TEXT),
    ports=several(record("containerPort", name=NAME, containerPort=NUMBER)),
    livenessProbe=PROBE,
    readinessProbe=PROBE,
    securityContext=record(
        allowPrivilegeEscalation=FLAG,
        readOnlyRootFilesystem=FLAG,
        capabilities=record(drop=several(TEXT)),
    ),
    resources=record(requests=QUANTITIES, limits=QUANTITIES),
    volumeMounts=several(record("name mountPath", name=NAME, mountPath=TEXT, readOnly=FLAG)),
)
POD = record(
    "containers",
    automountServiceAccountToken=FLAG,
    hostNetwork=FLAG,
    dnsPolicy={"enum": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]},
    terminationGracePeriodSeconds=NUMBER,
    securityContext=record(
        runAsNonRoot=FLAG,
        runAsUser=NUMBER,
        runAsGroup=NUMBER,
        fsGroup=NUMBER,
        seccompProfile=record("type", type={"enum": ["RuntimeDefault"]}),
    ),
    containers=several(CONTAINER),
    volumes=several(
        record(
            "name",
            name=NAME,
            secret=record("secretName", secretName=NAME, defaultMode=NUMBER),
            configMap=record("name", name=NAME),
        )
    ),
)
TEMPLATE = record("spec", metadata=record(labels=LABELS), spec=POD)
DEPLOYMENT = record(
    "apiVersion kind metadata spec",
    apiVersion={"const": "apps/v1"},
    kind={"const": "Deployment"},
    metadata=record("name", name=NAME, labels=LABELS),
    spec=record(
        "selector template",
        replicas=NUMBER,
        strategy=record(
            type={"enum": ["RollingUpdate", "Recreate"]},
            rollingUpdate=record(maxSurge=NUMBER, maxUnavailable=NUMBER),
        ),
        selector=record(matchLabels=LABELS),
        template=TEMPLATE,
    ),
)
START = {"type": "object", "additionalProperties": TEXT}
RAY_JOB = record(
    "apiVersion kind metadata spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=record("name", name=NAME),
    spec=record(
        "entrypoint rayClusterSpec",
        entrypoint=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        backoffLimit=NUMBER,
        submitterConfig=record(backoffLimit=NUMBER),
        shutdownAfterJobFinishes=FLAG,
        ttlSecondsAfterFinished=NUMBER,
        activeDeadlineSeconds=NUMBER,
        rayClusterSpec=record(
            "headGroupSpec",
            headGroupSpec=record("template", rayStartParams=START, template=TEMPLATE),
            workerGroupSpecs=several(
                record(
                    "groupName minReplicas maxReplicas template",
                    groupName=NAME,
                    replicas=NUMBER,
                    minReplicas=NUMBER,
                    maxReplicas=NUMBER,
                    rayStartParams=START,
                    template=TEMPLATE,
                )
            ),
        ),
    ),
)


def test_the_manifests_are_valid():
    jsonschema.validate(BOT, DEPLOYMENT)
    jsonschema.validate(JOB, RAY_JOB)


@pytest.mark.parametrize(
    ("made", "schema", "field", "value"),
    [(BOT, DEPLOYMENT, "replicas", "1"), (JOB, RAY_JOB, "ttlSeconds", 300)],
)
def test_a_misspelt_field_or_a_text_for_a_number_is_found(made, schema, field, value):
    wrong = copy.deepcopy(made)
    wrong["spec"][field] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def pods():
    """The pods of both manifests."""
    cluster = JOB["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [BOT["spec"]["template"]["spec"], *(group["template"]["spec"] for group in groups)]


def test_pods_run_as_the_image_does_and_have_no_rights_to_lose():
    user = stages()[1].arguments("USER")[0].split(":")[0]
    for pod in pods():
        context = pod["securityContext"]
        assert context["runAsNonRoot"]
        assert str(context["runAsUser"]) == user
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "env" not in container  # secrets are files
        mounted = {mount["name"] for each in pod["containers"] for mount in each["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        modes = [volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume]
        assert modes == [0o440]


def test_the_bot_is_probed_where_it_says_its_health_and_has_time_to_drain():
    pod = BOT["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    place = container["args"][container["args"].index("--health") + 1]
    for probe, path in (("livenessProbe", "/live"), ("readinessProbe", "/ready")):
        asked = container[probe]["httpGet"]
        assert f"{asked['host']}:{asked['port']}" == place
        assert asked["path"] == path
    text = (FOLDER / "bot.yaml").read_text()
    (drain,) = re.findall(r"\[drain\] timeout = (\d+)", text)
    assert int(drain) < pod["terminationGracePeriodSeconds"]
    assert (PROJECT / "examples" / container["command"][1].removeprefix("/bot/")).exists()
    labels = BOT["spec"]["template"]["metadata"]["labels"]
    assert BOT["spec"]["selector"]["matchLabels"] == labels


def test_the_job_runs_a_command_that_there_is_on_as_many_workers_as_there_are():
    words = shlex.split(JOB["spec"]["entrypoint"])
    assert words[:3] == ["softphone", "load", "run"]
    (group,) = JOB["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert words[words.index("--workers") + 1] == str(group["replicas"])
    assert "answered>=99.9%" in words
