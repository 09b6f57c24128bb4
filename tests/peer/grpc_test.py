#!/usr/bin/env python3
"""A client nobody here wrote: grpc-go without a sidecar takes its routes from our ADS.

    cart in fe-pre: a server for the baseline, one for feature-a; the client asks in turn without a
    header and with `canarytag: feature-a`, all the time, and not one call may fail.

The client and the servers are tests/peer/grpc/main.go; `--build FILE` only builds them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
import case  # noqa: E402

PEER = case.PROGRAMS / "grpc_peer"

CART = case.service("cart", "10.96.1.2", port=9090, port_name="grpc").replace("targetPort: 8080", "targetPort: 9090") \
    + case.pod("cart", "baseline", "127.1.9.1") + case.pod("cart", "feature-a", "127.1.9.2")
# Lane and baseline change places: both stay in use.
SWAPPED = case.rule("cart", "baseline", "feature-a") + case.virtual_service("cart", [
    {"match": [{"headers": {"canarytag": {"exact": "feature-a"}}}], "route": [{"destination": {"host": "cart", "subset": "baseline"}}]},
    {"route": [{"destination": {"host": "cart", "subset": "feature-a"}}]}])
ROUTES = case.rule("cart", "baseline", "feature-a") + case.by_header("cart", "feature-a")


def build(program):
    go = subprocess.run([case.ROOT / "tools/install-deps", "--print-go"], capture_output=True, text=True, check=False)
    if go.returncode != 0:
        print("skipped: no recent Go")
        sys.exit(77)
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    sys.exit(subprocess.run([go.stdout.strip(), "build", "-p", "2", "-o", program, "."], cwd=HERE / "grpc",
                            env=environment, check=False).returncode)


class Outcomes:
    """What the client says of its calls, as it says it."""

    def __init__(self, pipe):
        self.all = []
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe):
        for line in pipe:
            self.all.append((time.monotonic(), json.loads(line)))

    def errors(self):
        return [outcome for _, outcome in self.all if "error" in outcome]

    def latest(self, tag, after):
        """Who answered the newest call with this tag that was begun after `after`."""
        for at, outcome in reversed(self.all):
            if at > after + 0.05 and outcome["tag"] == tag:
                return outcome.get("server")
        return None

    def wait(self, tag, server, seconds=20.0):
        begun = time.monotonic()
        case.wait_until(lambda: self.latest(tag, begun) == server, seconds,
                        lambda: f"{server} answers tag {tag!r}, but: {self.all[-4:]}")


class ProxylessGrpc(unittest.TestCase):
    def setUp(self):
        # No sidecars and no applications of ours: the Pods are where the gRPC servers listen.
        self.mesh = case.Mesh({"cart.yaml": CART, "routes.yaml": ROUTES})
        self.mesh.start_app = lambda instance: None
        self.addCleanup(self.mesh.stop)
        self.mesh.start()
        block = self.mesh.block.number
        servers = self.run_peer("serve", f"baseline=127.{block}.9.1:9090", f"feature-a=127.{block}.9.2:9090")
        self.assertEqual(servers.stdout.readline(), "serving\n")

    def run_peer(self, *words):
        bootstrap = {
            "xds_servers": [{"server_uri": self.mesh.xds, "channel_creds": [{"type": "insecure"}],
                             "server_features": ["xds_v3"]}],
            "node": {"id": "sidecar~127.1.9.9~client.fe-pre~fe-pre.svc.cluster.local",
                     "metadata": {"GENERATOR": "grpc", "NAMESPACE": "fe-pre", "LABELS": {"app": "client"}}},
        }
        child = subprocess.Popen([PEER, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                 env={**os.environ, "GRPC_XDS_BOOTSTRAP_CONFIG": json.dumps(bootstrap)})
        self.addCleanup(self.end, child)
        return child

    @staticmethod
    def end(child):
        if child.poll() is None:
            child.stdin.close()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        child.stdout.close()

    def client(self):
        return Outcomes(self.run_peer("ask", "xds:///cart.fe-pre.svc.cluster.local:9090").stdout)

    def test_header_picks_the_version_and_an_edit_changes_the_answer_without_a_failed_call(self):
        outcomes = self.client()
        outcomes.wait("", "baseline")
        outcomes.wait("feature-a", "feature-a")

        for _ in range(5):
            self.mesh.write("routes.yaml", SWAPPED)
            outcomes.wait("feature-a", "baseline")
            outcomes.wait("", "feature-a")
            self.mesh.write("routes.yaml", ROUTES)
            outcomes.wait("feature-a", "feature-a")
            outcomes.wait("", "baseline")

        self.assertEqual(outcomes.errors(), [])
        self.assertGreater(len(outcomes.all), 50)

    def test_a_subset_that_no_route_led_to_is_reached_when_one_does(self):
        outcomes = self.client()
        for _ in range(3):
            self.mesh.write("routes.yaml", case.rule("cart", "baseline", "feature-a") + case.by_header("cart"))
            outcomes.wait("feature-a", "baseline")
            self.mesh.write("routes.yaml", ROUTES)
            outcomes.wait("feature-a", "feature-a")
        # grpc-go 1.84 gives a new cluster to its selector before its balancer (clientconn.go: the config
        # selector is updated, then the balancer), so a call in between fails by itself, whatever we do.
        self.assertEqual([outcome for outcome in outcomes.errors() if "unknown cluster selected" not in outcome["error"]], [])
        self.assertLessEqual(len(outcomes.errors()), 6)

    def test_a_restarted_control_plane_costs_no_call(self):
        outcomes = self.client()
        outcomes.wait("feature-a", "feature-a")
        self.mesh.kill_control_plane()
        outcomes.wait("feature-a", "feature-a")
        self.mesh.start_control_plane()
        self.mesh.write("routes.yaml", case.rule("cart", "baseline", "feature-a") + case.by_header("cart"))
        outcomes.wait("feature-a", "baseline", seconds=30)  # grpc-go backs off for a second and more
        self.assertEqual(outcomes.errors(), [])

    def test_the_control_plane_knows_what_the_client_has_acked(self):
        outcomes = self.client()
        outcomes.wait("", "baseline")
        status = case.wait_until(
            lambda: [proxy for proxy in self.mesh.proxies()
                     if all(type["state"] == "SYNCED" for type in proxy["types"])], 20,
            lambda: f"the client is synced: {self.mesh.proxies()}")
        self.assertEqual([proxy["protocol"] for proxy in status], ["sotw"])
        self.assertEqual([proxy["refusals"] for proxy in status], [[]])
        self.assertIn("gRPC Go", status[0]["userAgent"])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(add_help=False)
    arguments.add_argument("--build", metavar="FILE")
    known, rest = arguments.parse_known_args()
    if known.build:
        build(known.build)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
