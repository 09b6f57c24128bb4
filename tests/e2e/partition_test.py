#!/usr/bin/env python3
"""Two control planes, each behind a cable of its own, and five sidecars that know both. Whatever
happens to one of them, the proxies change to the other: what changed meanwhile arrives, once, nothing
that they hold is sent again, no request fails, and no endpoint disappears, not for a moment.

    this namespace                      a namespace each
    five sidecars, load ──── gmpA ───── graymeshd A  10.N.1.2
                       └──── gmpB ───── graymeshd B  10.N.2.2   both read the same folder

A process that ends says so; all else is found by pings. How soon, and how soon the proxies are current
after that, is held by bounds that leave room for a machine that does other work; `make faults` holds
what is claimed, 5 s and 2 s (bench/partition.py). Needs root, `ip netns` and veth; says why it is skipped.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing
import unittest
import urllib.parse

import case
import demo_mesh

ROUNDS = 1  # of each fault
# Seconds for what must come true, however late.
PATIENCE = 60.0


class Bounds(typing.NamedTuple):
    """Seconds: the protocol's own timers, and what a busy machine adds."""
    ended: float     # found, if a process ended; silence would take 4 s
    silent: float    # found, by either end: pinged after 1 s, given up 3 s later; TCP's keepalive would take 33 s
    current: float   # after that
    returned: float  # after the return of the only one left: back-off of up to 1 s, two addresses; Envoy's own is 30 s


BOUNDS = Bounds(ended=3.0, silent=10.0, current=5.0, returned=8.0)
SIDECARS = ("client", "cart", "more-1", "more-2", "more-3")
CART = "http://cart:8080/"
# What Envoy counts when it is sent something, what it holds, and connections that it lost.
UPDATES = r"(update_success|update_rejected|config_reload)$"
MEMBERS = r"^cluster\.outbound.*membership_(total|healthy)$"
LOST = r"^cluster\.xds-grpc\.upstream_cx_destroy$"


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
        self.start_only()
        case.wait_until(self.ready, PATIENCE, f"graymeshd {self.name} serves")

    def start_only(self):
        self.process = demo_mesh.Process(
            f"graymeshd {self.name}",
            ["ip", "netns", "exec", self.cable.name, self.mesh.programs / "graymeshd", "--config", self.mesh.config,
             "--mesh-config", self.mesh.mesh_config, "--xds", self.xds, "--api", self.api],
            self.mesh.logs / f"graymeshd-{self.name}.log")

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

    def proxies(self):
        """Names of those that are on it, as it says; none if it does not answer."""
        answer = self.get("/api/v1/proxies")
        return {item["name"] for item in answer.json["items"]} if answer.status == 200 else set()

    def is_alone(self):
        """Asked behind its cable: has it no proxy any more?"""
        said = subprocess.run(["ip", "netns", "exec", self.cable.name, "curl", "-s", "-m", "2", f"http://{self.api}/api/v1/proxies"],
                              capture_output=True, check=False).stdout
        return bool(said) and json.loads(said)["items"] == []

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
        self.sidecar_args = ["--control-plane", self.replicas[1].xds, "--all-stats"]

    def counts(self, name, pattern):
        """Statistics of a sidecar whose name matches, by name."""
        answer = self.admin(f"{name}.fe-pre", f"/stats?usedonly&filter={urllib.parse.quote(pattern)}")
        lines = (line.rpartition(": ") for line in answer.body.decode().splitlines())
        return {stat: int(value) for stat, _, value in lines}

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
    """Looks at every proxy's endpoints and at its connection to a control plane, all the time."""

    def __init__(self, mesh):
        self.mesh, self.ending = mesh, threading.Event()
        self.before = {name: mesh.counts(name, MEMBERS) for name in SIDECARS}
        self.losses = {name: self.lost_by(name) for name in SIDECARS}
        self.gone = []  # endpoints: (sidecar, what it had instead)
        self.found = {}  # when a sidecar was first seen without its connection; cleared at each fault
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def lost_by(self, name):
        return sum(self.mesh.counts(name, LOST).values())

    def run(self):
        while not self.ending.is_set():
            for name in SIDECARS:
                losses = self.lost_by(name)
                if losses != self.losses[name]:
                    self.losses[name] = losses
                    self.found.setdefault(name, time.monotonic())
                now = self.mesh.counts(name, MEMBERS)
                if now != self.before[name]:
                    self.gone.append((name, now))
            time.sleep(0.02)

    def stop(self):
        self.ending.set()
        self.thread.join(10)


class Partition(unittest.TestCase):
    # Of each fault: seconds until the last proxy counts its connection as lost, and from then until the last is current.
    figures = []

    @classmethod
    def setUpClass(cls):
        cls.mesh = Mesh(files())
        cls.mesh.start()
        cls.turn = 0

    @classmethod
    def tearDownClass(cls):
        cls.mesh.stop()

    def setUp(self):
        self.settled()
        self.loads = [case.Load(self.mesh, f"{name}.fe-pre", CART) for name in ("client", "more-1")]
        for load in self.loads:
            load.__enter__()
        self.watch = Watch(self.mesh)
        for name in SIDECARS:
            self.assertTrue(self.watch.before[name], f"{name} tells of its endpoints")
        self.addCleanup(self.quiet)

    def quiet(self):
        for load in self.loads:
            load.stop()
        self.watch.stop()

    def settled(self):
        """Until each proxy is on one replica and no other."""
        for replica in self.mesh.replicas:
            case.wait_until(replica.ready, PATIENCE, f"graymeshd {replica.name} serves")

        def on_one():
            return sorted(name for replica in self.mesh.replicas for name in replica.proxies()) == sorted(SIDECARS)
        case.wait_until(on_one, PATIENCE, lambda: f"each proxy is on one replica: {[it.proxies() for it in self.mesh.replicas]}")

    def counters(self):
        return {name: {key: value for key, value in self.mesh.counts(name, UPDATES).items() if "xds-grpc" not in key}
                for name in SIDECARS}

    def change(self):
        Partition.turn += 1
        self.mesh.write("routes.yaml", version(str(self.turn)))
        return str(self.turn)

    def current(self, turn, replicas):
        """When each proxy was first seen to route as in `turn` (it is asked itself) and to be on one of `replicas`."""
        begun, at = time.monotonic(), {}
        while len(at) < len(SIDECARS):
            there = set().union(*(replica.proxies() for replica in replicas if replica.process.running()))
            for name in there - at.keys():
                if self.mesh.get_from(f"{name}.fe-pre", CART).headers.get("x-turn") == turn:
                    at[name] = time.monotonic()
            if time.monotonic() - begun > PATIENCE:
                self.fail(f"after {PATIENCE} s: turn {turn} is at {sorted(at)}, and {sorted(there)} are on "
                          f"{[replica.name for replica in replicas]}")
            time.sleep(0.02)
        return at

    def assert_sent_once(self, before, what):
        """The change of a route came once, and nothing else did."""
        for name, counts in self.counters().items():
            sent = {key: value - before[name].get(key, 0) for key, value in counts.items() if value != before[name].get(key, 0)}
            others = {key: more for key, more in sent.items() if ".rds." not in key or more != 1}
            self.assertTrue(sent, f"{what}: {name} counts what it is sent")
            self.assertEqual(others, {}, f"{what}: {name} is sent the route, once, and nothing else")

    def note(self, what, found=None, within=None, current=None, then_within=None):
        """Keeps the figures, and holds them within their bounds."""
        self.figures.append((what, found, current))
        if found is not None:
            self.assertLess(found, within, f"{what}: seconds until the loss is found")
        if current is not None:
            self.assertLess(current, then_within, f"{what}: seconds from then until all are current")

    def go_through(self, what, fault, found_within, back=False):
        """A fault of the replica that has the client's stream; a change right after it arrives by the other
        one, or by either if it comes `back`."""
        broken, other = self.mesh.replicas
        self.settled()
        if "client" not in broken.proxies():
            broken, other = other, broken
        with self.subTest(fault=what):
            had, before = broken.proxies(), self.counters()
            self.watch.found = {}
            at = time.monotonic()
            fault(broken)
            turn = self.change()
            current = self.current(turn, self.mesh.replicas if back else [other])
            case.wait_until(lambda: had <= self.watch.found.keys(), PATIENCE,
                            lambda: f"{what}: only {sorted(self.watch.found)} count the loss of a connection")
            found = dict(self.watch.found)
            self.assert_sent_once(before, what)
            self.note(what, max(found[name] - at for name in had), found_within,
                      max(max(0.0, current[name] - found[name]) for name in had), BOUNDS.current)
        return broken

    def found_by(self, server, what, at):
        """The server's own end finds it out, too. It is looked at once all proxies are current."""
        case.wait_until(server.is_alone, PATIENCE, f"{what}: the dead connections are gone at the server")
        self.note(f"{what}, as the server finds it", time.monotonic() - at, BOUNDS.silent + BOUNDS.current)

    def check(self, what):
        for load in self.loads:
            self.assertEqual([str(it) for it in load.failures()], [], what)
            self.assertGreater(len(load.answers), 0, what)
        self.assertEqual(self.watch.gone, [], f"{what}: no endpoint disappears")

    def test_killed(self):
        for _ in range(ROUNDS):
            broken = self.go_through("kill -9", Replica.kill, BOUNDS.ended)
            broken.start()
        self.check("kill -9")

    def test_restarted(self):
        """The other one is alive; who is quick may be back on the one that was restarted."""
        def restart(replica):
            replica.signal(signal.SIGTERM)
            replica.process.wait(10)
            replica.start_only()
        for _ in range(ROUNDS):
            broken = self.go_through("restarted", restart, BOUNDS.ended, back=True)
            case.wait_until(broken.ready, PATIENCE, "the restarted one serves")
        self.check("restarted")

    def test_stopped(self):
        for _ in range(ROUNDS):
            broken = self.go_through("SIGSTOP", lambda it: it.signal(signal.SIGSTOP), BOUNDS.silent)
            broken.signal(signal.SIGCONT)
        self.check("SIGSTOP")

    def test_cut_cable(self):
        self.go_dark("cut cable", lambda it: it.cable.cut())

    def test_half_open(self):
        """Packets vanish one way only."""
        self.go_dark("half-open", lambda it: it.cable.swallow())

    def go_dark(self, what, fault):
        at = 0.0

        def go(replica):
            nonlocal at
            at = time.monotonic()
            fault(replica)
        for _ in range(ROUNDS):
            broken = self.go_through(what, go, BOUNDS.silent)
            try:
                self.found_by(broken, what, at)
            finally:
                broken.cable.mend()
        self.check(what)

    def test_a_crash_behind_a_cut_cable(self):
        """The old connection is half open when the cable is mended: the new process knows nothing of it."""
        def crash(replica):
            replica.cable.cut()
            replica.kill()
        for _ in range(ROUNDS):
            broken = self.go_through("crash behind a cut cable", crash, BOUNDS.silent)
            broken.cable.mend()
            broken.start()
        self.check("crash behind a cut cable")

    def test_the_only_one_left_comes_back(self):
        """Nobody else is there: the proxies go on with what they have, and are current soon after its return."""
        first, second = self.mesh.replicas
        first.kill()
        case.wait_until(lambda: second.proxies() == set(SIDECARS), PATIENCE, "all are on the one that is left")
        before = self.counters()
        second.kill()
        time.sleep(3)  # Envoy's own back-off would have grown to several seconds by then
        turn = self.change()
        second.start()
        begun = time.monotonic()
        # Each tries the two by turns, and waits for up to 1 s before each.
        current = self.current(turn, [second])
        self.assert_sent_once(before, "the only one left came back")
        self.note("the only one left comes back", current=max(current.values()) - begun, then_within=BOUNDS.returned)
        first.start()
        self.check("the only one left came back")


if __name__ == "__main__":
    case.skip_without_envoy()
    if reason := why_not():
        print("skipped:", reason)
        sys.exit(77)
    unittest.main(verbosity=2)
