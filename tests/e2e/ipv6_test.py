#!/usr/bin/env python3
"""Proxies that have an IPv6 address only, with real Envoys on ::1.

    client ── gateway (Envoy, [::1]) ──────────────────> a server on [::1]
    client ── sidecar's HTTP proxy (Envoy, [::1]) ─────>  by a Service with an IPv6 endpoint, and by a name
"""

import pathlib
import shutil
import signal
import tempfile
import unittest

import case
import demo_machine
import demo_mesh


MESH = """\
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{clusterIP: 'fd00::10', ports: [{{name: http, port: 80, targetPort: {server}}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, namespace: shop, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv6
ports: [{{name: http, port: {server}, protocol: TCP}}]
endpoints: [{{addresses: ['::1']}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: by-name, namespace: shop}}
spec:
  hosts: [by-name.example]
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {server}}}]
  resolution: DNS
  endpoints: [{{address: localhost}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  selector: {{app: gateway}}
  servers: [{{port: {{number: {gateway}, name: http, protocol: HTTP}}, hosts: ["web.example"]}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: [web.example]
  gateways: [edge]
  http: [{{route: [{{destination: {{host: web}}}}]}}]
"""


class Ipv6(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        server = case.serve_who_asks("::1", cls.addClassCleanup)
        first = demo_machine.free_ports(8, "::1")
        cls.gateway, cls.proxy, *cls.own = range(first, first + 8)
        config = cls.folder / "config"
        config.mkdir()
        (config / "mesh.yaml").write_text(MESH.format(server=server, gateway=cls.gateway))
        cls.control_plane = case.ControlPlane(cls.folder, config)
        cls.control_plane.start()
        cls.addClassCleanup(cls.control_plane.kill)
        cls.start("gateway", "ingress", cls.own[:3], "--type", "router", "--label", "app=gateway")
        cls.start("client", "shop", cls.own[3:], "--http-proxy-port", str(cls.proxy))

    @classmethod
    def start(cls, name, namespace, ports, *words):
        admin, readiness, stats = map(str, ports)
        process = demo_mesh.Process(
            name, [case.PROGRAMS / "graymesh", "sidecar", "run", "--address", "::1", "--name", name, "--namespace",
                   namespace, "--control-plane", cls.control_plane.xds, "--concurrency", "1", "--drain-seconds", "0.1",
                   "--admin-port", admin, "--readiness-port", readiness, "--stats-port", stats, *words],
            cls.folder / f"{name}.log")
        cls.addClassCleanup(process.wait, 15)
        cls.addClassCleanup(process.signal, signal.SIGTERM)
        case.wait_until(lambda: case.get(f"::1:{readiness}", "/healthz/ready").status == 200, 20,
                        lambda: f"{name} is ready: " + (cls.folder / f"{name}.log").read_text()[-1000:])

    def answer(self, port, url, host):
        """The address that the server was asked from."""
        client = demo_mesh.Client("::1", port)
        self.addCleanup(client.close)
        answers = []

        def answered():
            answers.append(client.request(url, host))
            return answers[-1].status == 200
        case.wait_until(answered, 10, lambda: f"200 of {url}, not {answers[-1]}")
        return answers[-1].body.decode()

    def test_a_gateway_takes_requests_on_ipv6(self):
        self.assertEqual(self.answer(self.gateway, "/", "web.example"), "::1")

    def test_a_sidecar_takes_and_sends_requests_on_ipv6(self):
        self.assertEqual(self.answer(self.proxy, "http://web/", "web"), "::1")

    def test_names_are_looked_up_for_ipv6(self):
        self.assertEqual(self.answer(self.proxy, "http://by-name.example/", "by-name.example"), "::1")

    def test_nothing_is_refused(self):
        proxies = self.control_plane.get("/api/v1/proxies").json["items"]
        self.assertEqual({proxy["name"] for proxy in proxies}, {"gateway", "client"})
        for proxy in proxies:
            self.assertEqual(proxy["refusals"], [], proxy["name"])
            self.assertTrue(all(type["nacked"] == 0 for type in proxy["types"]), proxy["types"])


if __name__ == "__main__":
    case.skip_without_envoy()
    case.skip_without([] if demo_machine.can_listen("::1", 0) else ["::1"])
    unittest.main(verbosity=2)
