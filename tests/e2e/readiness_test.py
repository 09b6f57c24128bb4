#!/usr/bin/env python3
"""A real Envoy is sent 3,360 changed clusters, in responses as we send them. Its own /ready answers on the
thread that applies them. Ours is answered by the sidecar's own process, from what it knew, and says ready all
the while; graymeshd answers, too; both within the second that a kubelet waits. How long each of them takes:
bench/readiness.py.
"""

import contextlib
import pathlib
import shutil
import tempfile
import threading
import time
import unittest

import case
import demo_mesh


KUBELET = 1.0  # seconds: timeoutSeconds of a probe, by default


class Poll:
    """Asks one page over and over, on a connection of its own each time, and keeps how long each took.

    An answer is a status, or 0 if there was none within `patience` seconds.
    """

    def __init__(self, address, port, path, patience=KUBELET):
        self.address, self.port, self.path, self.patience = address, port, path, patience
        self.times, self.answers = [], set()
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.is_set():
            client = demo_mesh.Client(self.address, self.port, self.patience)
            begun = time.monotonic()
            try:
                self.answers.add(client.request(self.path, "probe").status)
            finally:
                client.close()
            self.times.append(time.monotonic() - begun)
            time.sleep(0.01)

    def stop(self):
        self.ending.set()
        self.thread.join(15)


class Probed(contextlib.ExitStack):
    """One sidecar with a real Envoy, before a graymeshd of 700 services that pushes them all anew."""

    def __init__(self):
        super().__init__()
        folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-readiness-"))
        self.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            self.start(folder)
        except BaseException:
            self.close()
            raise

    def start(self, folder):
        mesh = case.generated_mesh(folder / "mesh")
        block = demo_mesh.Block(range(1, 64))
        self.callback(block.close)
        self.address, self.turn = f"127.{block.number}.9.1", 0
        self.control_plane = case.ControlPlane(folder, mesh / "config")
        self.callback(self.control_plane.kill)
        self.serve()
        self.callback(case.probe_sidecar(self.address, folder / "sidecar.log", [self.control_plane.xds]))
        case.wait_until(self.settled, 60, "the sidecar is synced")
        case.wait_until(lambda: case.get(f"{self.address}:15021", "/healthz/ready").status == 200, 10, "it is ready")

    def serve(self):
        """A control plane whose clusters are all others than those of the last."""
        self.control_plane.kill()
        self.turn += 1
        self.control_plane.mesh_config.write_text(case.MESH_CONFIG + f"connectTimeout: {self.turn}s\n")
        self.control_plane.start()

    def settled(self):
        return self.control_plane.synced("probe-0")

    def push(self):
        """Pushes all clusters anew: what was asked meanwhile of Envoy's own /ready, the sidecar's, graymeshd's."""
        polls = [Poll(self.address, 15000, "/ready", 10), Poll(self.address, 15021, "/healthz/ready")]
        self.serve()
        host, port = self.control_plane.api.rsplit(":", 1)
        polls.append(Poll(host, int(port), "/ready"))
        case.wait_until(self.settled, 60, "all clusters are pushed")
        for poll in polls:
            poll.stop()
        return polls


class Readiness(unittest.TestCase):
    def test_a_push_of_all_clusters_takes_it_from_nobody(self):
        probed = Probed()
        self.addCleanup(probed.close)
        _, ours, control_plane = probed.push()
        for what, poll in (("the sidecar", ours), ("graymeshd", control_plane)):
            longest = f"{what}: {max(poll.times):.3f} s at the longest of {len(poll.times)} probes"
            print(longest, flush=True)
            self.assertEqual(poll.answers, {200}, f"{what} is ready all the while, by who waits {KUBELET:.0f} s; {longest}")
            self.assertLess(max(poll.times), KUBELET, longest)


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
