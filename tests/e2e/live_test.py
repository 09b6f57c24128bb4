#!/usr/bin/env python3
"""stat, top, graph and tap show exactly what was sent, through a gateway and a lane, by real Envoys.

    gateway ─> web ─┬─> cart             20 requests in no lane
                    └─> cart[feature-a]  12 in the lane
"""

import json
import subprocess
import time
import unittest

import case
import demo_mesh
import release_case
from api_description import Description

LANE = "feature-a"
PLAIN, IN_LANE = 20, 12


class Live(release_case.ReleaseCase):
    described = Description()

    def setUp(self):
        self.mesh = self.start(release_case.application("web", calls="cart", host="shop.example", replicas=2),
                               release_case.application("cart", replicas=1))
        self.mesh.start_release("fe-pre", "cart", LANE)

    def cli(self, *words):
        done = subprocess.run([case.PROGRAMS / "graymesh", "--server", self.mesh.api, *words], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def page(self, *words):
        return json.loads(self.cli(*words, "--seconds", "600", "-o", "json"))

    def send(self, plain=PLAIN, in_lane=IN_LANE, path="/"):
        for headers, count in ((None, plain), ({"canarytag": LANE}, in_lane)):
            for _ in range(count):
                answer = self.mesh.get("shop.example", path, headers)
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(f"cart[{LANE}]" in answer.path, headers is not None, answer)

    @staticmethod
    def edges(page):
        """{(workload, service, canarytag): requests}"""
        found = {}
        for item in page["items"]:
            key = (item["from"]["workload"], item["to"]["service"], item["to"]["canarytag"])
            found[key] = found.get(key, 0) + item["requests"]
        return found

    def assert_came(self, before, after, expected):
        came = {edge: count - before.get(edge, 0) for edge, count in after.items()}
        self.assertEqual({edge: count for edge, count in came.items() if count}, expected)

    def test_figures_are_what_was_sent(self):
        expected = {("gateway", "web", ""): PLAIN + IN_LANE, ("web", "cart", ""): PLAIN, ("web", "cart", LANE): IN_LANE}
        before = {words: self.edges(self.page(*words)) for words in (("top",), ("graph",))}
        lane_before = self.edges(self.page("graph", "--lane", LANE))
        self.send()
        for words, edges in before.items():
            self.assert_came(edges, self.edges(self.page(*words)), expected)
        in_lane = {("gateway", "web", ""): IN_LANE, ("web", "cart", LANE): IN_LANE}
        case.wait_until(lambda: self.edges(self.page("graph", "--lane", LANE)) != lane_before, 10, "proxies told")
        time.sleep(1.5)  # each worker tells once a second
        self.assert_came(lane_before, self.edges(self.page("graph", "--lane", LANE)), in_lane)

        gray = next(item for item in self.page("stat", "cart")["items"] if item["canarytag"] == LANE)
        self.assertEqual((gray["version"], gray["lane"], gray["success"], gray["codes"]),
                         (LANE, LANE, 1, {"200": gray["requests"]}))
        # Envoy adds latencies to what it shows every five seconds.
        gray = case.wait_until(lambda: next(item for item in self.page("stat", "cart")["items"]
                                            if item["canarytag"] == LANE and item["p99Ms"] is not None), 10,
                               "latencies are there", 0.5)
        self.assertLess(gray["p50Ms"], gray["p99Ms"] + 0.001)
        self.assertRegex(self.cli("stat", "cart", "-n", "fe-pre"),
                         rf"(?m)^fe-pre +cart +{LANE} +{LANE} +{LANE} +[\d.]+ +100\.00% +[\d.]+m?s +[\d.]+m?s +[\d.]+m?s$")
        self.assertIn(f'"web.fe-pre" -> "cart.fe-pre[{LANE}]"', self.cli("graph", "-o", "dot"))
        self.assertRegex(self.cli("top", "--sort", "rate"), r"(?m)^gateway\.ingress +web\.fe-pre +- ")
        workloads = self.mesh.api_call("GET", "/api/v1/live/workloads?seconds=600&workload=cart")["items"]
        self.assertEqual({item["canarytag"]: item["received"]["requests"] >= IN_LANE for item in workloads},
                         {"": True, LANE: True})

    def tap(self, *words):
        process = subprocess.Popen([case.PROGRAMS / "graymesh", "--server", self.mesh.api, "tap", *words, "-o", "json"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        for line in process.stderr:
            if "tapping" in line:
                return process
        raise AssertionError(f"it does not begin: {process.communicate()}")

    def told(self, process):
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, errors)
        found = {}
        for line in output.splitlines():
            request = json.loads(line)
            self.assertEqual(self.described.faults_of("LiveRequest", request), [])
            edge = (request["from"]["workload"], request["to"]["service"], request["to"]["canarytag"])
            found[edge] = found.get(edge, 0) + 1
            self.assertEqual((request["code"], request["method"]), (200, "GET"))
            self.assertTrue(request["to"]["instance"].startswith(request["to"]["service"]), request)
        return found

    def keys(self, instances=None):
        """Instances whose Envoy has been asked to tell more."""
        found = set()
        for instance in instances or self.mesh.instances_now():
            client = demo_mesh.Client(instance["address"], 15000)
            if "graymesh.tap" in client.request("/runtime", "admin").body.decode():
                found.add(instance["name"])
            client.close()
        return found

    def test_tap_shows_exactly_what_was_asked_for(self):
        in_lane = self.tap("--lane", LANE, "--for", "6s")
        self.assertEqual(self.keys(), set(), "a lane needs no more than is told anyway")
        whole = self.tap("--service", "cart", "--for", "5s")
        self.assertEqual(len(self.keys()), len(self.mesh.instances_now()))
        gateway = self.tap("--from", "gateway", "--path", "/tapped", "--max", "3")
        self.send(path="/tapped")
        self.assertEqual(self.told(gateway), {("gateway", "web", ""): 3})
        self.assertEqual(self.told(whole), {("web", "cart", ""): PLAIN, ("web", "cart", LANE): IN_LANE})
        self.assertEqual(self.told(in_lane), {("gateway", "web", ""): IN_LANE, ("web", "cart", LANE): IN_LANE})
        case.wait_until(lambda: not self.keys(), 10, "proxies tell no more than before")

    def test_a_graymeshd_that_is_killed_leaves_no_sidecar_telling(self):
        instances = self.mesh.instances_now()
        process = self.tap("--service", "cart")
        self.mesh.kill_control_plane()
        process.communicate(timeout=60)
        self.assertEqual(len(self.keys(instances)), len(instances))
        self.mesh.start_control_plane()
        case.wait_until(lambda: self.cli("stat") and not self.keys(instances), 60, "the next one ends it", 0.5)


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
