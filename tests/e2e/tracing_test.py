#!/usr/bin/env python3
"""Spans of real Envoys reach the collector that MeshConfig names, and say whose they are and what decided."""

import http.server
import secrets
import threading
import unittest

import case

COLLECTOR = "127.200.13.40"  # in no mesh's block of addresses
FILES = {
    "apps.yaml": case.service("client", "10.96.2.1") + case.pod("client", "baseline", "127.1.13.1", injected=True)
    .replace("name: client-baseline", "name: client")
    + case.service("cart", "10.96.2.2") + case.pod("cart", "baseline", "127.1.13.21") + case.pod("cart", "feature-a", "127.1.13.22"),
    "rules.yaml": case.rule("cart", "baseline", "feature-a") + case.by_header("cart", "feature-a"),
}


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies = []

    def do_POST(self):  # Envoy sends chunks
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size + 2)[:size]
        self.rfile.readline()
        Collector.bodies.append((self.path, self.headers["x-tenant"], body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Tracing(case.Case):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer((COLLECTOR, 0), Collector)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        port = cls.server.server_address[1]
        cls.files = {**FILES, "collector.yaml": f"""---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: collector, namespace: fe-pre}}
spec:
  hosts: [collector.tracing]
  ports: [{{number: {port}, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: {COLLECTOR}}}]
"""}
        cls.mesh_config = case.MESH_CONFIG + f"""extensionProviders:
- name: otel
  opentelemetry:
    service: collector.tracing
    port: {port}
    http: {{path: /v1/traces, headers: [{{name: x-tenant, value: shop}}]}}
defaultProviders: {{tracing: [otel]}}
defaultConfig: {{tracing: {{sampling: 100}}}}
"""
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.server.shutdown()
        cls.server.server_close()

    def test_a_span_says_whose_it_is_and_what_decided(self):
        trace, unwanted = secrets.token_bytes(16), secrets.token_bytes(16)
        for id, flags in ((trace, "01"), (unwanted, "00")):
            answer = self.ask("http://cart:8080/", {"canarytag": "feature-a",
                                                    "traceparent": f"00-{id.hex()}-{secrets.token_hex(8)}-{flags}"})
            self.assert_version(answer, "feature-a")
        self.eventually(lambda: any(trace in body for _, _, body in Collector.bodies), 20, "Envoy sends spans every five seconds")
        path, tenant, body = next(one for one in Collector.bodies if trace in one[2])
        self.assertEqual((path, tenant), ("/v1/traces", "shop"))
        for text in (b"client.fe-pre", b"/apis/networking.istio.io/v1/namespaces/fe-pre/virtual-service/cart", b"feature-a",
                     b"outbound|8080|feature-a|cart.fe-pre.svc.cluster.local"):
            self.assertIn(text, body)
        self.assertFalse(any(unwanted in body for _, _, body in Collector.bodies), "whose sender does not sample it")

    def test_envoy_refused_nothing(self):
        self.mesh.settled()
        self.assertEqual(self.mesh.rejections(), {})


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
