"""The manifest that serves the image-edit model: checked here as far as it can be without a cluster."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import yaml

from noescape.defects.restyle.config import MODEL, RestyleConfig, default_config

NAME = "qwen-image-edit-nvpcb-ovsl2sl"
TEXT = (resources.files("noescape.assets") / "nim" / f"{NAME}.yaml").read_text("utf-8")


def parts() -> dict[str, dict[str, Any]]:
    return {part["kind"]: part for part in yaml.safe_load_all(TEXT)}


def test_names_ports_labels_and_selectors_agree() -> None:
    found = parts()
    claim, deployment, service = (found.pop(kind) for kind in ("PersistentVolumeClaim", "Deployment", "Service"))
    assert not found
    assert [part["apiVersion"] for part in (claim, deployment, service)] == ["v1", "apps/v1", "v1"]
    assert {part["metadata"]["namespace"] for part in (claim, deployment, service)} == {"osmo-nims"}
    pod = deployment["spec"]["template"]
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector and selector.items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    (port,), (door,) = container["ports"], service["spec"]["ports"]
    assert door["targetPort"] == port["name"] and door["port"] == port["containerPort"] == 8000
    assert container["args"][container["args"].index("--port") + 1] == "8000"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": port["name"]}
    assert container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"] >= 3600
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert volumes["weights"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_it_serves_the_one_model_with_one_gpu_at_the_address_that_the_flows_know() -> None:
    (container,) = parts()["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "vllm/vllm-omni:v0.20.0"
    assert container["args"][0] == MODEL == RestyleConfig().model and "--omni" in container["args"]
    resource = container["resources"]
    assert resource["requests"]["nvidia.com/gpu"] == resource["limits"]["nvidia.com/gpu"] == "1"
    address = f"http://{NAME}.osmo-nims.svc.cluster.local:8000/v1"
    card = (resources.files("noescape.assets") / "configs" / "good_image_generation.card.yaml").read_text("utf-8")
    assert address in TEXT and address in card and parts()["Service"]["metadata"]["name"] == NAME


def test_it_holds_no_secret_and_claims_no_verification() -> None:
    (container,) = parts()["Deployment"]["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        if re.search(r"TOKEN|KEY|SECRET|PASSWORD", variable["name"]):
            assert set(variable) == {"name", "valueFrom"} and "secretKeyRef" in variable["valueFrom"]
    assert not re.search(r"hf_[A-Za-z0-9]{8}|nvapi-|eyJ|BEGIN", TEXT)
    assert "kind: Secret" not in TEXT and "has not been run with the real model" in TEXT
    spec = parts()["Deployment"]["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_packaged_configuration_is_the_documented_default() -> None:
    """Every default of the file is the program's own, the prompt's line breaks apart."""
    found = default_config()
    assert " ".join(found.prompt.split()) == RestyleConfig().prompt
    assert found.model_copy(update={"prompt": RestyleConfig().prompt}) == RestyleConfig()
