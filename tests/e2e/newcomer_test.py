#!/usr/bin/env python3
"""A web server that is not ours, Debian's lighttpd, goes through a gray release by a plain Application
file and the commands of README: started, looked at by header, given a share, approved, promoted, and
taken back, while somebody asks all the time. It runs in a network namespace, where all ports are free."""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import case

LIGHTTPD = "/usr/sbin/lighttpd"
CONFIG = """\
server.bind = env.ADDRESS
server.port = env.PORT
server.document-root = var.CWD + "/" + env.ROOT
index-file.names = ("index.txt")
"""
APPLICATION = """\
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {name: site}
spec:
  ports: [{name: http, port: 8080}]
  hosts: [site.localhost]
  run:
    command: [/usr/sbin/lighttpd, -D, -f, site.conf]
    version: "1"
    environment: {ROOT: old}
  readiness: {http: {path: /index.txt}, period: 200ms}
  replicas: 2
"""
COMMANDS = """\
graymesh up -f site.yaml
ask() { curl -sf http://site.localhost:8000/ "$@"; }
ask
(while [ ! -e stop ]; do curl -s -w ' %{http_code}\\n' http://site.localhost:8000/; sleep 0.02; done >asked) &
graymesh release start site --tag new --set version=2 --set environment.ROOT=new --steps 50 --pause approval --wait -o json
ask -H 'canarytag: new'
for i in $(seq 40); do ask; done >share
graymesh release approve site/new --reason 'looks well'
graymesh release promote site/new --wait -o json
ask
graymesh release rollback site/new --wait -o json
ask
touch stop
wait
graymesh down
"""


class Newcomer(unittest.TestCase):
    def test_a_web_server_of_debian_goes_through_a_gray_release(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / "site.yaml").write_text(APPLICATION)
        (folder / "site.conf").write_text(CONFIG)
        for version in ("old", "new"):
            (folder / version).mkdir()
            (folder / version / "index.txt").write_text(version)
        environment = {**os.environ, "PATH": f"{case.PROGRAMS}:{os.environ['PATH']}", "XDG_STATE_HOME": f"{folder}/state"}
        environment.pop("GRAYMESH_SERVER", None)
        # Whatever goes wrong: it says that nothing is up, or ends it.
        self.addCleanup(subprocess.run, [case.PROGRAMS / "graymesh", "down"], env=environment, check=False,
                        capture_output=True, timeout=60)
        ran = subprocess.run(
            ["unshare", "--net", "bash", "-ec", f"ip link set lo up; cd {folder}\n{COMMANDS}"],
            env=environment, capture_output=True, text=True, timeout=150, check=False)
        told = ran.stdout + ran.stderr
        self.assertEqual(ran.returncode, 0, told)

        receipts = [json.loads("{" + part.partition("}")[0] + "}") for part in ran.stdout.split("{")[1:]]
        self.assertEqual([receipt["phase"] for receipt in receipts], ["step", "promoted", "rolled-back"], told)
        for receipt in receipts:
            self.assertEqual((receipt["missing"], receipt["acked"]), ([], receipt["proxies"]), told)
        answers = [part.rpartition("}")[2] for part in ran.stdout.split("{")]
        self.assertTrue(answers[0].endswith("old"), told)
        self.assertTrue(answers[1].strip().startswith("new"), "met by its header")
        self.assertTrue(answers[2].strip().startswith("new"), "promoted")
        self.assertTrue(answers[3].strip().startswith("old"), "taken back")
        share = (folder / "share").read_text()
        self.assertEqual({"old", "new"}, {share[at:at + 3] for at in range(0, len(share), 3)}, "half of them each")

        asked = collections.Counter((folder / "asked").read_text().splitlines())
        self.assertEqual(set(asked), {"old 200", "new 200"}, asked)
        self.assertGreater(sum(asked.values()), 10)
        left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True, check=False)
        self.assertEqual(left.stdout, "", told)
        self.assertEqual(os.listdir(f"{folder}/state"), [], "down leaves nothing behind")


if __name__ == "__main__":
    case.skip_without_envoy()
    if not os.access(LIGHTTPD, os.X_OK):
        print("skipped: needs lighttpd (tools/install-deps --test, as make test does)")
        sys.exit(77)
    if subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode != 0:
        print("skipped: needs the right to make a network namespace (root)")
        sys.exit(77)
    unittest.main(verbosity=2)
