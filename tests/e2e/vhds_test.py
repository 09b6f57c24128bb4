#!/usr/bin/env python3
"""Virtual hosts one by one, at a real Envoy: what is sent, what stays, and what goes.

    client ── its sidecar (Envoy) ──> cart-baseline, cart-feature-a; web

A load in the lane feature-a and one without a header run during every test; not one request fails.
"""

import json
import re
import unittest

import case

OFF = case.VHDS_ON.replace('"on"', '"off"')
CART = "http://cart:8080/"
IN_A = {"canarytag": "feature-a"}
TO_A = case.rule("cart", "baseline", "feature-a") + case.by_header("cart", "feature-a")
TO_NONE = case.rule("cart", "baseline", "feature-a") + case.by_header("cart")
FILES = {
    "client.yaml": case.service("client", "10.96.6.1") + case.pod("client", "baseline", "127.1.6.1", injected=True)
    .replace("name: client-baseline", "name: client"),
    "cart.yaml": case.service("cart", "10.96.6.2") + case.pod("cart", "baseline", "127.1.6.21") + case.pod("cart", "feature-a", "127.1.6.22"),
    "cart-routes.yaml": TO_A,
    "web.yaml": case.service("web", "10.96.6.3") + case.pod("web", "baseline", "127.1.6.31") + case.rule("web", "baseline") + case.by_header("web"),
}
HOST = "cart.fe-pre.svc.cluster.local:8080"


class RecordedMesh(case.Mesh):
    def control_plane_arguments(self):
        return [*super().control_plane_arguments(), "--record", self.made / "record", "--record-max", "16"]


class VirtualHosts(case.UnderLoad):
    files = FILES

    @classmethod
    def setUpClass(cls):
        cls.mesh = RecordedMesh(cls.files, case.MESH_CONFIG + case.VHDS_ON).start()

    def types(self):
        return {it["type"]: it for it in self.mesh.proxies()[0]["types"]}

    def sent(self):
        return {name: it["sent"] for name, it in self.types().items()}

    def envoys_hosts(self):
        """Names of virtual hosts by route table, as Envoy itself has them."""
        dump = json.loads(self.mesh.admin("client.fe-pre", "/config_dump?resource=dynamic_route_configs").body)
        return {config["route_config"]["name"]: [host["name"] for host in config["route_config"].get("virtual_hosts", [])]
                for config in dump.get("configs", [])}

    def restart(self, switch=case.VHDS_ON):
        self.mesh.kill_control_plane()
        self.mesh.mesh_config.write_text(self.mesh.own_addresses(case.MESH_CONFIG + switch))
        self.mesh.start_control_plane()
        last = "VHDS" if switch == case.VHDS_ON else "RDS"  # it asks for one after the other
        self.eventually(lambda: self.mesh.proxies() and self.types().get(last, {}).get("state") == "SYNCED", 20,
                        "the proxy is back")

    def test_one_changed_route_sends_its_virtual_host_and_nothing_else(self):
        for text, version in ((TO_NONE, "baseline"), (TO_A, "feature-a")):
            before = self.types()
            self.change("cart-routes.yaml", text)
            self.lane.wait_version(version)
            done = self.mesh.graymesh("wait", "virtualservice/cart", "-n", "fe-pre")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            after = self.types()
            sent = {name: after[name]["sent"] - before[name]["sent"] for name in after}
            self.assertEqual(sent, {"CDS": 0, "EDS": 0, "LDS": 0, "RDS": 0, "VHDS": 1})
            self.assertEqual(after["VHDS"]["acked"], after["VHDS"]["sent"], "the receipt has its ACK")
            self.assertLess(after["VHDS"]["bytes"] - before["VHDS"]["bytes"], 5_000)
        self.eventually(lambda: re.search(rf"VHDS.*{re.escape(HOST)}", self.mesh.graymesh("history", "proxy", "client.fe-pre").stdout),
                        10, lambda: f"it is on record: {self.mesh.graymesh('history', 'proxy', 'client.fe-pre')}", 0.5)
        self.finish()

    def test_killed_and_restarted_nothing_is_sent_again_and_later_changes_arrive(self):
        self.restart()
        self.mesh.settled()
        self.assertEqual(self.sent(), {"CDS": 0, "EDS": 0, "LDS": 0, "RDS": 0, "VHDS": 0})
        self.assertGreater(self.types()["VHDS"]["resources"], 3)
        self.change("cart-routes.yaml", TO_NONE)
        self.lane.wait_version("baseline")
        self.assertEqual(self.sent(), {"CDS": 0, "EDS": 0, "LDS": 0, "RDS": 0, "VHDS": 1})
        self.change("cart-routes.yaml", TO_A)
        self.lane.wait_version("feature-a")
        self.finish()

    def test_what_changed_while_it_was_dead_arrives_and_what_is_gone_goes(self):
        self.mesh.kill_control_plane()
        (self.mesh.config / "cart-routes.yaml").write_text(self.mesh.own_addresses(TO_NONE))
        (self.mesh.config / "web.yaml").write_text("")
        self.mesh.start_control_plane()
        self.lane.wait_version("baseline", 15)
        self.eventually(lambda: not any("web." in name for hosts in self.envoys_hosts().values() for name in hosts), 15,
                        lambda: f"web's hosts are gone: {self.envoys_hosts()}")
        self.mesh.write("web.yaml", FILES["web.yaml"])
        self.mesh.write("cart-routes.yaml", TO_A)
        self.lane.wait_version("feature-a")
        self.eventually(lambda: self.ask("http://web:8080/").status == 200, 10, "web is back")
        self.finish()

    def test_a_service_that_goes_takes_its_hosts_along_and_comes_back(self):
        for _ in range(3):
            self.change("web.yaml", "")
            self.eventually(lambda: not any("web." in name for hosts in self.envoys_hosts().values() for name in hosts), 10,
                            lambda: f"web's hosts are gone: {self.envoys_hosts()}")
            self.change("web.yaml", FILES["web.yaml"])
            self.eventually(lambda: self.ask("http://web:8080/").status == 200, 10, "web is back")
        self.finish()

    def test_a_table_that_is_given_up_and_wanted_again_has_all_its_hosts(self):
        """A port that only one service has: listener, table and hosts come and go with it."""
        other = case.service("other", "10.96.6.4", port=9090) + case.pod("other", "baseline", "127.1.6.41")
        self.mesh.add_instance(case.pod("other", "baseline", "127.1.6.41"))
        for n in range(4):
            # Another answer each time, so that what Envoy kept of the last is no help to it.
            tagged = case.virtual_service("other", [{"route": [{"destination": {"host": "other"}}],
                                                     "headers": {"response": {"set": {"x-round": str(n)}}}}])
            self.change("other.yaml", other + tagged)
            self.eventually(lambda: self.round_by_port() == str(n), 15, lambda: f"round {n} at port 9090: {self.round_by_port()}", 0.1)
            self.mesh.settled()
            self.mesh.delete("other.yaml")
            self.eventually(lambda: not self.mesh.json("/api/v1/objects?kind=svc&name=other")["items"], 10, "other is gone")
            # Else at once again, while connections to the old listener are still let go.
            if n % 2:
                self.eventually(lambda: not any(name.startswith("9090") for name in self.envoys_hosts()), 60,
                                lambda: f"the table is gone: {self.envoys_hosts()}", 0.2)
        self.finish()

    def round_by_port(self):
        client = case.demo_mesh.Client(self.mesh.instance("client.fe-pre").address, 9090, 5)
        try:
            return client.request("/", "other:9090").headers.get("x-round")
        finally:
            client.close()

    def test_switched_off_and_on_while_requests_flow(self):
        for _ in range(2):
            self.restart(OFF)
            self.mesh.settled()
            self.assertIn("http_proxy", self.envoys_hosts())
            before = self.sent()
            self.change("cart-routes.yaml", TO_NONE)
            self.lane.wait_version("baseline")
            self.assertEqual(self.sent(), {**before, "RDS": before["RDS"] + 1}, "whole tables")
            self.restart()
            self.mesh.settled()
            self.assertIn("http_proxy|vhds", self.envoys_hosts())
            before = self.sent()
            self.change("cart-routes.yaml", TO_A)
            self.lane.wait_version("feature-a")
            self.assertEqual(self.sent(), {**before, "VHDS": before["VHDS"] + 1})
        self.finish()


class OneProxy(case.Case):
    """Switched on for one proxy, in a mesh that has it off."""

    files = {**FILES, "other.yaml": case.service("other", "10.96.6.5") + case.pod("other", "baseline", "127.1.6.51", injected=True)}

    @classmethod
    def setUpClass(cls):
        mesh = cls.mesh = case.Mesh(cls.files, case.MESH_CONFIG + OFF)
        start_sidecar = mesh.start_sidecar

        def start_one(instance):
            mesh.sidecar_args = ["--vhds", "on"] if instance.pod == "client" else []
            start_sidecar(instance)
        mesh.start_sidecar = start_one
        mesh.start()

    def test_has_virtual_hosts_one_by_one_and_others_have_tables(self):
        self.mesh.settled()
        states = {proxy["name"]: {it["type"]: it["state"] for it in proxy["types"]} for proxy in self.mesh.proxies()}
        self.assertEqual(states["client"]["VHDS"], "SYNCED")
        self.assertNotIn("VHDS", states["other-baseline"])
        self.assert_version(self.ask(CART, IN_A), "feature-a")
        self.assert_version(self.ask(CART, IN_A, by="other-baseline"), "feature-a")
        self.assertEqual(self.mesh.rejections(), {})


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
