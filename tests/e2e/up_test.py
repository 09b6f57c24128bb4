#!/usr/bin/env python3
"""`graymesh up` and `down`: applications of a file run, answer, change, and are gone again, whatever
dies in between. Each test has a state folder of its own; ports and addresses are up's to choose."""

import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.parse

import case

GRAYMESH = case.PROGRAMS / "graymesh"
APPLICATION = """\
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {{name: {name}}}
spec:
  ports: [{{name: http, port: 8080}}]
  hosts: [{name}.localhost]
  run:
    version: {version}
    command: [graymesh-shop, --listen, $(ADDRESS):$(PORT), --proxy, $(PROXY), --instance, $(INSTANCE),
      --service, {name}, --version, $(VERSION)]
  replicas: {replicas}
  readiness: {{http: {{path: /healthz}}, period: 200ms}}
  stop: {{drain: 300ms, timeout: 5s}}
"""


class UpCase(unittest.TestCase):
    """A state folder of its own, and what runs for it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.state = self.folder / "state" / "graymesh"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(self.folder / "state"),
                            "PATH": f"{case.PROGRAMS}:{os.environ['PATH']}"}
        self.environment.pop("GRAYMESH_SERVER", None)
        self.addCleanup(self.graymesh, "down")

    def graymesh(self, *words, timeout=60):
        return subprocess.run([GRAYMESH, *words], capture_output=True, text=True, timeout=timeout, check=False,
                              env=self.environment, cwd=self.folder)

    def write(self, name="app.yaml", *, app="web", version="v1", replicas=1):
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(APPLICATION.format(name=app, version=version, replicas=replicas))

    def up(self, *words, code=0):
        ran = self.graymesh("up", *words, "-o", "json")
        self.assertEqual(ran.returncode, code, ran.stdout + ran.stderr)
        return json.loads(ran.stdout) if ran.stdout else ran.stderr

    def down(self, *words):
        ran = self.graymesh("down", *words)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertEqual(self.running(), [])
        return ran.stdout

    def running(self, pattern=None):
        """Command lines that name our folder: graymeshd, keepers; and what has it in its environment."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                marks = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            ours = str(self.state) in line or f"GRAYMESH_INSTANCE_FOLDER={self.state}" in marks
            if ours and int(entry.name) != os.getpid() and (pattern is None or re.search(pattern, line)):
                found.append((int(entry.name), line))
        return sorted(found)

    @staticmethod
    def kill(pid):
        """SIGKILL; until it is dead, and so has let go of its ports and locks."""
        def dead():
            try:
                state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
                return state == "Z" and os.listdir(f"/proc/{pid}/task") == [str(pid)]
            except OSError:
                return True
        os.kill(pid, signal.SIGKILL)
        case.wait_until(dead, 15, f"process {pid} is dead")

    def ask(self, page, app="web"):
        """The version that answers at the first address that `up` told of."""
        url = next(a for a in page["applications"] if a["name"] == app)["answersAt"][0]["url"]
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=10)
        connection.request("GET", "/", headers={"Host": parts.netloc})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        self.assertEqual(answer.status, 200, text)
        return json.loads(text)["version"]


class Up(UpCase):
    def test_an_application_comes_up_changes_is_released_and_goes(self):
        self.write()
        first = self.up("-f", "app.yaml")
        self.assertEqual(self.ask(first), "v1")
        self.assertTrue(first["up"])
        apps = self.running("graymesh-shop")
        # Once more is no change; the CLI finds it without being told where.
        self.assertEqual(self.up()["api"], first["api"])
        self.assertEqual(self.running("graymesh-shop"), apps)
        ran = self.graymesh("release", "start", "web", "--tag", "beta", "--set", "version=v2", "--wait")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        ran = self.graymesh("app", "instances", "web", "-o", "json")
        self.assertEqual(sorted(one["tag"] for one in json.loads(ran.stdout)), ["", "beta"])
        self.assertEqual(self.graymesh("release", "rollback", "web/beta", "--wait").returncode, 0)
        # What proxies ran is on record, and its size is bounded.
        proxy = next(item for item in self.proxies(first) if item.startswith("web-"))
        case.wait_until(lambda: self.graymesh("history", "proxy", proxy, "--at", "now").returncode == 0, 15,
                        lambda: self.graymesh("history", "proxy", proxy, "--at", "now").stderr)
        self.assertRegex(self.running("graymeshd ")[0][1], r"--record-max [0-9]+ ")
        self.assertTrue(list((self.state / "record").glob("*.segment")))
        # The file changes: applied by the next up, without a failed request.
        self.write(version="v3", replicas=2)
        with case.demo_mesh.Stream(lambda: self.client_of(first).request("/", "web.localhost"), 0.01) as load:
            changed = self.up("-f", "app.yaml")
        self.assertEqual(load.failures(), [])
        self.assertEqual([app["ready"] for app in changed["applications"] if app["name"] == "web"], [2])
        self.assertEqual(self.ask(changed), "v3")
        self.assertIn("instances have ended", self.down())
        self.assertFalse(self.state.exists())
        self.assertIn("nothing is up in", self.down())

    @staticmethod
    def proxies(page):
        items = case.get(page["api"], "/api/v1/proxies").json["items"]
        return [f"{item['name']}.{item['namespace']}" for item in items]

    def client_of(self, page):
        if not hasattr(self, "client"):
            address, port = page["gateways"][0].split(":")
            self.client = case.demo_mesh.Client(address, int(port))
            self.addCleanup(self.client.close)
        return self.client

    def test_two_of_a_folder_and_what_it_has_no_more_is_taken_back(self):
        self.write("mesh/web.yaml")
        self.write("mesh/cart.yaml", app="cart")
        page = self.up("-f", "mesh")
        self.assertEqual([self.ask(page, "web"), self.ask(page, "cart")], ["v1", "v1"])
        (self.folder / "mesh/cart.yaml").unlink()
        page = self.up("-f", "mesh")
        self.assertEqual(sorted(app["name"] for app in page["applications"]), ["gateway", "web"])
        case.wait_until(lambda: not self.running("--service cart"), 30, lambda: self.running("--service cart"))
        # Kept, it is there again as it was.
        self.down("--keep")
        self.assertEqual(self.ask(self.up()), "v1")

    def test_two_meshes_side_by_side_do_not_meet(self):
        self.write(version="mine")
        self.write("other.yaml", version="other")
        other = self.folder / "other-state"
        self.addCleanup(self.graymesh, "down", "--state", str(other))
        mine, others = self.up("-f", "app.yaml"), self.up("-f", "other.yaml", "--state", str(other))
        self.assertEqual((self.ask(mine), self.ask(others)), ("mine", "other"))
        for what in ("api", "xds", "gateways", "pid"):
            self.assertNotEqual(mine[what], others[what])
        self.down()
        self.assertEqual(self.ask(others), "other")

    def test_what_outlives_graymeshd_is_found_again_and_ended(self):
        self.write()
        page = self.up("-f", "app.yaml")
        apps = self.running("graymesh-shop")
        self.kill(page["pid"])
        self.assertEqual(self.ask(page), "v1")
        again = self.up()
        self.assertEqual((again["api"], again["xds"], again["gateways"]), (page["api"], page["xds"], page["gateways"]))
        self.assertEqual(self.running("graymesh-shop"), apps)
        self.kill(again["pid"])
        self.assertIn("2 instances have ended", self.down())
        self.assertFalse(self.state.exists())

    def test_half_an_up_leaves_nothing_after_down(self):
        self.write()
        for seconds in (0.01, 0.05, 0.2, 0.6):
            with self.subTest(killed_after=seconds):
                half = subprocess.Popen([GRAYMESH, "up", "-f", "app.yaml"], env=self.environment, cwd=self.folder,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(seconds)
                half.kill()
                half.wait()
                self.down()
                self.assertFalse(self.state.exists())
        self.state.mkdir()  # as far as one killed at once has come
        self.down()
        self.assertFalse(self.state.exists())

    def test_what_is_wrong_is_named_by_the_users_own_file(self):
        (self.folder / "bad.yaml").write_text(APPLICATION.format(name="web", version="v1", replicas=1).replace(
            "replicas: 1", "replica: 1"))
        said = self.up("-f", "bad.yaml", code=1)
        self.assertRegex(said, rf"{self.folder}/bad.yaml:\d+ Application default/web: .*replica")
        self.assertFalse(self.state.exists(), "nothing was started")
        # One that cannot start says so, and which words were its last.
        self.write(app="sick")
        text = (self.folder / "app.yaml").read_text()
        (self.folder / "app.yaml").write_text(re.sub(
            r"command: \[[^\]]*\]", "command: [sh, -c, 'echo no licence; exit 7']", text))
        ran = self.graymesh("up", "-f", "app.yaml")
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn("exited with code 7", ran.stderr)
        self.assertIn("no licence", ran.stderr)
        self.assertIn("graymesh down", ran.stderr)

    def test_a_record_that_cannot_be_read_costs_nothing_else(self):
        self.write()
        self.up("-f", "app.yaml")
        self.down("--keep")
        (self.state / "up.json").write_text('{"block": 1')
        self.assertIn(f"{self.state}/up.json: is no JSON object", self.up("-f", "app.yaml", code=1))
        self.assertTrue((self.state / "graymesh.db").exists(), "releases and history are still there")

    def test_a_folder_of_somebody_else_is_left_alone(self):
        self.write()
        theirs = self.folder / "thesis"
        theirs.mkdir()
        (theirs / "config").mkdir()
        self.assertIn("has something else in it", self.up("-f", "app.yaml", "--state", str(theirs), code=1))
        self.assertIn("nothing is up", self.graymesh("down", "--state", str(theirs)).stdout)
        self.assertTrue((theirs / "config").exists())


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
