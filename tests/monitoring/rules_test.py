#!/usr/bin/env python3
"""What `graymesh render --monitoring` writes, before Debian's promtool and amtool: the files hold, and
every alert fires, does not fire, and ends."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import alerts  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = pathlib.Path(os.environ.get("GRAYMESH_BIN") or ROOT / "build/bin")
TROUBLE, HEALED = "11m30s", "40m"
APPLICATION = """\
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {name: web, namespace: shop}
spec:
  team: team-web
  ports: [{name: http, port: 8080}]
  run: {command: [web]}
  slo: {availability: 99.9, latency: {threshold: 250ms, target: 99}}
"""


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


class Rendered(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-rules-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        (cls.folder / "shop.yaml").write_text(APPLICATION)
        cls.plain = cls.folder / "plain"
        cls.render("--plain", "--out", cls.plain)

    @classmethod
    def render(cls, *options):
        done = run(PROGRAMS / "graymesh", "render", "--monitoring", "-f", cls.folder / "shop.yaml", *options)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        return done.stdout

    def rules(self):
        for file in sorted((self.plain / "rules").glob("*.yml")):
            for group in yaml.safe_load(file.read_text())["groups"]:
                yield from group["rules"]

    def promtool(self, tests, interval="30s", groups=("as-given", "services", "mesh", "own")):
        """Before these groups alone: promtool evaluates every rule of its files at every step."""
        kept = [group for each in (self.plain / "rules").glob("*.yml")
                for group in yaml.safe_load(each.read_text())["groups"]
                if group["name"].removeprefix("graymesh-").startswith(groups)]
        (self.folder / "kept.yml").write_text(yaml.safe_dump({"groups": kept}))
        file = self.folder / "alerts.test.yml"
        file.write_text(yaml.safe_dump({"rule_files": [str(self.folder / "kept.yml")],
                                        "group_eval_order": [group["name"] for group in kept],
                                        "evaluation_interval": interval, "tests": tests}, width=4096))
        done = run("promtool", "test", "rules", file)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Files(Rendered):
    def test_prometheus_and_alertmanager_take_them(self):
        for command in (["promtool", "check", "rules", *(self.plain / "rules").glob("*.yml")],
                        *(["promtool", "check", "config", file] for file in self.plain.glob("prometheus*.yml")),
                        ["amtool", "check-config", self.plain / "alertmanager.yml"]):
            done = run(*command)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(len(list(self.plain.glob("prometheus*.yml"))), 3)

    def test_one_prometheus_can_do_it_all(self):
        self.render("--plain", "--one", "--out", self.folder / "one", "--remote-write", "http://far/write")
        done = run("promtool", "check", "config", self.folder / "one/prometheus.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("http://far/write", (self.folder / "one/prometheus.yml").read_text())

    def test_a_mesh_without_a_release_platform_has_no_slos(self):
        (self.folder / "mesh").mkdir()
        control = subprocess.Popen([PROGRAMS / "graymeshd", "--config", self.folder / "mesh", "--xds", "127.0.0.1:0",
                                    "--api", "127.0.0.1:0", "--print-addresses"], stdout=subprocess.PIPE, text=True)
        try:
            api = json.loads(control.stdout.readline())["api"]
            done = run(PROGRAMS / "graymesh", "--server", api, "render", "--monitoring")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("alert: ControlPlaneDown", done.stdout)
            self.assertNotRegex(done.stdout, "alert: .*Burns")
            page = urllib.request.urlopen(f"http://{api}/metrics", timeout=5).read().decode()
            done = run("promtool", "check", "metrics", input=page)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        finally:
            control.terminate()
            control.wait(10)
            control.stdout.close()

    def test_plain_files_are_written_to_a_folder_or_not_at_all_before_anything_is_written(self):
        done = run(PROGRAMS / "graymesh", "render", "--monitoring", "--plain", "-f", self.folder / "shop.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--out", done.stderr)

    def test_a_namespace_that_is_quiet_wakes_nobody(self):
        def told(**labels):
            done = run("amtool", "config", "routes", "test", f"--config.file={self.plain / 'alertmanager.yml'}",
                       *(f"{key}={value}" for key, value in labels.items()))
            return done.stdout.strip()
        self.assertEqual(told(severity="page", namespace="shop"), "pager")
        self.assertEqual(told(severity="page", namespace="fe-pre"), "tickets")
        self.assertEqual(told(severity="ticket", namespace="shop"), "tickets")
        self.assertEqual(told(severity="info", namespace="shop"), "nobody")


class Recorded(Rendered):
    def test_requests_are_recorded_of_proxies_that_do_not_count_them(self):
        """A request counts once, whether its proxy counts or not."""
        def cluster(pod, code):
            return (f'envoy_cluster_upstream_rq_{code}{{job="graymesh-sidecars",instance="{pod}",pod="{pod}",'
                    'namespace="shop",service="web",canarytag="a",source_namespace="shop",source_workload="bank"}')
        counted = ('istio_requests_total{job="graymesh-sidecars",instance="new",reporter="source",response_code="200",'
                   'response_flags="-",destination_service_name="web"}')
        called = counted.replace("source", "destination").replace("new", "called")
        series = {cluster("old", 200): "0+3x20", cluster("old", 503): "0+1x20", cluster("new", 200): "0+5x20",
                  counted: "0+5x20", called: "0+8x20", cluster("called", 404): "0+2x20"}
        expected = {counted: 50, called: 80}
        for pod, code, value in (("old", 200, 30), ("old", 503, 10), ("called", 404, 20)):
            expected[f'istio_requests_total{{job="graymesh-sidecars",instance="{pod}",pod="{pod}",reporter="source",'
                     'namespace="shop",service="web",canarytag="a",source_namespace="shop",source_workload="bank",'
                     'source_workload_namespace="shop",destination_service_name="web",'
                     'destination_service_namespace="shop",destination_canarytag="a",'
                     f'response_code="{code}"}}'] = value
        self.promtool([{"interval": "15s",
                        "input_series": [{"series": key, "values": value} for key, value in series.items()],
                        "promql_expr_test": [{"expr": "istio_requests_total", "eval_time": "2m30s", "exp_samples": [
                            {"labels": labels, "value": value} for labels, value in expected.items()]}]}],
                      interval="15s", groups=("istio",))


class OperatorObjects(Rendered):
    # Fields of the definitions (monitoring.coreos.com, prometheus-operator 0.70 and later) that we use, written
    # down once: a name that is not among them is a slip of the pen.
    SPECS = {
        "Prometheus": {"replicas", "shards", "scrapeInterval", "evaluationInterval", "externalLabels",
                       "serviceAccountName", "serviceMonitorSelector", "podMonitorSelector", "ruleSelector",
                       "serviceMonitorNamespaceSelector", "podMonitorNamespaceSelector", "ruleNamespaceSelector",
                       "alerting", "remoteWrite", "enableFeatures"},
        "PodMonitor": {"selector", "namespaceSelector", "podMetricsEndpoints", "sampleLimit"},
        "ServiceMonitor": {"selector", "namespaceSelector", "endpoints"},
        "PrometheusRule": {"groups"},
        "Alertmanager": {"replicas", "alertmanagerConfiguration"},
        "AlertmanagerConfig": {"route", "receivers", "inhibitRules"},
    }
    ENDPOINT = {"path", "port", "interval", "honorLabels", "params", "relabelings", "metricRelabelings"}
    RELABELING = {"sourceLabels", "targetLabel", "regex", "replacement", "action", "separator", "modulus"}
    ROUTE = {"receiver", "matchers", "groupBy", "groupWait", "groupInterval", "repeatInterval", "routes", "continue"}

    def setUp(self):
        self.all = list(yaml.safe_load_all(self.render("--shards", "2", "--remote-write", "http://far/")))
        self.objects = [object for object in self.all if object["apiVersion"].startswith("monitoring.coreos.com/")]

    def named(self, kind, name):
        return next(object for object in self.all if (object["kind"], object["metadata"]["name"]) == (kind, name))

    def test_have_the_fields_of_their_definitions(self):
        self.assertEqual({object["kind"] for object in self.objects}, set(self.SPECS))
        for object in self.objects:
            self.assertLessEqual(set(object["spec"]), self.SPECS[object["kind"]], object["metadata"]["name"])
            for key in ("podMetricsEndpoints", "endpoints"):
                for endpoint in object["spec"].get(key, []):
                    self.assertLessEqual(set(endpoint), self.ENDPOINT)
                    for step in endpoint.get("relabelings", []) + endpoint.get("metricRelabelings", []):
                        self.assertLessEqual(set(step), self.RELABELING)
            if object["kind"] == "AlertmanagerConfig":
                self.assert_routes(object["spec"]["route"])

    def assert_routes(self, route):
        self.assertLessEqual(set(route), self.ROUTE)
        for matcher in route.get("matchers", []):
            self.assertEqual(set(matcher), {"name", "value", "matchType"})
        for child in route.get("routes", []):
            self.assert_routes(child)

    def test_are_the_same_rules_as_the_plain_files(self):
        found = [rule for object in self.objects if object["kind"] == "PrometheusRule"
                 for group in object["spec"]["groups"] for rule in group["rules"]]
        self.assertEqual(sorted(found, key=json.dumps), sorted(self.rules(), key=json.dumps))

    def test_each_monitor_is_selected_by_a_prometheus(self):
        prometheus = [object["spec"] for object in self.objects if object["kind"] == "Prometheus"]
        self.assertEqual(len(prometheus), 3)
        for object in self.objects:
            if object["kind"] in ("PodMonitor", "ServiceMonitor", "PrometheusRule"):
                selecting = [spec for spec in prometheus
                             if spec["ruleSelector"]["matchLabels"].items() <= object["metadata"]["labels"].items()]
                self.assertEqual(len(selecting), 1, object["metadata"])


    def test_prometheus_may_ask_what_there_is_to_scrape(self):
        """By an account that comes with it: the operator's pods do not start without."""
        accounts = {object["spec"]["serviceAccountName"] for object in self.all if object["kind"] == "Prometheus"}
        self.assertEqual(len(accounts), 1)
        account = self.named("ServiceAccount", accounts.pop())["metadata"]
        binding = self.named("ClusterRoleBinding", account["name"])
        self.assertEqual(binding["subjects"], [{"kind": "ServiceAccount", **account}])
        role = self.named(binding["roleRef"]["kind"], binding["roleRef"]["name"])
        readable = {resource for rule in role["rules"] if {"get", "list", "watch"} <= set(rule["verbs"])
                    for resource in rule.get("resources", [])}
        self.assertLessEqual({"pods", "services", "endpoints", "endpointslices"}, readable)

    def test_they_go_where_they_shall(self):
        objects = list(yaml.safe_load_all(self.render("--monitoring-namespace", "watch")))
        self.assertEqual({object["metadata"].get("namespace") for object in objects}, {"watch", None})
        prometheus = next(object for object in objects if object["kind"] == "Prometheus")
        self.assertEqual(prometheus["spec"]["alerting"]["alertmanagers"][0]["namespace"], "watch")

    def test_each_job_that_rules_name_is_scraped(self):
        """An alert on `up{job="x"}` that nobody scrapes as x never fires."""
        wanted = {job for rule in self.rules() for names in re.findall(r'job=~?"([^"]+)"', rule["expr"])
                  for job in names.split("|")}
        self.assertLessEqual({"graymeshd", "graymesh-sidecars", "prometheus", "alertmanager"}, wanted)
        self.assertEqual(wanted - set(self.relabelled("job")), set())

    def relabelled(self, label):
        """{value: monitor}, of a label that monitors set."""
        return {step["replacement"]: object["metadata"]["name"] for object in self.objects
                for endpoint in object["spec"].get("endpoints", []) + object["spec"].get("podMetricsEndpoints", [])
                for step in endpoint["relabelings"] if step.get("targetLabel") == label}

    def test_what_rules_join_is_in_every_shard(self):
        self.assertEqual(self.relabelled("__tmp_disable_sharding"), {"true": "graymeshd"})
        alone = list(yaml.safe_load_all(self.render()))
        self.assertNotIn("__tmp_disable_sharding", json.dumps(alone))

    def test_the_business_has_the_shares_by_service(self):
        monitor = self.named("ServiceMonitor", "graymesh-by-service")
        self.assertEqual(monitor["metadata"]["labels"], {"monitoring": "business"})
        endpoint = monitor["spec"]["endpoints"][0]
        self.assertEqual((endpoint["path"], endpoint["honorLabels"]), ("/federate", True))
        plain = yaml.safe_load((self.plain / "prometheus-business.yml").read_text())
        federate = next(job for job in plain["scrape_configs"] if job["job_name"] == "mesh")
        self.assertEqual(endpoint["params"], federate["params"])
        keep = re.compile(endpoint["relabelings"][0]["regex"])
        for name, kept in (("prometheus-data-plane-0", True), ("prometheus-data-plane-shard-1-0", True),
                           ("prometheus-data-plane-1", False), ("prometheus-business-0", False)):
            self.assertEqual(bool(keep.fullmatch(name)), kept, name)


class Alerts(Rendered):
    @staticmethod
    def case(name, series, expectations):
        """`expectations`: (time, labels or None): the alert fires with at least these labels, or not at all."""
        checks = []
        for at, labels in expectations:
            selector = "".join(f',{key}="{value}"' for key, value in (labels or {}).items())
            firing = f'ALERTS{{alertname="{name}",alertstate="firing"{selector}}}'
            checks.append({"expr": f"count({firing}) or vector(0)", "eval_time": at,
                           "exp_samples": [{"labels": "{}", "value": 1 if labels is not None else 0}]})
        return {"interval": "15s", "promql_expr_test": checks,
                "input_series": [{"series": key, "values": value} for key, value in series.items()]}

    def test_there_is_a_case_for_each(self):
        there = {rule["alert"] for rule in self.rules() if "alert" in rule}
        elsewhere = {name for name in there if "Burns" in name} | {"Watchdog"}
        self.assertEqual(there - elsewhere, set(alerts.FIRES))

    def test_each_fires_with_its_labels_and_ends(self):
        self.promtool([self.case(name, {**alerts.INFO, **alerts.UP, **series},
                                 [("1m30s", None), (TROUBLE, labels), (HEALED, None)])
                       for name, (series, labels) in alerts.FIRES.items()])

    def test_none_fires_for_what_is_no_fault(self):
        self.promtool([self.case(name, {**alerts.INFO, **alerts.UP, **series},
                                 [(at, None) for at in ("1m", "4m", "8m", "11m", "12m", "20m", "40m")])
                       for name, series in alerts.QUIET.items()])

    def test_an_slo_burns_fast_and_slowly(self):
        bad, good = alerts.rq(alerts.BASE, "5xx"), alerts.rq(alerts.BASE, "2xx")
        count = f'envoy_cluster_upstream_rq_time_count{{pod="web-0",{alerts.BASE}}}'
        labels = {**alerts.SERVICE}
        # Minutes of burning, and when it is over for long enough. Bounds as Prometheus 2 and 3 keep them.
        for what, minutes, share, end, bound in (("Fast", 60, 0.05, 90, "250"), ("Medium", 360, 0.01, 480, "250.0"),
                                                 ("Slow", 1440, 0.004, 1800, "250"), ("Steady", 4320, 0.002, 5400, "250.0")):
            bucket = f'envoy_cluster_upstream_rq_time_bucket{{pod="web-0",{alerts.BASE},le="{bound}"}}'
            # A sample every `step` minutes; 5-minute rates need two.
            step = 1 if what == "Fast" else 2
            on, off, each = minutes // step, (end - minutes) // step + 5, 10000
            tests = []
            for kind, series in (
                    ("Availability", {bad: f"0+{share * each:g}x{on} {share * each * on:g}x{off}",
                                      good: f"0+{each}x{on + off}"}),
                    # Of the latency SLO 1 % may be slow: ten times as many.
                    ("Latency", {count: f"0+{each}x{on + off}",
                                 bucket: f"0+{each * (1 - 10 * share):g}x{on} "
                                         f"{each * (1 - 10 * share) * on + each:.10g}+{each}x{off}"})):
                known = dict.fromkeys(alerts.INFO, f"1x{on + off}")
                case = self.case(kind + "Burns" + what, {**known, **series},
                                 [(f"{minutes - (1 if step == 1 else 30)}m", labels), (f"{end}m", None)])
                tests.append({**case, "interval": f"{step}m"})
            self.promtool(tests, interval="1m" if step == 1 else "30m", groups=("ratios", "latency", "slo"))

    def test_an_slo_within_its_budget_is_quiet(self):
        bad, good = alerts.rq(alerts.BASE, "5xx"), alerts.rq(alerts.BASE, "2xx")
        bucket = f'envoy_cluster_upstream_rq_time_bucket{{pod="web-0",{alerts.BASE},le="250"}}'
        count = f'envoy_cluster_upstream_rq_time_count{{pod="web-0",{alerts.BASE}}}'
        steps, each = 2800, 10000  # of two minutes: almost four days
        half = {bad: f"0+{0.0005 * each:g}x{steps}", good: f"0+{each}x{steps}",  # of 0.1 %
                count: f"0+{each}x{steps}", bucket: f"0+{0.995 * each:g}x{steps}"}  # of 1 %
        # Two bad minutes in four days, long over.
        burst = {bad: f"0x30 {each // 20}x{steps - 31}", good: f"0+{each}x{steps}"}
        rest = {bad: f"7x{steps}", good: f"100x{steps}", count: f"100x{steps}", bucket: f"90x{steps}"}  # no traffic
        known = dict.fromkeys(alerts.INFO, f"1x{steps}")
        tests = []
        for series in (half, burst, rest):
            for kind in ("Availability", "Latency") if bucket in series else ("Availability",):
                for what in ("Fast", "Medium", "Slow", "Steady"):
                    case = self.case(kind + "Burns" + what, {**known, **series},
                                     [(at, None) for at in ("3h", "26h", "90h")])
                    tests.append({**case, "interval": "2m"})
        self.promtool(tests, interval="30m", groups=("ratios", "latency", "slo"))

    def test_annotations_name_owner_release_lane_and_the_way_back(self):
        name = "ServiceErrors"
        series, labels = alerts.FIRES[name]
        self.promtool([{"interval": "15s",
                        "input_series": [{"series": key, "values": value}
                                         for key, value in {**alerts.INFO, **alerts.UP, **series}.items()],
                        "alert_rule_test": [{"eval_time": TROUBLE, "alertname": name, "exp_alerts": [{
                            "exp_labels": {**labels, "severity": "page"},
                            "exp_annotations": {
                                "summary": "9.091% of the answers of web.shop are 5xx",
                                "runbook_url": "docs/runbooks.md#serviceerrors",
                                "owner": "team-web", "release": "web/feature-a (step) ", "lane": "feature-a ",
                                "rollback": "graymesh release rollback web/feature-a -n shop --wait\n"}}]}]}])


if __name__ == "__main__":
    for program in ("promtool", "amtool"):
        if not shutil.which(program):
            print(f"skipped: no {program}: tools/install-deps brings Debian's prometheus and prometheus-alertmanager")
            sys.exit(77)
    unittest.main()
