#!/usr/bin/env python3
"""The record of proxies, with a real Envoy: what it ran at any time is answered from it, over kill -9
of graymeshd and beside a damaged file; `wait` ends when a change is everywhere, and not before.

    client ── its sidecar (Envoy) ──> cart-baseline, cart-feature-a
"""

import datetime
import json
import time
import unittest

import case

FILES = {
    "apps.yaml": case.service("client", "10.96.1.1") + case.pod("client", "baseline", "127.1.2.1", injected=True)
    .replace("name: client-baseline", "name: client")
    + case.service("cart", "10.96.1.2") + case.pod("cart", "baseline", "127.1.2.21") + case.pod("cart", "feature-a", "127.1.2.22"),
    "routes.yaml": case.rule("cart", "baseline", "feature-a") + case.by_header("cart", "feature-a"),
}
PROXY = "client.fe-pre"


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class RecordedMesh(case.Mesh):
    def control_plane_arguments(self):
        return [*super().control_plane_arguments(), "--record", self.made / "record", "--record-max", "16"]


class Record(case.Case):
    files = FILES

    @classmethod
    def setUpClass(cls):
        cls.mesh = RecordedMesh(cls.files, cls.mesh_config).start()

    def setUp(self):
        self.mesh.settled()
        self.eventually(lambda: self.on_record() == self.config(), 15, "the record has the proxy, on disk")
        self.addCleanup(lambda: self.mesh.control_plane.running() or self.mesh.start_control_plane())

    def config(self, query=""):
        """Names, versions and contents of all that the proxy holds; in which order says nothing."""
        dump = self.mesh.json(f"/api/v1/proxies/{PROXY}/config{query}")
        for of_type in dump["configs"]:
            for resources in of_type.values():
                if isinstance(resources, list):
                    resources.sort(key=lambda resource: json.dumps(resource, sort_keys=True))
        return json.dumps(dump, sort_keys=True)

    def on_record(self):
        """The same of its last state, as the files of the record have it; empty if they do not."""
        told = self.mesh.api_get(f"/api/v1/proxies/{PROXY}/config?at=now").status == 200
        return self.config("?at=now") if told else ""

    def ok(self, *words, code=0):
        done = self.mesh.graymesh(*words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_what_a_proxy_ran_is_known_over_a_kill_of_graymeshd(self):
        first, at_first = self.config(), now()
        time.sleep(0.01)
        self.change("routes.yaml", case.rule("cart", "baseline", "feature-a") + case.by_header("cart"))
        # It can wait for a text only once graymeshd has read it.
        self.eventually(lambda: "canarytag" not in json.dumps(self.mesh.json(
            "/api/v1/objects?kind=vs&namespace=fe-pre&name=cart")["items"][0]["object"]), 15, "the change is read")
        self.ok("wait", "vs/cart", "-n", "fe-pre", "--timeout", "20")
        second, at_second = self.config(), now()
        self.assertNotEqual(first, second)
        # A kill loses what is not written yet.
        self.eventually(lambda: self.on_record() == second, 15, "the change is on disk")
        self.mesh.kill_control_plane()
        self.mesh.start_control_plane()
        self.mesh.settled(15)
        self.assertEqual(self.config(f"?at={at_first}"), first)
        self.assertEqual(self.config(f"?at={at_second}"), second)
        self.assertEqual(self.config("?at=now"), second)
        between = self.ok("history", "proxy", PROXY, "--between", at_first, at_second)
        self.assertIn("~ route ", between)
        self.assertIn("feature-a", between)
        self.assertIn("ACK", between)
        self.assertIn("VirtualService fe-pre/cart", self.ok("proxy", "blame", PROXY, "http_proxy"))
        self.eventually(lambda: "returned" in self.ok("history", "proxy", PROXY, "--between", at_second, "now"), 15,
                        lambda: self.ok("history", "proxy", PROXY, "--between", at_second, "now"))

    def test_what_it_has_is_what_it_shall_have_and_what_its_envoy_says(self):
        def same(*words):
            # What the test before put back may be on its way.
            done = []

            def ask():
                done.append(self.mesh.graymesh("proxy", "diff", PROXY, *words))
                return done[-1].returncode == 0 and "are the same" in done[-1].stdout + done[-1].stderr
            self.eventually(ask, 15, lambda: f"they are the same: {done[-1]}")
        same()
        same("--envoy", f"{self.mesh.instance(PROXY).address}:15000")

    def test_waiting_ends_with_a_receipt_or_says_why_not(self):
        receipt = json.loads(self.ok("wait", "vs/cart", "-n", "fe-pre", "-o", "json"))["receipt"]
        self.assertEqual((receipt["proxies"], receipt["acked"], receipt["missing"]), (1, 1, []))
        self.assertIn("is not there", self.ok("wait", "vs/nothing", "-n", "fe-pre", code=1))
        self.change("routes.yaml", case.rule("cart", "baseline", "feature-a") +
                    case.by_header("cart").replace('"subset": "baseline"}', '"subset": "baseline"}, "weight": -1'))
        self.eventually(lambda: self.mesh.graymesh("wait", "vs/cart", "-n", "fe-pre", "--timeout", "0").returncode == 1, 15,
                        what="the refused text is told")
        self.assertIn("weight", self.ok("wait", "vs/cart", "-n", "fe-pre", code=1))

    def test_a_damaged_file_is_named_and_costs_nothing_else(self):
        self.mesh.kill_control_plane()
        files = sorted((self.mesh.made / "record").glob("*.segment"))
        damaged = files[-1]
        text = bytearray(damaged.read_bytes())
        text[60] ^= 1
        damaged.write_bytes(text)
        self.mesh.start_control_plane()
        self.mesh.settled(15)
        self.eventually(lambda: f"{damaged}: byte " in self.mesh.control_plane.log.read_text(), 15, "it is told")
        self.eventually(lambda: self.on_record() == self.config(), 15, "what came after it is on record")
        self.assert_version(self.ask("http://cart:8080/"), "baseline")


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
