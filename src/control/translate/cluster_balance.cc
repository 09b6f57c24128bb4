// Choosing among a cluster's endpoints: balancing and ejection (docs/translation.md 2.6, 2.7).
#include <algorithm>

#include "control/translate/cluster.h"
#include "control/translate/endpoint.h"
#include "control/translate/wire.h"
#include "envoy/config/cluster/v3/cluster.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::cluster::v3::OutlierDetection;

// A threshold and how surely it ejects: 0 means never.
void set_threshold(const std::optional<std::uint32_t>& errors,
                   google::protobuf::UInt32Value& threshold,
                   google::protobuf::UInt32Value& enforcing) {
  threshold.set_value(*errors);
  enforcing.set_value(*errors > 0 ? 100 : 0);
}

void set_slow_start(const model::Warmup& warmup, Cluster::SlowStartConfig& out) {
  set_duration(*out.mutable_slow_start_window(), warmup.duration);
  auto& aggression = *out.mutable_aggression();
  aggression.set_default_value(warmup.aggression.value_or(1.0));
  aggression.set_runtime_key("graymesh.slow_start_aggression");  // Envoy wants one
  out.mutable_min_weight_percent()->set_value(warmup.minimum_percent.value_or(10.0));
}

void set_hashing(const model::ConsistentHash& hash, Cluster& out) {
  if (hash.maglev_table_size) {
    out.set_lb_policy(Cluster::MAGLEV);
    if (*hash.maglev_table_size > 0) {
      out.mutable_maglev_lb_config()->mutable_table_size()->set_value(*hash.maglev_table_size);
    }
    return;
  }
  out.set_lb_policy(Cluster::RING_HASH);
  auto& ring = *out.mutable_ring_hash_lb_config();
  // Envoy refuses more than its maximum_ring_size, 8M.
  ring.mutable_minimum_ring_size()->set_value(
      std::min<std::uint64_t>(hash.minimum_ring_size.value_or(1024), 8u << 20));
}

Cluster::LbPolicy simple_policy(Client client, model::LoadBalancer::Simple simple) {
  using Simple = model::LoadBalancer::Simple;
  // gRPC refuses a cluster whose policy it does not know; every version knows ROUND_ROBIN.
  if (client == Client::proxyless) return Cluster::ROUND_ROBIN;
  switch (simple) {
    case Simple::random:
      return Cluster::RANDOM;
    case Simple::round_robin:
      return Cluster::ROUND_ROBIN;
    case Simple::unspecified:
    case Simple::least_request:
    case Simple::passthrough:
      break;
  }
  return Cluster::LEAST_REQUEST;
}

// Below this share of healthy endpoints Envoy asks the others as well; 0: never.
//
// Ours: the merge window. Envoy gathers health changes for a second after the first. When the
// second of two hosts is ejected, that second is full of errors; at 0 it takes some milliseconds.
void set_panic_threshold(std::int32_t percent, Cluster& out) {
  auto& common = *out.mutable_common_lb_config();
  common.mutable_healthy_panic_threshold()->set_value(percent);
  common.mutable_update_merge_window();
}

void set_given_detection(const model::OutlierDetection* rule, Cluster& out) {
  if (!rule) return;
  OutlierDetection& to = *out.mutable_outlier_detection();
  to.mutable_enforcing_success_rate()->set_value(0);
  if (rule->consecutive_5xx_errors) {
    set_threshold(rule->consecutive_5xx_errors, *to.mutable_consecutive_5xx(),
                  *to.mutable_enforcing_consecutive_5xx());
  }
  if (rule->consecutive_gateway_errors) {
    set_threshold(rule->consecutive_gateway_errors, *to.mutable_consecutive_gateway_failure(),
                  *to.mutable_enforcing_consecutive_gateway_failure());
  }
  if (rule->interval) set_duration(*to.mutable_interval(), *rule->interval);
  if (rule->base_ejection_time)
    set_duration(*to.mutable_base_ejection_time(), *rule->base_ejection_time);
  if (rule->max_ejection_percent > 0) {
    to.mutable_max_ejection_percent()->set_value(
        static_cast<std::uint32_t>(rule->max_ejection_percent));
  }
  if (rule->split_external_local_origin_errors) {
    to.set_split_external_local_origin_errors(true);
    to.mutable_enforcing_local_origin_success_rate()->set_value(0);
    if (rule->consecutive_local_origin_failures.value_or(0) > 0) {
      set_threshold(rule->consecutive_local_origin_failures,
                    *to.mutable_consecutive_local_origin_failure(),
                    *to.mutable_enforcing_consecutive_local_origin_failure());
    }
  }
  set_panic_threshold(rule->min_health_percent, out);
}

// Where a fallback stands ready, and the rule says nothing: connections that fail eject, answers do
// not. A failing connection more than twice in a row is no accident; a retry has gone to the
// fallback before.
void set_fallback_detection(OutlierDetection& out) {
  using namespace std::chrono_literals;
  out.set_split_external_local_origin_errors(true);
  out.mutable_consecutive_local_origin_failure()->set_value(3);
  out.mutable_enforcing_consecutive_local_origin_failure()->set_value(100);
  out.mutable_enforcing_local_origin_success_rate()->set_value(0);
  out.mutable_enforcing_success_rate()->set_value(0);
  out.mutable_enforcing_consecutive_5xx()->set_value(0);
  out.mutable_enforcing_consecutive_gateway_failure()->set_value(0);
  set_duration(*out.mutable_interval(), 500ms);
  set_duration(*out.mutable_base_ejection_time(), 2s);
  // Envoy ejects for longer each time; so a lane that comes back is met again within this.
  set_duration(*out.mutable_max_ejection_time(), 10s);
}

// All endpoints may be ejected, at once, and none is asked in a panic: the fallback answers.
void set_fallback(Cluster& out) {
  if (!out.has_outlier_detection()) set_fallback_detection(*out.mutable_outlier_detection());
  auto& detection = *out.mutable_outlier_detection();
  if (!detection.has_max_ejection_percent())
    detection.mutable_max_ejection_percent()->set_value(100);
  set_panic_threshold(0, out);
}

}  // namespace

void set_outlier_detection(const ClusterInput& input, Cluster& out) {
  set_given_detection(input.policy.outlier_detection, out);
  if (input.falls_back) set_fallback(out);
  // Endpoints that are not ready are among them, so that others take over.
  const bool balances = out.lb_policy() != Cluster::CLUSTER_PROVIDED;
  if (balances && input.service.distribution != model::TrafficDistribution::any)
    set_panic_threshold(0, out);
}

void set_load_balancing(const ClusterInput& input, Cluster& out) {
  const auto* rule = input.policy.load_balancer;
  out.set_lb_policy(
      simple_policy(input.client, rule ? rule->simple : model::LoadBalancer::Simple::unspecified));
  if (rule && rule->warmup && input.client != Client::proxyless) {
    if (out.lb_policy() == Cluster::LEAST_REQUEST) {
      set_slow_start(*rule->warmup,
                     *out.mutable_least_request_lb_config()->mutable_slow_start_config());
    } else if (out.lb_policy() == Cluster::ROUND_ROBIN) {
      set_slow_start(*rule->warmup,
                     *out.mutable_round_robin_lb_config()->mutable_slow_start_config());
    }
  }
  if (rule && rule->consistent_hash) {
    set_hashing(*rule->consistent_hash, out);
    if (input.client == Client::proxyless && out.lb_policy() == Cluster::MAGLEV) {
      out.set_lb_policy(Cluster::RING_HASH);  // the nearest that gRPC has
      out.clear_maglev_lb_config();
    }
  }
  if (locality_rule(input.mesh, input.service, input.policy).weighted &&
      input.client != Client::proxyless) {
    out.mutable_common_lb_config()->mutable_locality_weighted_lb_config();
  }
}

}  // namespace graymesh::translate
