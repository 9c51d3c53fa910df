"""What `deploy/` says is true of this version: metrics, anchors, paths, ports, configurations."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from cdc import config as configuration
from cdc.core.lineage import LaneState
from cdc.observe.metrics import STAGES, MetricName
from tests.deploy.tools import DEPLOY, ROOT

RULES = DEPLOY / "alerts/dynamodb-cdc.rules.yaml"
DASHBOARD = DEPLOY / "grafana/dynamodb-cdc.json"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
KNOWN = {*get_args(MetricName), *(f"cdc_stage_seconds_{part}" for part in ("bucket", "count", "sum"))}


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def _queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def _anchors(page: Path) -> set[str]:
    """As forges make them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("source", [RULES, DASHBOARD], ids=lambda path: path.name)
def test_metrics_exist(source: Path) -> None:
    named = set(re.findall(r"\bcdc_\w+", source.read_text()))
    assert named
    assert named <= KNOWN


def test_every_metric_is_on_the_dashboard() -> None:
    named = set(re.findall(r"\bcdc_\w+", " ".join(_queries())))
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in named} == set(get_args(MetricName))


def test_states_and_stages_exist() -> None:
    text = RULES.read_text() + DASHBOARD.read_text().replace('\\"', '"')
    assert set(re.findall(r'state="(\w+)"', text)) <= {state.value for state in LaneState}
    assert "stage=" not in text or set(re.findall(r'stage="(\w+)"', text)) <= set(STAGES)


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
def test_every_alert_has_its_entry_in_the_runbook(rule: dict[str, Any]) -> None:
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor in _anchors(ROOT / "docs" / page)
    assert f"`{rule['alert']}`" in (ROOT / "docs" / page).read_text()
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert {"summary", "description"} <= set(rule["annotations"])


def test_panels_have_a_description_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"]


def test_the_files_that_compose_mounts_are_there() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    local = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert local
    assert not [name for name in local if not (DEPLOY / name).exists()]


def test_the_configuration_that_compose_mounts_is_valid() -> None:
    config = configuration.load(DEPLOY / "compose/cdc.yaml")
    assert [sink.name for sink in config.sinks] == ["bus", "lake", "dr"]
    assert config.admin is not None
    assert f"EXPOSE {config.admin.port}" in DOCKERFILE
    scraped = yaml.safe_load((DEPLOY / "compose/prometheus.yaml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == [f"cdc:{config.admin.port}"]
    assert f'up{{job="{scraped["job_name"]}"}}' in RULES.read_text()


def test_the_image_is_made_of_what_the_builder_is_sent() -> None:
    sent = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    taken = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for name in line.split()[:-1]
    }
    assert taken == sent
    assert not [name for name in taken if not (ROOT / name).exists()]


def test_the_last_stage_has_no_tools_and_no_rights() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert not re.findall(r"apt-get|pip install|gcc|curl", last)
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert 'ENTRYPOINT ["cdc"]' in last


def test_the_image_has_no_emulators() -> None:
    pinned = set(
        re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements/image.txt").read_text(), re.MULTILINE)
    )
    assert {"boto3", "confluent-kafka", "fastavro"} <= pinned
    assert not {"moto", "flask", "pytest", "hatchling"} & pinned
    run = (ROOT / "requirements/run.txt").read_text()
    for line in re.findall(r"^\S+==\S+", (ROOT / "requirements/image.txt").read_text(), re.MULTILINE):
        assert f"\n{line}" in run  # what is tested is what is shipped
