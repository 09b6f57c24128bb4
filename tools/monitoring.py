"""Debian's Prometheus (three, or one) and Alertmanager beside a mesh, with what `graymesh render
--monitoring --plain` writes for it. Everything is in one folder and ends with stop().

    with Monitoring(mesh) as monitoring:
        monitoring.query('sum(rate(envoy_cluster_upstream_rq[1m]))')
"""

import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from demo_mesh import MeshError, Process, can_listen, free_ports

PROGRAMS = ("prometheus", "prometheus-alertmanager")


def missing():
    """What Debian's packages would bring; empty if all is there."""
    return [program for program in PROGRAMS if not shutil.which(program)]


def get_json(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return json.loads(answer.read())


class Monitoring:
    """`first_port`: of up to three Prometheus, the Alertmanager comes behind them; 0: any that are free.
    `past`: {series: value} that the first of them remembers from between six and five minutes ago, for rules
    that look back."""

    def __init__(self, mesh, *, interval=5.0, patience=1.0, one=False, pager="", tickets="", first_port=9090,
                 options=(), past=None):
        self.mesh, self.interval, self.patience, self.one = mesh, interval, patience, one
        self.pager, self.tickets, self.first_port = pager, tickets, first_port
        self.options, self.past = list(options), dict(past or {})
        self.folder, self.running = None, []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        if missing():
            raise MeshError(f"{' and '.join(missing())}: not there; tools/install-deps --monitoring brings Debian's")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self):
        count = 4
        if not self.first_port or not all(can_listen("127.0.0.1", self.first_port + i) for i in range(count)):
            self.first_port = free_ports(count)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-monitoring-"))
        self.alertmanager = f"127.0.0.1:{self.first_port + 3}"
        self.render()
        names = [""] if self.one else ["-data-plane", "-infrastructure", "-business"]
        self.prometheus = [f"127.0.0.1:{self.first_port + i}" for i in range(len(names))]
        self._remember(self.folder / f"data{names[0]}")
        for name, address in zip(names, self.prometheus):
            self._run(f"prometheus{name}", [
                "prometheus", f"--config.file={self.folder}/prometheus{name}.yml",
                f"--storage.tsdb.path={self.folder}/data{name}", "--storage.tsdb.retention.time=1d",
                "--enable-feature=exemplar-storage",
                f"--web.listen-address={address}", "--web.enable-lifecycle", "--log.level=warn"])
        self._run("alertmanager", [
            "prometheus-alertmanager", f"--config.file={self.folder}/alertmanager.yml",
            f"--storage.path={self.folder}/alerts", f"--web.listen-address={self.alertmanager}",
            "--cluster.listen-address=", "--log.level=warn"])
        for process, address in zip(self.running, [*self.prometheus, self.alertmanager]):
            self._wait_ready(process, address)

    def render(self):
        """Writes the configuration, as the Applications are now."""
        command = [self.mesh.programs / "graymesh", "--server", self.mesh.api, "render", "--monitoring", "--plain",
                   "--out", self.folder, "--interval", str(self.interval), "--patience", str(self.patience),
                   "--first-port", str(self.first_port), "--alertmanager", self.alertmanager,
                   *(["--one"] if self.one else []), *(["--pager", self.pager] if self.pager else []),
                   *(["--tickets", self.tickets] if self.tickets else []), *self.options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MeshError(f"graymesh render --monitoring: {done.stderr.strip()}")

    def _remember(self, data):
        if not self.past:
            return
        now = time.time()
        samples = "".join(f"{series} {value} {now - ago}\n" for series, value in self.past.items()
                          for ago in range(360, 299, -10))
        file = self.folder / "past.txt"
        file.write_text(samples + "# EOF\n")
        done = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", file, data],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MeshError(f"promtool: {done.stderr.strip()}")

    def _run(self, name, command):
        self.running.append(Process(name, command, self.folder / f"{name}.log"))

    @staticmethod
    def _wait_ready(process, address, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            if not process.running():
                raise process.fault("ended")
            try:
                with urllib.request.urlopen(f"http://{address}/-/ready", timeout=2):
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise process.fault(f"is not ready within {seconds} s")
            time.sleep(0.1)

    def stop(self):
        """Ends all of it and removes its folder. Never raises."""
        for process in self.running:
            process.signal(signal.SIGTERM)
        for process in self.running:
            process.wait(15)
        self.running = []
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    # Questions.

    def query(self, expression, at=None):
        """[(labels, value)] of the data plane's Prometheus, now or `at` that Unix time."""
        words = urllib.parse.urlencode({"query": expression, **({} if at is None else {"time": at})})
        try:
            answer = get_json(f"http://{self.prometheus[0]}/api/v1/query?{words}")
        except urllib.error.HTTPError as error:
            raise MeshError(f"{expression}: {error.read().decode(errors='replace')}") from None
        result = answer["data"]["result"]
        if answer["data"]["resultType"] == "scalar":
            return [({}, float(result[1]))]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def exemplars(self, selector, seconds=3600):
        """[(labels of the series, labels of the exemplar)] of the last seconds."""
        now = time.time()
        words = urllib.parse.urlencode({"query": selector, "start": now - seconds, "end": now})
        answer = get_json(f"http://{self.prometheus[0]}/api/v1/query_exemplars?{words}")
        return [(series["seriesLabels"], exemplar["labels"]) for series in answer["data"]
                for exemplar in series["exemplars"]]

    def alerts(self):
        """Firing and pending alerts of every Prometheus: [{labels, annotations, state}]."""
        return [alert for address in self.prometheus
                for alert in get_json(f"http://{address}/api/v1/alerts")["data"]["alerts"]]

    def addresses(self):
        names = ["Prometheus"] if self.one else [
            "Prometheus, data plane", "Prometheus, infrastructure", "Prometheus, business"]
        return [*zip(names, self.prometheus), ("Alertmanager", self.alertmanager)]
