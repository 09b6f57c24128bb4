// Calls as a client sees them, frame by frame (PROTOCOL-HTTP2.md of gRPC).
#include <thread>

#include "control/rpc/server_fixture.h"

namespace graymesh::rpc {
namespace {

using namespace std::chrono_literals;

class Calls : public RpcServer {};

TEST_F(Calls, MessagesGoBothWaysAndTheEndIsTold) {
  RawClient client(server->port());
  client.call(1, "/t/Echo");
  client.send(1, framed("one") + framed("two"), end_stream);
  client.ends_with_trailers = true;
  const auto heard = client.hears(1);
  EXPECT_EQ(heard.headers.at(":status"), "200");
  EXPECT_EQ(heard.headers.at("content-type"), "application/grpc");
  EXPECT_EQ(heard.headers.at("grpc-accept-encoding"), "identity");
  EXPECT_EQ(heard.messages, (std::vector<std::string>{"heard one", "heard two"}));
  EXPECT_EQ(heard.status(), "0");
  EXPECT_EQ(heard.trailers.at("said"), "all");
  EXPECT_FALSE(heard.reset) << "both sides have ended";
}

TEST_F(Calls, AMessageMayComeByteByByte) {
  RawClient client(server->port());
  client.call(1, "/t/Echo");
  for (const char c : framed("slowly") + framed("")) client.send(1, {&c, 1});
  client.send(1, "", end_stream);
  client.ends_with_trailers = true;
  EXPECT_EQ(client.hears(1).messages, (std::vector<std::string>{"heard slowly", "heard "}));
}

TEST_F(Calls, AnEndBeforeAnyMessageIsTrailersOnlyAndTheRestOfTheRequestIsNotWanted) {
  RawClient client(server->port());
  client.call(1, "/t/Held");
  held()->finish(Error{Code::not_found, "50 % of \"gr\xc3\xbc\xc3\x9f\"\n"}, {{"more", "x"}});
  const auto heard = client.hears(1);
  EXPECT_EQ(heard.headers, heard.trailers);
  EXPECT_EQ(heard.headers.at(":status"), "200");
  EXPECT_EQ(heard.status(), "5");
  EXPECT_EQ(heard.trailers.at("grpc-message"), "50 %25 of \"gr%C3%BC%C3%9F\"%0A");
  EXPECT_EQ(heard.trailers.at("more"), "x");
  EXPECT_EQ(heard.reset, NGHTTP2_NO_ERROR);
  EXPECT_EQ(diary->next(), "done 5");
}

TEST_F(Calls, WhatIsNoCallOfGrpcIsToldSoInHttp) {
  RawClient client(server->port());
  client.call(1, "/t/Echo", {{"content-type", "application/json"}});
  EXPECT_EQ(client.hears(1).headers.at(":status"), "415");
  client.call(3, "/t/Echo", {{"content-type", ""}});
  EXPECT_EQ(client.hears(3).headers.at(":status"), "415");
  client.call(5, "/t/Echo", {{"content-type", "application/grpcx"}});
  EXPECT_EQ(client.hears(5).headers.at(":status"), "415");
  client.call(7, "/t/Echo", {{":method", "GET"}});
  EXPECT_EQ(client.hears(7).headers.at(":status"), "405");
  client.call(9, "/t/Echo", {{"te", ""}});
  EXPECT_EQ(client.hears(9).headers.at(":status"), "400");
  client.call(11, "/t/Echo", {{"content-type", "application/grpc+proto"}}, end_stream);
  client.ends_with_trailers = true;
  EXPECT_EQ(client.hears(11).status(), "0");
}

TEST_F(Calls, OtherMethodsAreUnimplemented) {
  RawClient client(server->port());
  client.call(1, "/t/Other");
  const auto heard = client.hears(1);
  EXPECT_EQ(heard.status(), "12");
  EXPECT_EQ(heard.trailers.at("grpc-message"), "nothing here is called /t/Other");
}

TEST_F(Calls, CompressedMessagesAreRefusedAsTheSpecificationSays) {
  RawClient client(server->port());
  std::string message = framed("x");
  message[0] = 1;
  client.call(1, "/t/Echo", {{"grpc-encoding", "gzip"}});
  client.send(1, message);
  const auto heard = client.hears(1);
  EXPECT_EQ(heard.status(), "12");
  EXPECT_EQ(heard.headers.at("grpc-accept-encoding"), "identity");
  client.call(3, "/t/Echo");
  client.send(3, message);
  EXPECT_EQ(client.hears(3).status(), "13");
  client.call(5, "/t/Echo", {{"grpc-encoding", "gzip"}});
  client.send(5, framed("plain"), end_stream);
  client.ends_with_trailers = true;
  EXPECT_EQ(client.hears(5).messages, std::vector<std::string>{"heard plain"});
}

TEST_F(Calls, TheTimeThatAClientGivesIsHeeded) {
  RawClient client(server->port());
  client.call(1, "/t/Held", {{"grpc-timeout", "80m"}});
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(client.hears(1).status(), "4");
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 70ms);
  EXPECT_EQ(diary->next(), "done 4");
  client.call(3, "/t/Held", {{"grpc-timeout", "soon"}});
  EXPECT_EQ(client.hears(3).status(), "13");
}

TEST_F(Calls, TheClientsEndIsHeardWhenItIsAskedFor) {
  RawClient client(server->port());
  client.call(1, "/t/Held");
  client.send(1, framed("last"), end_stream);
  const auto call = held();
  EXPECT_EQ(diary->next(50ms), "nothing");
  call->read();
  EXPECT_EQ(diary->next(), "message last");
  EXPECT_EQ(diary->next(50ms), "nothing");
  call->read();
  EXPECT_EQ(diary->next(), "end");
  call->finish({});
  EXPECT_EQ(diary->next(), "done 0");
  client.ends_with_trailers = true;
  EXPECT_EQ(client.hears(1).status(), "0");
}

TEST_F(Calls, AMessageThatIsCutOffIsAnError) {
  RawClient client(server->port());
  client.call(1, "/t/Echo");
  client.send(1, framed("whole").substr(0, 7), end_stream);
  client.ends_with_trailers = true;
  const auto heard = client.hears(1);
  EXPECT_EQ(heard.status(), "13");
  EXPECT_EQ(heard.trailers.at("grpc-message"), "the last message is not whole");
}

TEST_F(Calls, AClientThatResetsOrGoesIsHeardOf) {
  {
    RawClient client(server->port());
    client.call(1, "/t/Held");
    (void)held();
    client.say(NGHTTP2_RST_STREAM, 0, 1, big_endian(NGHTTP2_CANCEL));
    EXPECT_EQ(diary->next(), "done 1");
    client.call(3, "/t/Held");
    (void)held();
  }
  EXPECT_EQ(diary->next(), "done 1");
}

TEST_F(Calls, NothingHappensToACallThatIsOver) {
  CallPtr call;
  {
    RawClient client(server->port());
    client.call(1, "/t/Held");
    call = held();
  }
  EXPECT_EQ(diary->next(), "done 1");
  const auto all = [&] {
    call->read();
    call->write({.head = "x", .body = {}});
    call->finish({});
    call->cancel();
  };
  all();
  server.reset();
  all();
  EXPECT_EQ(diary->next(50ms), "nothing");
}

TEST_F(Calls, TheFirstEndCounts) {
  RawClient client(server->port());
  client.call(1, "/t/Held");
  const auto call = held();
  call->write({.head = "before it", .body = {}});
  call->finish(Error{Code::aborted, "first"});
  call->finish({});
  call->write({.head = "too late", .body = {}});
  const auto heard = client.hears(1);
  EXPECT_EQ(heard.messages, std::vector<std::string>{"before it"});
  EXPECT_EQ(heard.status(), "10");
}

// 3 MB, a client that takes them as its windows of 64 kB allow.
TEST_F(Calls, SharedBytesArriveWholeAndAreLetGoOf) {
  auto body = std::make_shared<std::string>();
  for (int i = 0; i < 300'000; ++i) *body += "0123456789";
  (*body)[1'234'567] = 'x';
  const std::weak_ptr<std::string> kept = body;
  RawClient client(server->port());
  client.call(1, "/t/Held");
  const auto call = held();
  call->write({.head = "head", .body = {*body, body}});
  const std::string expected = "head" + *body;
  body.reset();
  std::jthread ends([&] {
    EXPECT_EQ(diary->next(), "written");
    call->finish({});
  });
  const auto heard = client.hears(1);
  ASSERT_EQ(heard.messages.size(), 1u);
  EXPECT_TRUE(heard.messages[0] == expected);
  EXPECT_TRUE(kept.expired());
}

TEST_F(Calls, EveryThreadMayWrite) {
  RawClient client(server->port());
  std::vector<CallPtr> calls;
  calls.reserve(8);
  for (int i = 0; i < 8; ++i) {
    client.call(1 + 2 * i, "/t/Held");
    calls.push_back(held());
  }
  {
    std::vector<std::jthread> threads;
    threads.reserve(calls.size());
    for (const auto& call : calls) {
      threads.emplace_back([&] {
        call->write({.head = "x", .body = {}});
        call->finish({});
      });
    }
  }
  int ends = 0;
  while (ends < 8) {
    const auto found = client.next();
    ASSERT_TRUE(found);
    if (found->type == headers && (found->flags & end_stream) != 0) ++ends;
  }
}

TEST_F(Calls, PeersAreNamedAsGrpcDoes) {
  RawClient client(server->port());
  client.call(1, "/t/Held");
  sockaddr_in own{};
  socklen_t size = sizeof own;
  ::getsockname(client.socket(), reinterpret_cast<sockaddr*>(&own), &size);
  const auto call = held();
  EXPECT_EQ(call->peer(), "ipv4:127.0.0.1:" + std::to_string(ntohs(own.sin_port)));
  EXPECT_EQ(call->method(), "/t/Held");
  EXPECT_GT(call->distance(), 0us);
}

TEST_F(Calls, ClosingTellsClientsAndLetsCallsGoOn) {
  RawClient client(server->port());
  client.call(1, "/t/Held");
  const auto call = held();
  server->close();
  const auto away = client.next_of(NGHTTP2_GOAWAY);
  ASSERT_TRUE(away);
  EXPECT_EQ(away->code(), NGHTTP2_NO_ERROR);
  EXPECT_EQ(away->number(0), 1u);
  client.send(1, framed("still"));
  call->read();
  EXPECT_EQ(diary->next(), "message still");
  call->finish({});
  EXPECT_EQ(client.hears(1).status(), "0");
  EXPECT_TRUE(client.is_ended()) << "nothing is left to be said";
}

TEST_F(Calls, EachIsDoneWhenTheServerIsGone) {
  RawClient client(server->port());
  client.call(1, "/t/Held");
  const auto call = held();
  server.reset();
  EXPECT_EQ(diary->next(0ms), "done 1");
  EXPECT_TRUE(client.is_ended());
}

TEST_F(Calls, APortThatIsTakenAndAnAddressThatIsNoneAreErrors) {
  const auto taken =
      Server::start({.name = "xDS", .address = "127.0.0.1:" + std::to_string(server->port())});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::unavailable);
  EXPECT_TRUE(taken.error().message.starts_with("xDS cannot listen on 127.0.0.1:"));
  const auto none = Server::start({.address = "nowhere"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace graymesh::rpc
