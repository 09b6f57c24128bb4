// /api/v1/live before a Gatherer, Calls and Taps that hear of made-up proxies.
#include "api/live.h"

#include <gmock/gmock.h>

#include <thread>

#include "api/answers.h"

namespace graymesh::api {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* cart = "outbound|8080|feature-a|cart.fe-pre.svc.cluster.local";

class LiveApi : public ::testing::Test {
 public:
  LiveApi() {
    table.know({.lanes = {{"fe-pre", "feature-a"}}, .applications = {}});
    teller.side = traffic::Teller::Side::outbound;
    teller.proxy = "sidecar~127.1.1.1~web-0.fe-pre~fe-pre.svc.cluster.local";
    Live::add_to(routes, &live);
    port = http.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { http.listen_after_bind(); });
    while (!http.is_running()) std::this_thread::sleep_for(1ms);
  }
  ~LiveApi() override {
    live.stop();
    http.stop();
    thread.join();
  }

  httplib::Result get(const std::string& path) {
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(20);
    return client.Get("/api/v1/live/" + path);
  }
  json page(const std::string& path) {
    const auto answer = get(path);
    EXPECT_TRUE(answer && answer->status == 200) << (answer ? answer->body : "no answer");
    return json::parse(answer->body);
  }
  traffic::Request request(const std::string& lane, std::uint16_t code) const {
    traffic::Request out{.lane = lane, .id = "id-1", .cluster = cart, .code = code, .ms = 4};
    out.details = traffic::Details{.method = "GET",
                                   .authority = "cart",
                                   .path = "/a?b=c",
                                   .upstream = "127.1.1.2:8080",
                                   .flags = "UF"};
    return out;
  }

  SystemClock clock;
  metrics::Registry metrics;
  traffic::Table table{clock};
  traffic::Teller teller{.who = {.namespace_ = "fe-pre", .application = "web"}, .version = "v1"};
  const std::vector<gather::Proxy> there = {
      {.id = "sidecar~127.1.1.2~cart-0.fe-pre~fe-pre.svc.cluster.local",
       .stats = "127.1.1.2:15090",
       .who = {.namespace_ = "fe-pre", .workload = "cart", .tag = "feature-a", .version = "v7"}}};
  gather::Gatherer gatherer{{.fetch = [](const std::string&) -> Result<std::string> {
                               return Error{Code::unavailable, "gone"};
                             },
                             .proxies = [this] { return there; },
                             .met = [](const gather::Proxy&) {},
                             .clock = clock,
                             .metrics = metrics}};
  gather::Calls calls{clock};
  gather::Taps taps{{.post = [](const std::string&) -> Status { return {}; },
                     .proxies = [this] { return there; },
                     .clock = clock}};
  Live live{{.gatherer = gatherer, .calls = &calls, .taps = &taps}, clock};
  httplib::Server http;
  Routes routes{http, nullptr};
  int port = 0;
  std::thread thread;
};

TEST_F(LiveApi, ShowsCallsOfALaneByEdgeAndByService) {
  calls.record(teller, {request("feature-a", 200), request("feature-a", 503)}, table);
  const json edges = page("edges?lane=feature-a&seconds=60");
  ASSERT_EQ(edges["items"].size(), 1u) << edges;
  EXPECT_EQ(edges["source"], "requests");
  EXPECT_EQ(edges["items"][0]["from"]["workload"], "web");
  EXPECT_EQ(edges["items"][0]["to"]["canarytag"], "feature-a");
  EXPECT_EQ(edges["items"][0]["to"]["version"], "v7");
  EXPECT_EQ(edges["items"][0]["requests"], 2);
  EXPECT_EQ(page("services?lane=feature-a&service=cart")["items"][0]["success"], 0.5);
  EXPECT_EQ(page("edges?lane=feature-a&service=pay")["items"], json::array());
}

TEST_F(LiveApi, RefusesWhatItDoesNotUnderstand) {
  EXPECT_THAT(get("edges?seconds=0")->body, HasSubstr("seconds"));
  EXPECT_THAT(get("services?seconds=601")->body, HasSubstr("seconds"));
  EXPECT_THAT(get("tap?code=abc")->body, HasSubstr("code is abc, must be one as 503 or 5xx, or 0"));
  EXPECT_THAT(get("tap?method=get")->body, HasSubstr("method is get"));
  EXPECT_EQ(get("tap?perSecond=0")->status, 400);
}

TEST_F(LiveApi, SaysThatNobodyTellsOfRequests) {
  Live deaf({.gatherer = gatherer}, clock);
  httplib::Server other;
  Routes its_routes(other, nullptr);
  Live::add_to(its_routes, &deaf);
  const int its_port = other.bind_to_any_port("127.0.0.1");
  std::thread its_thread([&] { other.listen_after_bind(); });
  while (!other.is_running()) std::this_thread::sleep_for(1ms);
  httplib::Client client("127.0.0.1", its_port);
  for (const char* path : {"/api/v1/live/edges?lane=a", "/api/v1/live/tap"}) {
    const auto answer = client.Get(path);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 501);
    EXPECT_THAT(answer->body, HasSubstr("tell nothing of requests"));
  }
  other.stop();
  its_thread.join();
}

TEST_F(LiveApi, NamesProxiesThatCannotBeAskedToTellMore) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(20);
  std::string text;
  (void)client.Get("/api/v1/live/tap", [&](const char* bytes, std::size_t size) {
    text.append(bytes, size);
    return text.find("event: left") == std::string::npos || !text.ends_with("\n\n");
  });
  for (const std::string event : {"begin", "left"}) {
    const auto at = text.find("event: " + event + "\ndata: ") + event.size() + 14;
    const json told = json::parse(text.substr(at, text.find('\n', at) - at));
    EXPECT_EQ(told["outOfReach"], 1) << event;
    EXPECT_EQ(told["outOfReachNames"], json({"cart-0.fe-pre"})) << event;
  }
}

TEST_F(LiveApi, StreamsRequestsToWhoTaps) {
  httplib::Client client("127.0.0.1", port);
  client.set_read_timeout(20);
  std::string text;
  bool told = false;
  (void)client.Get(
      "/api/v1/live/tap?lane=feature-a&service=cart", [&](const char* bytes, std::size_t size) {
        text.append(bytes, size);
        if (!told && text.find("event: begin") != std::string::npos) {
          told = true;
          taps.record(teller, {request("other", 200), request("feature-a", 503)});
        }
        return text.find("event: request") == std::string::npos || !text.ends_with("\n\n");
      });
  const auto at = text.find("event: request\ndata: ");
  ASSERT_NE(at, std::string::npos) << text;
  const json shown = json::parse(text.substr(at + 21, text.find('\n', at + 21) - at - 21));
  EXPECT_EQ(shown["code"], 503);
  EXPECT_EQ(shown["path"], "/a?b=c");
  EXPECT_EQ(shown["flags"], "UF");
  EXPECT_EQ(shown["from"]["instance"], "web-0");
  EXPECT_EQ(shown["to"]["instance"], "cart-0") << "who answered";
  for (int i = 0; i < 2000 && taps.any(); ++i) std::this_thread::sleep_for(5ms);
  EXPECT_FALSE(taps.any()) << "who goes away taps no more";
}

}  // namespace
}  // namespace graymesh::api
