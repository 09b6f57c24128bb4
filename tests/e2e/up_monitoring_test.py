#!/usr/bin/env python3
"""`graymesh up --monitoring`: Prometheus and Alertmanager come with it, watch what runs, and go with `down`."""

import json
import pathlib
import signal
import sys
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import case  # noqa: E402
from up_test import UpCase  # noqa: E402

sys.path.insert(0, str(case.ROOT / "tools"))
import monitoring  # noqa: E402


class UpMonitoring(UpCase):
    @staticmethod
    def get(address, path):
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return json.loads(answer.read())["data"]

    def query(self, page, words):
        return self.get(page["monitoring"]["prometheus"],
                        f"/api/v1/query?query={urllib.parse.quote(words)}")["result"]

    def rules(self, at):
        return {rule["name"] for group in self.get(at["prometheus"], "/api/v1/rules")["groups"]
                for rule in group["rules"]}

    def test_it_watches_what_runs_and_goes_with_it(self):
        self.write()
        page = self.up("-f", "app.yaml", "--monitoring")
        self.assertEqual(self.ask(page), "v1")
        case.wait_until(lambda: self.query(page, 'envoy_cluster_upstream_rq{service="web"}'), 30,
                        "what the gateway called is there", 0.2)
        case.wait_until(lambda: self.query(page, 'graymesh_application_info{service="web"}'), 30,
                        "what graymeshd tells is there", 0.2)
        at = page["monitoring"]
        def alertmanagers():
            return [one["url"] for one in self.get(at["prometheus"], "/api/v1/alertmanagers")["activeAlertmanagers"]]
        case.wait_until(alertmanagers, 30, "Prometheus knows an Alertmanager", 0.2)
        self.assertEqual(alertmanagers()[0], f"http://{at['alertmanager']}/api/v2/alerts")
        self.assertIn("ServiceErrors", self.rules(at))
        self.assertNotIn("AvailabilityBurnsFast", self.rules(at))

        # The next one goes on with the same two, which read what is new.
        before = self.running(r"^\S*/prometheus")
        self.assertEqual(len(before), 2)
        text = (self.folder / "app.yaml").read_text()
        (self.folder / "app.yaml").write_text(text + "  slo: {availability: 99.9}\n")
        again = self.up("-f", "app.yaml")
        self.assertEqual(again["monitoring"], at)
        self.assertEqual(self.running(r"^\S*/prometheus"), before)
        case.wait_until(lambda: "AvailabilityBurnsFast" in self.rules(at), 30, "the SLO's alerts are there", 0.2)
        self.down()
        self.assertFalse(self.state.exists())

    def test_without_the_programs_it_says_so_and_starts_nothing(self):
        self.write()
        self.environment["PATH"] = str(case.PROGRAMS)
        said = self.up("-f", "app.yaml", "--monitoring", code=1)
        self.assertIn("prometheus and prometheus-alertmanager not on PATH", said)
        self.assertIn("apt-get install", said)
        self.assertEqual(self.running(), [])
        self.assertFalse(self.state.exists())


if __name__ == "__main__":
    case.skip_without_envoy()
    case.skip_without(monitoring.missing())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
