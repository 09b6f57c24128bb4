#!/usr/bin/env python3
"""What stands between a release and its users, before real Envoys: people with tokens, a verdict hook,
proxies that lag behind, rules of the team, the way from one environment to the next and the way back.
"""

import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

import case
from platform_mesh import ApiError, PlatformMesh
from release_case import Load, SHOP, application, envoy_of, processes_of, versions

TOKENS = {"demo": "0123456789abcdef-demo", "ann": "0123456789abcdef-ann", "bob": "0123456789abcdef-bob"}
ENVIRONMENTS = """\
---
apiVersion: graymesh.io/v1alpha1
kind: Environment
metadata: {name: pre-release, namespace: fe-pre}
spec: {promoteTo: fe-online}
---
apiVersion: graymesh.io/v1alpha1
kind: Environment
metadata: {name: online, namespace: fe-online}
spec: {approval: {required: 1, fourEyes: true, by: [ann, bob]}}
"""


class Mesh(PlatformMesh):
    def control_plane_arguments(self):
        file = self.folder / "tokens"
        file.write_text("".join(f"{token} {name}\n" for name, token in TOKENS.items()))
        return [*super().control_plane_arguments(), "--tokens", file]

    def who(self, user):
        return {"Authorization": f"Bearer {TOKENS[user]}"}

    def get(self, host, *arguments, **options):
        return super().get("shop.example" if host == "pre.shop.example" else host, *arguments, **options)

    def cli(self, user, *words):
        """`graymesh` as `user` calls it."""
        return subprocess.run(
            [self.programs / "graymesh", "--server", self.api, *words], text=True, capture_output=True, timeout=60,
            env={**os.environ, "GRAYMESH_TOKEN": TOKENS.get(user, user)})


class Hook:
    """An HTTP server that says what it is told to, and keeps what it was asked."""

    def __init__(self):
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                hook.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                self.end_headers()
                self.wfile.write(hook.why.encode())
                while hook.endless:
                    time.sleep(0.01)
                    try:
                        self.wfile.write(b"." * 1000)
                    except OSError:
                        return

            def log_message(self, *_):
                pass

        self.asked, self.status, self.why, self.endless = [], 202, "too few requests", False
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/verdict"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Gates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / "config").mkdir()
        online = application("web", host="online.example").replace("fe-pre", "fe-online")
        (folder / "config/shop.yaml").write_text(
            SHOP + application("web", calls="cart", host="shop.example") + application("cart"))
        (folder / "config/online.yaml").write_text(online[len("---\n"):] + ENVIRONMENTS)
        (folder / "mesh-config.yaml").write_text(case.MESH_CONFIG)
        cls.mesh = Mesh(folder / "config", folder / "mesh-config.yaml", programs=case.PROGRAMS)
        cls.addClassCleanup(cls.mesh.stop)
        cls.mesh.start()

    def baseline(self, name="cart", namespace="fe-pre"):
        return self.mesh.api_call("GET", f"/api/v1/applications/{namespace}/{name}")["status"]["baseline"]

    def load(self, lane=None, **allowed):
        load = Load(self.mesh, lane, chain=["web", "cart"])
        self.addCleanup(load.stream.stop)
        for name, wanted in allowed.items():
            load.allow(name, *wanted)
        load.stream.thread.start()
        return load

    def assert_clean(self, load):
        load.stream.stop()
        self.assertEqual(load.stream.failures()[:3], [], f"of {len(load.stream.answers)}")
        self.assertEqual(load.wrong[:3], [], f"of {len(load.stream.answers)}")
        self.assertGreater(len(load.stream.answers), 50)

    def back(self, release):
        self.assertEqual(self.mesh.act(release["id"], "rollback")["phase"], "rolled-back")

    def test_what_is_proven_goes_online_and_another_person_approves(self):
        mesh = self.mesh
        direct = mesh.cli("ann", "release", "start", "web", "-n", "fe-online", "--tag", "v9", "--set", "version=v9")
        self.assertEqual(direct.returncode, 1)
        self.assertIn("Environment fe-pre/pre-release: promoteTo is fe-online, which takes only what is proven there, and "
                      "web's artefact (version v9", direct.stderr)
        # Without calls: fe-online has no cart.
        command = "graymesh-shop --listen $(ADDRESS):$(PORT) --service web --version $(VERSION) --instance $(INSTANCE)"
        started = mesh.cli("ann", "release", "start", "web", "-n", "fe-pre", "--tag", "v9", "--set", "version=v9",
                           "--set", f"command={command}", "--wait", "-o", "json")
        self.assertEqual(started.returncode, 0, started.stderr)
        elsewhere = mesh.cli("ann", "release", "promote", "web/v9", "-n", "fe-pre", "--to", "fe-lab")
        self.assertEqual(elsewhere.returncode, 1)
        self.assertIn("Environment fe-pre/pre-release: promoteTo is fe-online", elsewhere.stderr)
        promoted = mesh.cli("ann", "release", "promote", "web/v9", "-n", "fe-pre", "--to", "fe-online", "--weight",
                            "100", "--reason", "as agreed", "--wait", "-o", "json")
        self.assertEqual(promoted.returncode, 0, promoted.stderr)
        receipt = json.loads(promoted.stdout)
        self.assertEqual((receipt["phase"], receipt["missing"]), ("gray", []))
        online, pre = mesh.release(receipt["release"]), mesh.release(json.loads(started.stdout)["release"])
        self.assertEqual(online["from"], {"release": pre["id"], "namespace": "fe-pre"})
        self.assertEqual(pre["promotedTo"], [{"namespace": "fe-online", "release": online["id"]}])
        self.assertEqual(online["applications"][0]["artefact"], pre["applications"][0]["artefact"])
        self.assertEqual(versions(mesh.get("online.example")), {"web": "v9"})

        self.assertEqual(mesh.cli("ann", "release", "promote", "web/v9", "-n", "fe-online").returncode, 0)
        own = mesh.cli("ann", "release", "approve", "web/v9", "-n", "fe-online")
        self.assertEqual(own.returncode, 1)
        self.assertIn(f"ann started release {online['id']}: fe-online asks for four eyes", own.stderr)
        self.assertIn("demo may not approve in fe-online",
                      mesh.cli("demo", "release", "approve", "web/v9", "-n", "fe-online").stderr)
        unknown = mesh.cli("0123456789abcdef-eve", "release", "approve", "web/v9", "-n", "fe-online")
        self.assertEqual(unknown.returncode, 1)
        self.assertNotIn("eve", unknown.stderr)

        def waits_for():
            return (mesh.release(online["id"])["progress"] or {}).get("waitsFor")
        case.wait_until(lambda: waits_for() == "approval of its promotion: 0 of 1", 10, waits_for)
        self.assertEqual(mesh.cli("bob", "release", "approve", "web/v9", "-n", "fe-online").returncode, 0)
        done = mesh.cli("ann", "release", "promote", "web/v9", "-n", "fe-pre", "--to", "fe-online")
        self.assertIn("already", done.stderr)
        end = mesh.api_call("GET", f"/api/v1/releases/{online['id']}?until=promoted&wait=30")
        self.assertEqual(end["phase"], "promoted", end)
        acts = json.loads(mesh.cli("bob", "history", "-n", "fe-online", "--object", f"release/{online['id']}",
                                   "-o", "json").stdout)
        self.assertEqual([(a["verb"], a["who"], a["from"]) for a in acts if a["who"] != "engine"],
                         [("approve", "bob", "127.0.0.1"), ("promote", "ann", "127.0.0.1"),
                          ("start", "ann", "127.0.0.1")])
        self.assertEqual((acts[-1]["reason"], acts[-1]["detail"]),
                         ("as agreed", {"from": "fe-pre", "release": pre["id"]}))
        self.back(pre)

    def test_a_verdict_hook_lets_it_go_on_or_takes_it_back(self):
        mesh, hook = self.mesh, Hook()
        self.addCleanup(hook.stop)
        load = self.load(web=("v0",), cart=("v0", "good", "bad"))
        steps = f"  steps: [{{weight: 50, pause: {{verdict: '{hook.url}'}}}}]\n"
        good = mesh.start_release("fe-pre", "cart", "good", steps)
        self.assertEqual(good["phase"], "step")
        case.wait_until(lambda: mesh.release(good["id"])["progress"]["waitsFor"] ==
                        f"the verdict of {hook.url}: too few requests", 30, "it is told why it waits")
        self.assertEqual(hook.asked[0], {"release": good["id"], "namespace": "fe-pre", "tag": "good", "step": 1,
                                         "weight": 50})
        hook.status, hook.why, hook.endless = 200, "fine", True
        case.wait_until(lambda: mesh.release(good["id"])["phase"] == "gray", 30,
                        "it goes on; of words without end only the first count")
        hook.endless = False
        self.back(good)
        hook.status, hook.why = 202, ""
        bad = mesh.start_release("fe-pre", "cart", "bad", steps)
        self.assertEqual(bad["phase"], "step")
        hook.why, hook.status = "errors on checkout\n", 409  # it may be asked between the two
        case.wait_until(lambda: mesh.release(bad["id"])["phase"] == "rolled-back", 30, "it goes back by itself")
        end = mesh.release(bad["id"])
        self.assertEqual(end["reason"], "rolled back: unhealthy: errors on checkout")
        receipt = end["receipts"]["rollback"]
        self.assertEqual((receipt["missing"], receipt["acked"]), ([], receipt["proxies"]))
        self.assertGreater(receipt["proxies"], 3)
        self.assert_clean(load)

    def test_a_promoted_release_goes_back_without_a_failed_request(self):
        mesh = self.mesh
        before = self.baseline()["version"]
        load = self.load(web=("v0",), cart=(before, "next"))
        mesh.start_release("fe-pre", "cart", "next")
        promoted = mesh.cli("ann", "release", "promote", "cart/next", "-n", "fe-pre", "--wait", "-o", "json")
        self.assertEqual(promoted.returncode, 0, promoted.stderr)
        load.allow("cart", "next")
        case.wait_until(lambda: self.baseline()["version"] == "next", 15, "it is the baseline")
        self.assertEqual(versions(mesh.get("pre.shop.example"))["cart"], "next")
        load.allow("cart", before, "next")
        back = mesh.cli("bob", "release", "rollback", "cart/next", "-n", "fe-pre", "--reason", "errors", "--wait",
                        "-o", "json")
        self.assertEqual(back.returncode, 0, back.stderr)
        load.allow("cart", before)
        receipt = json.loads(back.stdout)
        self.assertEqual((receipt["phase"], receipt["what"], receipt["missing"], receipt["reason"]),
                         ("rolled-back", "rollback", [], "rolled back by bob: errors"))
        self.assertEqual(receipt["acked"], receipt["proxies"])
        self.assertEqual(self.baseline()["version"], before)
        for _ in range(20):
            self.assertEqual(versions(mesh.get("pre.shop.example"))["cart"], before)
        again = mesh.cli("bob", "release", "rollback", "cart/next", "-n", "fe-pre", "--wait")
        self.assertEqual(again.returncode, 1)
        self.assertIn("rolled-back", again.stderr)
        self.assert_clean(load)

    def test_proxies_that_lag_behind_are_held_for_isolated_or_left(self):
        mesh = self.mesh
        victim = next(i for i in mesh.instances_now() if i["application"] == "cart" and not i["tag"])
        envoy = envoy_of(processes_of(mesh, victim)[1])
        os.kill(envoy, signal.SIGSTOP)
        self.addCleanup(os.kill, envoy, signal.SIGCONT)

        def start(policy, wait):
            return mesh.start_release("fe-pre", "web", policy.lower(),
                                      f"  laggards: {{policy: {policy}, after: 500ms}}\n", wait=wait)
        held = start("hold", wait=0)

        def lacks_the_victim():
            now = mesh.release(held["id"])
            missing = now["progress"]["missing"] if now["progress"] else []
            return now["phase"] == "subset" and len(missing) == 1 and victim["name"] in missing[0]
        case.wait_until(lacks_the_victim, 30, lambda: f"it waits for {victim['name']}: {mesh.release(held['id'])}")
        time.sleep(2)
        self.assertTrue(lacks_the_victim(), f"it is held: {mesh.release(held['id'])}")
        self.back_unwaited(held)
        gone_on = start("goOn", wait=30)
        self.assertEqual(gone_on["phase"], "gray", gone_on)
        self.assertIn(victim["name"], str(gone_on["receipts"]["routes"]["missing"]))
        isolated = start("isolate", wait=30)
        self.assertEqual(isolated["phase"], "gray", isolated)
        self.assertEqual(isolated["receipts"]["routes"]["missing"], [])
        for _ in range(20):  # nobody is sent to the instance that hangs
            self.assertEqual(mesh.get("pre.shop.example").status, 200)
        os.kill(envoy, signal.SIGCONT)
        for release in (held, gone_on, isolated):
            case.wait_until(lambda: mesh.release(release["id"])["phase"] in ("gray", "rolled-back"), 30,
                            lambda: f"it goes on: {mesh.release(release['id'])}")
            if mesh.release(release["id"])["phase"] == "gray":
                self.back(release)
        before = mesh.inbound_requests(victim["address"])
        case.wait_until(lambda: mesh.get("pre.shop.example").status == 200 and
                        mesh.inbound_requests(victim["address"]) > before, 30, "it is met again")

    def back_unwaited(self, release):
        mesh = self.mesh
        mesh.act(release["id"], "rollback", wait=0)
        self.assertEqual(mesh.release(release["id"])["phase"], "back-routes", "held as well")

    def test_a_rule_of_the_team_is_not_hidden(self):
        mesh = self.mesh
        mesh.write("team.yaml", case.virtual_service("cart-team", [
            {"name": "beta", "match": [{"headers": {"user": {"exact": "bob"}}}],
             "route": [{"destination": {"host": "cart", "subset": "baseline"}}]}], hosts=["cart"]))
        self.addCleanup(lambda: (mesh.config / "team.yaml").unlink())
        path = "/api/v1/objects?kind=VirtualService&namespace=fe-pre&name=cart-team"
        case.wait_until(lambda: mesh.api_call("GET", path)["items"],
                        15, "it is read")
        refused = mesh.cli("ann", "release", "start", "cart", "-n", "fe-pre", "--tag", "x", "--match",
                           "header:user^=b")
        self.assertEqual(refused.returncode, 1)
        self.assertIn('x/match-1 of fe-pre/cart would hide http[0] "beta" of VirtualService fe-pre/cart-team',
                      refused.stderr)
        dry = mesh.cli("ann", "release", "start", "cart", "-n", "fe-pre", "--tag", "x", "--match", "header:user=bob",
                       "--dry-run")
        self.assertEqual(dry.returncode, 1)
        with self.assertRaises(ApiError) as by_api:
            mesh.start_release("fe-pre", "cart", "x", "  match: [{headers: {user: {}}}]\n")
        self.assertEqual(by_api.exception.status, 409)


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
