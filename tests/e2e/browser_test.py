#!/usr/bin/env python3
"""A browser stays in its lane: through links, cookies, logins and redirects (docs/releases.md). Here
curl with a jar of cookies stands for the browser; `--chromium` (make browser) drives a real one
through the same ways, and leaves a picture."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import case

GRAYMESH = case.PROGRAMS / "graymesh"
SITE = case.ROOT / "tests/e2e/site.py"
BROWSE = case.ROOT / "tools/browser/browse.mjs"
APPLICATION = """\
---
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  ports: [{{name: http, port: 8080}}]
  hosts: [{host}]
  gateways: [ingress/gateway]
  run: {{version: baseline, command: [python3, {site}, {name}, $(VERSION), $(ADDRESS), $(PORT)]}}
  stop: {{drain: 200ms}}
"""
MESH = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: gateway, namespace: ingress}}
spec:
  selector: {{app: gateway}}
  servers:
  - {{port: {{number: {http}, name: http, protocol: HTTP}}, bind: 127.0.0.1, hosts: ["*"]}}
  - port: {{number: {https}, name: https, protocol: HTTPS}}
    bind: 127.0.0.1
    hosts: ["*"]
    tls: {{mode: SIMPLE, serverCertificate: {folder}/cert.pem, privateKey: {folder}/key.pem}}
---
apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {{name: gateway, namespace: ingress}}
spec: {{gateway: true, ports: [{{name: http, port: {http}}}, {{name: https, port: {https}}}]}}
---
apiVersion: graymesh.io/v1alpha1
kind: Environment
metadata: {{name: siblings, namespace: siblings}}
spec: {{lanes: {{cookieDomain: pre.test}}}}
"""


class Browser(unittest.TestCase):
    """Two environments: `default`, whose sites web.test and login.example share nothing, and `siblings`, whose
    web.pre.test and api.pre.test share the lane's cookie."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="graymesh-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.http = case.demo_mesh.free_ports(2)
        cls.https = cls.http + 1
        cls.environment = {**os.environ, "XDG_STATE_HOME": str(cls.folder / "state")}
        cls.environment.pop("GRAYMESH_SERVER", None)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", cls.folder / "key.pem", "-out", cls.folder / "cert.pem", "-subj", "/CN=test"],
                       check=True, capture_output=True)
        text = MESH.format(http=cls.http, https=cls.https, folder=cls.folder)
        for name, namespace, host in (("web", "default", "web.test"), ("login", "default", "login.example"),
                                      ("web", "siblings", "web.pre.test"), ("api", "siblings", "api.pre.test")):
            text += APPLICATION.format(name=name, namespace=namespace, host=host, site=SITE)
        (cls.folder / "mesh.yaml").write_text(text)
        cls.addClassCleanup(cls.graymesh, "down")
        cls.graymesh("up", "-f", cls.folder / "mesh.yaml")
        for namespace, applications, tag in (("default", "web,login", "feature-a"), ("default", "web", "feature-b"),
                                             ("siblings", "web,api", "feature-a")):
            cls.graymesh("release", "start", applications, "-n", namespace, "--tag", tag, "--set", f"version={tag}",
                         "--wait")

    @classmethod
    def graymesh(cls, *words):
        ran = subprocess.run([GRAYMESH, *words], capture_output=True, text=True, timeout=100, check=False,
                             env=cls.environment)
        if ran.returncode != 0:
            raise AssertionError(f"{words}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def url(self, host, path="/", scheme="http"):
        return f"{scheme}://{host}:{self.https if scheme == 'https' else self.http}{path}"


class Curl(Browser):
    def setUp(self):
        self.jar = self.folder / f"{self.id().rpartition('.')[2]}.jar"

    def curl(self, url, *words):
        """(final URL, body, head) as a browser that follows redirects and keeps cookies."""
        hosts = [word for port in (self.http, self.https) for word in ("--resolve", f"*:{port}:127.0.0.1")]
        ran = subprocess.run(["curl", "-sk", "-L", "--max-redirs", "5", "-b", self.jar, "-c", self.jar, "-D", "-",
                              *hosts, "-w", "\n%{url_effective}", *words, url], capture_output=True, text=True,
                             timeout=20, check=False)
        self.assertEqual(ran.returncode, 0, (url, ran.stdout, ran.stderr))
        told, _, final = ran.stdout.rpartition("\n")
        return final, told

    def assert_meets(self, version, url, *words):
        final, told = self.curl(url, *words)
        self.assertIn(f" {version}</h1>", told, (url, final))
        return final, told

    def test_a_link_keeps_its_path_and_the_application_does_not_see_the_parameter(self):
        final, told = self.assert_meets("feature-a", self.url("web.test", "/cart?item=5&canarytag=feature-a&n=%20"))
        self.assertIn("path=/cart?item=5&amp;n=%20", told)
        self.assertIn("cache-control: no-store", told, "a cache must not give this cookie to others")
        self.assertIn('clear-site-data: "cache"', told)
        _, told = self.assert_meets("feature-a", self.url("web.test", "/other"))
        self.assertIn("vary: Cookie", told)
        self.assertIn("max-age=600", told, "the application's own")

    def test_redirects_to_addresses_of_the_mesh_stay_at_the_site_and_in_the_lane(self):
        self.curl(self.url("web.test", "/?canarytag=feature-a"))
        for path in ("/by-address", "/by-port", "/by-name", "/by-full-name", "/relative"):
            with self.subTest(path=path):
                final, _ = self.assert_meets("feature-a", self.url("web.test", path))
                self.assertTrue(final.startswith(self.url("web.test", "/page")), final)
        self.jar.unlink()  # and the baseline's as well
        final, _ = self.assert_meets("baseline", self.url("web.test", "/by-address"))
        self.assertEqual(final, self.url("web.test", "/page"))

    def test_redirects_elsewhere_are_left_alone(self):
        ran = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{redirect_url}", "-H",
                              f"Host: web.test:{self.http}", f"http://127.0.0.1:{self.http}/elsewhere"],
                             capture_output=True, text=True, timeout=10, check=True)
        self.assertEqual(ran.stdout, "http://elsewhere.invalid/page")

    def test_a_login_at_another_site_of_the_mesh_takes_the_lane_along_and_back(self):
        self.curl(self.url("web.test", "/?canarytag=feature-a"))
        back = self.url("web.test", "/page")
        login = self.url("login.example", f"/in?return={back}")
        final, told = self.assert_meets("feature-a", self.url("web.test", f"/go?to={login}"))
        self.assertIn("path=/page?code=1", told)
        self.assert_meets("feature-a", self.url("login.example"))
        # The login by its name in the mesh, which no browser knows.
        final, _ = self.assert_meets("feature-a", self.url("web.test", "/go?to=http://login:8080/hello"))
        self.assertTrue(final.startswith(self.url("login.example", "/hello")), final)

    def test_siblings_share_the_lanes_cookie(self):
        _, told = self.curl(self.url("web.pre.test", "/?canarytag=feature-a"))
        self.assertIn("Domain=pre.test", told)
        self.assert_meets("feature-a", self.url("api.pre.test"))
        final, _ = self.assert_meets("feature-a", self.url("web.pre.test", f"/go?to={self.url('api.pre.test', '/x')}"))
        self.assertEqual(final, self.url("api.pre.test", "/x"), "nothing need be added")
        self.curl(self.url("api.pre.test", "/?canarytag=none"))
        self.assert_meets("baseline", self.url("web.pre.test"))

    def test_over_tls_the_cookie_comes_also_with_what_another_site_posts(self):
        _, told = self.curl(self.url("web.test", "/?canarytag=feature-a", "https"))
        self.assertIn("SameSite=None; Secure", told)
        _, told = self.curl(self.url("web.test", "/?canarytag=feature-a"))
        self.assertIn("SameSite=Lax", told)
        final, _ = self.assert_meets("feature-a", self.url("web.test", "/by-address", "https"))
        self.assertEqual(final, self.url("web.test", "/page", "https"), "https stays https")

    def test_a_post_with_the_parameter_enters_and_leaves_as_any_request(self):
        _, told = self.assert_meets("feature-a", self.url("web.test", "/form?canarytag=feature-a"), "-d", "a=1")
        self.assertIn("posted to /form<", told)
        self.assert_meets("feature-a", self.url("web.test"))
        self.assert_meets("baseline", self.url("web.test", "/?canarytag=none"), "-d", "a=1")
        self.assert_meets("baseline", self.url("web.test"))

    def test_from_lane_to_lane_the_applications_cookies_stay_its_own(self):
        self.curl(self.url("web.test", "/?canarytag=feature-a"))
        self.assert_meets("feature-a", self.url("web.test", "/session"))
        _, told = self.assert_meets("feature-b", self.url("web.test", "/?canarytag=feature-b"))
        self.assertIn("sid=feature-a", told, "it comes along, as it did from the baseline")
        self.assert_meets("feature-b", self.url("web.test"))

    def test_an_unknown_lane_and_a_lane_that_is_gone_meet_the_baseline(self):
        self.assert_meets("baseline", self.url("web.test", "/?canarytag=feature-z"))
        self.assertFalse(self.jar.exists() and "feature-z" in self.jar.read_text())
        self.assert_meets("baseline", self.url("web.test"), "-H", "Cookie: canarytag=feature-z")

    def test_a_header_decides_where_it_is_present(self):
        self.curl(self.url("web.test", "/?canarytag=feature-a"))
        self.assert_meets("feature-b", self.url("web.test"), "-H", "canarytag: feature-b")
        self.assert_meets("feature-b", self.url("web.test", "/?canarytag=none"), "-H", "canarytag: feature-b")

    def test_what_the_gateway_tells_itself_is_never_sent(self):
        for headers in ((), ("-H", "canarytag: feature-a"), ("-H", "Cookie: canarytag=feature-a")):
            _, told = self.curl(self.url("web.test"), *headers)
            self.assertNotIn("x-graymesh-site", told)


class Chromium(Browser):
    def test_a_real_browser_stays_in_its_lane(self):
        cache = pathlib.Path(os.environ.get("GRAYMESH_CACHE") or pathlib.Path.home() / ".cache/graymesh")
        picture = case.ROOT / "build/browser.png"
        ran = subprocess.run(["node", BROWSE, cache / "browser", shutil.which("chromium"), picture,
                              str(self.http), str(self.https)], capture_output=True, text=True, timeout=180,
                             check=False)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        told = json.loads(ran.stdout.splitlines()[-1])
        self.assertGreater(told["steps"], 10)
        print(ran.stdout)


if __name__ == "__main__":
    case.skip_without_envoy()
    real = "--chromium" in sys.argv
    unittest.main(argv=[sys.argv[0]], verbosity=2, defaultTest="Chromium" if real else "Curl")
