// Gateway and Sidecar.
#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;

std::string server(const std::string& fields) {
  return of_kind("Gateway", "  servers:\n  - {" + fields + "}\n");
}
std::string gateway6(std::string_view rest) {
  return "f.yaml:6 Gateway default/x: servers[0]" + std::string(rest);
}

TEST(Gateway, IsReadWhole) {
  const auto read = spec_of<Gateway>(of_kind("Gateway", R"(  selector: {istio: ingress}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*", ./a.com, ns/*.b.com], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: [a.com], tls: {mode: SIMPLE, credentialName: a, minProtocolVersion: TLSV1_2}}
)"));
  EXPECT_EQ(read.selector, (Labels{{"istio", "ingress"}}));
  EXPECT_TRUE(read.servers.at(0).tls->https_redirect);
  EXPECT_EQ(read.servers.at(1).tls->min_version, ServerTls::Protocol::tls1_2);
  EXPECT_EQ(read.servers.at(1).position.line, 8);
}

TEST(Gateway, ChecksItsServers) {
  EXPECT_EQ(errors_of(of_kind("Gateway", "  selector: {a: b}\n")),
            Lines{"f.yaml:4 Gateway default/x: servers must have at least one server"});
  EXPECT_EQ(
      errors_of(server("hosts: [web, \"*x.com\"], port: {number: 0, protocol: SMTP}")),
      (Lines{gateway6(".port.protocol SMTP, must be one of HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, "
                      "MONGO, MYSQL, REDIS, TCP, TLS, UDP"),
             gateway6(".port.name is required"), gateway6(".port.number 0, must be 1 to 65535"),
             gateway6(
                 ".hosts[0] web, must have a full host name after the namespace, not a short one"),
             gateway6(".hosts[1] \"*x.com\", must not have a partial wildcard; only * and "
                      "*.example.com")}));
  EXPECT_EQ(
      errors_of(
          of_kind("Gateway",
                  "  servers:\n  - {port: {number: 80, name: a, protocol: HTTP}, hosts: [a.com]}\n "
                  " - {port: {number: 81, name: a, protocol: HTTP}, hosts: [a.com]}\n")),
      Lines{
          "f.yaml:7 Gateway default/x: servers[1].port.name a, must be unique among the servers"});
}

TEST(Gateway, HasTlsWhereItsProtocolHas) {
  EXPECT_EQ(errors_of(server("hosts: [a.com], port: {number: 443, name: a, protocol: HTTPS}")),
            Lines{gateway6(".tls is required by protocol HTTPS")});
  EXPECT_EQ(errors_of(server("hosts: [a.com], port: {number: 80, name: a, protocol: HTTP}, tls: "
                             "{mode: SIMPLE, credentialName: c}")),
            Lines{gateway6(".tls must have only httpsRedirect for protocol HTTP")});
  EXPECT_EQ(
      errors_of(server(
          "hosts: [a.com], port: {number: 443, name: a, protocol: HTTPS}, tls: {mode: MUTUAL}")),
      (Lines{gateway6(".tls.caCertificates is required to check clients' certificates"),
             gateway6(".tls.serverCertificate is required, or credentialName"),
             gateway6(".tls.privateKey is required, or credentialName")}));
  EXPECT_EQ(
      warnings_of(server("hosts: [a.com], port: {number: 443, name: a, protocol: TLS}, tls: {mode: "
                         "AUTO_PASSTHROUGH}")),
      Lines{gateway6(".tls.mode AUTO_PASSTHROUGH, is accepted but not supported yet: no effect")});
}

TEST(Gateway, SaysWhichServersWaitForSecretDiscovery) {
  const auto secret = [](const std::string& tls) {
    return server("hosts: [a.com], port: {number: 443, name: a, protocol: HTTPS}, tls: {" + tls +
                  "}");
  };
  const std::string rule = "is accepted but not supported yet: the server is not served";
  EXPECT_EQ(warnings_of(secret("mode: SIMPLE, credentialName: c")),
            Lines{gateway6(".tls.credentialName c, " + rule)});
  EXPECT_EQ(warnings_of(secret("mode: MUTUAL, credentialNames: [c]")),
            Lines{gateway6(".tls.credentialNames " + rule)});
  EXPECT_EQ(warnings_of(secret("mode: ISTIO_MUTUAL")),
            Lines{gateway6(".tls.mode ISTIO_MUTUAL, " + rule)});
  EXPECT_EQ(warnings_of(secret("mode: OPTIONAL_MUTUAL, serverCertificate: /a, privateKey: /b, "
                               "caCertificates: /c")),
            Lines{});
}

// A server whose TLS settings, on line 6, have these fields beside certificates.
std::string https(const std::string& tls) {
  return server(
      "hosts: [a.com], port: {number: 443, name: a, protocol: HTTPS}, tls: {mode: MUTUAL, "
      "serverCertificate: /a, privateKey: /b, caCertificates: /c, " +
      tls + "}");
}

std::vector<std::string> suites_of(const std::string& list) {
  return spec_of<Gateway>(https("cipherSuites: [" + list + "]")).servers.at(0).tls->cipher_suites;
}

TEST(Gateway, LeavesOutCipherSuitesThatEnvoyWouldRefuse) {
  using Suites = std::vector<std::string>;
  EXPECT_EQ(suites_of("ECDHE-RSA-AES128-GCM-SHA256, NO-SUCH, TLS_AES_128_GCM_SHA256, AES128-SHA, "
                      "AES128-SHA, \"\""),
            (Suites{"ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"}));
  const std::string unknown =
      ", is no cipher suite of TLS 1.2 or older that Envoy knows: it is left out";
  EXPECT_EQ(warnings_of(https("cipherSuites: [AES256-SHA, aes128-sha, TLS_AES_128_GCM_SHA256, "
                              "AES256-SHA]")),
            (Lines{gateway6(".tls.cipherSuites[1] aes128-sha" + unknown),
                   gateway6(".tls.cipherSuites[2] TLS_AES_128_GCM_SHA256" + unknown),
                   gateway6(".tls.cipherSuites[3] AES256-SHA, is there twice")}));
  EXPECT_EQ(suites_of("NO-SUCH"), Suites{}) << "Envoy's own choice";
}

TEST(Gateway, TakesOperationsOnCipherSuitesThatLeaveSome) {
  using Suites = std::vector<std::string>;
  EXPECT_EQ(suites_of("ALL, \"-DES-CBC3-SHA\", \"+AES128-SHA\", \"!AES256-SHA\", \"-NO-SUCH\""),
            (Suites{"ALL", "-DES-CBC3-SHA", "+AES128-SHA", "!AES256-SHA"}));
  EXPECT_EQ(suites_of("\"[AES128-SHA|AES256-SHA]\", \"[AES128-SHA|NO]\", \"-AES128-SHA\""),
            Suites{"[AES128-SHA|AES256-SHA]"});
  for (const char* nothing : {"\"-AES128-SHA\"", "AES128-SHA, \"!AES128-SHA\"",
                              "\"!AES128-SHA\", AES128-SHA", "ALL, \"-ALL\"", "\"+AES128-SHA\""}) {
    EXPECT_EQ(suites_of(nothing), Suites{}) << nothing;
  }
  EXPECT_EQ(warnings_of(https("cipherSuites: [\"-ALL\"]")),
            Lines{gateway6(".tls.cipherSuites leaves no cipher suite: Envoy's own choice holds")});
}

TEST(Gateway, LeavesOutCurvesThatEnvoyWouldRefuse) {
  const std::string text =
      https("ecdhCurves: [X25519MLKEM768, P-256, p-256, \"\", P-224, prime256v1, X25519]");
  EXPECT_EQ(spec_of<Gateway>(text).servers.at(0).tls->ecdh_curves,
            (std::vector<std::string>{"X25519MLKEM768", "P-256", "X25519"}));
  const std::string unknown = ", is no curve that Envoy knows: it is left out";
  EXPECT_EQ(warnings_of(text), (Lines{gateway6(".tls.ecdhCurves[2] p-256" + unknown),
                                      gateway6(".tls.ecdhCurves[4] P-224" + unknown),
                                      gateway6(".tls.ecdhCurves[5] prime256v1, is there twice")}));
}

TEST(Gateway, TakesProtocolsOfWhichALPNCanTell) {
  EXPECT_EQ(spec_of<Gateway>(https("alpnProtocols: [http/1.1, acme-tls/1]"))
                .servers.at(0)
                .tls->alpn_protocols,
            (std::vector<std::string>{"http/1.1", "acme-tls/1"}));
  const std::string rule =
      ", must be the name of one protocol, of up to 255 bytes, without a comma";
  const std::string longest(255, 'x');
  EXPECT_EQ(errors_of(https("alpnProtocols: [" + longest + "]")), Lines{});
  EXPECT_EQ(errors_of(https("alpnProtocols: [\"h2,http/1.1\"]")),
            Lines{gateway6(".tls.alpnProtocols[0] \"h2,http/1.1\"" + rule)});
  for (const std::string& bad : {longest + "x", std::string("\"\"")})
    EXPECT_EQ(errors_of(https("alpnProtocols: [" + bad + "]")).size(), 1u) << bad;
}

TEST(Gateway, NeedsCipherSuitesForOldTls) {
  const std::string rule = ", needs cipherSuites: Envoy's own have none for TLS below 1.2";
  EXPECT_EQ(warnings_of(https("minProtocolVersion: TLSV1_1")),
            Lines{gateway6(".tls.minProtocolVersion TLSV1_1" + rule)});
  EXPECT_EQ(warnings_of(https("minProtocolVersion: TLSV1_0, cipherSuites: [AES128-SHA]")), Lines{});
}

TEST(Gateway, PinsCertificatesByWholeHashesOnly) {
  const std::string hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const std::string hash_rule =
      ", must be a SHA-256 in hex: 64 digits, or 32 pairs with ':' between";
  std::string paired;
  for (std::size_t i = 0; i < hex.size(); i += 2) paired += (i == 0 ? "" : ":") + hex.substr(i, 2);
  EXPECT_EQ(errors_of(https("verifyCertificateHash: [" + hex + ", \"" + paired + "\"]")), Lines{});
  EXPECT_EQ(errors_of(https("verifyCertificateHash: [abc]")),
            Lines{gateway6(".tls.verifyCertificateHash[0] abc" + hash_rule)});
  for (const std::string& bad :
       {hex.substr(1), "g" + hex.substr(1), paired + ":00", paired.replace(2, 1, "0")}) {
    EXPECT_EQ(errors_of(https("verifyCertificateHash: [\"" + bad + "\"]")).size(), 1u) << bad;
  }
  const std::string base64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  EXPECT_EQ(errors_of(https("verifyCertificateSpki: [\"" + base64 + "\"]")), Lines{});
  EXPECT_EQ(errors_of(https("verifyCertificateSpki: [AAAA]")),
            Lines{gateway6(".tls.verifyCertificateSpki[0] AAAA, must be a SHA-256 in base64: 43 "
                           "characters and '='")});
  for (const std::string& bad :
       {hex, base64.substr(0, 43), base64.substr(0, 42) + "V=", "_" + base64.substr(1)}) {
    EXPECT_EQ(errors_of(https("verifyCertificateSpki: [\"" + bad + "\"]")).size(), 1u) << bad;
  }
}

std::string sidecar(std::string_view spec) { return of_kind("Sidecar", spec); }
std::string on(int line, std::string_view rest) {
  return "f.yaml:" + std::to_string(line) + " Sidecar default/x: " + std::string(rest);
}

TEST(Sidecar, IsReadWhole) {
  const auto read = spec_of<Sidecar>(sidecar(R"(  workloadSelector: {labels: {app: web}}
  ingress: [{port: {number: 9080, protocol: HTTP, name: a}, defaultEndpoint: "127.0.0.1:8080", captureMode: NONE}]
  egress:
  - {port: {number: 8000, protocol: HTTP}, bind: 127.0.0.1, hosts: ["*/a.com"]}
  - {hosts: ["./*", "~/*", istio-system/*]}
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
)"));
  EXPECT_EQ(read.ingress.at(0).default_endpoint, "127.0.0.1:8080");
  EXPECT_EQ(read.ingress.at(0).capture_mode, CaptureMode::none);
  EXPECT_EQ(read.egress.at(0).port->number, 8000u);
  EXPECT_FALSE(read.egress.at(1).port);
  EXPECT_EQ(read.outbound_traffic, OutboundTraffic::registry_only);
}

TEST(Sidecar, ChecksItsListeners) {
  EXPECT_EQ(errors_of(sidecar("  workloadSelector: {labels: {a: b}}\n")),
            Lines{on(4, "spec must have ingress, egress or outboundTrafficPolicy")});
  EXPECT_EQ(errors_of(sidecar("  egress:\n  - {hosts: [web]}\n  - {hosts: [./web]}\n")),
            (Lines{on(6, "egress[0].hosts[0] web, must be namespace/host"),
                   on(6, "egress[0] must have a port, as only the last listener may go without"),
                   on(7,
                      "egress[1].hosts[0] ./web, must have a full host name after the namespace, "
                      "not a short one")}));
  EXPECT_EQ(errors_of(sidecar("  ingress:\n  - {port: {number: 80}, defaultEndpoint: "
                              "\"1.2.3.4:80\"}\n  - {port: {number: 80}}\n")),
            (Lines{on(6,
                      "ingress[0].defaultEndpoint \"1.2.3.4:80\", must be 127.0.0.1:port, "
                      "0.0.0.0:port, [::1]:port, [::]:port or unix:///path"),
                   on(7, "ingress[1].port must be unique among the listeners")}));
}

TEST(Sidecar, SaysWhatHasNoEffectYet) {
  EXPECT_EQ(warnings_of(sidecar("  inboundConnectionPool: {tcp: {maxConnections: 1}}\n")),
            Lines{on(5, "inboundConnectionPool is accepted but not supported yet: no effect")});
}

}  // namespace
}  // namespace graymesh::model
