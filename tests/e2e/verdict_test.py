#!/usr/bin/env python3
"""Releases that are judged by their own traffic, through real Envoys, without Prometheus: one that fails
now and then goes back by itself and says why, one that is as good goes on, one that nobody calls waits.

    client ── gateway ──> web, cart (baseline and gray by weight)        idle: nobody calls it
"""

import time
import unittest

import case
import release_case

ANALYSIS = """\
  steps:
  - weight: 50
    analysis:
      successRate: {margin: 5}
      latency: {percentile: 90, margin: 40, slower: 400}
      interval: 1s
      duration: {minimum: 2s, maximum: 5m}
"""


class Releases(release_case.ReleaseCase):
    """Begins releases that are judged, under a load that is sent to both versions."""

    def send_to(self, mesh, *hosts):
        for host in hosts:
            client = mesh.client()
            load = case.demo_mesh.Stream(lambda c=client, h=host: c.request("/", h), pause=0.003)
            load.__enter__()
            self.addCleanup(load.stop)

    def begin(self, mesh, name, tag, steps, more=""):
        run = ("graymesh-shop --listen $(ADDRESS):$(PORT) --proxy $(PROXY) --instance $(INSTANCE) "
               f"--service {name} --version $(VERSION) {more}").split()
        words = ", ".join(f'"{word}"' for word in run)
        members = f"  applications: [{{name: {name}, run: {{version: {tag}, command: [{words}]}}}}]\n"
        text = (f"apiVersion: graymesh.io/v1alpha1\nkind: GrayRelease\nmetadata: {{name: {tag}, namespace: fe-pre}}\n"
                f"spec:\n  tag: {tag}\n{members}{steps}")
        return mesh.api_call("POST", "/api/v1/releases", text)["id"]

    def wait_for(self, mesh, number, wanted, seconds=90):
        deadline = time.monotonic() + seconds
        while not wanted(release := mesh.release(number)):
            self.assertLess(time.monotonic(), deadline, release)
            time.sleep(0.1)
        return release


class Verdicts(Releases):
    def test_each_release_ends_as_its_traffic_says(self):
        mesh = self.start(release_case.application("web", host="shop.example", replicas=1),
                          release_case.application("cart", host="cart.example", replicas=1),
                          release_case.application("idle", replicas=1))
        self.send_to(mesh, "shop.example", "cart.example")
        begun = time.monotonic()
        bad = self.begin(mesh, "web", "bad", ANALYSIS, "--fail-every 4")
        good = self.begin(mesh, "cart", "good", ANALYSIS)
        idle = self.begin(mesh, "idle", "idle", ANALYSIS)

        release = self.wait_for(mesh, bad, lambda r: r["phase"] == "rolled-back")
        self.assertRegex(release["reason"],
                         r"^rolled back: unhealthy: web: success rate: \d\d\.\d % of [\d,]+ requests failed, of the "
                         r"baseline's [\d,]+ at the same time 0\.0 %; 5 points more are tolerated$")
        receipt = release["receipts"]["rollback"]
        self.assertEqual((receipt["acked"], receipt["missing"]), (receipt["proxies"], []))
        acts = mesh.api_call("GET", f"/api/v1/history?object=release/{bad}")["items"]
        self.assertTrue([act for act in acts if act["who"] == "engine" and "unhealthy: web" in act["reason"]], acts)
        print(f"back after {time.monotonic() - begun:.1f} s: {release['reason']}")
        self.assertEqual(mesh.get("shop.example").json["version"], "v0")

        release = self.wait_for(mesh, good, lambda r: r["phase"] == "gray")
        self.assertRegex(release["reason"], r"^healthy: cart: success rate: 0\.0 % of [\d,]+ requests failed")
        print(f"on after {time.monotonic() - begun:.1f} s: {release['reason']}")

        release = mesh.release(idle)
        self.assertEqual(release["phase"], "step", release)
        self.assertRegex(release["progress"]["waitsFor"],
                         r"^the verdict of step 1 \(weight 50\): not yet: idle: .*: no request to the gray version in "
                         r"\d+ seconds; about [\d,]+ are needed$")
        print(release["progress"]["waitsFor"])


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
