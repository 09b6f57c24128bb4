#!/usr/bin/env python3
"""Two control planes, each behind a cable of its own, and five sidecars that know both. Whatever
happens to one of them, the proxies change to the other: nothing that they hold is sent again, what
changed meanwhile arrives, no request fails, and no endpoint disappears, not for a moment.

    this namespace                      a namespace each
    five sidecars, load ──── gmpA ───── graymeshd A  10.N.1.2
                       └──── gmpB ───── graymeshd B  10.N.2.2   both read the same folder

A fault is noticed by pings: within 4 s, and 0.5 s for whoever looks. From then on 2 s must do.
Needs root, `ip netns` and veth. GRAYMESH_PARTITION_ROUNDS=N goes through all faults N times.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

import case
import demo_mesh

ROUNDS = int(os.environ.get("GRAYMESH_PARTITION_ROUNDS", "1"))
NOTICED = 4.5  # seconds: pings each second, believed dead after three more
CURRENT = 2.0  # from then on
SIDECARS = ("client", "cart", "more-1", "more-2", "more-3")
CART = "http://cart:8080/"
# What Envoy counts when it is sent something.
UPDATES = r"(cds|lds|eds|rds)\..*(update_success|update_rejected)$|(update_success|config_reload)$"


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=10)


class Cable:
    """A network namespace with one end of a veth pair in it."""

    def __init__(self, name, subnet):
        self.name, self.inside, self.outside = f"{name}-{os.getpid()}", f"{subnet}.2", f"{subnet}.1"
        self.near, self.far = f"{name}n{os.getpid()}"[:15], f"{name}f{os.getpid()}"[:15]

    def lay(self):
        ip("netns", "add", self.name)
        ip("link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.name)
        self.within("link", "set", "lo", "up")
        self.within("addr", "add", f"{self.inside}/24", "dev", self.far)
        self.within("link", "set", self.far, "up")
        ip("addr", "add", f"{self.outside}/24", "dev", self.near)
        ip("link", "set", self.near, "up")

    def within(self, *words):
        return ip("-n", self.name, *words)

    def cut(self):
        self.within("link", "set", self.far, "down")

    def swallow(self):
        """What is sent from here goes to nobody; the other way is open. Both links stay up."""
        ip("neigh", "replace", self.inside, "lladdr", "02:00:00:00:00:99", "dev", self.near, "nud", "permanent")

    def mend(self):
        self.within("link", "set", self.far, "up")
        ip("neigh", "del", self.inside, "dev", self.near, check=False)

    def remove(self):
        ip("link", "del", self.near, check=False)
        ip("netns", "del", self.name, check=False)


def why_not():
    """Why this cannot be had here; empty if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    probe = Cable("gmt", f"10.{231}.9")
    try:
        probe.lay()
    except (OSError, subprocess.SubprocessError) as error:
        return f"no network namespace with a veth pair: {getattr(error, 'stderr', '') or error}"
    finally:
        if subprocess.run(["which", "ip"], capture_output=True, check=False).returncode == 0:
            probe.remove()
    return ""


class Replica:
    def __init__(self, mesh, name, number):
        self.mesh, self.name = mesh, name
        self.cable = Cable(f"gm{name}", f"10.{100 + mesh.block.number}.{number}")
        self.cable.lay()
        self.xds, self.api = f"{self.cable.inside}:15010", f"{self.cable.inside}:15014"
        self.process = None

    def start(self):
        self.process = demo_mesh.Process(
            f"graymeshd {self.name}",
            ["ip", "netns", "exec", self.cable.name, self.mesh.programs / "graymeshd", "--config", self.mesh.config,
             "--mesh-config", self.mesh.mesh_config, "--xds", self.xds, "--api", self.api],
            self.mesh.logs / f"graymeshd-{self.name}.log")
        case.wait_until(self.ready, 15, f"graymeshd {self.name} serves")

    def ready(self):
        return demo_mesh.answers_connects(self.cable.inside, 15014) and self.get("/ready").status == 200

    def get(self, path):
        client = demo_mesh.Client(self.cable.inside, 15014, 2)
        try:
            return client.request(path, self.api)
        finally:
            client.close()

    def signal(self, number):
        self.process.signal(number)

    def kill(self):
        self.process.signal(signal.SIGKILL)
        self.process.wait(10)

    def metric(self, name):
        """Sum of a counter over its labels."""
        text = self.get("/metrics").body.decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def proxies(self):
        return {item["name"] for item in self.get("/api/v1/proxies").json["items"]}

    def remove(self):
        if self.process:
            self.process.signal(signal.SIGCONT)
            self.kill()
        self.cable.remove()


class Mesh(case.Mesh):
    """With two replicas in place of the one control plane."""

    def start_control_plane(self):
        self.replicas = [Replica(self, name, number) for number, name in enumerate("ab", 1)]
        for replica in self.replicas:
            replica.start()
        self.xds = self.replicas[0].xds
        self.sidecar_args = ["--control-plane", self.replicas[1].xds]

    def stop(self):
        super().stop()
        for replica in getattr(self, "replicas", []):
            replica.remove()


def version(name):
    return case.rule("cart", "baseline") + case.virtual_service("cart", [
        {"headers": {"response": {"set": {"x-turn": name}}}, "route": [{"destination": {"host": "cart", "subset": "baseline"}}]}])


def files():
    apps = case.service("client", "10.96.1.1") + case.service("cart", "10.96.1.2") + case.service("more", "10.96.1.3")
    for number, name in enumerate(SIDECARS, 1):
        app = name.split("-", maxsplit=1)[0]
        apps += case.pod(app, "baseline", f"127.1.2.{number}", injected=True).replace(f"name: {app}-baseline", f"name: {name}")
    return {"apps.yaml": apps, "routes.yaml": version("0")}


class Watch:
    """Looks at every proxy's endpoints and at the connections to its control plane, all the time."""

    def __init__(self, mesh):
        self.mesh, self.ending = mesh, threading.Event()
        self.before = {name: self.members(name) for name in SIDECARS}
        self.lost, self.left = [], {}
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def members(self, name):
        return self.mesh.stats(f"{name}.fe-pre", r"^cluster\.outbound.*membership_(total|healthy)$")

    def run(self):
        while not self.ending.is_set():
            for name in SIDECARS:
                now = self.members(name)
                if now != self.before[name]:
                    self.lost.append((name, now))
            time.sleep(0.05)

    def stop(self):
        self.ending.set()
        self.thread.join(10)


class Partition(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh(files())
        cls.mesh.start()
        cls.turn = 0

    @classmethod
    def tearDownClass(cls):
        cls.mesh.stop()

    def setUp(self):
        for replica in self.mesh.replicas:
            self.assertTrue(replica.process.running() and replica.ready(), replica.name)
        self.eventually_all_on(self.mesh.replicas, 15)
        self.loads = [case.Load(self.mesh, f"{name}.fe-pre", CART) for name in ("client", "more-1")]
        for load in self.loads:
            load.__enter__()
        self.watch = Watch(self.mesh)

    def tearDown(self):
        for load in self.loads:
            load.stop()
        self.watch.stop()

    def eventually_all_on(self, replicas, seconds):
        """Until these replicas, and no other, have all the proxies."""
        def on():
            return set().union(*(replica.proxies() for replica in replicas)) == set(SIDECARS)
        case.wait_until(on, seconds, lambda: f"all proxies are on {[it.name for it in replicas]}: {[it.proxies() for it in replicas]}")

    def counters(self):
        return {name: {key: value for key, value in self.mesh.stats(f"{name}.fe-pre", UPDATES).items() if "xds-grpc" not in key}
                for name in SIDECARS}

    def change(self):
        Partition.turn += 1
        self.mesh.write("routes.yaml", version(str(self.turn)))
        return str(self.turn)

    def current(self, turn, seconds):
        """How long it takes until every proxy routes as in `turn`, each asked itself."""
        begun, left = time.monotonic(), set(SIDECARS)
        while left:
            left -= {name for name in left
                     if self.mesh.get_from(f"{name}.fe-pre", CART).headers.get("x-turn") == turn}
            if time.monotonic() - begun > seconds:
                self.fail(f"turn {turn} is not at {left} after {seconds} s")
            time.sleep(0.02)
        return time.monotonic() - begun

    def go_through(self, fault, what, seconds=NOTICED + CURRENT, recovers=True):
        """A fault of the replica that has the client's stream; a change right after it arrives by the other one."""
        broken, other = self.mesh.replicas
        if "client" not in broken.proxies():
            broken, other = other, broken
        with self.subTest(fault=what):
            before = self.counters()
            fault(broken)
            at = time.monotonic()
            case.wait_until(lambda: other.proxies() == set(SIDECARS), seconds, f"{what}: all are on the other replica")
            noticed = time.monotonic() - at
            self.assertEqual(self.counters(), before, f"{what}: nothing that they hold is sent again")
            took = self.current(self.change(), CURRENT)
            print(f"{what}: on the other replica after {noticed:.2f} s, current {took:.2f} s later", flush=True)
            self.assertLess(noticed, seconds)
        return broken, other

    def check(self, what):
        for load in self.loads:
            self.assertEqual([str(it) for it in load.failures()], [], what)
        self.assertEqual(self.watch.lost, [], f"{what}: no endpoint disappears")

    def test_killed(self):
        for _ in range(ROUNDS):
            broken, _ = self.go_through(Replica.kill, "kill -9")
            broken.start()
        self.check("kill -9")

    def test_stopped(self):
        for _ in range(ROUNDS):
            broken, _ = self.go_through(lambda it: it.signal(signal.SIGSTOP), "SIGSTOP")
            broken.signal(signal.SIGCONT)
        self.check("SIGSTOP")

    def test_cut_cable(self):
        for _ in range(ROUNDS):
            broken, _ = self.go_through(lambda it: it.cable.cut(), "cut cable")
            broken.cable.mend()
            # Its own end found it out, too: nobody is left there.
            case.wait_until(lambda it=broken: not it.proxies(), 5, "the dead connections are gone at the server")
        self.check("cut cable")

    def test_half_open(self):
        """Packets vanish one way only; and a server that died meanwhile says so only when asked."""
        for _ in range(ROUNDS):
            broken, _ = self.go_through(lambda it: it.cable.swallow(), "half-open")
            broken.cable.mend()
        self.check("half-open")

    def test_a_crash_behind_a_cut_cable(self):
        """The old connection is half open when the cable is mended: the new process knows nothing of it."""
        def crash(replica):
            replica.cable.cut()
            replica.kill()
        for _ in range(ROUNDS):
            broken, _ = self.go_through(crash, "crash behind a cut cable")
            broken.cable.mend()
            broken.start()
        self.check("crash behind a cut cable")

    def test_the_only_one_left_comes_back(self):
        """Nobody else is there: the proxies go on with what they have, and are current soon after its return."""
        first, second = self.mesh.replicas
        first.kill()
        self.eventually_all_on([second], NOTICED + CURRENT)
        before = self.counters()
        second.kill()
        time.sleep(0.5)
        turn = self.change()
        second.start()
        took = self.current(turn, CURRENT + 1)  # the longest back-off is 1 s
        print(f"the only one left came back: current {took:.2f} s later", flush=True)
        after = self.counters()
        for name in SIDECARS:
            sent = {key for key in after[name] if after[name][key] != before[name].get(key)}
            self.assertLessEqual({key.split(".")[0] for key in sent}, {"http"}, f"{name}: routes, and nothing else: {sent}")
        first.start()
        self.check("the only one left came back")


if __name__ == "__main__":
    case.skip_without_envoy()
    if reason := why_not():
        print("skipped:", reason)
        sys.exit(77)
    unittest.main(verbosity=2)
