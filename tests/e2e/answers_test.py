#!/usr/bin/env python3
"""Every answer of graymeshd is as docs/api.yaml describes it, field by field, before a mesh in which
something goes on: releases at each of their stages, an analysis, refusals, proxies with a record."""

import json
import unittest
import urllib.parse
import urllib.request

import case
from api_description import Description
from platform_mesh import ApiError
from release_case import ReleaseCase, application

# Not JSON; its events are looked at one by one.
STREAMS = {("GET", "/api/v1/events"), ("GET", "/api/v1/live/tap")}  # live_test.py has the second
ENVIRONMENT = """\
apiVersion: graymesh.io/v1alpha1
kind: Environment
metadata: {name: pre-release, namespace: fe-pre}
spec: {approval: {required: 0}, lanes: {timeToLive: 1h}, promoteTo: fe-online}
"""
STEPS = """\
  promoteTo: fe-online
  steps:
  - weight: 20
    analysis:
      latency: {percentile: 90, margin: 40, slower: 400}
      duration: {minimum: 0s, maximum: 1s}
      interval: 1s
      inconclusive: hold
      dryRun: true
  - {weight: 50, pause: {approval: true}}
"""
WRITTEN = """\
apiVersion: v1
kind: Service
metadata: {name: more, namespace: default}
spec: {ports: [{name: http, port: 80}]}
"""


class Answers(ReleaseCase):
    def setUp(self):
        self.described = Description()
        self.mesh = self.start(application("web", calls="cart", host="shop.example"), application("cart"),
                               arguments=["--record", self.temporary_folder()])

    def ask(self, method, path, body=None, status=200):
        """The answer, which must have this status and be as it is described."""
        try:
            answer = self.mesh.api_call(method, path, body)
            met = 200
        except ApiError as refusal:
            answer, met = refusal.problem, refusal.status
        self.assertEqual(met, status, f"{method} {path}: {answer}")
        faults = self.described.faults(method, path, met, answer)
        self.assertEqual(faults[:5], [], f"{method} {path}")
        return answer

    def look(self):
        """All that can be read now."""
        for path in ("/api/v1", "/api/v1/objects", "/api/v1/proxies", "/api/v1/prometheus/sidecars", "/api/v1/history",
                     "/api/v1/instances", "/api/v1/figures?days=1", "/api/v1/applications", "/api/v1/lanes",
                     "/api/v1/environments", "/api/v1/releases", "/api/v1/releases?limit=1",
                     "/api/v1/live/edges?seconds=600", "/api/v1/live/services?lane=v2", "/api/v1/live/workloads?seconds=600"):
            self.ask("GET", path)

    def events(self):
        with urllib.request.urlopen(f"http://{self.mesh.api}/api/v1/events", timeout=10) as stream:
            seen, kind = set(), ""
            for line in stream:
                line = line.decode().strip()
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                if line.startswith("data: "):
                    seen.add(kind)
                    name = {"release": "Release", "instance": "Instance", "lane": "Lane"}[kind]
                    self.assertEqual(self.described.faults_of(name, json.loads(line.removeprefix("data: "))), [], line)
                if len(seen) == 3:
                    return

    def test_are_as_they_are_described(self):
        self.ask("POST", "/api/v1/environments", ENVIRONMENT)
        self.ask("GET", "/api/v1/environments/fe-pre/pre-release")
        self.ask("POST", "/api/v1/lanes", "apiVersion: graymesh.io/v1alpha1\nkind: Lane\n"
                 "metadata: {name: v2, namespace: fe-pre}\nspec: {owner: ann, branch: b}\n")
        wanted = self.mesh.release_yaml("fe-pre", ["web"], "v2", STEPS)
        self.assertEqual(self.ask("POST", "/api/v1/releases?dryRun=true", wanted), {"holds": True, "problems": []})
        started = self.ask("POST", "/api/v1/releases?wait=30", wanted)
        path = f"/api/v1/releases/{started['id']}"
        for _ in range(20):
            self.mesh.get("shop.example", headers={"canarytag": "v2"})
        self.look()
        self.events()
        shown = self.ask("GET", path)
        self.assertEqual(shown["steps"][0]["analysis"]["dryRun"], True)
        self.assertEqual(shown["promoteTo"], "fe-online")
        for act in ("pause", "resume", "approve", "promote"):
            self.ask("POST", f"{path}/{act}" + ("?wait=60" if act == "promote" else ""))
        self.ask("GET", f"{path}?until=promoted")
        self.look()
        self.ask("POST", f"{path}/rollback?wait=60")
        self.assertEqual(self.ask("GET", "/api/v1/applications/fe-pre/web")["status"]["settled"], True)
        self.ask("GET", "/api/v1/lanes/fe-pre/v2")
        self.objects()
        self.proxies()
        self.refusals(path)
        for kind, name in (("lanes", "v2"), ("environments", "pre-release")):
            self.ask("DELETE", f"/api/v1/{kind}/fe-pre/{name}")
        self.look()
        # What is served and nobody asked for here is not proven.
        served = {(entry["method"], entry["path"]) for entry in self.ask("GET", "/api/v1")["paths"]}
        self.assertEqual(served - self.described.visited - STREAMS, set())

    def objects(self):
        self.ask("POST", "/api/v1/objects", WRITTEN)
        self.ask("GET", "/api/v1/objects/Service/default/more/receipt?wait=10")
        self.ask("GET", "/api/v1/objects?kind=Service&namespace=default")
        self.ask("DELETE", "/api/v1/objects/Service/default/more")
        self.ask("POST", "/api/v1/applications", application("extra").removeprefix("---\n"))
        text = application("extra", replicas=1).removeprefix("---\n")
        self.ask("POST", "/api/v1/applications/fe-pre/extra", text)
        self.ask("DELETE", "/api/v1/applications/fe-pre/extra")
        self.ask("POST", "/api/v1/lanes/fe-pre/v2", "apiVersion: graymesh.io/v1alpha1\nkind: Lane\n"
                 "metadata: {name: v2, namespace: fe-pre}\nspec: {owner: bob}\n")
        self.ask("POST", "/api/v1/environments/fe-pre/pre-release", ENVIRONMENT)

    def proxies(self):
        proxies = self.ask("GET", "/api/v1/proxies")["items"]
        self.assertTrue(all(kind["chunk"] > 0 for proxy in proxies for kind in proxy["types"]), proxies)
        # Others may be on their way out.
        name = urllib.parse.quote(next(proxy["id"] for proxy in proxies if proxy["name"].startswith("gateway")))
        self.ask("GET", f"/api/v1/proxies/{name}/config")
        self.ask("GET", f"/api/v1/proxies/{name}/config?of=target&type=route")
        self.ask("GET", f"/api/v1/proxies/{name}/history")
        case.wait_until(lambda: self.ask("GET", f"/api/v1/proxies/{name}/history?from=1h&to=now")["items"], 15,
                        "the record has what it was sent, on disk")

    def refusals(self, path):
        self.ask("GET", "/api/v1/releases/9999", status=404)
        self.ask("POST", f"{path}/promote", status=409)
        self.ask("POST", "/api/v1/applications", "kind: Application\nreplicas: 3\n", status=422)
        self.ask("POST", "/api/v1/releases", self.mesh.release_yaml("fe-pre", ["nobody"], "x"), status=409)
        self.ask("GET", "/api/v1/objects?kind=Nothing", status=404)


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
