#!/usr/bin/env python3
"""Changes while requests flow, through one real Envoy: not one request may fail.

    client ── its sidecar (Envoy) ──> cart-baseline, cart-feature-a, cart-feature-b

Two loads run during every test: one without a header, one in the lane feature-a. Once by delta xDS,
once by state-of-the-world, and once by delta with virtual hosts one by one.
"""

import unittest

import case

PODS = {"baseline": case.pod("cart", "baseline", "127.1.2.21"), "feature-a": case.pod("cart", "feature-a", "127.1.2.22"),
        "feature-b": case.pod("cart", "feature-b", "127.1.2.23")}
CLIENT = case.service("client", "10.96.1.1") + case.pod("client", "baseline", "127.1.2.1", injected=True) \
    .replace("name: client-baseline", "name: client")
# feature-b runs, but is in no file yet.
FILES = {"client.yaml": CLIENT, "cart.yaml": case.service("cart", "10.96.1.2"),
         "pods.yaml": PODS["baseline"] + PODS["feature-a"],
         "cart-routes.yaml": case.rule("cart", "baseline", "feature-a") + case.by_header("cart", "feature-a")}
CART = "http://cart:8080/"
IN_A, IN_B = {"canarytag": "feature-a"}, {"canarytag": "feature-b"}


class DeltaChanges(case.UnderLoad):
    files = FILES

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.mesh.add_instance(PODS["feature-b"])

    def test_a_route_edited_back_and_forth(self):
        for _ in range(5):
            self.change("cart-routes.yaml", case.rule("cart", "baseline", "feature-a") + case.by_header("cart"))
            self.lane.wait_version("baseline")
            self.change("cart-routes.yaml", FILES["cart-routes.yaml"])
            self.lane.wait_version("feature-a")
        self.finish()

    def test_each_change_is_counted_once_from_its_writing_to_the_last_ack(self):
        count, total = (self.metric(f"graymesh_xds_change_seconds_{what}") for what in ("count", "sum"))
        self.change("cart-routes.yaml", case.rule("cart", "baseline", "feature-a") + case.by_header("cart"))
        self.lane.wait_version("baseline")
        self.finish()
        # The answers have changed already; its ACK may be on its way.
        case.wait_until(lambda: self.metric("graymesh_xds_change_seconds_count") > count, 20, "the last ACK")
        self.assertEqual(self.metric("graymesh_xds_change_seconds_count"), count + 1)
        self.assertTrue(0 < self.metric("graymesh_xds_change_seconds_sum") - total < 10)
        self.assertEqual(self.metric("graymesh_xds_changes_under_way"), 0)

    def metric(self, name):
        return case.first_number(self.mesh.api_get("/metrics").body.decode(), rf"^{name} (\S+)$")

    def test_a_new_subset_and_the_route_to_it_in_one_change(self):
        for _ in range(5):
            self.change("pods.yaml", FILES["pods.yaml"] + PODS["feature-b"])
            self.change("cart-routes.yaml", case.rule("cart", "baseline", "feature-a", "feature-b") +
                        case.by_header("cart", "feature-b", default="feature-b"))
            self.plain.wait_version("feature-b")
            self.lane.wait_version("feature-b")
            # And away again: the subset, its route and its instance all at once.
            self.change("cart-routes.yaml", FILES["cart-routes.yaml"])
            self.change("pods.yaml", FILES["pods.yaml"])
            self.plain.wait_version("baseline")
            self.lane.wait_version("feature-a")
        self.finish()

    def test_a_subset_whose_labels_change_moves_to_other_instances(self):
        self.change("pods.yaml", FILES["pods.yaml"] + PODS["feature-b"])
        for _ in range(3):
            self.change("cart-routes.yaml", FILES["cart-routes.yaml"].replace('"canarytag": "feature-a"}', '"canarytag": "feature-b"}'))
            self.lane.wait_version("feature-b")
            self.change("cart-routes.yaml", FILES["cart-routes.yaml"])
            self.lane.wait_version("feature-a")
        self.finish()

    def test_a_policy_of_a_cluster_in_use_changes(self):
        for balancer in ("ROUND_ROBIN", "RANDOM", "LEAST_REQUEST") * 2:
            policy = {"loadBalancer": {"simple": balancer}, "connectionPool": {"http": {"http2MaxRequests": 1000}}}
            self.change("cart-routes.yaml", case.rule("cart", "baseline", "feature-a", policy=policy) + case.by_header("cart", "feature-a"))
            self.mesh.settled()
        self.finish()

    def test_endpoints_come_and_go(self):
        two = FILES["pods.yaml"] + PODS["feature-b"].replace('"stage": "gray", "canarytag": "feature-b"', '"stage": "normal"')
        for _ in range(5):
            self.change("pods.yaml", two)
            self.plain.wait_version("feature-b")  # the instance joins the baseline
            self.change("pods.yaml", FILES["pods.yaml"])
            self.mesh.settled()
        self.plain.wait_version("baseline")
        self.finish()

    def test_the_rule_and_the_routes_go_and_come_back(self):
        for _ in range(3):
            self.change("cart-routes.yaml", "")
            self.eventually(lambda: {answer.json.get("version") for _, answer in self.plain.answers[-12:]} ==
                            {"baseline", "feature-a"}, 10, "everyone is answered by everyone")
            self.change("cart-routes.yaml", FILES["cart-routes.yaml"])
            self.eventually(lambda: {answer.json.get("version") for _, answer in self.plain.answers[-12:]} == {"baseline"}, 10)
        self.finish()

    def test_a_service_nobody_calls_comes_and_goes(self):
        for n in range(5):
            self.change("other.yaml", case.service("other", "10.96.1.50") + case.rule("other", "baseline") + case.by_header("other"))
            self.mesh.settled()
            self.mesh.delete("other.yaml")
            self.mesh.settled()
        self.finish()

    def test_a_bad_edit_changes_nothing(self):
        self.change("cart-routes.yaml", FILES["cart-routes.yaml"].replace('"subset": "feature-a"', '"subsett": "feature-a"'))
        self.eventually(lambda: "last-good" in self.mesh.graymesh("get", "vs", "cart", "-n", "fe-pre").stdout, 5, "the edit is refused")
        at = len(self.lane.answers)
        self.eventually(lambda: len(self.lane.answers) > at + 30, 5)
        self.assertEqual({answer.json["version"] for _, answer in self.lane.answers[at:]}, {"feature-a"})
        self.finish()


class StateOfTheWorldChanges(DeltaChanges):
    options = {"sidecar_args": ("--sotw",)}

    def test_the_proxy_speaks_state_of_the_world(self):
        self.assertEqual([proxy["protocol"] for proxy in self.mesh.proxies()], ["sotw"])


class VirtualHostsOneByOneChanges(DeltaChanges):
    mesh_config = case.MESH_CONFIG + case.VHDS_ON

    def test_the_proxy_has_virtual_hosts_one_by_one(self):
        types = {it["type"]: it["state"] for it in self.mesh.proxies()[0]["types"]}
        self.assertEqual(types["VHDS"], "SYNCED")


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
