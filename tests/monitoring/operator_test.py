#!/usr/bin/env python3
"""What `graymesh render --monitoring` writes for prometheus-operator, held against the operator's own CRDs
(as models that were generated from them: tools/requirements-operator.txt)."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from kinds import lost  # noqa: E402
from rules_test import APPLICATION, PROGRAMS  # noqa: E402

try:
    from cloudcoil.models.prometheus_operator import v1, v1alpha1
except ImportError as error:
    print(f"skipped: {error}; tools/install-deps --test brings it")
    sys.exit(77)


def faults(document):
    """What the API server would refuse, or drop."""
    group, _, version = document["apiVersion"].rpartition("/")
    if group in ("", "rbac.authorization.k8s.io"):
        return []  # Kubernetes' own: rules_test.py
    if group != "monitoring.coreos.com":
        return [f"{document['apiVersion']} is not prometheus-operator's"]
    kind = getattr({"v1": v1, "v1alpha1": v1alpha1}[version], document["kind"])
    try:
        read = kind.model_validate(document).model_dump(by_alias=True, mode="json")
    except ValueError as error:
        return [str(error)]
    return list(lost(document, read))


class Operator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory(prefix="graymesh-operator-") as folder:
            file = pathlib.Path(folder) / "shop.yaml"
            file.write_text(APPLICATION)
            out = pathlib.Path(folder) / "out"
            done = subprocess.run([PROGRAMS / "graymesh", "render", "--monitoring", "-f", file, "--out", out,
                                   "--shards", "3", "--remote-write", "http://far/write",
                                   "--pager", "http://pager/hook", "--tickets", "http://tickets/hook"],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise AssertionError(done.stderr)
            cls.documents = [document for path in sorted(out.glob("*.yaml"))
                             for document in yaml.safe_load_all(path.read_text()) if document]

    def test_every_object_is_as_its_crd_says(self):
        for document in self.documents:
            with self.subTest(kind=document["kind"], name=document["metadata"]["name"]):
                self.assertEqual(faults(document), [])

    def test_nothing_is_missing(self):
        kinds = [document["kind"] for document in self.documents]
        self.assertEqual(kinds.count("Prometheus"), 3)
        self.assertLessEqual({"Alertmanager", "AlertmanagerConfig", "PodMonitor", "PrometheusRule", "ServiceMonitor"},
                             set(kinds))

    def test_an_unknown_field_and_a_wrong_value_are_found(self):
        prometheus = next(one for one in self.documents if one["kind"] == "Prometheus")
        spec = prometheus["spec"]
        self.assertEqual(faults({**prometheus, "spec": {**spec, "shard": 2}}), [".spec.shard"])
        self.assertIn("scrapeInterval", faults({**prometheus, "spec": {**spec, "scrapeInterval": "often"}})[0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
