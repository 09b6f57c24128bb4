#!/usr/bin/env python3
"""Real faults, real Envoys, a real Prometheus and Alertmanager, and a web hook at the end: the right
alert arrives with the right labels. And every query of every dashboard finds series on what was
scraped. One mesh for all of it, at a scrape a second."""

import http.server
import json
import pathlib
import secrets
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import case  # noqa: E402
import release_case  # noqa: E402
from release_case import application  # noqa: E402

sys.path.insert(0, str(case.ROOT / "tools"))
import monitoring  # noqa: E402

HOST = "shop.example"


class Hook:
    """Takes what Alertmanager sends: every alert, by name, with its labels and annotations."""

    def __init__(self):
        self.told, self.lock = [], threading.Lock()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with hook.lock:
                    hook.told += body["alerts"]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def firing(self, name, **labels):
        with self.lock:
            return [alert for alert in self.told if alert["status"] == "firing" and
                    labels.items() <= alert["labels"].items() and alert["labels"]["alertname"] == name]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Watched(release_case.ReleaseCase):
    @classmethod
    def setUpClass(cls):
        cls.pager, cls.tickets = Hook(), Hook()
        cls.addClassCleanup(cls.tickets.stop)
        cls.addClassCleanup(cls.pager.stop)

    def wait_for(self, hook, name, seconds=30, **labels):
        found = case.wait_until(lambda: hook.firing(name, **labels), seconds,
                                lambda: f"{name} {labels} arrives; there are {self.seen(hook)}", pause=0.1)
        return found[0]

    def seen(self, hook):
        told = sorted({(alert["labels"]["alertname"], alert["labels"].get("service", "")) for alert in hook.told})
        pending = [(alert["labels"]["alertname"], alert["state"]) for alert in self.watch.alerts()]
        return f"{told}; in Prometheus {pending}"

    def test_faults_reach_the_right_person_and_dashboards_have_series(self):
        # `down` loses its last instance; `web` and `pay` answer what they are asked to.
        # Callers are in two regions; the gateway says of none.
        self.mesh = self.start(application("web", calls="pay", host=HOST, replicas=1, locality="eu.eu-1"),
                               application("pay", replicas=1, locality="eu.eu-2"), application("down", replicas=1),
                               application("bank", calls="pay", replicas=1, forward="id", locality="us.us-1"))
        self.watch = monitoring.Monitoring(
            self.mesh, interval=1, patience=0.05, one=True, pager=self.pager.url, tickets=self.tickets.url,
            first_port=0, options=["--quiet-namespaces", "nobody"], past={'up{job="graymeshd"}': 1})
        self.addCleanup(self.watch.stop)
        self.watch.start()
        self.mesh.start_release("fe-pre", ["pay"], "feature-a")
        self.loads = [self.load(self.mesh, lane, pause=0.02) for lane in (None, "feature-a")]
        for load in self.loads:
            load.stream.__enter__()
        self.answered_500()
        self.answered_503()
        self.as_labelled()
        self.live_from_prometheus()
        self.a_lane_leaks()
        self.slow_calls_have_traces()
        self.without_a_last_instance()
        self.dashboards()
        self.cut_control_plane()

    def through(self, pod, url, headers=None):
        """One request as the application of an instance makes it."""
        address = self.mesh.instance_address(pod)
        client = case.demo_mesh.Client(address, 15001, 10)
        try:
            return client.request(url, url.split("/")[2], headers or {})
        finally:
            client.close()

    def pod_of(self, group):
        return next(one["name"] for one in self.mesh.instances_now() if one["name"].startswith(group))

    def answering(self, code, seconds, headers, wanted):
        """Requests that are answered `code`, until `wanted` is there."""
        pod = self.pod_of("web-baseline")
        deadline = time.monotonic() + seconds
        while not wanted():
            answer = self.through(pod, f"http://pay:8080/status/{code}", headers)
            self.assertEqual(answer.status, code, answer)
            self.assertLess(time.monotonic(), deadline, f"no alert for {code}: {self.seen(self.pager)}")
            time.sleep(0.02)

    def answered_500(self):
        labels = {"namespace": "fe-pre", "service": "pay", "canarytag": "feature-a", "stage": "gray",
                  "lane": "feature-a", "severity": "page"}
        self.answering(500, 40, {"canarytag": "feature-a"}, lambda: self.pager.firing("ServiceErrors", **labels))
        alert = self.pager.firing("ServiceErrors", **labels)[0]
        self.assertIn("graymesh release rollback pay/feature-a -n fe-pre --wait", alert["annotations"]["rollback"])
        self.assertIn("#serviceerrors", alert["annotations"]["runbook_url"])

    def answered_503(self):
        labels = {"namespace": "fe-pre", "service": "pay", "stage": "normal", "severity": "page"}
        self.answering(503, 40, {}, lambda: self.pager.firing("ServiceAnswers503", **labels))
        # The rule as it was given, unchanged.
        self.answering(503, 40, {}, lambda: [alert for alert in self.watch.alerts()
                                             if alert["labels"]["alertname"] == "ServiceAnswered503"
                                             and alert["labels"]["service"] == "pay"])

    def as_labelled(self):
        """Each request is in one series of each family, and the three rules' names are there."""
        def counts():
            # Of one moment, whose scrapes are all in.
            moment = time.time() - 5
            return [self.watch.query(f"sum({series})", moment)[0][1] for series in (
                'envoy_cluster_upstream_rq_total{service="pay"}', 'envoy_cluster_upstream_rq{service="pay"}',
                '{__name__=~"envoy_cluster_upstream_rq_[1-5][0-9][0-9]",service="pay"}')]

        def alike():
            found = counts()
            return found if found[1] == found[2] else None  # an Envoy may count while it writes its page
        total, by_class, _ = case.wait_until(alike, 30, lambda: f"as many by class as by code: {counts()}", pause=0.2)
        self.assertGreaterEqual(total, by_class * 0.98)  # what is sent again has a request more
        self.assertEqual(self.watch.query('envoy_cluster_upstream_rq{service="",response_code_class=""}'), [])
        self.assertTrue(self.watch.query('envoy_cluster_upstream_cx_active{namespace="fe-pre",service="pay"}'))
        istio = self.watch.query('sum(istio_requests_total{destination_service_name="pay",response_code="503",'
                                 'destination_service_namespace="fe-pre",source_workload!=""})')
        self.assertGreater(istio[0][1], 0)
        self.as_istio_names_it()
        size = self.watch.query('max(scrape_samples_scraped{job="graymesh-sidecars"})')[0][1]
        self.assertLess(size, 2000)

    def as_istio_names_it(self):
        """Both sides of a request, its sizes, its flags; each once."""
        pay = 'destination_service_name="pay",destination_service_namespace="fe-pre"'
        for reporter in ("source", "destination"):
            for name in ("requests_total", "request_bytes_count", "response_bytes_sum",
                         "request_duration_milliseconds_bucket"):
                self.assertTrue(self.watch.query(f'istio_{name}{{{pay},reporter="{reporter}"}} > 0'),
                                (name, reporter, self.watch.query(f"istio_{name}")))
        # The answer of a gray instance to a call in its lane, by who called and who answered.
        self.assertTrue(self.watch.query(
            f'istio_requests_total{{{pay},reporter="source",source_workload="web",lane="feature-a",'
            'destination_canarytag="feature-a",destination_workload="pay",response_code="500",'
            'response_flags="-"} > 0'), self.watch.query(f'istio_requests_total{{{pay},reporter="source"}}'))
        counted = self.watch.query(f'sum(istio_requests_total{{{pay},reporter="source"}})')[0][1]
        of_clusters = self.watch.query('sum(envoy_cluster_upstream_rq{service="pay"})')[0][1]
        self.assertLess(abs(counted - of_clusters), 0.02 * of_clusters + 5)
        self.assertEqual(self.watch.query('istio_requests_total{reporter="destination",source_workload!="unknown"}'), [])

    def cli(self, *words):
        done = subprocess.run([case.PROGRAMS / "graymesh", "--server", self.mesh.api, *words], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def live_from_prometheus(self):
        """stat and graph say of both versions what the proxies themselves say, within what Prometheus guesses."""
        source = ["--prometheus", f"http://{self.watch.prometheus[0]}"]

        def rates(*more):
            items = json.loads(self.cli("stat", "pay", "--seconds", "10", "-o", "json", *more))["items"]
            return {item["canarytag"]: item for item in items if item["requests"]}
        seen = {}

        def agree():
            # Each looks back at a time of its own, in which there may have been more or less.
            own, theirs = seen["own"], seen["theirs"] = rates(), rates(*source)
            return set(own) == set(theirs) == {"", "feature-a"} and all(
                item["p99Ms"] and item["p99Ms"] > 0 and
                abs(item["perSecond"] - own[tag]["perSecond"]) < own[tag]["perSecond"] * 0.5 + 1
                for tag, item in theirs.items())
        case.wait_until(agree, 60, lambda: json.dumps(seen), pause=0.5)
        graph = json.loads(self.cli("graph", *source, "-o", "json"))
        self.assertEqual(graph["source"], "prometheus")
        self.assertIn(("web", "pay", "feature-a"), {(edge["from"]["workload"], edge["to"]["service"], edge["lane"])
                                                    for edge in graph["items"]})
        before = json.loads(self.cli("graph", *source, "--time", "2h", "-o", "json"))
        self.assertEqual(before["items"], [])

    def a_lane_leaks(self):
        """`bank` drops the header; of its calls in no lane one in a hundred is told. The rule compares with five
        minutes ago, when graymeshd was there and nothing was lost: Prometheus is given that past."""
        labels = {"namespace": "fe-pre", "service": "bank", "lane": "feature-a", "to": "pay.fe-pre", "severity": "ticket"}
        self.assertFalse(self.tickets.firing("LaneLeaks"))
        pod = self.pod_of("web-baseline")
        deadline = time.monotonic() + 60
        while not self.tickets.firing("LaneLeaks", **labels):
            for _ in range(20):
                self.assertEqual(self.through(pod, "http://bank:8080/", {"canarytag": "feature-a"}).status, 200)
            self.assertLess(time.monotonic(), deadline, f"no leak is told: {self.seen(self.tickets)}")
        self.assertIn("#laneleaks", self.tickets.firing("LaneLeaks", **labels)[0]["annotations"]["runbook_url"])
        # `web` carries it on, and nobody is told anything of it.
        self.assertEqual({alert["labels"]["service"] for alert in self.tickets.firing("LaneLeaks")}, {"bank"})

    def slow_calls_have_traces(self):
        """The trace of a call in a lane is an exemplar of its latency, if it is sampled; and no other."""
        pod, sampled, unwanted = self.pod_of("web-baseline"), secrets.token_hex(16), secrets.token_hex(16)
        series = 'graymesh_logged_call_duration_seconds_bucket{namespace="fe-pre",service="pay",lane="feature-a"}'

        def traces():
            return {exemplar["trace_id"] for _, exemplar in self.watch.exemplars(series)}
        deadline = time.monotonic() + 30
        while sampled not in traces():
            for trace, flags in ((sampled, "01"), (unwanted, "00")):
                answer = self.through(pod, "http://pay:8080/", {
                    "canarytag": "feature-a", "traceparent": f"00-{trace}-{secrets.token_hex(8)}-{flags}"})
                self.assertEqual(answer.status, 200)
            self.assertLess(time.monotonic(), deadline, (traces(), self.watch.query(series)))
            time.sleep(0.1)
        self.assertNotIn(unwanted, traces())

    def without_a_last_instance(self):
        """Application and Envoy die again and again: callers meet nobody."""
        victim = next(one for one in self.mesh.instances_now() if one["name"].startswith("down-"))
        pod = self.pod_of("web-baseline")
        self.assertEqual(self.through(pod, "http://down:8080/").status, 200)
        deadline = time.monotonic() + 60
        wanted = {"namespace": "fe-pre", "service": "down", "severity": "page"}
        # Its Envoy alone first: callers still believe in it, and are refused.
        release_case.kill(release_case.envoy_of(release_case.processes_of(self.mesh, victim)[1]))
        for _ in range(5):
            self.through(pod, "http://down:8080/")
        while not self.pager.firing("ServiceHasNoInstance", **wanted):
            running, sidecar = release_case.processes_of(self.mesh, victim)
            for process in (running, release_case.envoy_of(sidecar)):
                if process:
                    release_case.kill(process)
            self.through(pod, "http://down:8080/")
            self.assertLess(time.monotonic(), deadline, self.seen(self.pager))
            time.sleep(0.05)
        self.assertFalse(self.pager.firing("ServiceHasNoInstance", service="pay"))

    def cut_control_plane(self):
        self.mesh.kill_control_plane()
        try:
            self.wait_for(self.pager, "ControlPlaneDown", severity="page", owner="mesh")
            case.wait_until(lambda: [alert for alert in self.watch.alerts()
                                     if alert["labels"]["alertname"] == "ProxiesCutOff" and alert["state"] == "firing"],
                            20, lambda: f"ProxiesCutOff fires: {self.seen(self.pager)}")
            # It is told of the cause, not of each proxy: Alertmanager keeps the second back.
            self.assertFalse(self.pager.firing("ProxiesCutOff"))
        finally:
            self.mesh.start_control_plane()

    def dashboards(self):
        files = sorted((self.watch.folder / "dashboards").glob("*.json"))
        self.assertEqual(len(files), 7)
        empty, asked = [], 0
        for file in files:
            dashboard = json.loads(file.read_text())
            self.assert_schema(dashboard)
            names = {one["name"]: one["allValue"] for one in dashboard["templating"]["list"] if one["type"] == "query"}
            names.update({"namespace": "fe-pre"} if "namespace" in names else {})
            for panel in dashboard["panels"]:
                for target in panel["targets"]:
                    asked += 1
                    try:
                        case.wait_until(lambda: self.ask(target, names), 10, "series", pause=0.5)
                    except AssertionError:
                        empty.append((dashboard["title"], panel["title"], target["expr"]))
            for annotation in dashboard["annotations"]["list"]:
                self.assertTrue(self.watch.query(annotation["expr"]), annotation["name"])
        self.assertEqual(empty, [])
        self.assertGreater(asked, 45)
        self.regions()

    def ask(self, target, names):
        """The series of a query with a value for each variable of its dashboard."""
        expression = target["expr"].replace("$__rate_interval", "30s")
        for name, value in names.items():
            expression = expression.replace(f"${name}", value)
        self.assertNotIn("$", expression)
        return self.watch.query(expression)

    def regions(self):
        """With "All" each query has a series of each region and none without; chosen alone, only that one's."""
        told = {labels.get("source_region") for labels, _ in self.watch.query('up{job="graymesh-sidecars"}')}
        self.assertEqual(told, {None, "eu", "us"})
        dashboard = json.loads((self.watch.folder / "dashboards/region.json").read_text())
        everything = next(one["allValue"] for one in dashboard["templating"]["list"] if one["name"] == "region")

        def found(value):
            return {target["expr"]: {labels.get("source_region") or labels.get("destination_region")
                                     for labels, _ in self.ask(target, {"region": value})}
                    for panel in dashboard["panels"] for target in panel["targets"]}
        both = {target["expr"]: {"eu", "us"} for panel in dashboard["panels"] for target in panel["targets"]}
        self.assertGreaterEqual(len(both), 5)
        pods = [self.pod_of("web-baseline"), self.pod_of("bank-baseline")]
        deadline = time.monotonic() + 60
        while (series := found(everything)) != both:
            for pod in pods:
                self.assertEqual(self.through(pod, "http://pay:8080/status/500").status, 500)
                self.assertEqual(self.through(pod, "http://bank:8080/").status, 200)
            self.assertLess(time.monotonic(), deadline, series)
            time.sleep(0.1)
        self.assertEqual(found("us"), dict.fromkeys(both, {"us"}))

    def assert_schema(self, dashboard):
        """What Grafana asks of a dashboard of schema version 38."""
        for key, kind in (("uid", str), ("title", str), ("schemaVersion", int), ("panels", list), ("templating", dict),
                          ("annotations", dict), ("time", dict)):
            self.assertIsInstance(dashboard[key], kind, key)
        self.assertLessEqual(len(dashboard["uid"]), 40)
        known = {variable["name"] for variable in dashboard["templating"]["list"]}
        for panel in dashboard["panels"]:
            self.assertLessEqual({"id", "type", "title", "gridPos", "targets", "datasource", "fieldConfig"}, set(panel))
            self.assertLessEqual(panel["gridPos"]["x"] + panel["gridPos"]["w"], 24)
            used = {word for target in panel["targets"] for word in
                    ("namespace", "service", "pod", "lane", "release", "region") if "$" + word in target["expr"]}
            self.assertLessEqual(used, known, panel["title"])


if __name__ == "__main__":
    case.skip_without_envoy()
    case.skip_without(monitoring.missing())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main()
