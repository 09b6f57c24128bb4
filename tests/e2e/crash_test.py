#!/usr/bin/env python3
"""The control plane dies under load and comes back: the data plane does not notice, and nothing that
a proxy holds already is sent again.

    client ── its sidecar (Envoy) ──> cart-baseline, cart-feature-a
"""

import time
import unittest

import case

FILES = {
    "apps.yaml": case.service("client", "10.96.1.1") + case.pod("client", "baseline", "127.1.2.1", injected=True)
    .replace("name: client-baseline", "name: client")
    + case.service("cart", "10.96.1.2") + case.pod("cart", "baseline", "127.1.2.21") + case.pod("cart", "feature-a", "127.1.2.22"),
    "routes.yaml": case.rule("cart", "baseline", "feature-a") + case.by_header("cart", "feature-a"),
}
CART = "http://cart:8080/"
IN_A = {"canarytag": "feature-a"}
# What Envoy counts when it is given something: by type of resource, cluster and route table.
UPDATES = r"(update_success|update_rejected|config_reload)$"


class Crash(case.Case):
    files = FILES

    def setUp(self):
        self.mesh.settled()
        self.loads = [case.Load(self.mesh, "client.fe-pre", CART), case.Load(self.mesh, "client.fe-pre", CART, IN_A)]
        for load in self.loads:
            load.__enter__()
            self.addCleanup(load.stop)
        self.loads[0].wait_version("baseline")
        self.loads[1].wait_version("feature-a")
        self.addCleanup(lambda: self.mesh.control_plane.running() or self.mesh.start_control_plane())

    def updates(self):
        return self.mesh.stats("client.fe-pre", UPDATES)

    def clusters(self):
        answer = self.mesh.admin("client.fe-pre", "/clusters")
        self.assertEqual(answer.status, 200, answer)
        return answer.body.decode()

    def finish(self):
        for load in self.loads:
            self.eventually(lambda load=load: len(load.answers) > 100, 30, "enough requests to speak of")
        for load in self.loads:
            load.stop()
            self.assertEqual(load.failures(), [])

    def proxy_connected(self, seconds=15):
        self.eventually(lambda: len(self.mesh.proxies()) == 1, seconds, "the proxy is connected again")

    def test_killed_and_restarted_nothing_is_sent_again_and_later_changes_arrive(self):
        before = self.updates()
        for _ in range(3):
            self.mesh.kill_control_plane()
            time.sleep(0.3)
            self.mesh.start_control_plane()
            self.proxy_connected()
            self.mesh.settled(15)
        self.assertEqual(self.updates(), before)
        self.change("routes.yaml", case.rule("cart", "baseline", "feature-a") + case.by_header("cart"))
        self.loads[1].wait_version("baseline")
        self.change("routes.yaml", FILES["routes.yaml"])
        self.loads[1].wait_version("feature-a")
        self.finish()

    def test_what_changed_while_it_was_dead_arrives_and_what_is_gone_goes(self):
        self.change("more.yaml", case.service("more", "10.96.1.60") + case.rule("more", "baseline"))
        self.eventually(lambda: "more.fe-pre" in self.clusters(), 15, "the proxy has it")
        self.mesh.kill_control_plane()
        self.mesh.delete("more.yaml")
        self.mesh.write("routes.yaml", case.rule("cart", "baseline", "feature-a") + case.by_header("cart"))
        self.addCleanup(self.mesh.write, "routes.yaml", FILES["routes.yaml"])
        before = len(self.loads[1].answers)
        self.eventually(lambda: len(self.loads[1].answers) > before + 50, 10)
        self.assertEqual({answer.json["version"] for _, answer in self.loads[1].answers[before:]}, {"feature-a"},
                         "with the control plane dead, the last state serves")
        self.mesh.start_control_plane()
        self.loads[1].wait_version("baseline", 15)
        self.mesh.settled(15)
        self.eventually(lambda: "more.fe-pre" not in self.clusters(), 15, lambda: f"it is gone: {self.clusters()}")
        self.finish()

    def test_endpoints_stay_in_place(self):
        def members():
            # outbound|8080||web.fe-pre.svc.cluster.local::127.1.1.1:8080::weight::1
            return sorted(line for line in self.clusters().splitlines() if line.startswith("outbound|") and "::weight::" in line)
        before = members()
        self.assertTrue(before)
        self.mesh.kill_control_plane()
        self.mesh.start_control_plane()
        watched = time.monotonic() + 1.5
        while time.monotonic() < watched:
            self.assertEqual(members(), before)
            time.sleep(0.05)
        self.proxy_connected()
        self.mesh.settled(15)
        self.assertEqual(members(), before)
        self.finish()

    def test_dying_while_a_change_is_on_its_way(self):
        for n in range(4):
            default = "feature-a" if n % 2 == 0 else "baseline"
            self.mesh.write("routes.yaml", case.rule("cart", "baseline", "feature-a") + case.by_header("cart", default=default))
            time.sleep(0.002 * n)
            self.mesh.kill_control_plane()
            self.mesh.start_control_plane()
            self.loads[0].wait_version(default, 15)
        self.mesh.write("routes.yaml", FILES["routes.yaml"])
        self.mesh.settled(15)
        self.finish()

    def test_a_restart_on_a_folder_with_a_bad_object_serves_the_rest(self):
        # The last good state of the bad one is only in the dead process: it is gone, and said so.
        self.change("bad.yaml", case.virtual_service("bad", [{"route": [{"destination": {"host": "x"}, "weight": -1}]}], hosts=["bad"]))
        self.mesh.kill_control_plane()
        self.mesh.start_control_plane()
        self.proxy_connected()
        self.mesh.settled(15)
        self.assertIn("refused", self.mesh.graymesh("get", "vs", "bad", "-n", "fe-pre").stdout)
        self.finish()

    def test_stopped_in_order_it_ends_with_proxies_connected(self):
        self.mesh.control_plane.signal(15)
        self.assertEqual(self.mesh.control_plane.wait(30), 0)
        self.mesh.start_control_plane()
        self.proxy_connected()
        self.finish()


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
