#!/usr/bin/env python3
"""Istio's metrics are switched off and on for a mesh that runs: no request fails, no Envoy refuses
anything, what is not counted is not there, and what is counted again is exact.

    client ── its sidecar ──> cart's sidecar ── cart          both sides count
"""

import re
import unittest

import case
import demo_mesh

FILES = {
    "client.yaml": case.service("client", "10.96.4.1") + case.pod("client", "baseline", "127.1.4.1", injected=True),
    "cart.yaml": case.service("cart", "10.96.4.2") + case.pod("cart", "baseline", "127.1.4.21", injected=True) + case.rule("cart", "baseline"),
}
CLIENT, CART = "client-baseline.fe-pre", "cart-baseline.fe-pre"
URL = "http://cart:8080/"
SIDES = {"source": CLIENT, "destination": CART}


class Switch(case.Case):
    files = FILES

    def setUp(self):
        self.load = case.Load(self.mesh, CLIENT, URL)
        self.load.__enter__()
        self.addCleanup(self.load.stop)

    def counted(self, reporter):
        """Requests of cart that one side's Envoy tells Prometheus of; None: it tells of none."""
        instance = self.mesh.instance(SIDES[reporter])
        client = demo_mesh.Client(instance.address, 15090)
        try:
            page = client.request("/stats/prometheus", "metrics").body.decode()
        finally:
            client.close()
        found = re.findall(rf'(?m)^envoy_istio_requests_total{{([^}}]*reporter="{reporter}"[^}}]*)}} (\d+)$', page)
        of_cart = [int(count) for labels, count in found if "cart.fe-pre" in labels]
        return sum(of_cart) if of_cart else None

    def both(self):
        return {reporter: self.counted(reporter) for reporter in SIDES}

    def switch(self, value):
        """As an operator does: graymeshd reads MeshConfig when it starts."""
        self.mesh.kill_control_plane()
        self.mesh.mesh_config.write_text(self.mesh.own_addresses(
            case.MESH_CONFIG + f"defaultConfig: {{proxyMetadata: {{GRAYMESH_REQUEST_METRICS: {value}}}}}\n"))
        self.mesh.start_control_plane()

    def more_requests(self, count=100):
        more = len(self.load.answers) + count
        self.eventually(lambda: len(self.load.answers) > more, 20, "requests go on")

    def test_off_and_on_again_while_requests_flow(self):
        self.eventually(lambda: None not in self.both().values(), 20, lambda: f"both sides count: {self.both()}")
        for _ in range(2):
            self.switch("off")
            # Listeners that drain count what they still have; then the series are gone, not only at rest.
            self.eventually(lambda: set(self.both().values()) == {None}, 60, lambda: f"nobody counts: {self.both()}", 0.2)
            self.more_requests()
            self.assertEqual(set(self.both().values()), {None})
            self.switch("on")
            self.eventually(lambda: None not in self.both().values(), 20, lambda: f"both count again: {self.both()}")
        self.mesh.settled()
        self.load.stop()
        self.assertEqual(self.load.failures(), [])
        self.assertEqual(self.mesh.rejections(), {})

        # With the load at rest the counts are those of what is sent.
        before = self.both()
        for _ in range(50):
            self.assertEqual(self.ask(URL, by=CLIENT).status, 200)
        expected = {reporter: count + 50 for reporter, count in before.items()}
        self.eventually(lambda: self.both() == expected, 10, lambda: f"{self.both()}, must be {expected}", 0.1)


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
