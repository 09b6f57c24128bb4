// Inside the room: configuration for gRPC itself, which balances and routes without a proxy.
//
// It asks for a listener named as its target (`web.fe-pre.svc.cluster.local:8080`, or any shorter
// name that a client of this namespace may use) and finds in it the name of a route configuration,
// `outbound|8080||web.fe-pre.svc.cluster.local`, which has one virtual host for whatever name was
// used. It refuses whole resources for fields that it does not know, so these are made for it
// alone.
#pragma once

#include "control/translate/parts.h"

namespace graymesh::translate {

Resources proxyless_clusters(const OutboundScope& scope, Memo& memo);
Resources proxyless_listeners(const OutboundScope& scope, Memo& memo);
Resources proxyless_routes(const OutboundScope& scope, Memo& memo);

}  // namespace graymesh::translate
