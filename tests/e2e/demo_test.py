#!/usr/bin/env python3
"""`make run` keeps its promises: it shows and checks its answers, names the first wrong one, and
leaves nothing behind, however it ends."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import case

DEMO = case.ROOT / "tools/demo"


def descendants(pid):
    """The ids of all processes that `pid` has started, directly or not."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


def alive(pid):
    """False for one that only waits to be reaped: that is up to whoever inherited it."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Demo(unittest.TestCase):
    def setUp(self):
        self.temporary = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        self.addCleanup(shutil.rmtree, self.temporary, ignore_errors=True)
        (self.temporary / "tmp").mkdir()
        self.environment = {**os.environ, "TMPDIR": str(self.temporary / "tmp"), "ONCE": "", "PROXY": "", "PLAIN": "",
                            "GRAYMESH_BIN": str(case.PROGRAMS)}

    def left_behind(self):
        return sorted(path.name for path in (self.temporary / "tmp").iterdir())

    def start(self):
        """The demo, running, when it has printed its invitation; and all the processes it started."""
        output = open(self.temporary / "output", "w+")
        self.addCleanup(output.close)
        demo = subprocess.Popen([DEMO, "--plain"], env=self.environment, stdout=output, stderr=subprocess.STDOUT)
        self.addCleanup(lambda: demo.poll() is None and (demo.terminate(), demo.wait()))
        case.wait_until(lambda: "Runs until Ctrl-C" in (self.temporary / "output").read_text(), 60,
                        lambda: (self.temporary / "output").read_text())
        processes = descendants(demo.pid)
        # Control plane; 10 applications; 11 sidecars, each with its Envoy.
        self.assertEqual(len(processes), 1 + 10 + 2 * 11)
        return demo, processes

    def test_once_releases_promotes_and_takes_back(self):
        ran = subprocess.run([DEMO, "--once"], env=self.environment, capture_output=True, text=True,
                             timeout=100, check=False)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertRegex(ran.stdout, r"rollback: (\d+) of \1 proxies have ACKed")
        self.assertRegex(ran.stdout, r"promotion: (\d+) of \1 proxies have ACKed")
        self.assertRegex(ran.stdout, r"web\[feature-a\] +20 +20\n")
        self.assertRegex(ran.stdout, r"VirtualService cart: testers to feature-b .*cart\[feature-b\]")
        self.assertIn(" 0 failed", ran.stdout)
        self.assertEqual(self.left_behind(), [])

    def test_what_a_killed_demo_left_running_goes_with_the_next(self):
        """Instances live apart from graymeshd, so they outlive a demo that could not take them back."""
        demo = subprocess.Popen([DEMO], env=self.environment, stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: demo.poll() is None and (demo.kill(), demo.wait()))
        folder = str(self.temporary / "tmp")

        def running(pattern=folder):
            return subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False).stdout.split()
        case.wait_until(lambda: len(running()) > 8, 60, "instances run")
        demo.kill()
        demo.wait()
        case.wait_until(lambda: not running(f"graymeshd.*{folder}"), 30, "graymeshd is gone")
        time.sleep(1)
        subprocess.run(["python3", "-c", "import demo_mesh; demo_mesh.sweep()"], check=True,
                       env={**self.environment, "PYTHONPATH": str(case.ROOT / "tools")})
        case.wait_until(lambda: not running(), 15, running)
        self.assertEqual(self.left_behind(), [])

    def test_once_shows_and_checks_the_answers(self):
        ran = subprocess.run([DEMO, "--once"], env={**self.environment, "PLAIN": "1"}, capture_output=True, text=True,
                             timeout=100, check=False)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertIn("web[feature-a] > cart[baseline] > pay[feature-a]", ran.stdout)
        self.assertIn(" 0 failed", ran.stdout)
        self.assertEqual(self.left_behind(), [])

    def test_once_names_the_first_wrong_answer(self):
        config = self.temporary / "mesh"
        shutil.copytree(case.ROOT / "demo/mesh", config)
        routes = config / "fe-pre/pay-routes.yaml"
        routes.write_text(routes.read_text().replace("exact: feature-a", "exact: feature-z"))
        ran = subprocess.run([DEMO, "--plain", "--config", config], env={**self.environment, "ONCE": "1"},
                             capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(ran.returncode, 1, ran.stdout + ran.stderr)
        self.assertIn("wrong answer: pre.shop.example canarytag=feature-a: "
                      "200 web[feature-a] > cart[baseline] > pay[baseline], "
                      "must be web[feature-a] > cart[baseline] > pay[feature-a]", ran.stdout)
        self.assertEqual(self.left_behind(), [])

    def test_ctrl_c_leaves_nothing_behind(self):
        demo, processes = self.start()
        demo.send_signal(signal.SIGINT)
        time.sleep(0.05)
        demo.send_signal(signal.SIGINT)  # impatience does no harm
        self.assertEqual(demo.wait(30), 0)
        self.assertEqual([pid for pid in processes if alive(pid)], [])
        self.assertEqual(self.left_behind(), [])

    def test_a_killed_demo_leaves_no_process(self):
        demo, processes = self.start()
        demo.kill()
        demo.wait()
        case.wait_until(lambda: not any(map(alive, processes)), 30, "all processes are gone")
        # Its folder goes with the next demo.
        time.sleep(1)
        subprocess.run(["python3", "-c", "import demo_mesh; demo_mesh.sweep()"], check=True,
                       env={**self.environment, "PYTHONPATH": str(case.ROOT / "tools")})
        self.assertEqual(self.left_behind(), [])


if __name__ == "__main__":
    case.skip_without_envoy()
    unittest.main(verbosity=2)
