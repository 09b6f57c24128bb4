"""What `tools/demo` shows by default: a shop that the release platform runs, released before your
eyes: two branches go up as lanes, one is promoted, one is taken back with its receipt."""

import os
import time

from demo_client import Stream
from platform_mesh import ApiError, PlatformMesh

# A VirtualService of a person's own, beside those that the platform writes.
OWN_FILE = "cart-routes.yaml"
OWN = """\
# Who brings the cookie tester=yes meets this version of cart. Edit me while the demo runs.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http:
  - match: [{headers: {cookie: {exact: tester=yes}}}]
    route: [{destination: {host: cart, subset: baseline}}]
"""

PRE, ONLINE = "pre.shop.example", "online.shop.example"
BASELINE = "web[baseline] > cart[baseline] > pay[baseline]"


class ReleaseDemo:
    def __init__(self, mesh, demo):
        self.mesh, self.demo = mesh, demo
        self.say, self.title, self.expect = demo.say, demo.title, demo.expect

    def way(self, host, lane, wanted, headers=None, path="/"):
        headers = headers if headers is not None else {"canarytag": lane} if lane else None
        answer = self.mesh.get(host, path, headers=headers)
        told = lane or "-"
        if path != "/":
            told = path
        elif headers and "cookie" in headers:
            told = "cookie " + headers["cookie"].split("=")[1]
        self.say(f"  {host:<21} {told:<22} {self.demo.show_way(answer.path) or answer}")
        self.expect(answer.status == 200 and answer.path == wanted,
                    f"{host} {told}: {answer.status} {answer.path or answer}, must be {wanted}")
        return answer

    def start(self, namespace, applications, tag, more=""):
        begun = time.monotonic()
        release = self.mesh.start_release(namespace, applications, tag, more)
        taken = (time.monotonic() - begun) * 1000
        self.expect(release["phase"] in ("gray", "step"), f"release of {tag}: {release['phase']}: {release['reason']}")
        receipt = release["receipts"]["routes"]
        self.say(f"  {tag} of {', '.join(applications)} in {namespace}: up in {taken:.0f} ms, "
                 f"routed at {receipt['acked']} of {receipt['proxies']} proxies")
        return release

    def receipt(self, release, key, words):
        receipt = release["receipts"][key]
        self.say(f"  {words}: {receipt['acked']} of {receipt['proxies']} proxies have ACKed, "
                 f"p50 {receipt['p50_ms']:.1f} ms, p99 {receipt['p99_ms']:.1f} ms, last {receipt['last_ms']:.1f} ms "
                 f"({receipt['last'].split('~')[2]}), missing {receipt['missing'] or 'none'}")
        self.expect(not receipt["missing"], f"{words}: missing {receipt['missing']}")

    def counters(self):
        addresses = {f"{i['application']}[{i['version']}]" if i["version"] else i["application"]: i["address"]
                     for i in self.mesh.instances_now() if i["namespace"] in ("fe-pre", "ingress")}
        self.demo.counters({name: addresses[name] for name in [
            "gateway", "web[feature-a]", "cart[baseline]", "pay[feature-a]", "web[baseline]", "pay[baseline]"]})

    def edits(self, rounds=3):
        """A VirtualService edited in its file: the answers change at once, and no request fails."""
        self.title("A VirtualService of one's own is edited in the folder while requests go on")
        self.mesh.write(OWN_FILE, OWN)
        streams = [Stream(self.demo.asker(lane, headers)) for lane, headers in (
            (None, {"cookie": "tester=yes"}), (None, None), ("feature-a", None))]
        with self.demo.without_failures(streams):
            self.demo.edit(streams[0], rounds, OWN_FILE, "subset: baseline", "subset: feature-b",
                           "VirtualService cart: testers to feature-b", BASELINE,
                           "web[baseline] > cart[feature-b] > pay[baseline]")

    def show(self):
        self.title("The baseline")
        self.way(PRE, None, BASELINE)
        self.way(ONLINE, None, BASELINE)

        self.title("Two branches go up as lanes; no branch disturbs another")
        first = self.start("fe-pre", ["web", "pay"], "feature-a")
        second = self.start("fe-pre", ["cart"], "feature-b")
        self.way(PRE, "feature-a", "web[feature-a] > cart[baseline] > pay[feature-a]")
        self.way(PRE, "feature-b", "web[baseline] > cart[feature-b] > pay[baseline]")
        self.way(PRE, None, BASELINE)

        self.counters()
        self.edits()

        self.title("A link puts a browser into its lane, and a cookie keeps it there")
        link = self.way(PRE, "feature-a", "web[feature-a] > cart[baseline] > pay[feature-a]", {},
                        "/?canarytag=feature-a")
        cookie = link.headers.get("set-cookie", "").split(";")[0]
        self.way(PRE, "feature-a", "web[feature-a] > cart[baseline] > pay[feature-a]", {"cookie": cookie})

        self.title("feature-b is taken back: routes first, then the instances")
        second = self.mesh.act(second["id"], "rollback", "the demo")
        self.expect(second["phase"] == "rolled-back", f"feature-b is {second['phase']}")
        self.receipt(second, "rollback", "rollback")
        self.way(PRE, "feature-b", BASELINE)

        self.title("feature-a is promoted: it becomes the baseline of pre-release, without a gap")
        first = self.mesh.act(first["id"], "promote", "the demo")
        self.expect(first["phase"] == "promoted", f"feature-a is {first['phase']}")
        self.receipt(first, "promote", "promotion")
        self.way(PRE, None, "web[feature-a] > cart[baseline] > pay[feature-a]")

        self.title("What was proved goes online, by steps, with four eyes")
        online = self.start("fe-online", ["web", "pay"], "feature-a",
                            "  steps: [{weight: 50, pause: {approval: true}}]\n")
        self.say(f"  it waits for: {online['progress']['waitsFor']}")
        try:
            self.mesh.act(online["id"], "approve", wait=0)
            self.expect(False, "who started it could approve it")
        except ApiError as refused:
            self.say(f"  {refused.problem.get('detail')}")
        self.mesh.act(online["id"], "approve", wait=10, user="ann")
        self.mesh.act(online["id"], "promote", wait=10)
        online = self.mesh.act(online["id"], "approve", wait=0, user="ann")
        deadline = time.monotonic() + 30
        while online["phase"] != "promoted" and time.monotonic() < deadline:
            time.sleep(0.02)
            online = self.mesh.release(online["id"])
        self.expect(online["phase"] == "promoted", f"online it is {online['phase']}: {online['progress']}")
        self.receipt(online, "promote", "promotion")
        self.way(ONLINE, None, "web[feature-a] > cart[baseline] > pay[feature-a]")

    def invitation(self):
        mesh = self.mesh
        gateway = f"http://{mesh.gateway_address}:8000/"
        cli = os.path.relpath(mesh.programs / "graymesh")
        if mesh.api != "127.0.0.1:15014":
            cli += f" --server {mesh.api}"
        web = next(it for it in mesh.instances_now() if it["name"].startswith("web") and it["namespace"] == "fe-pre")
        self.title("Try")
        for line in [
            f"{cli} release start cart -n fe-pre --tag feature-c --set version=feature-c --wait",
            f"curl -H 'Host: {PRE}' -H 'canarytag: feature-c' {gateway}",
            f"sed -i 's/subset: baseline/subset: feature-c/' {mesh.config}/{OWN_FILE}",
            f"curl -H 'Host: {PRE}' -b tester=yes {gateway}",
            f"sed -i 's/subset: feature-c/subset: baseline/' {mesh.config}/{OWN_FILE}",
            f"{cli} lane show feature-c -n fe-pre",
            f"{cli} release rollback cart/feature-c -n fe-pre --wait",
            f"{cli} release list -n fe-pre",
            f"{cli} history -n fe-pre",
            f"{cli} proxy status",
            f"{cli} history proxy {web['name']}.fe-pre --between 10m now",
            f"{cli} get vs -n fe-pre",
            f"$EDITOR {mesh.config}/fe-pre.yaml",
        ]:
            self.say(f"  {line}")
        self.say()
        self.say(f"  configuration {mesh.config}   instances {mesh.folder}/instances")
        self.say(f"  API http://{mesh.api}/   xDS {mesh.xds}")
        self.say()
        self.say("Runs until Ctrl-C, which leaves nothing behind.")


def release_mesh(options, say):
    return PlatformMesh(mesh_config=options.mesh_config, fixed_ports=not options.once,
                        envoy=options.envoy, record=True, say=say)
