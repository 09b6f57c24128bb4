#include "release/store/store.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <mutex>
#include <utility>

namespace graymesh::release {
namespace {

// Grows with each change of the tables.
constexpr int schema_version = 1;
constexpr int application_id = 0x67726d73;  // "grms"

// Replies are for clients that lost one: a day is long for that.
constexpr std::int64_t replies_kept_s = 86'400;

constexpr const char* schema = R"(
CREATE TABLE documents (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE acts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, who TEXT NOT NULL,
  origin TEXT NOT NULL, verb TEXT NOT NULL, namespace TEXT NOT NULL, object TEXT NOT NULL,
  reason TEXT NOT NULL, detail TEXT NOT NULL);
CREATE INDEX acts_by_object ON acts (namespace, object, id);
CREATE TABLE replies (key TEXT PRIMARY KEY, text TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
)";

class Statement {
 public:
  Statement(sqlite3* database, const char* sql) {
    if (sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr) != SQLITE_OK)
      statement_ = nullptr;
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void bind(int index, const std::string& text) {
    sqlite3_bind_text64(statement_, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  void bind(int index, std::int64_t number) { sqlite3_bind_int64(statement_, index, number); }
  // SQLITE_ROW, SQLITE_DONE, or an error (also if the statement could not be made).
  int step() { return statement_ == nullptr ? SQLITE_ERROR : sqlite3_step(statement_); }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr
               ? std::string()
               : std::string(bytes,
                             static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(sqlite3* database, std::string file) : database_(database), file_(std::move(file)) {}
  ~SqliteStore() override { sqlite3_close_v2(database_); }

  Status prepare() {
    // Held from the first statement on: a second graymeshd on the same file is told at once.
    TRY(run("PRAGMA locking_mode=EXCLUSIVE"));
    TRY(run("PRAGMA journal_mode=WAL"));
    TRY(run("PRAGMA synchronous=FULL"));
    TRY(run("BEGIN IMMEDIATE"));
    const std::int64_t version = TRY(number("PRAGMA user_version"));
    const std::int64_t id = TRY(number("PRAGMA application_id"));
    const std::int64_t tables = TRY(number("SELECT count(*) FROM sqlite_master"));
    if (version > schema_version)
      return Error{Code::failed_precondition,
                   fmt::format("{}: is of version {}, this program knows {} at most", file_,
                               version, schema_version)};
    if (version == 0) {
      if (tables > 0 || (id != 0 && id != application_id))
        return Error{Code::data_loss, fmt::format("{}: is a database of something else", file_)};
      TRY(run(schema));
      TRY(run(fmt::format("PRAGMA application_id={}", application_id).c_str()));
      TRY(run(fmt::format("PRAGMA user_version={}", schema_version).c_str()));
    }
    TRY(run("COMMIT"));
    return check();
  }

  Result<std::map<std::string, std::string>> documents() override {
    std::lock_guard lock(mutex_);
    std::map<std::string, std::string> out;
    Statement select(database_, "SELECT key, text FROM documents");
    int code = select.step();
    for (; code == SQLITE_ROW; code = select.step()) out[select.text(0)] = select.text(1);
    if (code != SQLITE_DONE) return fault("reading documents");
    return out;
  }

  Status commit(const Batch& batch) override {
    std::lock_guard lock(mutex_);
    TRY(run("BEGIN IMMEDIATE"));
    Status written = write(batch);
    if (written) written = run("COMMIT");
    // After a failed COMMIT the transaction may be gone already; then there is nothing to undo.
    if (!written && sqlite3_get_autocommit(database_) == 0) {
      TRY(run("ROLLBACK"));
    }
    return written;
  }

  Result<std::vector<Act>> acts(const ActFilter& filter) override {
    std::lock_guard lock(mutex_);
    Statement select(
        database_,
        "SELECT id, at_ms, who, origin, verb, namespace, object, reason, detail FROM "
        "acts WHERE (?1 = '' OR namespace = ?1) AND (?2 = '' OR object = ?2) AND (?3 = "
        "'' OR who = ?3) AND (?4 = 0 OR id < ?4) ORDER BY id DESC LIMIT ?5");
    select.bind(1, filter.namespace_);
    select.bind(2, filter.object);
    select.bind(3, filter.who);
    select.bind(4, static_cast<std::int64_t>(filter.before));
    select.bind(5, static_cast<std::int64_t>(filter.limit));
    std::vector<Act> out;
    int code = select.step();
    for (; code == SQLITE_ROW; code = select.step()) {
      out.push_back({.id = static_cast<std::uint64_t>(select.number(0)),
                     .at_ms = select.number(1),
                     .who = select.text(2),
                     .from = select.text(3),
                     .verb = select.text(4),
                     .namespace_ = select.text(5),
                     .object = select.text(6),
                     .reason = select.text(7),
                     .detail = select.text(8)});
    }
    if (code != SQLITE_DONE) return fault("reading acts");
    return out;
  }

  Result<std::optional<std::string>> reply(const std::string& key) override {
    std::lock_guard lock(mutex_);
    Statement select(database_, "SELECT text FROM replies WHERE key = ?1");
    select.bind(1, key);
    const int code = select.step();
    if (code == SQLITE_ROW) return std::optional<std::string>(select.text(0));
    if (code != SQLITE_DONE) return fault("reading replies");
    return std::optional<std::string>();
  }

 private:
  Status check() {
    Statement quick(database_, "PRAGMA quick_check(1)");
    if (quick.step() != SQLITE_ROW) return fault("checking");
    const std::string told = quick.text(0);
    if (told != "ok") return Error{Code::data_loss, fmt::format("{}: is damaged: {}", file_, told)};
    return {};
  }

  Status write(const Batch& batch) {
    for (const auto& [key, text] : batch.documents) {
      Statement change(database_,
                       text ? "INSERT INTO documents (key, text) VALUES (?1, ?2) ON CONFLICT (key) "
                              "DO UPDATE SET text = excluded.text"
                            : "DELETE FROM documents WHERE key = ?1");
      change.bind(1, key);
      if (text) change.bind(2, *text);
      if (change.step() != SQLITE_DONE) return fault("writing " + key);
    }
    for (const Act& act : batch.acts) {
      Statement insert(database_,
                       "INSERT INTO acts (at_ms, who, origin, verb, namespace, object, reason, "
                       "detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
      insert.bind(1, act.at_ms);
      int column = 1;
      for (const std::string* text :
           {&act.who, &act.from, &act.verb, &act.namespace_, &act.object, &act.reason, &act.detail})
        insert.bind(++column, *text);
      if (insert.step() != SQLITE_DONE) return fault("writing an act");
    }
    for (const auto& [key, text] : batch.replies) {
      Statement insert(database_,
                       "INSERT OR REPLACE INTO replies (key, text, at) VALUES (?1, ?2, "
                       "strftime('%s', 'now'))");
      insert.bind(1, key);
      insert.bind(2, text);
      if (insert.step() != SQLITE_DONE) return fault("writing a reply");
    }
    if (batch.replies.empty()) return {};
    Statement forget(database_,
                     "DELETE FROM replies WHERE at < CAST(strftime('%s', 'now') AS INTEGER) - ?1");
    forget.bind(1, replies_kept_s);
    return forget.step() == SQLITE_DONE ? Status() : fault("forgetting replies");
  }

  Status run(const char* sql) {
    if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
    return fault(sql);
  }

  Result<std::int64_t> number(const char* sql) {
    Statement select(database_, sql);
    if (select.step() != SQLITE_ROW) return fault(sql);
    return select.number(0);
  }

  Error fault(const std::string& doing) const {
    const int code = sqlite3_errcode(database_) & 0xff;
    const bool damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    const bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;
    return Error{damaged ? Code::data_loss : Code::unavailable,
                 fmt::format("{}: {}: {}{}", file_, doing, sqlite3_errmsg(database_),
                             busy ? " (another graymeshd has it)" : "")};
  }

  sqlite3* database_;
  std::string file_;
  std::mutex mutex_;
};

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& file) {
  sqlite3* database = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &database,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  auto store = std::make_unique<SqliteStore>(database, file.string());
  if (code != SQLITE_OK)
    return Error{Code::unavailable,
                 fmt::format("{}: cannot be opened: {}", file.string(), sqlite3_errstr(code))};
  TRY(store->prepare());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace graymesh::release
