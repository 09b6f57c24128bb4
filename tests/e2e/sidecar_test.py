#!/usr/bin/env python3
"""One sidecar's life with a real Envoy in a real mesh: ready while busy, back after a crash, gone in
order. Skipped out loud where there is no Envoy (tools/install-deps brings it)."""

import os
import pathlib
import signal
import time
import unittest

import case
from demo_mesh import Client, Mesh, Stream


def readiness(instance):
    return Client(instance.address, 15021, 2).request("/healthz/ready", "readiness")


def envoy_of(instance):
    """The id of the sidecar's child."""
    pid = instance.sidecar.pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0


def eventually(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


class SidecarWithRealEnvoy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh().start()
        cls.pay = cls.mesh.instance("pay-baseline.fe-pre")
        cls.cart = cls.mesh.instance("cart-feature-b.fe-pre")

    @classmethod
    def tearDownClass(cls):
        cls.mesh.stop()

    def test_a_stalled_envoy_stays_ready(self):
        envoy = envoy_of(self.pay)
        os.kill(envoy, signal.SIGSTOP)
        try:
            deadline = time.monotonic() + 3  # longer than one probe of the admin waits
            while time.monotonic() < deadline:
                answer = readiness(self.pay)
                self.assertEqual(answer.status, 200, answer)
                time.sleep(0.1)
        finally:
            os.kill(envoy, signal.SIGCONT)

    def test_a_dead_envoy_is_replaced(self):
        envoy = envoy_of(self.cart)
        os.kill(envoy, signal.SIGKILL)
        self.assertTrue(eventually(lambda: readiness(self.cart).status == 503))
        self.assertTrue(eventually(lambda: readiness(self.cart).status == 200))
        self.assertNotEqual(envoy_of(self.cart), envoy)
        answer = self.mesh.get("pre.shop.example", headers={"canarytag": "feature-b"})
        self.assertEqual(answer.path, "web[baseline] > cart[feature-b] > pay[baseline]")

    def test_a_gateway_that_goes_lets_its_clients_go_first(self):
        mesh = self.mesh
        client = mesh.client()
        with Stream(lambda: client.request("/", "pre.shop.example")) as stream:
            self.assertIsNotNone(stream.wait_for(lambda answer: answer.status == 200))
            mesh.gateway.sidecar.signal(signal.SIGTERM)
            # A client is told by the answers: `connection: close`, no later than the listener closes.
            self.assertIsNotNone(stream.wait_for(lambda answer: answer.headers.get("connection") == "close"))
        self.assertEqual(mesh.gateway.sidecar.wait(15), 0)
        closing = [i for i, (_, answer) in enumerate(stream.answers) if answer.headers.get("connection") == "close"]
        before = [answer for _, answer in stream.answers[: closing[0]]]
        self.assertEqual([answer for answer in before if answer.status != 200], [])
        mesh.start_sidecar(mesh.gateway)
        mesh.wait_ready()
        self.assertEqual(mesh.get("pre.shop.example").status, 200)


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
