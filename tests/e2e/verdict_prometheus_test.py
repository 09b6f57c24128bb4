#!/usr/bin/env python3
"""The same as verdict_test.py by a real Prometheus alone, with our own scrape of real Envoys: success rate
and latency by the mesh's series where a release has no query, and a query of its own.

    client ── gateway ──> web, cart (baseline and gray by weight) <── scraped each second
"""

import signal
import sys
import unittest

import case
import release_case
import verdict_test

sys.path.insert(0, str(case.ROOT / "tools"))
import monitoring  # noqa: E402

OWN = """\
      successRate: {{margin: 5}}
      latency: {{percentile: 90, margin: 40, slower: 400}}
      proxies: false
      prometheus: http://{prometheus}
"""
QUERY = """\
      proxies: false
      prometheus: http://{prometheus}
      queries:
      - name: answers
        margin: 5
        total: 'sum(increase(envoy_cluster_upstream_rq{{service="$(APPLICATION)",$(LABELS)}}[$(WINDOW)]))'
        bad: 'sum(increase(envoy_cluster_upstream_rq{{service="$(APPLICATION)",$(LABELS),response_code_class="5xx"}}\
[$(WINDOW)])) or vector(0)'
"""
STEPS = """\
  steps:
  - weight: 50
    analysis:
{source}
      window: 3s
      interval: 1s
      duration: {{minimum: 2s, maximum: 5m}}
"""


class VerdictsByPrometheus(verdict_test.Releases):
    def test_each_release_ends_as_its_traffic_says(self):
        mesh = self.start(release_case.application("web", host="shop.example", replicas=1),
                          release_case.application("cart", host="cart.example", replicas=1))
        watch = monitoring.Monitoring(mesh, interval=1, one=True, first_port=0)
        self.addCleanup(watch.stop)
        watch.start()
        self.send_to(mesh, "shop.example", "cart.example")
        own, query = (STEPS.format(source=source.format(prometheus=watch.prometheus[0]).rstrip())
                      for source in (OWN, QUERY))
        bad = self.begin(mesh, "web", "bad", own, "--fail-every 4")
        good = self.begin(mesh, "cart", "good", query)

        release = self.wait_for(mesh, bad, lambda r: r["phase"] == "rolled-back", 150)
        self.assertRegex(release["reason"], r"^rolled back: unhealthy: web: success rate: \d\d\.\d % of [\d,]+ requests "
                         r"failed, of the baseline's [\d,]+ at the same time 0\.0 %; 5 points more are tolerated$")
        print(release["reason"])
        release = self.wait_for(mesh, good, lambda r: r["phase"] == "gray", 150)
        self.assertRegex(release["reason"], r"^healthy: cart: answers: 0\.0 % of [\d,]+ requests were bad")
        print(release["reason"])

        good = self.begin(mesh, "web", "good-too", own)
        release = self.wait_for(mesh, good, lambda r: r["phase"] == "gray", 150)
        self.assertRegex(release["reason"], r"^healthy: web: success rate: 0\.0 % .*; web: p90 latency: ")
        print(release["reason"])


if __name__ == "__main__":
    case.skip_without_envoy()
    case.skip_without(monitoring.missing())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
