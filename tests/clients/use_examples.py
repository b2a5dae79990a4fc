"""Runs examples/zabbix.yaml and examples/home-assistant.yaml with responses of the agent, as Zabbix and Home Assistant do."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jinja2
import yaml
from jsonpath_ng import parse

from checking import check

EXAMPLES = Path(__file__).parents[2] / "examples"
FUNCTIONS = {"max": max}


class Discarded(Exception):
    """There is no value, and the template says that this is no error."""


def read(name):
    return yaml.safe_load((EXAMPLES / name).read_text())


def json_path(path, text):
    """Zabbix adds functions at the end of a path, which JSONPath itself does not have."""
    found = re.fullmatch(r"(.*)\.(\w+)\(\)", path)
    path, function = found.groups() if found else (path, None)
    values = [match.value for match in parse(path).find(json.loads(text))]
    if not values:
        raise Discarded(path)
    value = FUNCTIONS[function](values) if function else values[0]
    return value if isinstance(value, str) else json.dumps(value)


def javascript(code, text):
    """The body of a function of `value`, which returns a text or throws."""
    program = f"process.stdout.write((function (value) {{{code}\n}})({json.dumps(text)}))"
    done = subprocess.run(["node", "-e", program], capture_output=True, text=True)
    if done.returncode:
        raise Discarded(done.stderr)
    return done.stdout


STEPS = {
    "JSONPATH": json_path,
    "JAVASCRIPT": javascript,
    "MULTIPLIER": lambda factor, text: str(float(text) * float(factor)),
}


def value_of(item, items, responses, site):
    """The value of an item for a site; `None` if it is discarded."""
    if item["type"] == "HTTP_AGENT":
        return responses[item["key"]]
    text = value_of(items[item["master_item"]["key"]], items, responses, site)
    if text is None:
        return None
    for step in item["preprocessing"]:
        parameter = step["parameters"][0].replace("{#SITE}", site)
        try:
            text = STEPS[step["type"]](parameter, text)
        except Discarded:
            if step.get("error_handler") != "DISCARD_VALUE":
                raise
            return None
    return text


def every(node, key):
    """All values of a key, at any depth."""
    if isinstance(node, dict):
        yield from ([node[key]] if key in node else [])
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else []:
        yield from every(child, key)


def zabbix(stats, sites):
    export = read("zabbix.yaml")
    (template,) = export["zabbix_export"]["templates"]
    (rule,) = template["discovery_rules"]
    prototypes = rule["item_prototypes"]
    items = {item["key"]: item for item in template["items"] + prototypes}
    for what, all_of in {
        "uuid": list(every(export, "uuid")),
        "key": [item["key"] for item in template["items"] + [rule] + prototypes],
        "name": [item["name"] for item in template["items"] + prototypes],
    }.items():
        check(f"repeated {what}", sorted({one for one in all_of if all_of.count(one) > 1}), [])
    is_v4 = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")
    check("malformed uuid", [uuid for uuid in every(export, "uuid") if not is_v4.fullmatch(uuid)], [])
    triggers = list(every(export, "expression"))
    used = [found for text in triggers for found in re.findall(r"\(/([^/]+)/([^,)]*\]|[\w.]+)", text)]
    check("triggers without an item", [at for at in used if at[0] != template["template"] or at[1] not in items], [])
    check("triggers", len(triggers) > 4 and len(used) >= len(triggers), True)
    macros = {macro["macro"] for macro in template["macros"]}
    check("macros", set(re.findall(r"{\$[\w.]+}", json.dumps(template))), macros)
    responses = {"phsweb.stats": json.dumps(stats), "phsweb.sites": json.dumps(sites)}
    found = json.loads(value_of({**rule, "type": "DEPENDENT"}, items, responses, ""))
    paths = {macro["lld_macro"]: macro["path"] for macro in rule["lld_macro_paths"]}
    discovered = {json_path(paths["{#SITE}"], json.dumps(row)): json_path(paths["{#NAME}"], json.dumps(row)) for row in found}
    check("discovered", discovered, {key: site["name"] for key, site in sites.items()})
    for key, site in sites.items():
        values = {item["key"]: value_of(item, items, responses, key) for item in prototypes}
        check(f"{key}: state", values["phsweb.site.state[{#SITE}]"], site["state"])
        known = [item["key"] for item in prototypes if values[item["key"]] is not None]
        expected = list(items)[len(template["items"]):] if site["state"] == "online" else ["phsweb.site.state[{#SITE}]"]
        check(f"{key}: items with a value", known, expected)
        if site["state"] == "online":
            check(f"{key}: users", values["phsweb.site.users.active[{#SITE}]"], str(stats[key]["activeUsers"]))
            texts = ("CHAR", "TEXT")
            [float(values[item["key"]]) for item in prototypes if item.get("value_type") not in texts]


def home_assistant(stats):
    (rest,) = read("home-assistant.yaml")["rest"]
    check("resource", rest["resource"].endswith("/api/hotspot/awka"), True)
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    for key, site in stats.items():
        def rendered(entity, field):
            return environment.from_string(entity[field]).render(value_json=site)
        (connected,), (users,) = rest["binary_sensor"], rest["sensor"]
        is_online = str(site["state"] == "online")
        check(f"{key}: connected", rendered(connected, "value_template"), is_online)
        check(f"{key}: available", rendered(users, "availability"), is_online)
        check(f"{key}: users", rendered(users, "value_template"), str(site["activeUsers"]))


stats, sites = (json.loads(Path(file).read_text()) for file in sys.argv[1:])
zabbix(stats, sites)
home_assistant(stats)
