// Inside the room: how much two streams of good and bad requests say about one claim, as a stake
// that grows while the claim looks true. It may be looked at after every request, for ever: if the
// claim is false, the chance that the stake ever reaches 1/alpha is at most alpha (Ville, 1939).
//
// Time is cut into strata in which both versions had requests. Let gray fail with probability g and
// the baseline with b, both free to change from stratum to stratum. For the claim "gray is worse by
// more than `margin`" we bet in each stratum on one alternative (b*, g* = b* + margin + d) against
// the law that is nearest to it among all with g <= b + margin:
//
//   factor = P(what was seen | b*, g*) / P(what was seen | b0, g0)
//   (b0, g0) = the minimum of n_b KL(b*|b) + n_g KL(g*|g) over g <= b + margin
//
// Its mean is at most 1 for EVERY b and g with g <= b + margin: the log of the mean is concave in
// (b, g) and its gradient at (b0, g0) points out of that convex set (Turner, Ly, Grünwald, "Generic
// e-variables for exact sequential k-sample tests", 2024; Turner, Grünwald, "Exact anytime-valid
// confidence intervals for contingency tables and beyond", 2023). So a baseline that is bad at the
// same time costs nothing but patience. "Gray is as good" is the same with the roles exchanged and
// the margin negated. b* is learned from the strata before; several d are bet on side by side, and
// some of the stake starts anew with each stratum, so that a version that turns bad after a good
// hour is found soon.
//
// What makes it hold up where requests are not independent: the log of a factor is divided by the
// dispersion of the difference as seen so far, one stratum multiplies the stake by at most e^1.5,
// and a part of the stake is never put on. All three only ever make the stake smaller on average.
#pragma once

#include <array>
#include <cstdint>

#include "release/verdict/verdict.h"

namespace graymesh::verdict {

inline constexpr std::array worse_by{0.004, 0.01, 0.02, 0.05, 0.15, 0.5};
inline constexpr std::array worse_share{0.15, 0.2, 0.25, 0.2, 0.1, 0.1};
// In margins: half way, as good as the baseline, better.
inline constexpr std::array better_by{0.5, 1.0, 1.6};
inline constexpr std::array better_share{0.25, 0.5, 0.25};

// Reads the failure rate of the baseline that is to be expected.
double expected_failure(const Learned& learned);
// By how much the difference varies more than independent requests would; at least 1.
double dispersion(const Learned& learned);
// Takes a stratum into what is known; after it was bet on.
void learn(Learned& learned, const Pair& stratum);

// The log of the factor by which `seen` speaks for "gray is worse by `by` more than the margin", or
// for "gray is better by `by` than the margin". Counts may be fractions: then it is what to expect.
double log_factor(Claim claim, const Pair& seen, double margin, double by, double baseline);

void bet(Stake& stake, Claim claim, const Pair& stratum, double margin, const Learned& learned);
// How much there is now.
double total(const Stake& stake);

// Of gray's requests, how many more until the stake is at `goal`, if the versions fail as `rates`
// (a share each) and the baseline has `baseline_requests` for each of gray's. Infinite: never.
double requests_to(const Stake& stake, Claim claim, double goal, double margin, double gray,
                   double baseline, double baseline_requests, const Learned& learned);

}  // namespace graymesh::verdict
