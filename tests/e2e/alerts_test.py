#!/usr/bin/env python3
"""Every alert fires on what real Envoys and a real graymeshd tell a real Prometheus, each by the fault
that it is about; and every series that a rule reads is there. monitoring_test.py follows some of them to
the web hook, tests/monitoring has what does not fire and what ends.

    web ─> pay (baseline, gray)     far: another namespace     void: a service whose instance is nowhere
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import case  # noqa: E402
import release_case  # noqa: E402
from release_case import application  # noqa: E402

sys.path.insert(0, str(case.ROOT / "tools"))
import monitoring  # noqa: E402

# What no test of minutes can bring about, and why: the rules' own tests have them.
NOT_HERE = {
    "ServiceTelemetryVanished": "looks ten minutes back",
    "ReleaseStuck": "a phase of five minutes",
    "RulesFail": "none of ours does",
    "ProxyStale": "an Envoy that stops is taken for dead after 4 s; this one answers pings and nothing else",
    "PushSlow": "a machine that needs 5 s for a change",
    "LaneLeaks": "monitoring_test.py, which gives Prometheus a past",
}
# Nobody listens at its endpoint.
VOID = """\
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: fe-pre}}
spec: {{clusterIP: {cluster_ip}, ports: [{{name: {protocol}, port: 8080, targetPort: 8080, protocol: TCP}}]}}
---
apiVersion: v1
kind: Endpoints
metadata: {{name: {name}, namespace: fe-pre}}
subsets: [{{addresses: [{{ip: 127.1.60.1}}], ports: [{{name: {protocol}, port: 8080}}]}}]
"""
TLS = """\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}, namespace: fe-pre}}
spec:
  host: {host}
  trafficPolicy: {{tls: {{mode: MUTUAL, clientCertificate: {folder}/{name}.pem, privateKey: {folder}/{name}.key,
    caCertificates: {folder}/{name}.pem}}}}
"""
REFUSED = case.virtual_service("bad", [{"route": [{"destination": {"host": "web"}, "weight": -1}]}])


class Alerts(release_case.ReleaseCase):
    def test_every_alert_fires_by_its_fault(self):
        promising = application("pay", replicas=1).replace(
            "  run:\n", "  slo: {availability: 99.9, latency: {threshold: 5ms, target: 99}}\n  run:\n")
        far = application("far", replicas=1).replace("namespace: fe-pre", "namespace: fe-far")
        self.mesh = self.start(application("web", calls="pay", host="shop.example", replicas=1), promising,
                               application("bank", replicas=1), far,
                               VOID.format(name="void", cluster_ip="10.96.50.1", protocol="http"),
                               VOID.format(name="dark", cluster_ip="10.96.50.2", protocol="http"),
                               VOID.format(name="near", cluster_ip="10.96.50.3", protocol="http"))
        self.watch = monitoring.Monitoring(self.mesh, interval=1, patience=0.05, one=True, first_port=0,
                                           options=["--quiet-namespaces", "nobody"])
        self.addCleanup(self.watch.stop)
        self.watch.start()
        self.mesh.start_release("fe-pre", ["pay"], "feature-a")
        self.calls_go_wrong()
        self.configuration_is_wrong()
        self.an_envoy_stops()
        self.the_last_instance_goes()
        self.the_control_plane_goes()
        self.proxies_come_and_go()
        self.every_rule_finds_its_series()
        self.watch.running[-1].signal(signal.SIGTERM)
        self.fire("MonitoringDown")
        wanted = {rule["name"] for group in monitoring.get_json(
            f"http://{self.watch.prometheus[0]}/api/v1/rules?type=alert")["data"]["groups"] for rule in group["rules"]}
        self.assertEqual(wanted - self.fired(), set(NOT_HERE))

    def fired(self):
        return {labels["alertname"] for labels, _ in
                self.watch.query('count by (alertname) (last_over_time(ALERTS{alertstate="firing"}[1h]))')}

    def fire(self, *names, seconds=60):
        case.wait_until(lambda: set(names) <= self.fired(), seconds,
                        lambda: f"{set(names) - self.fired()} fire; there are "
                                f"{[(one['labels']['alertname'], one['state']) for one in self.watch.alerts()]}", 0.2)

    def pod_of(self, group):
        return next(one for one in self.mesh.instances_now() if one["name"].startswith(group))

    def call(self, url, headers=None):
        """Requests that go on until the end, as the application of web makes them."""
        client = case.demo_mesh.Client(self.pod_of("web-baseline")["address"], 15001, 10)
        stream = case.demo_mesh.Stream(lambda: client.request(url, url.split("/")[2], headers or {}), pause=0.05)
        self.addCleanup(client.close)
        self.addCleanup(stream.stop)
        return stream.__enter__()

    def calls_go_wrong(self):
        self.call("http://pay:8080/status/500", {"canarytag": "feature-a"})
        self.call("http://pay:8080/slow?ms=20")
        self.call("http://bank:8080/status/503")
        self.call("http://bank:8080/status/404")
        self.call("http://void:8080/")
        self.fire("BusinessIrregularity", "ServiceAnswered503", "ServiceAnswers503", "ServiceErrors",
                  "GrayWorseThanBaseline", "ServiceRefusesRequests", "ServiceUnavailable", "Watchdog",
                  *(f"{what}Burns{pace}" for what in ("Availability", "Latency")
                    for pace in ("Fast", "Medium", "Slow", "Steady")))

    def configuration_is_wrong(self):
        folder = self.temporary_folder()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "5", "-subj", "/CN=near", "-keyout", folder / "near.key", "-out", folder / "near.pem"],
                       check=True, capture_output=True)
        self.mesh.write("bad.yaml", REFUSED)
        self.mesh.write("near.yaml", TLS.format(host="near", folder=folder, name="near"))
        self.mesh.write("dark.yaml", TLS.format(host="dark", folder=folder, name="nowhere"))
        self.fire("ConfigurationRefused", "ProxyRefusesConfiguration", "NacksRise", "CertificateNearItsEnd")
        self.mesh.delete("dark.yaml")

    def an_envoy_stops(self):
        """Nobody can ask it, and a release waits for it."""
        envoy = release_case.envoy_of(release_case.processes_of(self.mesh, self.pod_of("bank-baseline"))[1])
        os.kill(envoy, signal.SIGSTOP)
        try:
            self.mesh.start_release("fe-pre", ["web"], "feature-b", wait=0)
            self.fire("SidecarNotScraped", "ProxyMissing", "ReleaseMissesProxies")
        finally:
            os.kill(envoy, signal.SIGCONT)

    def kill(self, instance, application=False):
        running, sidecar = release_case.processes_of(self.mesh, instance)
        release_case.kill(release_case.envoy_of(sidecar))
        if application:
            release_case.kill(running)

    def until(self, act, *names):
        """Does it again and again, until these fire: what is killed comes back."""
        case.wait_until(lambda: act() or set(names) <= self.fired(), 60, lambda: f"{set(names) - self.fired()} fire", 0.2)

    def the_last_instance_goes(self):
        calls = self.call("http://far.fe-far:8080/")
        self.assertTrue(calls.wait_for(lambda answer: answer.status == 200, 20))
        self.until(lambda: self.kill(self.pod_of("far-baseline"), True), "ServiceHasNoInstance", "NoAvailableService")

    def proxies_come_and_go(self):
        def kill_those_that_came():
            connected = {proxy["name"] for proxy in self.mesh.api_call("GET", "/api/v1/proxies")["items"]}
            for instance in self.mesh.instances_now():
                if instance["name"] in connected:
                    self.kill(instance)
        self.until(kill_those_that_came, "ReconnectStorm")

    def restart(self):
        """So that Prometheus sees it."""
        start = 'process_start_time_seconds{job="graymeshd"}'
        before = self.watch.query(start)
        self.mesh.kill_control_plane()
        self.mesh.start_control_plane()
        case.wait_until(lambda: self.watch.query(start) not in ([], before), 30, "the next graymeshd is scraped", 0.2)

    def the_control_plane_goes(self):
        self.mesh.kill_control_plane()
        self.fire("ControlPlaneDown", "ProxiesCutOff")
        # The next one makes other things of the same objects.
        self.mesh.mesh_config.write_text(self.mesh.mesh_config.read_text() + "connectTimeout: 7s\n"
                                         "defaultConfig: {proxyMetadata: {GRAYMESH_REQUEST_METRICS: off}}\n")
        self.mesh.start_control_plane()
        self.fire("ProxiesSentAllAgain")
        self.until(self.restart, "ControlPlaneRestarts")
        # Requests that no proxy counts any more are recorded of its cluster.
        case.wait_until(lambda: not self.watch.query('istio_requests_total{response_flags!=""}') and self.watch.query(
            'istio_requests_total{reporter="source",destination_service_name="pay"} > 0'), 30,
            lambda: f"requests are recorded: {self.watch.query('istio_requests_total')}", 0.5)

    def every_rule_finds_its_series(self):
        page = monitoring.get_json(f"http://{self.watch.prometheus[0]}/api/v1/rules")["data"]["groups"]
        read = {selector for group in page for rule in group["rules"] for selector in re.findall(
            r"\{__name__[^}]*\}|\b(?:envoy_\w+|graymesh_\w+|graymesh:[\w:]+|istio_\w+|prometheus_\w+|process_\w+|up)\b(?:\{[^}]*\})?",
            rule["query"])}
        self.assertGreater(len(read), 40)
        missing = [selector for selector in sorted(read) if not self.watch.query(f"last_over_time({selector}[1h])")]
        self.assertEqual(missing, ["graymesh_lane_lost_requests"], "as LaneLeaks: monitoring_test.py")


if __name__ == "__main__":
    case.skip_without_envoy()
    case.skip_without(monitoring.missing())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
