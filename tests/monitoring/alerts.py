"""For every alert: what makes it fire (with which labels), what does not, and how it ends.

FIRES[alert] = (series, labels): the series have CYCLE of trouble (2 to 12 minutes) and are well again
until the end; at TROUBLE the alert fires with these labels, at HEALED it does not.
QUIET[alert] = series with which it must never fire.

Values are promtool's: one each 15 s; `a+bxn` is a and n times b more.
"""

WEB = 'namespace="shop",service="web"'
GRAY = WEB + ',stage="gray",canarytag="feature-a",lane="feature-a"'
BASE = WEB + ',stage="normal"'
INFO = {'graymesh_application_info{namespace="shop",service="web",owner="team-web"}': "1x300",
        'graymesh_release_info{namespace="shop",service="web",canarytag="feature-a",lane="feature-a",'
        'release="web/feature-a",phase="step",owner="team-web",started_by="ann"}': "1x300"}
UP = {'up{job="graymesh-sidecars",pod="web-0"}': "1x300", 'up{job="graymeshd",instance="m"}': "1x300"}

SERVICE = {"namespace": "shop", "service": "web", "owner": "team-web"}
VERSION = {**SERVICE, "stage": "gray", "canarytag": "feature-a", "lane": "feature-a"}
MESH = {"owner": "mesh"}

# A counter that rests, runs for 10 minutes, rests; a gauge that is good, bad for 10 minutes, good.
BURST, STEADY, RESTING = "0x8 0+15x40 600x250", "0+150x300", "7x300"


def gauge(good, bad):
    return f"{good}x8 {bad}x40 {good}x250"


def rq(labels, code, pod="web-0"):
    return f'envoy_cluster_upstream_rq{{pod="{pod}",{labels},response_code_class="{code}"}}'


FIRES = {
    "NoAvailableService": ({f'envoy_cluster_upstream_cx_active{{pod="a",{WEB}}}': gauge(2, 0),
                            f'envoy_cluster_upstream_cx_active{{pod="b",{WEB}}}': "0x300"}, SERVICE),
    "ServiceAnswered503": ({f'envoy_cluster_upstream_rq_503{{pod="web-0",{BASE}}}': BURST}, SERVICE),
    "BusinessIrregularity": ({rq(BASE, "4xx"): BURST}, SERVICE),
    "ServiceUnavailable": ({f'envoy_cluster_upstream_cx_none_healthy{{pod="web-0",{BASE}}}': BURST,
                            f'envoy_cluster_upstream_cx_rx_bytes_total{{pod="web-0",{BASE}}}': RESTING,
                            rq(BASE, "5xx"): BURST}, SERVICE),
    "ServiceHasNoInstance": ({f'graymesh_service_endpoints{{{WEB},health="healthy"}}': gauge(2, 0)}, SERVICE),
    "ServiceAnswers503": ({f'envoy_cluster_upstream_rq_503{{pod="web-0",{GRAY}}}': BURST, rq(GRAY, "5xx"): BURST,
                           rq(GRAY, "2xx"): STEADY}, VERSION),
    "ServiceErrors": ({rq(GRAY, "5xx"): BURST, rq(GRAY, "2xx"): STEADY}, VERSION),
    "ServiceRefusesRequests": ({rq(GRAY, "4xx"): "0x8 0+300x40 12000x250", rq(GRAY, "2xx"): STEADY}, VERSION),
    "GrayWorseThanBaseline": ({rq(GRAY, "5xx"): BURST, rq(GRAY, "2xx"): STEADY, rq(BASE, "2xx"): STEADY},
                              {**SERVICE, "canarytag": "feature-a", "lane": "feature-a"}),
    "ServiceTelemetryVanished": ({f'envoy_cluster_upstream_rq_total{{pod="web-0",{WEB}}}': "0+1x8 _x40 9+1x250",
                                  f'graymesh_service_endpoints{{{WEB},health="healthy"}}': "2x300"}, SERVICE),
    "ControlPlaneDown": ({'up{job="graymeshd",instance="m"}': gauge(1, 0)}, MESH),
    "ControlPlaneRestarts": ({'process_start_time_seconds{job="graymeshd",instance="m"}': "100x8 101+15x40 700x250"},
                             {**MESH, "instance": "m"}),
    "ProxiesCutOff": ({'envoy_control_plane_connected_state{pod="web-0"}': gauge(1, 0)}, MESH),
    "SidecarNotScraped": ({'up{job="graymesh-sidecars",pod="web-0"}': gauge(1, 0)}, MESH),
    "ProxyMissing": ({"graymesh_proxies_missing": gauge(0, 1)}, MESH),
    "ProxyStale": ({'graymesh_proxy_stale_seconds{source_namespace="shop",pod="web-0"}': "_x8 15+15x40 _x250"},
                   {**MESH, "pod": "web-0"}),
    "ProxyRefusesConfiguration": ({'graymesh_proxy_refusals{type="RDS"}': gauge(0, 2)}, {**MESH, "type": "RDS"}),
    "NacksRise": ({'graymesh_xds_nacks_total{type="rds"}': "0x8 0+1x40 40x250"}, {**MESH, "type": "rds"}),
    "ConfigurationRefused": ({'graymesh_objects_refused{kind="VirtualService"}': gauge(0, 1)},
                             {**MESH, "kind": "VirtualService"}),
    "PushSlow": ({'graymesh_xds_convergence_seconds_bucket{le="5"}': "0+1x300",
                  'graymesh_xds_convergence_seconds_bucket{le="10"}': "0+1x8 11+3x40 140+1x250",
                  'graymesh_xds_convergence_seconds_bucket{le="+Inf"}': "0+1x8 11+3x40 140+1x250"}, MESH),
    "ReconnectStorm": ({"graymesh_xds_streams_opened_total": "10x8 10+10x40 410x250",
                        'graymesh_xds_streams{protocol="delta"}': "10x300"}, MESH),
    "ProxiesSentAllAgain": ({'graymesh_xds_resyncs_total{type="cds"}': "0x8 0+1x40 40x250",
                             'graymesh_xds_streams{protocol="delta"}': "50x300",
                             'graymesh_xds_streams{protocol="sotw"}': "50x300"}, {**MESH, "type": "cds"}),
    "CertificateNearItsEnd": ({'envoy_server_days_until_first_cert_expiring{pod="web-0"}': gauge(60, 3)},
                              {**MESH, "pod": "web-0"}),
    "LaneLeaks": ({f'graymesh_lane_lost_requests{{{WEB},lane="feature-a",to="cart.shop"}}': "0x8 0+2x40 82x250"},
                  {**SERVICE, "lane": "feature-a", "to": "cart.shop"}),
    # The phase began at 2 minutes, and ends after 15.
    "ReleaseStuck": ({'graymesh_release_phase_started_seconds{namespace="shop",release="web/feature-a",phase="routes",'
                      'waits="mesh"}': "_x8 120x40 _x250"},
                     {"namespace": "shop", "release": "web/feature-a", "owner": "team-web"}),
    "ReleaseMissesProxies": ({'graymesh_release_proxies_missing{namespace="shop",release="web/feature-a"}': gauge(0, 3)},
                             {"namespace": "shop", "release": "web/feature-a", "owner": "team-web"}),
    "MonitoringDown": ({'up{job="alertmanager",instance="a"}': gauge(1, 0)}, {**MESH, "job": "alertmanager"}),
    "RulesFail": ({'prometheus_rule_evaluation_failures_total{instance="p",rule_group="g"}': "0x8 0+1x40 40x250"}, MESH),
}

QUIET = {
    # Weaknesses of the three rules, which the ones beside them do not have.
    "ServiceUnavailable": {f'envoy_cluster_upstream_cx_active{{pod="a",{WEB}}}': "0x300",  # never called
                           # One of two is dead, of HTTP or of TCP.
                           f'envoy_cluster_upstream_cx_connect_fail{{pod="web-0",{BASE}}}': BURST,
                           f'envoy_cluster_upstream_cx_rx_bytes_total{{pod="web-0",{BASE}}}': STEADY},
    "ServiceHasNoInstance": {f'graymesh_service_endpoints{{{WEB},health="healthy"}}': "0x300"},  # never had one
    "ServiceAnswers503": {f'envoy_cluster_upstream_rq_503{{pod="web-0",{BASE}}}': RESTING, rq(BASE, "5xx"): RESTING},
    "ServiceErrors": {rq(BASE, "3xx"): BURST, rq(BASE, "4xx"): BURST, rq(BASE, "5xx"): RESTING},
    "ServiceRefusesRequests": {rq(BASE, "3xx"): STEADY, rq(BASE, "4xx"): RESTING},
    "GrayWorseThanBaseline": {rq(GRAY, "5xx"): BURST, rq(GRAY, "2xx"): STEADY,  # the baseline fails as often
                              rq(BASE, "5xx"): BURST, rq(BASE, "2xx"): STEADY},
    "ServiceTelemetryVanished": {f'envoy_cluster_upstream_rq_total{{pod="web-0",{WEB}}}': "0+1x8 _x290",
                                 f'graymesh_service_endpoints{{{WEB},health="healthy"}}': "0x300"},  # taken away
    "ControlPlaneRestarts": {'process_start_time_seconds{job="graymeshd",instance="m"}': "100x20 400x280"},  # an upgrade
    "ProxyStale": {'graymesh_proxy_stale_seconds{source_namespace="shop",pod="web-0"}': "2x300"},
    "PushSlow": {'graymesh_xds_convergence_seconds_bucket{le="5"}': "0+2x300",
                 'graymesh_xds_convergence_seconds_bucket{le="+Inf"}': "0+2x300"},
    "ReconnectStorm": {"graymesh_xds_streams_opened_total": "0x8 0+1x20 20x250",  # a rollout
                       'graymesh_xds_streams{protocol="delta"}': "20x300"},
    "ProxiesSentAllAgain": {'graymesh_xds_resyncs_total{type="cds"}': "0x8 0+1x4 4x250",  # a few of a hundred
                            'graymesh_xds_streams{protocol="delta"}': "100x300"},
    "CertificateNearItsEnd": {'envoy_server_days_until_first_cert_expiring{pod="a"}': "4294967295x300"},  # has none
    "LaneLeaks": {f'graymesh_lane_lost_requests{{{WEB},lane="feature-a",to="cart.shop"}}': "82x300"},
    "ReleaseStuck": {'graymesh_release_phase_started_seconds{namespace="shop",release="web/feature-a",phase="gray",'
                     'waits="people"}': "0x300"},
    "NacksRise": {'graymesh_xds_nacks_total{type="rds"}': "5x300"},
}
# Quiet while their good value stands is what the beginning and the end of FIRES show.
