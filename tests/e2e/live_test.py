#!/usr/bin/env python3
"""stat, top, graph and tap show exactly what was sent, through a gateway and a lane, by real Envoys.

    gateway ─> web ─┬─> cart             20 requests in no lane
                    └─> cart[feature-a]  12 in the lane
"""

import json
import re
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

    def look_anew(self):
        """The edges, after a look at the proxies that has begun since this was called: on a slow machine an answer
        is of the last look, which may have begun before."""
        ends = []

        def looked():
            page = self.page("graph")
            if page["seconds"] > 0:
                ends.append(page["to"])
            return page if len(set(ends)) > 2 and page["proxies"]["silent"] == 0 else None
        return self.edges(case.wait_until(looked, 60, lambda: f"proxies are looked at: {ends}"))

    def assert_came(self, before, words, expected):
        """What `words` shows is more by what is expected, once all of it is told."""
        seen = {}

        def told():
            after = self.edges(self.page(*words))
            seen.update({edge: count - before.get(edge, 0) for edge, count in after.items() if count - before.get(edge, 0)})
            return all(seen.get(edge, 0) >= count for edge, count in expected.items())
        case.wait_until(told, 30, lambda: f"{words}: {seen}, must be {expected}")
        self.assertEqual(seen, expected, words)

    def test_figures_are_what_was_sent(self):
        expected = {("gateway", "web", ""): PLAIN + IN_LANE, ("web", "cart", ""): PLAIN, ("web", "cart", LANE): IN_LANE}
        before = self.look_anew()
        lane_before = self.edges(self.page("graph", "--lane", LANE))
        self.send()
        for words in (("top",), ("graph",)):
            self.assert_came(before, words, expected)
        in_lane = {("gateway", "web", ""): IN_LANE, ("web", "cart", LANE): IN_LANE}
        self.assert_came(lane_before, ("graph", "--lane", LANE), in_lane)
        time.sleep(1.5)  # each worker tells once a second: what was told twice would be there by then
        self.assert_came(lane_before, ("graph", "--lane", LANE), in_lane)

        gray = next(item for item in self.page("stat", "cart")["items"] if item["canarytag"] == LANE)
        self.assertEqual((gray["version"], gray["lane"], gray["success"], gray["codes"]),
                         (LANE, LANE, 1, {"200": gray["requests"]}))
        # Envoy adds latencies to what it shows every five seconds.
        gray = case.wait_until(lambda: next((item for item in self.page("stat", "cart")["items"]
                                             if item["canarytag"] == LANE and item["p99Ms"] is not None), None), 30,
                               lambda: f"latencies are there: {self.page('stat', 'cart')}", 0.5)
        self.assertLess(gray["p50Ms"], gray["p99Ms"] + 0.001)
        # Of the last 30 seconds; the above may be older.
        line = rf"(?m)^fe-pre +cart +{LANE} +{LANE} +{LANE} +[\d.]+ +100\.00% +[\d.]+m?s +[\d.]+m?s +[\d.]+m?s$"
        case.wait_until(lambda: self.send(1, 1) or re.search(line, self.cli("stat", "cart", "-n", "fe-pre")), 30,
                        lambda: f"{line}: {self.cli('stat', 'cart', '-n', 'fe-pre')}", 0.5)
        self.assertIn(f'"web.fe-pre" -> "cart.fe-pre[{LANE}]"', self.cli("graph", "-o", "dot"))
        self.assertRegex(self.cli("top", "--sort", "rate"), r"(?m)^gateway\.ingress +web\.fe-pre +- ")

        def received():
            items = self.mesh.api_call("GET", "/api/v1/live/workloads?seconds=600&workload=cart")["items"]
            return {item["canarytag"]: item["received"]["requests"] >= IN_LANE for item in items}
        case.wait_until(lambda: received() == {"": True, LANE: True}, 30, received)

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
        # Long enough for all that is sent meanwhile, also where that takes its time.
        in_lane = self.tap("--lane", LANE, "--for", "16s")
        self.assertEqual(self.keys(), set(), "a lane needs no more than is told anyway")
        whole = self.tap("--service", "cart", "--for", "15s")
        self.assertEqual(len(self.keys()), len(self.mesh.instances_now()))
        gateway = self.tap("--from", "gateway", "--path", "/tapped", "--max", "3")
        self.send(path="/tapped")
        self.assertEqual(self.told(gateway), {("gateway", "web", ""): 3})
        self.assertEqual(self.told(whole), {("web", "cart", ""): PLAIN, ("web", "cart", LANE): IN_LANE})
        self.assertEqual(self.told(in_lane), {("gateway", "web", ""): IN_LANE, ("web", "cart", LANE): IN_LANE})
        case.wait_until(lambda: not self.keys(), 30, lambda: f"proxies tell no more than before: {self.keys()}")

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
