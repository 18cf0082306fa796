"""The tables, as scripts that only ever move forward. Money is integer nano-dollars, times are seconds since the epoch.

`attempt` is the truth, one row per call to a model. `budget` holds its running sums per scope and window, so that a
reservation is one look; they can be rebuilt from `attempt` at any time.
"""

NEEDS = "1"  # the oldest schema whose code can work with a file written by this one

MIGRATIONS = (
    """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE attempt(
  id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  state INTEGER NOT NULL,          -- 0 open, 1 settled, 2 released (not billed), 3 uncertain (its process died)
  at REAL NOT NULL,
  latency REAL,                    -- seconds from the hold to its settlement
  ask TEXT NOT NULL,
  number INTEGER NOT NULL,
  part_of TEXT,
  caller TEXT NOT NULL,
  task TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  model_returned TEXT NOT NULL DEFAULT '',
  asked TEXT NOT NULL,             -- the model name of the ask: `auto`, a group, a model
  servers TEXT NOT NULL,           -- context servers whose text was injected, separated by spaces
  simulated INTEGER NOT NULL,
  held INTEGER NOT NULL CHECK(held >= 0),
  cost INTEGER CHECK(cost >= 0),   -- null: open, or unpriced
  basis TEXT NOT NULL DEFAULT '',
  price TEXT NOT NULL DEFAULT '',  -- the tariff used: USD per million tokens in/out, and where it is from
  ok INTEGER,
  input INTEGER NOT NULL DEFAULT 0,
  output INTEGER NOT NULL DEFAULT 0,
  cached_input INTEGER NOT NULL DEFAULT 0,
  cache_write INTEGER NOT NULL DEFAULT 0,
  reasoning INTEGER NOT NULL DEFAULT 0,
  max_tokens INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX attempt_of_ask ON attempt(ask, number);
CREATE INDEX attempt_of_tree ON attempt(part_of) WHERE part_of IS NOT NULL;
CREATE INDEX attempt_open ON attempt(owner) WHERE state = 0;
CREATE INDEX attempt_at ON attempt(at);
CREATE TABLE budget(
  scope TEXT NOT NULL, ends INTEGER NOT NULL, starts INTEGER NOT NULL,
  spent INTEGER NOT NULL CHECK(spent >= 0), held INTEGER NOT NULL CHECK(held >= 0),
  alerted INTEGER NOT NULL DEFAULT 0, -- the highest amount that was told
  PRIMARY KEY(scope, ends, starts)
) STRICT, WITHOUT ROWID;
CREATE TABLE receipt(
  id TEXT PRIMARY KEY,
  caller TEXT NOT NULL,
  at REAL NOT NULL,
  key TEXT NOT NULL,               -- digest of the caller's own arguments
  request_id TEXT,
  delivered INTEGER NOT NULL DEFAULT 0,
  parent TEXT,                     -- the receipt this one continues
  body BLOB NOT NULL,
  answer BLOB,                     -- null where texts are not kept
  turn BLOB                        -- what the caller said in this turn
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_key ON receipt(caller, key, at);
CREATE INDEX receipt_request ON receipt(caller, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX receipt_at ON receipt(at);
CREATE TABLE claim(
  caller TEXT NOT NULL, request_id TEXT NOT NULL, key TEXT NOT NULL, owner TEXT NOT NULL, at REAL NOT NULL,
  done TEXT,                       -- the receipt's id once there is one
  PRIMARY KEY(caller, request_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_at ON claim(at);
CREATE TABLE tally(
  hour INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, nano INTEGER NOT NULL, value REAL NOT NULL,
  PRIMARY KEY(hour, kind)
) STRICT, WITHOUT ROWID;
""",
    """
ALTER TABLE attempt ADD COLUMN prefix TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN history INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN computed INTEGER;
""",
    # An ask that a person allowed after its refusal runs again under its id: attempts of both may have equal numbers.
    """
DROP INDEX attempt_of_ask;
CREATE INDEX attempt_of_ask ON attempt(ask);
""",
    """
CREATE TABLE audit(
  number INTEGER PRIMARY KEY, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL,
  detail TEXT NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TABLE token(
  name TEXT PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,       -- SHA-256 of 256 random bits: nothing to guess, so nothing to slow down
  scopes TEXT NOT NULL,            -- separated by spaces, empty = all
  models TEXT NOT NULL,            -- glob patterns, separated by spaces, empty = all
  daily_usd REAL, monthly_usd REAL, rpm INTEGER,
  created REAL NOT NULL, expires REAL, revoked REAL
) STRICT, WITHOUT ROWID;
""",
    # What a user's processes tell each other: holds of endpoints, and requests per provider's day.
    """
CREATE TABLE notice(
  name TEXT PRIMARY KEY, reason TEXT NOT NULL, until REAL NOT NULL, trial INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE rpd(name TEXT PRIMARY KEY, day TEXT NOT NULL, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE response(               -- answers worth giving again; only ever a copy of what a provider said
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,
  caller TEXT NOT NULL,
  receipt TEXT NOT NULL,             -- whose answer it is: forgotten with it
  at REAL NOT NULL,
  used REAL NOT NULL,
  body BLOB NOT NULL,
  seal BLOB NOT NULL
) STRICT;
CREATE INDEX response_used ON response(used);
CREATE INDEX response_receipt ON response(receipt);
CREATE TABLE response_total(entries INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
INSERT INTO response_total VALUES(0, 0);
CREATE TRIGGER response_in AFTER INSERT ON response BEGIN
  UPDATE response_total SET entries = entries + 1, bytes = bytes + length(new.body); END;
CREATE TRIGGER response_out AFTER DELETE ON response BEGIN
  UPDATE response_total SET entries = entries - 1, bytes = bytes - length(old.body); END;
CREATE TRIGGER response_anew AFTER UPDATE OF body ON response BEGIN
  UPDATE response_total SET bytes = bytes + length(new.body) - length(old.body); END;
CREATE TABLE meaning(                -- where the words of a kept answer's question lie, for the semantic cache
  key TEXT PRIMARY KEY,
  scope TEXT NOT NULL,
  embedder TEXT NOT NULL,
  words BLOB NOT NULL,
  vector BLOB NOT NULL               -- float32, little endian, of length 1
) STRICT, WITHOUT ROWID;
CREATE INDEX meaning_scope ON meaning(scope, embedder);
CREATE TRIGGER response_forgotten AFTER DELETE ON response BEGIN DELETE FROM meaning WHERE key = old.key; END;
""",
    """
CREATE TABLE mark(                 -- what a person said of an answer; no text
  id TEXT PRIMARY KEY, caller TEXT NOT NULL, at REAL NOT NULL, ok INTEGER NOT NULL,
  kind TEXT NOT NULL, scale TEXT NOT NULL, raw REAL, models TEXT NOT NULL, others TEXT NOT NULL
) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE trial(                -- what became of an ask that took part in an experiment; no text
  experiment TEXT NOT NULL, id TEXT NOT NULL, arm TEXT NOT NULL, at REAL NOT NULL, model TEXT NOT NULL,
  ok INTEGER NOT NULL, code TEXT NOT NULL, nano INTEGER, latency REAL NOT NULL, faults INTEGER NOT NULL,
  pair TEXT NOT NULL, agreement REAL, basis TEXT NOT NULL, PRIMARY KEY(experiment, id)
) STRICT, WITHOUT ROWID;
""",
    # Rows of a kilobyte are for a table of rows: in one of keys each overflows to pages of its own. What is looked for by its
    # arguments is only ever what reached nobody.
    """
CREATE TABLE record(
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  caller TEXT NOT NULL,
  at REAL NOT NULL,
  key TEXT NOT NULL,               -- digest of the caller's own arguments
  request_id TEXT,
  delivered INTEGER NOT NULL DEFAULT 0,
  parent TEXT,                     -- the receipt this one continues
  body BLOB NOT NULL,
  answer BLOB,                     -- null where texts are not kept
  turn BLOB                        -- what the caller said in this turn
) STRICT;
INSERT INTO record(id, caller, at, key, request_id, delivered, parent, body, answer, turn)
  SELECT id, caller, at, key, request_id, delivered, parent, body, answer, turn FROM receipt ORDER BY at;
DROP TABLE receipt;
ALTER TABLE record RENAME TO receipt;
CREATE INDEX receipt_at ON receipt(at);
CREATE INDEX receipt_undelivered ON receipt(caller, key, at) WHERE delivered = 0 AND answer IS NOT NULL;
""",
)
