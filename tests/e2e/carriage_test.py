#!/usr/bin/env python3
"""What carries a lane on, and where it is lost, as real Envoys tell it; and lanes that nobody uses.

    web (passes all headers on) ─┬─> cart (only baggage) ─> pay (nothing; has a gray version) ─> stock
                                 ├─> bank (only x-request-id) ─> stock
                                 └─> mail (nothing) ─> stock
"""

import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import case
from platform_mesh import PlatformMesh
from release_case import SHOP, application

LANE = "feature-a"


def calls(*names):
    """For application(): several calls."""
    return ":8080/, --calls, http://".join(names)


APPLICATIONS = [
    application("web", calls=calls("cart", "bank", "mail"), host="shop.example", replicas=1),
    application("cart", calls="pay", replicas=1, forward="baggage"),
    application("pay", calls="stock", replicas=1, forward="none"),
    application("bank", calls="stock", replicas=1, forward="id"),
    application("mail", calls="stock", replicas=1, forward="none"),
    application("stock", replicas=1)]


class Mesh(PlatformMesh):
    def __init__(self, log):
        self.made = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        (self.made / "config").mkdir()
        (self.made / "config/shop.yaml").write_text(SHOP + "".join(APPLICATIONS))
        (self.made / "mesh-config.yaml").write_text(
            case.MESH_CONFIG + f'defaultConfig: {{proxyMetadata: {{GRAYMESH_LANE_LOG: "{log}"}}}}\n')
        super().__init__(self.made / "config", self.made / "mesh-config.yaml", programs=case.PROGRAMS)

    def get(self, host, *arguments, **options):
        return super().get("shop.example" if host == "pre.shop.example" else host, *arguments, **options)

    def stop(self):
        super().stop()
        shutil.rmtree(self.made, ignore_errors=True)

    def use(self, times=1):
        """Requests in the lane, by a link: the gateway adds header and baggage."""
        for _ in range(times):
            answer = self.get("shop.example", f"/?canarytag={LANE}")
            if answer.status != 200 or f"pay[{LANE}]" not in answer.path:
                raise AssertionError(answer)

    def declare(self, idle):
        self.api_call("POST", "/api/v1/lanes", {
            "apiVersion": "graymesh.io/v1alpha1", "kind": "Lane", "metadata": {"name": LANE, "namespace": "fe-pre"},
            "spec": {"idle": idle}})

    def lane(self):
        return self.api_call("GET", f"/api/v1/lanes/fe-pre/{LANE}")

    def in_lane(self):
        return {app["name"]: app for app in self.lane()["status"]["applications"]}

    def cli(self, *words):
        done = subprocess.run([case.PROGRAMS / "graymesh", "--server", self.api, *words], capture_output=True,
                              text=True, timeout=30, check=True)
        return done.stdout


CALLS = {"web": 3, "cart": 1, "pay": 1, "bank": 1, "mail": 1, "stock": 0}  # of each request


def told_calls(app):
    """Calls that were carried on in some way, and those that lost the lane."""
    traffic = app["traffic"]
    return (sum(sum(call["by"].values()) for call in traffic["calls"])
            + sum(loss["count"] for loss in traffic["lost"]))


def losses(app):
    return [(loss["to"], loss["proof"]) for loss in app["traffic"]["lost"]]


class Carriage(unittest.TestCase):
    def start(self, log):
        mesh = Mesh(log)
        self.addCleanup(mesh.stop)
        return mesh.start()

    def assert_told(self, mesh, requests):
        """Each application's carrier is as measured, once the proxies have told of `requests` or more.

        A proxy tells of what it received and of what it sent by streams of their own."""
        def told():
            apps = mesh.in_lane()
            return (all(app["traffic"]["received"] >= requests and told_calls(app) >= CALLS[name] * requests
                        for name, app in apps.items()) and apps)
        apps = case.wait_until(told, 15, lambda: json.dumps(mesh.lane(), indent=1))
        self.assertEqual({name: app["carriedBy"] for name, app in apps.items()},
                         {"web": "header", "cart": "baggage", "pay": "stamp", "bank": "nothing", "mail": "nothing",
                          "stock": "no call seen"})
        self.assertEqual({name: losses(app) for name, app in apps.items()},
                         {"web": [], "cart": [], "pay": [], "stock": [],
                          "bank": [("stock.fe-pre", "request id")], "mail": [("stock.fe-pre", "likely")]})
        self.assertEqual({name: app["answeredBy"] for name, app in apps.items() if app["answeredBy"] != "baseline"},
                         {"pay": "lane"})
        return apps

    def test_each_application_is_told_rightly_also_after_a_kill_of_graymeshd(self):
        mesh = self.start("100%")
        mesh.start_release("fe-pre", "pay", LANE)
        for app in mesh.in_lane().values():
            self.assertEqual((app["carriedBy"], app["traffic"]["received"]), ("no request seen yet", 0))
        mesh.use(8)
        mesh.get("shop.example")
        apps = self.assert_told(mesh, 8)
        self.assertEqual(apps["web"]["traffic"]["received"], 8)
        by = {call["to"]: call["by"] for call in apps["web"]["traffic"]["calls"]}
        self.assertEqual({to: counts["header"] for to, counts in by.items()},
                         {"cart.fe-pre": 8, "bank.fe-pre": 8, "mail.fe-pre": 8})

        shown = mesh.cli("lane", "show", LANE, "-n", "fe-pre")
        self.assertRegex(shown, r"(?m)^bank +baseline +1/1 +8 +nothing +stock \(\d+, proven by request id\)$")
        self.assertRegex(shown, r"(?m)^mail +baseline +1/1 +8 +nothing +stock \(\d+, likely\)$")
        self.assertRegex(shown, rf"(?m)^pay +{LANE} +1/1 +8 +stamp *$")
        self.assertRegex(shown, r"(?m)^Last request: 20\S+\. Counted since 20\S+\.$")
        used = mesh.lane()["status"]["used"]
        self.assertEqual(used, mesh.lane()["status"]["lastRequest"])
        self.assertRegex(mesh.cli("lane", "list", "-n", "fe-pre"), rf"(?m)^fe-pre +{LANE} .* {re.escape(used)} *$")

        mesh.kill_control_plane()
        mesh.use(3)  # nobody hears of these, or some of them
        mesh.start_control_plane()
        mesh.wait_settled()
        mesh.use(8)
        self.assert_told(mesh, 6)  # the first may be lost with the stream that they were told by
        refused = {instance["name"]: self.rejected(mesh, instance) for instance in mesh.instances_now()}
        self.assertEqual({name: count for name, count in refused.items() if count}, {})

    @staticmethod
    def rejected(mesh, instance):
        client = case.demo_mesh.Client(instance["address"], 15000)
        answer = client.request("/stats?filter=update_rejected", "admin")
        client.close()
        lines = [line for line in answer.body.decode().splitlines() if line]
        if answer.status != 200 or not lines:
            raise AssertionError(f"{instance['name']} tells nothing of its updates: {answer}")
        return sum(int(line.rpartition(": ")[2]) for line in lines)

    def test_a_lane_that_nobody_uses_is_reclaimed_and_one_in_use_is_not(self):
        mesh = self.start("0%")
        release = mesh.start_release("fe-pre", "pay", LANE)
        mesh.declare("8s")
        end = time.monotonic() + 14
        while time.monotonic() < end:
            mesh.use()
            time.sleep(0.3)
        self.assertEqual(mesh.release(release["id"])["phase"], "gray")
        self.assertEqual(mesh.lane()["status"]["problems"], [])
        case.wait_until(lambda: mesh.release(release["id"])["phase"] == "rolled-back", 40, "it is reclaimed", 0.2)
        self.assertEqual(mesh.release(release["id"])["reason"], "its lane was not used any more")
        case.wait_until(lambda: not mesh.api_call("GET", "/api/v1/lanes")["items"], 10, "the lane is gone", 0.1)

    def test_without_the_log_nothing_is_claimed_and_no_lane_is_idle(self):
        mesh = self.start("off")
        release = mesh.start_release("fe-pre", "pay", LANE)
        mesh.declare("1s")
        mesh.use(3)
        time.sleep(3)
        self.assertEqual({app["carriedBy"] for app in mesh.in_lane().values()}, {"not measured"})
        self.assertRegex(mesh.lane()["status"]["problems"][0], "idle is not counted: no proxy tells")
        self.assertEqual(mesh.release(release["id"])["phase"], "gray")


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
