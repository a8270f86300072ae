"""The manifests: valid, and of one mind with each other, with the image and with the service."""

import re

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings
from tests.deploy import dockerfile
from tests.server.processes import ROOT

KUBERNETES = ROOT / "deploy/kubernetes"
MANIFESTS = {path.relative_to(KUBERNETES).as_posix(): path for path in sorted(KUBERNETES.rglob("*.yaml"))}
LOADED = {name: yaml.safe_load(path.read_text()) for name, path in MANIFESTS.items()}
DEPLOYMENTS = {"cpu": LOADED["cpu/deployment.yaml"], "gpu": LOADED["gpu/deployment.yaml"]}
STAGES = dockerfile.read(ROOT / "deploy/docker/Dockerfile")


def values(name, word):
    """What the Dockerfile's stage says after each ``word``, its parents first."""
    parents = values(STAGES[name].parent, word) if name in STAGES else []
    return parents + [each.value for each in (STAGES[name].instructions if name in STAGES else []) if each.word == word]


def spec(deployment):
    return deployment["spec"]["template"]["spec"]


def container(deployment):
    (only,) = spec(deployment)["containers"]
    return only


def env(deployment):
    return {each["name"]: each["value"] for each in container(deployment)["env"]}


def patience(probe):
    """Seconds for which a probe may fail."""
    return probe["periodSeconds"] * probe["failureThreshold"]


@pytest.fixture(params=DEPLOYMENTS, name="deployment")
def _deployment(request):
    return DEPLOYMENTS[request.param]


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_valid(name):
    """It has no member that does not exist."""
    kubernetes_validate.validate(LOADED[name], kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_setting_that_is_mentioned_exists(name):
    assert set(re.findall(r"\bEMBED_[A-Z_]+", MANIFESTS[name].read_text())) <= set(Settings.variables())


def test_everything_means_the_same_pods():
    labels = DEPLOYMENTS["cpu"]["spec"]["template"]["metadata"]["labels"]

    assert LOADED["service.yaml"]["spec"]["selector"] == labels
    assert LOADED["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"] == labels
    for deployment in DEPLOYMENTS.values():
        assert deployment["spec"]["template"]["metadata"]["labels"] == labels
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert all(
            each["labelSelector"]["matchLabels"] == labels for each in spec(deployment)["topologySpreadConstraints"]
        )
        assert (
            deployment["metadata"]["name"] == LOADED["horizontalpodautoscaler.yaml"]["spec"]["scaleTargetRef"]["name"]
        )


def test_the_grace_period_holds_the_wait_and_the_longest_request(deployment):
    wait = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert (
        spec(deployment)["terminationGracePeriodSeconds"] >= wait + float(env(deployment)["EMBED_REQUEST_TIMEOUT"]) + 5
    )


def test_a_pod_listens_where_it_is_asked_and_the_image_says_so(deployment):
    ports = {each["name"]: str(each["containerPort"]) for each in container(deployment)["ports"]}
    (named,) = LOADED["service.yaml"]["spec"]["ports"]
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    target = container(deployment)["image"].rpartition(":")[2]

    assert named["targetPort"] == "http"
    assert annotations["prometheus.io/port"] == ports["monitor"]
    assert set(ports.values()) == set(values(target, "EXPOSE")[-1].split())
    assert f"EMBED_HTTP=0.0.0.0:{ports['http']}" in " ".join(values(target, "ENV")).split()
    assert env(deployment)["EMBED_MONITOR"] == f"0.0.0.0:{ports['monitor']}"


def test_what_is_asked_over_http_is_a_route_of_the_service(deployment, app):
    probes = [container(deployment)[f"{kind}Probe"] for kind in ("startup", "readiness", "liveness")]
    asked = {probe["httpGet"]["path"] for probe in probes}
    asked |= {deployment["spec"]["template"]["metadata"]["annotations"]["prometheus.io/path"]}

    assert asked <= {rule.rule for rule in app.url_map.iter_rules()}
    assert {probe["httpGet"]["port"] for probe in probes} == {"monitor"}


def test_a_pod_gets_no_requests_before_it_is_killed(deployment):
    liveness, readiness = container(deployment)["livenessProbe"], container(deployment)["readinessProbe"]

    assert patience(liveness) > patience(readiness) + max(readiness["timeoutSeconds"], liveness["timeoutSeconds"])


def test_a_pod_keeps_to_the_restricted_standard(deployment):
    """It runs as the image's user."""
    pod, own = spec(deployment)["securityContext"], container(deployment)["securityContext"]
    uid, gid = map(int, values(container(deployment)["image"].rpartition(":")[2], "USER")[-1].split(":"))

    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"]) == (True, uid, gid)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert own["readOnlyRootFilesystem"]
    assert own["allowPrivilegeEscalation"] is False


def test_what_the_service_writes_to_is_mounted(deployment):
    mounts = {each["mountPath"]: each["name"] for each in container(deployment)["volumeMounts"]}

    assert set(mounts) == {"/run/embeddings", "/tmp"}
    assert set(mounts.values()) == {each["name"] for each in spec(deployment)["volumes"]}
    assert "EMBED_RUN_DIR=/run/embeddings" in " ".join(values("base", "ENV")).split()


def test_a_pod_gets_the_memory_and_cores_that_it_asked_for(deployment):
    resources = container(deployment)["resources"]

    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"].isdigit()


def test_the_autoscaler_reads_a_metric_that_the_service_has():
    """It adds a pod before one is full."""
    (metric,) = LOADED["horizontalpodautoscaler.yaml"]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]

    assert re.search(rf'GaugeMetricFamily\(\s*"{name}"', (ROOT / "service/hosting/scrape.py").read_text())
    assert int(metric["pods"]["target"]["averageValue"]) < Settings.variables()["EMBED_THREADS"]


def test_the_gpu_variant_differs_only_by_the_gpu():
    def without(deployment):
        copy = yaml.safe_load(yaml.safe_dump(deployment))
        for each in ("image", "resources"):
            container(copy).pop(each)
        spec(copy).pop("tolerations", None)
        copy["spec"].pop("strategy")
        return copy

    assert without(DEPLOYMENTS["gpu"]) == without(DEPLOYMENTS["cpu"])
    assert container(DEPLOYMENTS["gpu"])["resources"]["limits"]["nvidia.com/gpu"] == 1
