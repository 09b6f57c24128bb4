#!/usr/bin/env python3
"""README's "An application of your own" does what it says, as a newcomer types it: a program that is
not ours goes through a gray release. It runs in a network namespace, where all ports are free."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import case

README = (case.ROOT / "README.md").read_text()
CHAPTER = README.split("## An application of your own")[1].split("\n## ")[0]


def block(language):
    return re.search(rf"```{language}\n(.*?)```", CHAPTER, re.S).group(1)


class Readme(unittest.TestCase):
    def test_an_application_of_your_own_goes_through_a_gray_release(self):
        folder = tempfile.mkdtemp(prefix="graymesh-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        with open(f"{folder}/hello.yaml", "w") as file:
            file.write(block("yaml"))
        commands = block("sh")
        environment = {**os.environ, "PATH": f"{case.PROGRAMS}:{os.environ['PATH']}",
                       "XDG_STATE_HOME": f"{folder}/state"}
        environment.pop("GRAYMESH_SERVER", None)
        ran = subprocess.run(
            ["unshare", "--net", "bash", "-c", f"ip link set lo up && cd {folder} && {commands}"],
            env=environment, capture_output=True, text=True, timeout=100, check=False)
        told = ran.stdout + ran.stderr
        self.assertEqual(ran.returncode, 0, told)
        self.assertIn("http://hello.localhost:8000/?canarytag=new\n", ran.stdout)
        pages = re.findall(r"Directory listing|<!DOCTYPE HTML>", ran.stdout)
        self.assertEqual(len(pages), 2, told)
        receipts = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
        self.assertEqual([receipt["phase"] for receipt in receipts], ["gray", "promoted"], told)
        for receipt in receipts:
            self.assertEqual((receipt["missing"], receipt["acked"]), ([], receipt["proxies"]), told)
        left = subprocess.run(["pgrep", "-f", folder], capture_output=True, text=True, check=False)
        self.assertEqual(left.stdout, "", told)
        self.assertEqual(os.listdir(f"{folder}/state"), [], "down leaves nothing behind")


if __name__ == "__main__":
    case.skip_without_envoy()
    if subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode != 0:
        print("skipped: needs the right to make a network namespace (root)")
        sys.exit(77)
    unittest.main(verbosity=2)
