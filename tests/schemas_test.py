#!/usr/bin/env python3
"""docs/schemas say what `graymesh validate` says: both take what is good and refuse what is not; and
docs/api.yaml has the paths that are served."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = pathlib.Path(os.environ.get("GRAYMESH_BIN") or ROOT / "build/bin")
KINDS = {"Application": "application", "GrayRelease": "grayrelease", "Lane": "lane", "Environment": "environment"}

GOOD = [
    ("Application", "{ports: [{name: http, port: 80}], run: {command: [a]}}"),
    ("Application", "{gateway: true, ports: [{name: http, port: 80, protocol: HTTP}]}"),
    ("Application", "{team: t, ports: [{name: a, port: 1}], hosts: [a.example], gateways: [x/y], replicas: 3, run: "
     "{version: v1, command: [a, b], environment: {A: b}, directory: /x, resources: {memory: 256Mi, cpu: 500m}}, "
     "readiness: {http: {path: /a, port: 80}, period: 1s}, liveness: {tcp: {}}, startup: {command: [x]}, "
     "stop: {drain: 0s, timeout: 1m30s}, repeat: none, slo: {availability: 99.9, latency: {threshold: 250ms, target: "
     "99.5}}}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}]}"),
    ("GrayRelease", "{tag: a, applications: [{name: web, replicas: 2, run: {version: x}}], match: [{headers: {a: {exact: "
     "b}}, query: {c: {}}, cookies: {d: {regex: 'e.*'}}, sourceApplication: cart}], steps: [{weight: 1, pause: {duration: "
     "10m}}, {weight: 5, pause: {approval: true}}, {weight: 9, pause: {verdict: 'http://j/'}}], stickyCookie: u, laggards: "
     "{policy: goOn, after: 3s}, readyWithin: 1m, promote: true, promoteTo: fe-online}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], steps: [{weight: 1, analysis: {}}, {weight: 2, analysis: "
     "{proxies: false, prometheus: 'http://p', window: 90s}}, {weight: 3, analysis: {prometheus: 'http://p', queries: "
     "[{name: a, total: t, bad: b, margin: 1}, {name: c}], interval: 1s, duration: {minimum: 0s, maximum: 1h}, "
     "inconclusive: advance, dryRun: true}}]}"),
    ("Lane", "{owner: ann, branch: b, timeToLive: 72h, idle: 1h, mode: strict}"),
    ("Environment", "{allow: {lanes: true, weights: false}, approval: {required: 1, fourEyes: true, by: [ann]}, lanes: "
     "{timeToLive: 1h, idle: 1m, cookieDomain: a.example}, baseline: {minimum: 2}, freezes: [{from: "
     "'2026-12-24T00:00:00Z', to: '2026-12-27T00:00:00Z', reason: r}], promoteTo: fe-online}"),
]
BAD = [
    ("Application", "{ports: [], run: {command: [a]}}"),
    ("Application", "{ports: [{name: http, port: 80}]}"),
    ("Application", "{ports: [{name: http, port: 70000}], run: {command: [a]}}"),
    ("Application", "{ports: [{name: http, port: 80}], run: {command: [a]}, replica: 2}"),
    ("Application", "{ports: [{name: http, port: 80}], run: {command: [a]}, hosts: [localhost]}"),
    ("Application", "{ports: [{name: http, port: 80}], run: {command: [a]}, readiness: {period: 1s}}"),
    ("Application", "{ports: [{name: http, port: 80}], run: {command: [a]}, repeat: all}"),
    ("Application", "{ports: [{name: http, port: 80}], run: {command: [a]}, slo: {}}"),
    ("Application", "{ports: [{name: http, port: 80}], run: {command: [a]}, slo: {availability: 100}}"),
    ("Application", "{ports: [{name: http, port: 80}], run: {command: [a]}, slo: {availability: 99, latency: {threshold: "
     "300ms}}}"),
    ("GrayRelease", "{applications: [{name: web}]}"),
    ("GrayRelease", "{tag: baseline, applications: [{name: web}]}"),
    ("GrayRelease", "{tag: a, applications: []}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], match: [{}]}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], steps: [{weight: 101}]}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], steps: [{weight: 1, pause: {duration: 1s, approval: true}}]}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], readyWithin: soon}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], promoteTo: Fe_Online}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], steps: [{weight: 1, analysis: {prometheus: 'ftp://p'}}]}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], steps: [{weight: 1, analysis: {proxies: false}}]}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], steps: [{weight: 1, analysis: {prometheus: 'http://p'}}]}"),
    ("GrayRelease", "{tag: a, applications: [{name: web}], steps: [{weight: 1, analysis: {window: 1m}}]}"),
    ("Lane", "{mode: loose}"),
    ("Environment", "{approval: {required: 11}}"),
    ("Environment", "{freezes: [{from: '2026-12-24T00:00:00Z'}]}"),
]


def validator(kind):
    import jsonschema
    return jsonschema.Draft202012Validator(json.loads((ROOT / f"docs/schemas/{KINDS[kind]}.json").read_text()))


def document(kind, spec):
    return {"apiVersion": "graymesh.io/v1alpha1", "kind": kind, "metadata": {"name": "x", "namespace": "fe-pre"},
            "spec": yaml.safe_load(spec)}


def graymesh_takes(whole):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(whole, file)
        file.flush()
        ran = subprocess.run([PROGRAMS / "graymesh", "validate", file.name], capture_output=True, text=True, check=False)
        return ran.returncode == 0, ran.stdout + ran.stderr


class Schemas(unittest.TestCase):
    def test_take_what_graymesh_takes(self):
        for kind, spec in GOOD:
            whole = document(kind, spec)
            self.assertEqual([fault.message for fault in validator(kind).iter_errors(whole)], [], spec)
            self.assertEqual(graymesh_takes(whole)[0], True, (spec, graymesh_takes(whole)[1]))

    def test_refuse_what_graymesh_refuses(self):
        for kind, spec in BAD:
            whole = document(kind, spec)
            self.assertFalse(validator(kind).is_valid(whole), spec)
            self.assertEqual(graymesh_takes(whole)[0], False, spec)

    def test_take_the_demo(self):
        seen = 0
        for file in sorted((ROOT / "demo/platform").glob("*.yaml")):
            for whole in yaml.safe_load_all(file.read_text()):
                if whole["kind"] in KINDS:
                    self.assertEqual([fault.message for fault in validator(whole["kind"]).iter_errors(whole)], [])
                    seen += 1
        self.assertGreater(seen, 6)


class Api(unittest.TestCase):
    def test_the_paths_of_the_description_are_those_that_are_served(self):
        described = yaml.safe_load((ROOT / "docs/api.yaml").read_text())["paths"]
        with tempfile.TemporaryDirectory() as folder:
            server = subprocess.Popen(
                [PROGRAMS / "graymeshd", "--config", folder, "--store", f"{folder}/store.db", "--xds", "127.0.0.1:0",
                 "--api", "127.0.0.1:0", "--print-addresses"], stdout=subprocess.PIPE, text=True)
            try:
                api = json.loads(server.stdout.readline())["api"]
                with urllib.request.urlopen(f"http://{api}/api/v1", timeout=10) as answer:
                    served = json.load(answer)["paths"]
            finally:
                server.terminate()
                server.wait(10)
                server.stdout.close()
        self.assertEqual(sorted((entry["path"], entry["method"].lower()) for entry in served),
                         sorted((path, method) for path, methods in described.items() for method in methods))


if __name__ == "__main__":
    unittest.main(verbosity=2)
