#!/usr/bin/env python3
"""A sidecar on a loopback address of its own, with a real Envoy: what is beyond loopback is reached
from an address that gets there, and peers on loopback see the instance.

    client ── its sidecar (Envoy, 127.N.2.1) ──> a server on this machine's own address
                                             ──> a server on loopback

The kernel carries packets to this machine's own address over loopback, whatever their source; to
another machine it would refuse (EINVAL). So it is the source that these tests look at.
"""

import socket
import unittest

import case

FILES = {
    "apps.yaml": case.service("client", "10.96.1.1") + case.pod("client", "baseline", "127.1.2.1", injected=True)
    .replace("name: client-baseline", "name: client"),
}


def own_address():
    """This machine's address towards others; empty if it has none. Nothing is sent: UDP only looks the route up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.254", 9))
        except OSError:
            return ""
        address = probe.getsockname()[0]
        return "" if address.startswith("127.") else address


def entry(name, address, port, resolution="STATIC"):
    return f"""\
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: fe-pre}}
spec:
  hosts: [{name}.example]
  location: MESH_EXTERNAL
  ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]
  resolution: {resolution}
  endpoints: [{{address: {address}}}]
"""


class Loopback(case.Case):
    files = FILES

    def server(self, address):
        return case.serve_who_asks(address, self.addCleanup)

    def answer(self, url):
        """What the server says, once the proxy knows of it."""
        found = []

        def answered():
            found.append(self.ask(url))
            return found[-1].status == 200
        self.eventually(answered, 20, lambda: f"200 of {url}: {found[-1]}")
        return found[-1].body.decode()

    def test_what_is_beyond_loopback_is_reached_from_an_address_that_gets_there(self):
        address = own_address()
        if not address:
            self.skipTest("this machine has no address but loopback")
        port = self.server(address)
        for resolution in ("STATIC", "DNS"):
            with self.subTest(resolution=resolution):
                self.change("bank.yaml", entry(f"bank-{resolution.lower()}", address, port, resolution))
                self.assertEqual(self.answer(f"http://bank-{resolution.lower()}.example/"), address)
        self.assertEqual(self.mesh.rejections(), {})

    def test_a_peer_on_loopback_sees_the_instance(self):
        peer = self.mesh.own_addresses("127.1.2.99")
        self.change("peer.yaml", entry("peer", peer, self.server(peer)))
        self.assertEqual(self.answer("http://peer.example/"), self.mesh.instance("client.fe-pre").address)

    def test_the_source_follows_a_peer_that_moves(self):
        address = own_address()
        if not address:
            self.skipTest("this machine has no address but loopback")
        near = self.mesh.own_addresses("127.1.2.98")
        here = self.mesh.instance("client.fe-pre").address
        places = ((near, here), (address, address), (near, here))
        for at, seen_from in places:
            self.change("mover.yaml", entry("mover", at, self.server(at)))
            self.eventually(lambda want=seen_from: self.ask("http://mover.example/").body.decode() == want, 20,
                            f"asked at {at}")


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
