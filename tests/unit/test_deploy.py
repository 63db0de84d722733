"""What is in deploy/: files that other programs read, and commands that this one must understand."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from crawler.commands.coordinate import coordinate
from crawler.commands.crawl import crawl
from crawler.frontier.postgres.connection import checked

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "archive-node@.service"
COORDINATOR = DEPLOY / "systemd" / "archive-coordinator.service"
#: What the variables of the files are set to.
VALUES = {
    "SITE": "example.org", "CONTACT": "you@example.org", "POSTGRES_PASSWORD": "secret",
    "FRONTIER": "postgresql://outlast@db.example.org/outlast", "DESTINATION": "s3://vault/rescue",
    "PUBLIC": "https://rescue.example.org:8443",
}  # fmt: skip


def filled(text: str) -> str:
    """Put values, or what is written as default, where variables are."""
    return re.sub(r"\$\{(\w+)(?::([-?])([^}]*))?\}", lambda v: VALUES[v[1]] if v[1] in VALUES else v[3], text)


def understood(words: list[str]) -> dict[str, Any]:
    """Return the options of ``archive crawl`` as it takes these words; click raises what it does not know."""
    with click.Context(click.Group("archive")) as archive:
        return crawl.make_context("crawl", words, parent=archive).params


def composed() -> dict[str, Any]:
    return yaml.safe_load(filled((DEPLOY / "compose.yaml").read_text("utf-8")))


def unit(path: Path = UNIT) -> ConfigParser:
    # A key that is given twice is a list to systemd.
    read = ConfigParser(interpolation=None, strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read_string(path.read_text("utf-8"))
    return read


def scripts() -> dict[str, str]:
    """Return what the shell is given to run a coordinator, and to make its collection."""
    (compose,) = composed()["services"]["coordinator"]["command"]
    pod = manifests()["StatefulSet", "outlast-coordinator"]["spec"]["template"]["spec"]
    (init,), (container,) = pod["initContainers"], pod["containers"]
    assert composed()["services"]["coordinator"]["entrypoint"] == init["command"] == ["/bin/sh", "-ec"]
    return {
        "compose": compose.replace("$$", "$"),
        "kubernetes": f"{init['args'][0]}; exec archive {' '.join(container['args'])}",
    }


def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    things = [
        thing
        for file in (DEPLOY / "kubernetes").glob("*.yaml")
        for thing in yaml.safe_load_all(file.read_text("utf-8"))
    ]
    return {(thing["kind"], thing["metadata"]["name"]): thing for thing in things}


def commands() -> dict[str, list[str]]:
    words = unit()["Service"]["ExecStart"].split()
    assert words[0].endswith("/bin/archive")
    container = manifests()["StatefulSet", "outlast-node"]["spec"]["template"]["spec"]["containers"][0]
    return {
        "compose": composed()["services"]["node"]["command"],
        "systemd": [filled(word.replace("%i", "example.org").replace("%S", "/var/lib")) for word in words[1:]],
        "kubernetes": container["args"],
    }


@pytest.mark.parametrize("where", ["compose", "systemd", "kubernetes"])
def test_every_node_runs_a_command_that_is_there(where: str) -> None:
    name, *words = commands()[where]
    assert name == "crawl"
    options = understood(words)
    assert options["domain"] == "example.org"
    assert checked(options["frontier"]) == options["frontier"]
    assert options["into"].startswith("/")


def coordinated(words: list[str]) -> dict[str, Any]:
    """Return the options of ``archive coordinate`` as it takes these words."""
    with click.Context(click.Group("archive")) as archive:
        return coordinate.make_context("coordinate", words, parent=archive).params


@pytest.mark.parametrize("where", ["compose", "kubernetes"])
def test_a_coordinator_in_a_container_runs_commands_that_are_there(where: str) -> None:
    crawled, coordinates = (
        shlex.split(one)[1:] for one in re.findall(r"archive [^|;]+", scripts()[where])
    )  # fmt: skip
    node, made, options = (
        understood(commands()[where][1:]), understood(crawled[1:]), coordinated(coordinates[1:])
    )  # fmt: skip
    same = ("domain", "frontier", "contact", "concurrency")
    assert {name: made[name] for name in same} == {name: node[name] for name in same}
    assert (crawled[0], coordinates[0], made["into"]) == ("crawl", "coordinate", options["directory"])
    assert options["directory"].startswith("/data/")
    assert (options["listen"], options["where"]) == ("0.0.0.0:8443", VALUES["DESTINATION"])


def test_the_coordinator_runs_a_command_that_is_there() -> None:
    words = unit(COORDINATOR)["Service"]["ExecStart"].split()
    assert (Path(words[0]).name, words[1]) == ("archive", "coordinate")
    options = coordinated([filled(word.replace("%S", "/var/lib")) for word in words[2:]])
    assert (options["where"], options["public"]) == (VALUES["DESTINATION"], VALUES["PUBLIC"])
    service = unit(COORDINATOR)["Service"]
    ends = {int(n) for key in ("SuccessExitStatus", "RestartPreventExitStatus") for n in service[key].split()}
    told = coordinate.get_help(click.Context(coordinate))
    assert ends <= {int(code) for code in re.findall(r"^ +(\d+)  ", told, re.MULTILINE)}


def test_a_flag_that_is_not_there_is_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        understood(["example.org", "--volunteer"])


def test_compose_names_only_what_it_has() -> None:
    services, volumes = composed()["services"], composed()["volumes"]
    for one in services.values():
        assert ("image" in one) != ("build" in one)
        assert one.get("depends_on", {}).keys() <= services.keys()
        for volume in one["volumes"]:
            name, _, place = volume.partition(":")
            assert volume.startswith("/") or (name in volumes and place.startswith("/"))
    build = services["node"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()
    # As many as are wanted: none of them has a name, or a port of this machine, of its own.
    assert not {"container_name", "ports", "hostname"} & services["node"].keys()
    assert "postgres" in services["node"]["command"][3]
    assert services["node"]["environment"]["PGPASSWORD"] == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert services["seaweedfs"]["profiles"] == ["trial"]


def test_the_image_has_what_a_fleet_needs() -> None:
    text, project = (
        (DEPLOY / "Dockerfile").read_text("utf-8"),
        tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")),
    )
    assert "/src[fleet]" in text
    assert "fleet" in project["project"]["optional-dependencies"]
    assert 'ENTRYPOINT ["archive"]' in text
    assert "archive" in project["project"]["scripts"]


def test_the_unit_knows_the_exit_codes() -> None:
    service = unit()["Service"]
    documented = {int(code) for code in re.findall(r"^ +(\d+)  ", crawl.get_help(click.Context(crawl)), re.MULTILINE)}
    ends, stays = (
        {int(code) for code in service[key].split()} for key in ("SuccessExitStatus", "RestartPreventExitStatus")
    )
    assert ends | stays <= documented
    assert not ends & stays
    assert 11 not in ends | stays, "a lost database comes back"
    assert "PGPASSWORD" not in service["ExecStart"]


@pytest.mark.outside
@pytest.mark.parametrize("path", [UNIT, COORDINATOR])
def test_systemd_takes_the_unit(path: Path, tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    assert program
    copy = tmp_path / path.name.replace("@", "@example.org")
    # It wants the program to be there.
    copy.write_text(path.read_text("utf-8").replace("/opt/outlast/bin/archive", "/bin/true"), "utf-8")
    done = subprocess.run([program, "verify", str(copy)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_manifests_fit_together() -> None:
    things = manifests()
    for (kind, name), one in things.items():
        assert (
            one["apiVersion"] == {"Service": "v1", "StatefulSet": "apps/v1", "PodDisruptionBudget": "policy/v1"}[kind]
        )
        if kind != "StatefulSet":
            continue
        spec, pod = one["spec"], one["spec"]["template"]
        labels = pod["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels
        assert things["Service", spec["serviceName"]]["spec"]["selector"] == labels
        claims = {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
            assert {mount["name"] for mount in container["volumeMounts"]} == claims
            secrets = [e["valueFrom"]["secretKeyRef"] for e in container["env"] if "valueFrom" in e]
            assert secrets[0] == {"name": "outlast-database", "key": "password"}, name
            assert {each["name"] for each in secrets} <= set(created()), "README says how each is made"
            assert not any(re.search("PASS|SECRET|KEY", e["name"]) for e in container["env"] if "value" in e)
    node = things["StatefulSet", "outlast-node"]["spec"]["template"]
    assert (
        things["PodDisruptionBudget", "outlast-node"]["spec"]["selector"]["matchLabels"] == node["metadata"]["labels"]
    )
    options = understood(commands()["kubernetes"][1:])
    assert ("Service", options["frontier"].split("@")[1].split("/")[0]) in things
    mount = node["spec"]["containers"][0]["volumeMounts"][0]["mountPath"]
    assert options["into"].startswith(f"{mount}/")


def created() -> list[str]:
    return re.findall(r"kubectl create secret generic (\S+)", (DEPLOY / "README.md").read_text("utf-8"))


@pytest.mark.parametrize("version", ["1.28", "1.34"])
def test_kubernetes_knows_every_field(version: str) -> None:
    for thing in manifests().values():
        kubernetes_validate.validate(thing, version, strict=True)
    wrong = manifests()["StatefulSet", "outlast-coordinator"]
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_the_coordinator_is_one_that_volunteers_find() -> None:
    things = manifests()
    coordinator = things["StatefulSet", "outlast-coordinator"]["spec"]
    (container,) = coordinator["template"]["spec"]["containers"]
    assert coordinator["replicas"] == 1
    (port,) = things["Service", "outlast-coordinator"]["spec"]["ports"]
    names = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert names[port["targetPort"]] == port["port"] == int(coordinated(container["args"][1:])["listen"].split(":")[1])
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        asked = container[probe]["httpGet"]
        assert (asked["scheme"], asked["path"], names[asked["port"]]) == ("HTTPS", "/health", port["port"])
    service = composed()["services"]["coordinator"]
    assert service["ports"] == [f"{port['port']}:{port['port']}"]
    assert f"https://127.0.0.1:{port['port']}/health" in service["healthcheck"]["test"][-1]
    compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
