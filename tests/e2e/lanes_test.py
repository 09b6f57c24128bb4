#!/usr/bin/env python3
"""Lanes hop by hop through seven real Envoys: gateway ─> web ─> cart ─> pay, each with its sidecar.

    feature-a has a web and a pay of its own, feature-b a cart; where a lane has none, the baseline
    answers, and the next hop returns to the lane.
"""

import pathlib
import tempfile
import shutil
import unittest

import case

DEMO = case.ROOT / "demo/mesh"
HOST = "pre.shop.example"
WAYS = {
    "": "web[baseline] > cart[baseline] > pay[baseline]",
    "feature-a": "web[feature-a] > cart[baseline] > pay[feature-a]",
    "feature-b": "web[baseline] > cart[feature-b] > pay[baseline]",
    "unknown": "web[baseline] > cart[baseline] > pay[baseline]",
}


class Lanes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        for part in ("fe-pre", "ingress"):
            shutil.copytree(DEMO / part, folder / part)
        cls.mesh = case.demo_mesh.Mesh(folder, programs=case.PROGRAMS).start()

    @classmethod
    def tearDownClass(cls):
        cls.mesh.stop()

    def way(self, tag):
        return self.mesh.get(HOST, headers={"canarytag": tag} if tag else {})

    def test_each_hop_meets_the_lane_or_the_baseline(self):
        for tag, way in WAYS.items():
            with self.subTest(tag=tag):
                answer = self.way(tag)
                self.assertEqual((answer.status, answer.path), (200, way))

    def test_every_hop_passes_the_sidecars_of_both_sides(self):
        def counters():
            out = {}
            for name in ("web-feature-a.fe-pre", "cart-baseline.fe-pre", "pay-feature-a.fe-pre"):
                stats = self.mesh.stats(name, r"^http\.(inbound|outbound).*downstream_rq_total$")
                out[name, "in"] = sum(value for stat, value in stats.items() if "inbound" in stat)
                out[name, "out"] = sum(value for stat, value in stats.items() if "outbound" in stat)
            return out
        before = counters()
        for _ in range(5):
            self.assertEqual(self.way("feature-a").path, WAYS["feature-a"])
        grown = {key: value - before[key] for key, value in counters().items()}
        self.assertEqual([grown["web-feature-a.fe-pre", "in"], grown["cart-baseline.fe-pre", "in"],
                          grown["pay-feature-a.fe-pre", "in"]], [5, 5, 5], grown)
        self.assertEqual([grown["web-feature-a.fe-pre", "out"], grown["cart-baseline.fe-pre", "out"]], [5, 5], grown)

    def test_an_edit_moves_one_hop_for_everyone_without_a_failed_request(self):
        client = self.mesh.client()
        with case.demo_mesh.Stream(lambda: client.request("/", HOST, {"canarytag": "feature-a"}), 0.01) as load:
            before = self.mesh.edit("fe-pre/cart-routes.yaml", "subset: baseline", "subset: feature-b")
            try:
                moved = load.wait_for(lambda answer: answer.path == "web[feature-a] > cart[feature-b] > pay[feature-a]", 20)
                self.assertIsNotNone(moved, load.answers[-2:])
            finally:
                self.mesh.write("fe-pre/cart-routes.yaml", before)
            back = load.wait_for(lambda answer: answer.path == WAYS["feature-a"], 20, moved)
            self.assertIsNotNone(back, load.answers[-2:])
        self.assertEqual(load.failures(), [])
        # Each caller of cart hears of it by a stream of its own.
        case.wait_until(lambda: all(self.way(tag).path == way for tag, way in WAYS.items()), 20,
                        lambda: f"all is as before: {[self.way(tag) for tag in WAYS]}")

    def test_every_proxy_is_in_sync_and_refused_nothing(self):
        def all_synced():
            status = self.mesh.api_get("/debug/syncz").json
            words = {value for proxy in status for key, value in proxy.items() if key.endswith("_status")}
            return len(status) == 7 and words <= {"SYNCED", "NOT SENT"}
        case.wait_until(all_synced, 20, lambda: f"all seven are synced: {self.mesh.api_get('/debug/syncz').json}")
        for name in self.mesh.instances:
            refused = self.mesh.stats(name, r"update_rejected$")
            self.assertEqual([stat for stat, value in refused.items() if value], [], name)


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
