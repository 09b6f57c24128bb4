#!/usr/bin/env python3
"""The dashboards that `graymesh render --monitoring` writes, held against Grafana's own types (its foundation
SDK: tools/requirements-grafana.txt): a field that they do not have is a slip of the pen, a unit as well."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kinds import lost  # noqa: E402
from rules_test import APPLICATION, PROGRAMS  # noqa: E402

try:
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models import dashboard as grafana, units
except ImportError as error:
    print(f"skipped: {error}; tools/install-deps --test brings it")
    sys.exit(77)

# Of the annotations of its data source for Prometheus, which the types of a dashboard do not know.
OF_PROMETHEUS = {"titleFormat": str, "tagKeys": str, "useValueForTime": bool}


def faults(dashboard):
    read = json.loads(json.dumps(grafana.Dashboard.from_json(dashboard), cls=JSONEncoder))
    for path in lost(dashboard, read):
        field = path.rpartition(".")[2]
        at = dashboard["annotations"]["list"]
        if path.startswith(".annotations.list[") and all(
                isinstance(one[field], OF_PROMETHEUS.get(field, type(None))) for one in at if field in one):
            continue
        yield path
    known = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
    for panel in dashboard["panels"]:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        if unit not in known:
            yield f"{panel['title']}: unit {unit}"


class Dashboards(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        plugins.register_default_plugins()
        with tempfile.TemporaryDirectory(prefix="graymesh-grafana-") as folder:
            pathlib.Path(folder, "shop.yaml").write_text(APPLICATION)
            done = subprocess.run([PROGRAMS / "graymesh", "render", "--monitoring", "--plain", "-f",
                                   pathlib.Path(folder, "shop.yaml"), "--out", folder], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise AssertionError(done.stderr)
            cls.all = [json.loads(file.read_text()) for file in sorted(pathlib.Path(folder, "dashboards").glob("*.json"))]

    def test_each_is_as_its_types_say(self):
        self.assertEqual(len(self.all), 7)
        for dashboard in self.all:
            with self.subTest(dashboard["title"]):
                self.assertEqual(list(faults(dashboard)), [])

    def test_what_is_no_dashboards_is_found(self):
        one = json.loads(json.dumps(self.all[0]))
        one["panels"][0]["fieldConfig"]["defaults"]["unit"] = "apples"
        one["panels"][0]["gridPos"]["width"] = 3
        one["annotations"]["list"][0].update({"useValueForTime": "on", "titleFromat": "{{release}}"})
        one["refresch"] = "30s"
        self.assertEqual(sorted(faults(one)), sorted([
            ".panels[0].gridPos.width", ".annotations.list[0].useValueForTime", ".annotations.list[0].titleFromat",
            ".refresch", f"{one['panels'][0]['title']}: unit apples"]))


if __name__ == "__main__":
    unittest.main(verbosity=2)
