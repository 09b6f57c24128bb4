"""A stand-in for the Kubernetes API, for a control plane that reads nothing else (bench/istiod.py): lists, watches and
keeps objects in memory, and knows nothing of what they mean. HTTP/1.1 and JSON, no TLS, no users, no validation.

Paths and answers are those of Kubernetes' "API Concepts": /api/v1/..., /apis/GROUP/VERSION/..., lists with a
resourceVersion, watches as chunked JSON lines, PartialObjectMetadata where the client asks for it, Status for errors.
"""

import http.server
import json
import queue
import threading
import time
import urllib.parse

import yaml

# Resources of Istio that have a CustomResourceDefinition: istiod looks for objects of no other.
DEFINED = {
    "networking.istio.io": ("destinationrules", "envoyfilters", "gateways", "proxyconfigs", "serviceentries", "sidecars",
                            "virtualservices", "workloadentries", "workloadgroups"),
    "security.istio.io": ("authorizationpolicies", "peerauthentications", "requestauthentications"),
    "telemetry.istio.io": ("telemetries",),
    "extensions.istio.io": ("wasmplugins",),
}


def resource_of(kind):
    """Plural and lower case: "VirtualService" is "virtualservices"."""
    word = kind.lower()
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith("s") else "s")


class Refused(Exception):
    def __init__(self, code, reason, text):
        super().__init__(text)
        self.code, self.reason = code, reason


class Objects:
    """All objects, by (group, resource) and (namespace, name), and who watches them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.version = 1000
        self.kept = {}
        self.log = []  # (version, what, event), oldest first
        self.watchers = []  # (what, queue)
        for group, resources in DEFINED.items():
            for resource in resources:
                self.put({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                          "metadata": {"name": f"{resource}.{group}"}, "spec": {"group": group}})

    def put(self, given, what=None):
        what = what or (given["apiVersion"].rpartition("/")[0], resource_of(given["kind"]))
        with self.lock:
            self.version += 1
            metadata = {"uid": f"uid-{self.version}", **given.get("metadata", {}), "resourceVersion": str(self.version)}
            key = (metadata.get("namespace", ""), metadata["name"])
            of = self.kept.setdefault(what, {})
            if key in of:
                metadata["uid"] = of[key]["metadata"]["uid"]
            metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
            made = {**given, "metadata": metadata}
            self._tell(what, "MODIFIED" if key in of else "ADDED", made)
            of[key] = made
            return made

    def delete(self, what, key):
        with self.lock:
            self.version += 1
            gone = self.kept.get(what, {}).pop(key, None)
            if gone is not None:
                self._tell(what, "DELETED", {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}})
            return gone

    def _tell(self, what, kind, given):
        event = {"type": kind, "object": given}
        self.log.append((self.version, what, event))
        for wanted, told in self.watchers:
            if wanted == what:
                told.put(event)

    def get(self, what, key):
        with self.lock:
            return self.kept.get(what, {}).get(key)

    def list(self, what):
        with self.lock:
            return str(self.version), list(self.kept.get(what, {}).values())

    def watch(self, what, since):
        """A queue of what happens from version `since` on."""
        told = queue.SimpleQueue()
        with self.lock:
            for version, of, event in self.log:
                if of == what and version > since:
                    told.put(event)
            self.watchers.append((what, told))
        return told

    def leave(self, told):
        with self.lock:
            self.watchers = [it for it in self.watchers if it[1] is not told]


def partial(given):
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": given["metadata"]}


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects = None  # of the class that Kubernetes makes of it

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(self.read)

    def do_POST(self):
        self.answer(self.create)

    def do_PUT(self):
        self.answer(self.replace)

    def do_PATCH(self):
        self.answer(self.replace)

    def do_DELETE(self):
        self.answer(self.remove)

    def answer(self, act):
        try:
            address = urllib.parse.urlsplit(self.path)
            self.query = dict(urllib.parse.parse_qsl(address.query))
            self.parse(address.path)
            act()
        except Refused as refused:
            self.send({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": str(refused),
                       "reason": refused.reason, "code": refused.code}, refused.code)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def parse(self, path):
        """/api/v1/[namespaces/NAMESPACE/]RESOURCE[/NAME[/status]], or /apis/GROUP/VERSION/... the same."""
        parts = [part for part in path.split("/") if part]
        self.what = self.name = self.namespace = None
        self.path_only = path
        group, rest = "", parts[2:]
        if parts[:1] == ["apis"]:
            group, rest = "/".join(parts[1:2]), parts[3:]
        elif parts[:1] != ["api"]:
            return
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            self.namespace, rest = rest[1], rest[2:]
        if rest:
            self.what = (group, rest[0])
            self.name = rest[1] if len(rest) > 1 else None

    def body(self):
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            return json.loads(text or b"{}")
        except ValueError as error:
            raise Refused(415, "UnsupportedMediaType", f"{self.path}: JSON only: {error}") from None

    def key(self, name):
        return (self.namespace or "", name)

    def form(self, given):
        return partial(given) if "as=PartialObjectMetadata" in self.headers.get("Accept", "") else given

    def wanted(self, given):
        selector = self.query.get("fieldSelector", "")
        named = [it.partition("=")[2] for it in selector.split(",") if it.startswith("metadata.name=")]
        metadata = given["metadata"]
        return (not self.namespace or metadata.get("namespace") == self.namespace) and \
            (not named or metadata["name"] in named)

    def read(self):
        if self.path_only == "/version":
            return self.send({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
        if self.what is None:
            kinds = {"/api": {"kind": "APIVersions", "versions": ["v1"]}, "/apis": {"kind": "APIGroupList", "groups": []}}
            return self.send(kinds.get(self.path_only, {"kind": "APIResourceList", "resources": []}))
        if self.name:
            found = self.objects.get(self.what, self.key(self.name))
            if found is None:
                raise Refused(404, "NotFound", f"{self.what[1]} {self.name} is not there")
            return self.send(self.form(found))
        if self.query.get("watch") in ("1", "true"):
            return self.watch()
        version, items = self.objects.list(self.what)
        items = [self.form(it) for it in items if self.wanted(it)]
        page = {"metadata": {"resourceVersion": version}, "items": items}
        if "as=PartialObjectMetadata" in self.headers.get("Accept", ""):
            page |= {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        self.send(page)

    def watch(self):
        if self.query.get("sendInitialEvents") == "true":  # clients list then
            raise Refused(422, "Invalid", "sendInitialEvents is not served")
        told = self.objects.watch(self.what, int(self.query.get("resourceVersion") or 0))
        end = time.monotonic() + float(self.query.get("timeoutSeconds") or 3600)
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while (left := end - time.monotonic()) > 0:
                try:
                    event = told.get(timeout=left)
                except queue.Empty:
                    break
                if self.wanted(event["object"]):
                    self.chunk(json.dumps({**event, "object": self.form(event["object"])}).encode() + b"\n")
            self.chunk(b"")
        finally:
            self.objects.leave(told)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def create(self):
        given = self.body()
        if self.what is None or "metadata" not in given or not given["metadata"].get("name"):
            return self.send({**given, "status": {"allowed": True}}, 201)  # a review: it is asked, not kept
        if self.objects.get(self.what, self.key(given["metadata"]["name"])) is not None:
            raise Refused(409, "AlreadyExists", f"{self.what[1]} {given['metadata']['name']} is there")
        self.send(self.keep(given), 201)

    def replace(self):
        self.send(self.keep(self.body()))

    def keep(self, given):
        metadata = {**given.get("metadata", {})}
        metadata.setdefault("name", self.name)
        if self.namespace:
            metadata["namespace"] = self.namespace
        return self.objects.put({**given, "metadata": metadata}, self.what)

    def remove(self):
        self.objects.delete(self.what, self.key(self.name))
        self.send({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def send(self, page, code=200):
        data = json.dumps(page).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Kubernetes:
    """Serves the objects of a folder of YAML; what is written there later it is told by read()."""

    def __init__(self, folder):
        self.objects = Objects()
        for file in sorted(folder.glob("*.yaml")):
            self.read(file)
        handler = type("Handler", (Answers,), {"objects": self.objects})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_port}"

    def read(self, file):
        for given in yaml.load_all(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            self.objects.put(given)

    def kubeconfig(self):
        return json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": f"http://{self.address}"}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}]})
