#!/usr/bin/env python3
"""docs/ci.md does what it says: its shell, as it is printed there, through the life of a branch: a push,
another push, one that does not come up, the merge, and the way online."""

import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import case
import yaml

GUIDE = (case.ROOT / "docs/ci.md").read_text()
SHELL = re.search(r"## The shell.*?```sh\n(.*?)```", GUIDE, re.S).group(1)
MESH = "".join(f"""\
---
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {{name: web, namespace: {namespace}}}
spec:
  ports: [{{name: http, port: 8080}}]
  hosts: [{host}]
  run:
    version: main
    command: [graymesh-shop, --listen, $(ADDRESS):$(PORT), --proxy, $(PROXY), --instance, $(INSTANCE),
      --service, web, --version, $(VERSION)]
  readiness: {{http: {{path: /healthz}}, period: 200ms}}
  stop: {{drain: 200ms}}
""" for namespace, host in (("fe-pre", "pre.localhost"), ("fe-online", "online.localhost")))


class Pipeline(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.environment = {**os.environ, "XDG_STATE_HOME": str(cls.folder / "state"),
                           "PATH": f"{case.PROGRAMS}:{os.environ['PATH']}"}
        cls.environment.pop("GRAYMESH_SERVER", None)
        (cls.folder / "mesh.yaml").write_text(MESH)
        (cls.folder / "lane.sh").write_text(SHELL)
        cls.addClassCleanup(cls.run_, "graymesh", "down")
        ran = cls.run_("graymesh", "up", "-f", "mesh.yaml", "-o", "json")
        if ran.returncode != 0:
            raise AssertionError(ran.stdout + ran.stderr)
        cls.mesh = json.loads(ran.stdout)

    @classmethod
    def run_(cls, *words, **more):
        return subprocess.run(words, capture_output=True, text=True, timeout=100, check=False, cwd=cls.folder,
                              env={**cls.environment, **more})

    def lane(self, verb, commit, code=0, **more):
        """One job of the pipeline."""
        command = f"graymesh-shop --listen $(ADDRESS):$(PORT) --proxy $(PROXY) --instance $(INSTANCE) " \
                  f"--service web --version {commit}"
        ran = self.run_("sh", "lane.sh", verb, **{**{
            "APPLICATION": "web", "TAG": "feature-cart", "BRANCH": "feature/cart", "AUTHOR": "ann", "COMMIT": commit,
            "COMMAND": command, "PIPELINE": f"pipeline-{commit}", "READY_WITHIN": "60s",
            "GATEWAY": f"http://pre.localhost:{self.mesh['gateways'][0].split(':')[1]}", "LINK_PATH": "/cart"}, **more})
        self.assertEqual(ran.returncode, code, ran.stdout + ran.stderr)
        return ran.stdout + ran.stderr

    def follow(self, link, host="pre.localhost"):
        """The version that a browser meets which follows the link."""
        host, port = self.mesh["gateways"][0].split(":")
        client = case.demo_mesh.Client(host, int(port))
        name = re.search(r"//([^:/]+)", link).group(1)
        try:
            return client.request("/" + link.split("/", 3)[3], name).json.get("version")
        finally:
            client.close()

    def follow_until(self, over, link):
        met = set()
        while not over.wait(0.01):
            met.add(self.follow(link))
        return met

    def releases(self, **wanted):
        ran = self.run_("graymesh", "release", "list", "-A", "-o", "json")
        return [one for one in json.loads(ran.stdout) if all(one[key] == value for key, value in wanted.items())]

    def test_a_branch_lives_by_its_pipeline(self):
        told = self.lane("up", "c1")
        link = re.search(r"LANE_URL=(\S+)", told).group(1)
        self.assertTrue(link.endswith("/cart?canarytag=feature-cart"), link)
        self.assertEqual(self.follow(link), "c1")
        self.assertEqual(json.loads((self.folder / "receipt.json").read_text())["missing"], [])
        lane = json.loads(self.run_("graymesh", "lane", "show", "feature-cart", "-n", "fe-pre", "-o", "json").stdout)
        self.assertEqual((lane["spec"]["owner"], lane["spec"]["branch"], lane["spec"]["timeToLive"]),
                         ("ann", "feature/cart", "72h"))
        # The job is repeated: nothing is started twice.
        self.lane("up", "c1")
        self.assertEqual(len(self.releases(tag="feature-cart")), 1)
        # A further push takes its place; the link is the same.
        self.lane("up", "c2")
        self.assertEqual(self.follow(link), "c2")
        self.assertEqual([one["phase"] for one in self.releases(tag="feature-cart")], ["gray", "superseded"])
        # One that does not come up: the job is red and says why, and the lane answers as before.
        # At no time does it answer otherwise.
        over = threading.Event()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            met = pool.submit(self.follow_until, over, link)
            try:
                told = self.lane("up", "c3", code=1, COMMAND="sh -c 'echo no licence; exit 7'", READY_WITHIN="5s")
                case.wait_until(lambda: self.releases(tag="feature-cart", phase="rolled-back"), 20, "c3 is rolled back")
            finally:
                over.set()
        self.assertEqual(met.result(), {"c2"})
        self.assertIn("c3 is not up; feature-cart answers as before", told)
        self.assertIn("exited with code 7", told)
        # Merged: the lane is gone, and with it its instances. Once more is no fault.
        self.lane("down", "c2")
        self.assertEqual(self.follow(link), "main")
        self.assertEqual(json.loads(self.run_("graymesh", "lane", "list", "-n", "fe-pre", "-o", "json").stdout), [])
        self.lane("down", "c2")
        # And goes online by steps.
        self.lane("online", "c2", TAG="online-c2", STEPS="50,100", PAUSE="100ms", PIPELINE="")
        case.wait_until(lambda: self.releases(tag="online-c2", phase="promoted"), 30,
                        lambda: self.releases(tag="online-c2"))
        self.assertEqual(self.follow("http://online.localhost/"), "c2")
        self.assertEqual(self.follow("http://pre.localhost/"), "main")

    def test_without_graymeshd_the_job_may_be_tried_again(self):
        told = self.lane("up", "c1", code=5, GRAYMESH_SERVER="127.0.0.1:1")
        self.assertIn("no answer from graymeshd", told)

    def test_the_pipeline_file_is_yaml_and_calls_what_the_shell_has(self):
        pipeline = yaml.safe_load(re.search(r"## GitLab.*?```yaml\n(.*?)```", GUIDE, re.S).group(1))
        scripts = [line for job in pipeline.values() if isinstance(job, dict) for line in job.get("script", [])]
        verbs = {found for line in scripts for found in re.findall(r"ci/lane.sh (\w+)", line)}
        self.assertEqual(verbs, {"up", "online"})
        for verb in verbs:
            self.assertIn(f"\n{verb}() {{", SHELL)


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
