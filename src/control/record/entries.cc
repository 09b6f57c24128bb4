#include "control/record/entries.h"

#include <algorithm>

#include "control/record/coding.h"

namespace graymesh::record {
namespace {

using resource::Type;

constexpr std::uint64_t numbers_end = std::uint64_t{1} << 32;

void put(Out& out, Type type) { out.number(static_cast<std::uint64_t>(type)); }

// Times of foreign bytes may be anything: sums go round, they do not overflow.
std::int64_t sum(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

void put(Out& out, const std::vector<std::string>& texts) {
  out.number(texts.size());
  for (const auto& text : texts) out.text(text);
}
void put(Out& out, const std::vector<Number>& numbers) {
  out.number(numbers.size());
  Number last = 0;
  for (const Number number : numbers) {
    out.difference(static_cast<std::int64_t>(number) - last);
    last = number;
  }
}

// Column by column, as each is much the same from row to row.
void put(Out& out, const std::vector<Row>& rows, bool with_acks = false) {
  out.number(rows.size());
  StreamId stream = 0;
  for (const Row& row : rows) {
    out.difference(static_cast<std::int64_t>(row.stream - stream));
    stream = row.stream;
  }
  Milliseconds at = 0;
  for (const Row& row : rows) {
    out.difference(difference(row.at, at));
    at = row.at;
  }
  if (!with_acks) return;
  for (const Row& row : rows) {
    out.number(row.acked ? static_cast<std::uint64_t>(
                               std::max<Milliseconds>(difference(*row.acked, row.at), 0)) +
                               1
                         : 0);
  }
}

void put(Out& out, const Body& body) {
  put(out, body.type);
  out.text(body.name);
  out.fixed(body.version);
  put(out, body.origins);
  out.number(body.base ? std::uint64_t{*body.base} + 1 : 0);
  out.text(body.bytes);
}
void put(Out& out, const Batch& batch) {
  put(out, batch.type);
  put(out, batch.now);
  put(out, batch.removed);
  out.number(batch.bytes);
}
void put(Out& out, const Set& set) { put(out, set.resources); }
void put(Out& out, const Opened& opened) {
  out.number(opened.stream);
  out.difference(opened.at);
  out.number((opened.again ? 1 : 0) | (opened.delta ? 2 : 0));
  for (const auto* text : {&opened.node_id, &opened.name, &opened.namespace_, &opened.address,
                           &opened.peer, &opened.user_agent}) {
    out.text(*text);
  }
  out.number(opened.kind);
}
void put(Out& out, const Sent& sent) {
  out.number(sent.batch);
  put(out, sent.rows, true);
}
void put(Out& out, const Acked& acked) {
  put(out, acked.type);
  put(out, acked.rows);
}
void put(Out& out, const Refused& refused) {
  put(out, refused.type);
  out.text(refused.error);
  put(out, refused.rows);
}
void put(Out& out, const Dropped& dropped) {
  put(out, dropped.type);
  put(out, dropped.names);
  put(out, dropped.rows);
}
// Most often there are sets alone; segments of earlier versions have no others.
void put(Out& out, const Holds& holds) {
  const bool more = !holds.claimed_sets.empty() || !holds.held.empty() || !holds.lacks.empty();
  out.number(static_cast<std::uint64_t>(holds.type) + (more ? resource::type_count : 0));
  put(out, holds.sets);
  put(out, holds.claimed);
  if (more) {
    put(out, holds.claimed_sets);
    put(out, holds.held);
    put(out, holds.lacks);
  }
  put(out, holds.rows);
}
void put(Out& out, const Closed& closed) { put(out, closed.rows); }
void put(Out& out, const Gap& gap) {
  out.difference(gap.at);
  out.number(gap.lost);
}
void put(Out& out, const Gone& gone) {
  for (const auto* text : {&gone.node_id, &gone.name, &gone.namespace_, &gone.address})
    out.text(*text);
  out.number(gone.kind);
  out.difference(gone.connected);
  out.difference(difference(gone.left, gone.connected));
}

Type type(In& in) { return static_cast<Type>(in.below(resource::type_count)); }
std::vector<std::string> texts(In& in) {
  std::vector<std::string> texts(in.count());
  for (auto& text : texts) text = in.text();
  return texts;
}
std::vector<Number> numbers(In& in) {
  std::vector<Number> numbers(in.count());
  std::int64_t last = 0;
  for (auto& number : numbers) {
    last = sum(last, in.difference());
    if (last < 0 || static_cast<std::uint64_t>(last) >= numbers_end) in.fail();
    number = static_cast<Number>(last);
  }
  return numbers;
}
std::vector<Row> rows(In& in, bool with_acks = false) {
  std::vector<Row> rows(in.count());
  StreamId stream = 0;
  for (Row& row : rows) row.stream = stream += static_cast<StreamId>(in.difference());
  Milliseconds at = 0;
  for (Row& row : rows) row.at = at = sum(at, in.difference());
  for (Row& row : rows) {
    const auto acked = with_acks ? in.number() : 0;
    if (acked > 0) row.acked = sum(row.at, static_cast<std::int64_t>(acked - 1));
  }
  return rows;
}

Body body(In& in) {
  Body body;
  body.type = type(in);
  body.name = in.text();
  body.version = in.fixed();
  body.origins = texts(in);
  if (const auto base = in.below(numbers_end); base > 0) body.base = static_cast<Number>(base - 1);
  body.bytes = in.text();
  return body;
}
Batch batch(In& in) {
  Batch batch;
  batch.type = type(in);
  batch.now = numbers(in);
  batch.removed = texts(in);
  batch.bytes = in.number();
  return batch;
}
Opened opened(In& in) {
  Opened opened;
  opened.stream = in.number();
  opened.at = in.difference();
  const auto flags = in.below(4);
  opened.again = (flags & 1) != 0;
  opened.delta = (flags & 2) != 0;
  for (auto* text : {&opened.node_id, &opened.name, &opened.namespace_, &opened.address,
                     &opened.peer, &opened.user_agent}) {
    *text = in.text();
  }
  opened.kind = static_cast<std::uint8_t>(in.below(3));
  return opened;
}
Sent sent(In& in) {
  Sent sent;
  sent.batch = static_cast<Number>(in.below(numbers_end));
  sent.rows = rows(in, true);
  return sent;
}
Acked acked(In& in) {
  Acked acked;
  acked.type = type(in);
  acked.rows = rows(in);
  return acked;
}
Refused refused(In& in) {
  Refused refused;
  refused.type = type(in);
  refused.error = in.text();
  refused.rows = rows(in);
  return refused;
}
Dropped dropped(In& in) {
  Dropped dropped;
  dropped.type = type(in);
  dropped.names = texts(in);
  dropped.rows = rows(in);
  return dropped;
}
Holds holds(In& in) {
  Holds holds;
  const auto type = in.below(2 * resource::type_count);
  holds.type = static_cast<Type>(type % resource::type_count);
  holds.sets = numbers(in);
  holds.claimed = texts(in);
  if (type >= resource::type_count) {
    holds.claimed_sets = numbers(in);
    holds.held = numbers(in);
    holds.lacks = texts(in);
  }
  holds.rows = rows(in);
  return holds;
}
Gap gap(In& in) {
  Gap gap;
  gap.at = in.difference();
  gap.lost = in.number();
  return gap;
}
Gone gone(In& in) {
  Gone gone;
  for (auto* text : {&gone.node_id, &gone.name, &gone.namespace_, &gone.address}) *text = in.text();
  gone.kind = static_cast<std::uint8_t>(in.below(3));
  gone.connected = in.difference();
  gone.left = sum(gone.connected, in.difference());
  return gone;
}

Entry entry(In& in) {
  switch (in.below(std::variant_size_v<Entry>)) {
    case 0:
      return body(in);
    case 1:
      return batch(in);
    case 2:
      return Set{numbers(in)};
    case 3:
      return opened(in);
    case 4:
      return sent(in);
    case 5:
      return acked(in);
    case 6:
      return refused(in);
    case 7:
      return dropped(in);
    case 8:
      return holds(in);
    case 9:
      return Closed{rows(in)};
    case 10:
      return gap(in);
    default:
      return gone(in);
  }
}

}  // namespace

std::string encode(const std::vector<Entry>& entries) {
  Out out;
  for (const Entry& entry : entries) {
    out.number(entry.index());
    std::visit([&](const auto& it) { put(out, it); }, entry);
  }
  return out.take();
}

Result<std::vector<Entry>> decode(std::string_view bytes) {
  std::vector<Entry> entries;
  In in(bytes);
  while (!in.done()) {
    entries.push_back(entry(in));
    if (!in.good())
      return Error{Code::data_loss,
                   "entry " + std::to_string(entries.size()) + " of a block ends midway"};
  }
  return entries;
}

}  // namespace graymesh::record
