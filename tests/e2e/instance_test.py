#!/usr/bin/env python3
"""The keeper of one instance with a real Envoy in a real mesh: `graymesh instance run` brings up
application and sidecar, notices their ends, and stops them in order.

    client ── its sidecar ──> sidecar of cart-1 ──> graymesh-shop, both kept
"""

import json
import os
import pathlib
import shutil
import signal
import tempfile
import time
import unittest

import case
import demo_mesh

FILES = {
    "client.yaml": case.service("client", "10.96.1.1") + case.pod("client", "baseline", "127.1.2.1", injected=True)
    .replace("name: client-baseline", "name: client"),
    "cart.yaml": case.service("cart", "10.96.1.2"),
}


class Kept(case.Case):
    files = FILES

    def setUp(self):
        # Not there when the mesh began, so that nobody but the keeper starts it.
        self.change("cart-pod.yaml", case.pod("cart", "baseline", "127.1.2.21", injected=True))
        self.address = f"127.{self.mesh.block.number}.2.21"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-instance-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        spec = {
            "namespace": "fe-pre", "group": "cart-baseline", "name": "cart-baseline-1", "address": self.address,
            "control_planes": [self.mesh.xds], "sidecar_concurrency": 1,
            "template": {
                "labels": {"app": "cart", "stage": "normal"},
                "command": [str(case.PROGRAMS / "graymesh-shop"), "--listen", "$(ADDRESS):$(PORT)", "--proxy",
                            f"{self.address}:15001", "--instance", "$(INSTANCE)", "--service", "cart",
                            "--version", "baseline"],
                "ports": [{"name": "http", "number": 8080}], "drain_ms": 500, "stop_ms": 5000,
            },
        }
        (self.folder / "spec.json").write_text(json.dumps(spec))
        self.begun = time.monotonic()
        self.keeper = demo_mesh.Process("keeper", [case.PROGRAMS / "graymesh", "instance", "run", "--folder", self.folder],
                                        self.folder / "keeper.log")
        self.addCleanup(self.stop)

    def stop(self):
        self.keeper.signal(signal.SIGTERM)
        return self.keeper.wait(30)

    def status(self):
        try:
            return json.loads((self.folder / "status.json").read_text())
        except FileNotFoundError:
            return {"phase": "none", "ready": False}

    def becomes(self, phase):
        return case.wait_until(lambda: self.status()["phase"] == phase and self.status(), 60,
                               lambda: f"{phase}: {self.status()}", pause=0.002)

    def test_it_serves_notices_every_end_and_stops_in_order(self):
        self.becomes("ready")
        print(f"start to ready with a real Envoy: {time.monotonic() - self.begun:.2f} s")
        self.eventually(lambda: self.ask("http://cart:8080/").json.get("version") == "baseline", 20)

        for child in ("application", "sidecar"):
            with self.subTest(f"the {child} dies"):
                before = self.status()
                os.kill(before[child], signal.SIGKILL)
                # Told with its unreadiness, which may be over before we look.
                case.wait_until(lambda: self.status()["restarts"] > before["restarts"], 20,
                                lambda: f"the end is noticed: {self.status()}", pause=0.002)
                self.becomes("ready")
                self.eventually(lambda: self.ask("http://cart:8080/").status == 200, 20)
        self.assertEqual(self.status()["restarts"], 2)

        children = [self.status()[child] for child in ("application", "sidecar")]
        self.assertEqual(self.stop(), 0)
        self.assertTrue(self.status()["ended"], self.status())
        log = (self.folder / "sidecar.log").read_text()
        self.assertIn("draining", log)
        for pid in children:
            self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())
        self.assertTrue(demo_mesh.can_listen(self.address, 15021))


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
