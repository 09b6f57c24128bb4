#!/usr/bin/env python3
"""The release platform before real Envoys: release after release under steady load, while instances
die, sidecars restart and graymeshd is killed. No request fails, and every answer comes from the
version that it must come from.

GRAYMESH_RELEASES=N sets how many releases in a row (default 30), GRAYMESH_SEED=N replays a run.
"""

import os
import pathlib
import random
import re
import shutil
import signal
import tempfile
import threading
import time
import unittest

import case
import demo_mesh
from platform_mesh import ApiError, PlatformMesh

SHOP = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: ingress}
spec:
  selector: {app: gateway}
  servers:
  - {port: {number: 8000, name: http, protocol: HTTP}, bind: 127.1.0.1, hosts: ["*"]}
---
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {name: gateway, namespace: ingress}
spec: {gateway: true, ports: [{name: http, port: 8000}]}
"""
APPLICATION = """\
---
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {{name: {name}, namespace: fe-pre}}
spec:
  ports: [{{name: http, port: 8080}}]
  {hosts}
  run:
    version: v0
    command: [graymesh-shop, --listen, $(ADDRESS):$(PORT), --proxy, $(PROXY), --instance, $(INSTANCE),
      --service, {name}, --version, $(VERSION){more}]
  replicas: {replicas}
  readiness: {{http: {{path: /healthz}}, period: 200ms}}
  stop: {{drain: 300ms, timeout: 5s}}
"""


def application(name, *, calls=None, replicas=2, host=None, forward=None):
    more = (f", --calls, http://{calls}:8080/" if calls else "") + (f", --forward, {forward}" if forward else "")
    hosts = f"hosts: [{host}]\n  gateways: [ingress/shop]" if host else "team: shop"
    return APPLICATION.format(name=name, more=more, replicas=replicas, hosts=hosts)


def processes_of(words):
    """Ids of processes whose command line has all of the words."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(int(entry.parent.name))
    return found


def versions(answer):
    """{"web": "v1", "cart": "v0"} of `web[v1] > cart[v0]`."""
    return dict(re.findall(r"(\w+)\[([^\]]*)\]", answer.path))


class Load:
    """A client with a header or none, which knows what each answer may be."""

    def __init__(self, mesh, lane=None):
        self.mesh, self.lane = mesh, lane
        self.client = mesh.client()
        self.allowed = {}  # application -> versions that may answer now
        self.lock = threading.Lock()
        self.wrong = []
        headers = {"canarytag": lane} if lane else None
        self.stream = demo_mesh.Stream(lambda: self.ask(headers), pause=0.002)

    def ask(self, headers):
        with self.lock:
            before = {name: set(allowed) for name, allowed in self.allowed.items()}
        answer = self.client.request("/", "shop.example", headers)
        with self.lock:
            after = self.allowed
            for name, version in versions(answer).items():
                # What was allowed when it was sent, or when it came back.
                if version not in before.get(name, ()) and version not in after.get(name, ()):
                    self.wrong.append((name, version, before.get(name), answer))
        return answer

    def allow(self, name, *wanted):
        with self.lock:
            self.allowed[name] = set(wanted)


class Releases(unittest.TestCase):
    def start(self, *applications):
        folder = self.temporary_folder()
        (folder / "shop.yaml").write_text(SHOP + "".join(applications))
        (folder / "mesh-config.yaml").write_text(case.MESH_CONFIG)
        (folder / "config").mkdir()
        (folder / "shop.yaml").rename(folder / "config/shop.yaml")

        class Mesh(PlatformMesh):
            def get(self, host, *arguments, **options):
                return super().get("shop.example" if host == "pre.shop.example" else host, *arguments, **options)
        mesh = Mesh(folder / "config", folder / "mesh-config.yaml", programs=case.PROGRAMS)
        self.addCleanup(mesh.stop)
        mesh.start()
        return mesh

    def temporary_folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def load(self, mesh, lane=None):
        load = Load(mesh, lane)
        self.addCleanup(load.stream.stop)
        return load

    def assert_clean(self, loads):
        total = 0
        for load in loads:
            load.stream.stop()
            total += len(load.stream.answers)
            self.assertEqual(load.stream.failures()[:3], [], f"of {len(load.stream.answers)} in lane {load.lane}")
            self.assertEqual(load.wrong[:3], [], f"of {len(load.stream.answers)} in lane {load.lane}")
        self.assertGreater(total, 500)
        return total

    def test_release_after_release_under_load_while_everything_dies(self):
        releases = int(os.environ.get("GRAYMESH_RELEASES", "30"))
        seed = int(os.environ.get("GRAYMESH_SEED", str(random.randrange(10**6))))
        chance = random.Random(seed)
        mesh = self.start(application("web", calls="cart", host="shop.example"), application("cart"))
        mesh.start_release("fe-pre", "web", "kept")
        baseline = {"web": "v0", "cart": "v0"}
        plain, kept = self.load(mesh), self.load(mesh, "kept")
        for load in (plain, kept):
            load.allow("web", "kept" if load is kept else "v0")
            load.allow("cart", "v0")
            load.stream.thread.start()
        deaths = kills = promoted = back = 0
        receipts = []
        for number in range(1, releases + 1):
            name, tag = chance.choice(("web", "cart")), f"r{number}"
            with self.subTest(seed=seed, number=number):
                release = self.patiently(mesh, lambda: mesh.start_release("fe-pre", name, tag))
                self.assertEqual(release["phase"], "gray", release)
                answer = mesh.get("pre.shop.example", headers={"canarytag": tag})
                self.assertEqual(versions(answer), {**baseline, name: tag}, answer)
                if chance.random() < 0.3:
                    deaths += self.kill_an_instance(mesh, chance)
                if chance.random() < 0.2:
                    mesh.kill_control_plane()
                    mesh.start_control_plane()
                    kills += 1
                if chance.random() < 0.4:
                    both = (baseline[name], tag)
                    for load in (plain, kept):
                        if load is plain or name == "cart":
                            load.allow(name, *both)
                    release = self.patiently(mesh, lambda: mesh.act(release["id"], "promote"))
                    self.assertEqual(release["phase"], "promoted", release)
                    baseline[name] = tag
                    for load in (plain, kept):
                        if load is plain or name == "cart":
                            load.allow(name, tag)
                    promoted += 1
                else:
                    release = self.patiently(mesh, lambda: mesh.act(release["id"], "rollback", "a test"))
                    self.assertEqual(release["phase"], "rolled-back", release)
                    receipts.append(release["receipts"]["rollback"])
                    self.assertEqual(receipts[-1]["missing"], [])
                    self.assertEqual(receipts[-1]["acked"], receipts[-1]["proxies"])
                    back += 1
        total = self.assert_clean((plain, kept))
        inbound = {i["name"]: mesh.inbound_requests(i["address"]) for i in mesh.instances_now()
                   if i["application"] != "gateway"}
        for name, count in inbound.items():
            self.assertGreater(count, 0, f"nothing passed the sidecar of {name}: {inbound}")
        last = sorted(receipt["last_ms"] for receipt in receipts)
        print(f"\n{releases} releases (seed {seed}): {promoted} promoted, {back} rolled back, {deaths} instances and "
              f"{kills} graymeshd killed; {total} requests, 0 failed, 0 in a wrong version; rollback reached the "
              f"last proxy after {last[len(last) // 2]:.1f} ms (median), {last[-1]:.1f} ms at most")

    def patiently(self, mesh, ask):
        """Again if graymeshd was just killed; a plan may also have to wait for what runs still."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return ask()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def kill_an_instance(self, mesh, chance):
        """SIGKILL for one of two baseline instances of an application, and until it is back."""
        instances = [i for i in mesh.instances_now() if i["stage"] == "normal" and i["application"] != "gateway"
                     and i["phase"] == "ready"]
        victim = chance.choice(instances)
        if sum(i["group"] == victim["group"] for i in instances) < 2:
            return 0
        for pid in processes_of(("--instance", victim["name"])):
            os.kill(pid, signal.SIGKILL)
        case.wait_until(lambda: all(i["phase"] == "ready" for i in mesh.instances_now()), 30,
                        "all instances are ready again")
        return 1

    def test_the_last_instance_of_a_lane_dies_under_load(self):
        mesh = self.start(application("web", calls="cart", host="shop.example"), application("cart"))
        mesh.start_release("fe-pre", ["web", "cart"], "feature-a")
        loads = [self.load(mesh, "feature-a") for _ in range(4)]
        for load in loads:
            load.allow("web", "feature-a")
            load.allow("cart", "feature-a", "v0")
            load.stream.thread.start()

        def last_cart():
            answers = loads[-1].stream.answers
            return versions(answers[-1][1]).get("cart") if answers else None
        case.wait_until(lambda: last_cart() == "feature-a", 10, "the lane answers")
        for _ in range(3):
            victim = next(i for i in mesh.instances_now() if i["application"] == "cart" and i["tag"] == "feature-a")
            for pid in processes_of(("--instance", victim["name"])):
                os.kill(pid, signal.SIGKILL)
            case.wait_until(lambda: last_cart() == "v0", 10,
                            "the baseline answers")
            case.wait_until(lambda: last_cart() == "feature-a", 30,
                            "the lane answers again")
        self.assert_clean(loads)

    def test_many_lanes_side_by_side_each_fall_back_where_they_should(self):
        mesh = self.start(application("web", calls="cart", host="shop.example", replicas=1),
                          application("cart", calls="pay", replicas=1), application("pay", replicas=1))
        members = {f"lane-{n}": [name for bit, name in enumerate(("web", "cart", "pay")) if n >> bit & 1]
                   for n in range(1, 8)}
        for lane, applications in members.items():
            mesh.start_release("fe-pre", applications, lane)
        for lane, applications in members.items():
            for how in ({"headers": {"canarytag": lane}}, {"path": f"/?canarytag={lane}"},
                        {"headers": {"cookie": f"a=b; canarytag={lane}; c=d"}},
                        {"headers": {"baggage": f"x=y,canarytag={lane}"}}):
                answer = mesh.get("pre.shop.example", **how)
                wanted = {name: lane if name in applications else "v0" for name in ("web", "cart", "pay")}
                self.assertEqual(versions(answer), wanted, f"{how} {answer}")
        linked = mesh.get("pre.shop.example", "/?canarytag=lane-2")
        self.assertIn("canarytag=lane-2; Path=/", linked.headers["set-cookie"])
        self.assertEqual(set(versions(mesh.get("pre.shop.example")).values()), {"v0"})

    def test_a_gray_instance_carries_its_lane_for_an_application_that_forgets_it(self):
        mesh = self.start(application("web", calls="cart", host="shop.example", replicas=1, forward="none"),
                          application("cart", replicas=1))
        mesh.start_release("fe-pre", ["web", "cart"], "feature-a")
        answer = mesh.get("pre.shop.example", headers={"canarytag": "feature-a"})
        self.assertEqual(versions(answer), {"web": "feature-a", "cart": "feature-a"})

    def test_a_user_stays_on_the_version_met_while_the_weight_grows(self):
        mesh = self.start(application("web", host="shop.example", replicas=1))
        release = mesh.start_release(
            "fe-pre", "web", "feature-a",
            "  steps: [{weight: 20, pause: {approval: true}}, {weight: 60, pause: {approval: true}}]\n", wait=10)
        self.assertEqual(release["progress"]["waitsFor"], "approval of step 1 (weight 20)")

        def meet(cookie=None):
            answer = mesh.get("pre.shop.example", headers={"cookie": cookie} if cookie else None)
            return versions(answer)["web"], answer.headers.get("set-cookie", "").split(";")[0]
        users = [meet() for _ in range(150)]
        share = sum(version == "feature-a" for version, _ in users) / len(users)
        self.assertTrue(0.08 < share < 0.35, share)
        self.assertEqual([meet(cookie)[0] for _, cookie in users], [version for version, _ in users])
        mesh.act(release["id"], "approve", wait=10)
        grown = [meet(cookie)[0] for _, cookie in users]
        for (version, _), now in zip(users, grown):
            self.assertTrue(now == "feature-a" or version != "feature-a", "a user left the gray version")
        self.assertGreater(grown.count("feature-a") / len(grown), share)

    def test_a_plan_that_cannot_hold_is_refused_with_its_reason(self):
        mesh = self.start(application("web", host="shop.example", replicas=1))
        mesh.start_release("fe-pre", "web", "a", "  steps: [{weight: 60}]\n")
        with self.assertRaises(ApiError) as refused:
            mesh.start_release("fe-pre", "web", "b", "  steps: [{weight: 50}]\n")
        self.assertIn("gray versions of fe-pre/web would get 110 % of its requests", str(refused.exception.problem))


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
