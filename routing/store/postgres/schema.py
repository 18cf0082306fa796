"""Tables and functions of the PostgreSQL store, as scripts that only ever move forward. Same words as the SQLite store.

Every batch runs behind one advisory lock (the turnstile), so the functions see a ledger nobody else is changing. They
answer with JSON: a refusal is an answer, not an error, because an error would take its batch along.
"""

NEEDS = 1  # the oldest schema whose code can work with a database written by this one
TURNSTILE = 0x504C454E554D  # "PLENUM", the advisory lock of all replicas

MIGRATIONS = (
    """
CREATE TABLE attempt(
  id bigint PRIMARY KEY, owner text NOT NULL, state smallint NOT NULL, at float8 NOT NULL, latency float8,
  ask text NOT NULL, number int NOT NULL, part_of text, caller text NOT NULL, task text NOT NULL,
  provider text NOT NULL, model text NOT NULL, model_returned text NOT NULL DEFAULT '', asked text NOT NULL,
  servers text NOT NULL, simulated boolean NOT NULL, held bigint NOT NULL CHECK (held >= 0),
  cost bigint CHECK (cost >= 0), basis text NOT NULL DEFAULT '', price text NOT NULL DEFAULT '', ok boolean,
  computed bigint, input bigint NOT NULL DEFAULT 0, output bigint NOT NULL DEFAULT 0,
  cached_input bigint NOT NULL DEFAULT 0, cache_write bigint NOT NULL DEFAULT 0, reasoning bigint NOT NULL DEFAULT 0,
  max_tokens bigint NOT NULL, prefix text NOT NULL, history int NOT NULL);
CREATE INDEX attempt_of_ask ON attempt(ask);
CREATE INDEX attempt_of_tree ON attempt(part_of) WHERE part_of IS NOT NULL;
CREATE INDEX attempt_open ON attempt(owner) WHERE state = 0;
CREATE INDEX attempt_at ON attempt(at);
CREATE TABLE budget(
  scope text, ends bigint, starts bigint, spent bigint NOT NULL CHECK (spent >= 0),
  held bigint NOT NULL CHECK (held >= 0), alerted bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (scope, ends, starts)) WITH (fillfactor = 50);
CREATE TABLE owner(id text PRIMARY KEY, seen timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE receipt(
  id text NOT NULL, caller text NOT NULL, at float8 NOT NULL, key text NOT NULL, request_id text,
  delivered boolean NOT NULL, parent text, body bytea NOT NULL, answer bytea, turn bytea, PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE receipt_rest PARTITION OF receipt DEFAULT;
CREATE INDEX receipt_key ON receipt(caller, key, at);
CREATE TABLE claim(
  caller text, request_id text, key text NOT NULL, owner text NOT NULL, at float8 NOT NULL, done text,
  PRIMARY KEY (caller, request_id));
CREATE INDEX claim_done ON claim(done);
CREATE TABLE tally(
  hour bigint, kind text, count bigint NOT NULL, nano bigint NOT NULL, value float8 NOT NULL,
  PRIMARY KEY (hour, kind));

CREATE FUNCTION scopes(provider text, model text, caller text, task text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY['global', 'provider:' || provider, 'model:' || provider || '/' || model, 'caller:' || caller,
    'task:' || task] $$;

CREATE FUNCTION counted(p_scope text, p_starts bigint, p_ends bigint, OUT spent bigint, OUT held bigint)
LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(cost) FILTER (WHERE state > 0), 0)::bigint, coalesce(sum(held) FILTER (WHERE state = 0), 0)::bigint
  FROM attempt WHERE at >= p_starts AND at < p_ends AND p_scope = ANY(scopes(provider, model, caller, task)) $$;

CREATE FUNCTION used(p_id text) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(CASE state WHEN 0 THEN held ELSE coalesce(cost, 0) END), 0)::bigint FROM attempt
  WHERE id IN (SELECT id FROM attempt WHERE ask = p_id UNION SELECT id FROM attempt WHERE part_of = p_id) $$;

CREATE FUNCTION moved(p_scopes text[], p_at float8, p_held bigint, p_spent bigint) RETURNS jsonb LANGUAGE sql AS $$
  WITH changed AS (UPDATE budget SET held = held + p_held, spent = spent + p_spent
    WHERE scope = ANY(p_scopes) AND ends > p_at AND starts <= p_at RETURNING scope, starts, ends, spent, held)
  SELECT coalesce(jsonb_agg(jsonb_build_array(scope, starts, ends, spent, held)), '[]') FROM changed $$;

CREATE FUNCTION reserve(p_id bigint, p_owner text, e jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_at float8 := (e->>'at')::float8; v_latest float8; v_held bigint := (e->>'held')::bigint; v_room bigint; x jsonb;
  v_scopes text[] := scopes(e->>'provider', e->>'model', e->>'caller', e->>'task'); v_used jsonb := '[]'; v_sum bigint;
BEGIN
  IF EXISTS (SELECT 1 FROM attempt WHERE id = p_id) THEN  -- a batch repeated after its connection was lost
    RETURN jsonb_build_object('standings', '[]'::jsonb, 'used', '[]'::jsonb);
  END IF;
  SELECT max(at) INTO v_latest FROM attempt;
  IF v_latest > v_at AND v_latest - v_at < 86400 THEN  -- a clock that is behind does not reopen a window
    IF EXISTS (SELECT 1 FROM jsonb_array_elements(e->'windows') w WHERE v_latest >= (w->>2)::bigint) THEN
      RETURN jsonb_build_object('latest', v_latest);
    END IF;
    v_at := v_latest;
  END IF;
  FOR x IN SELECT * FROM jsonb_array_elements(e->'windows') LOOP  -- scope, starts, ends, cap
    SELECT (x->>3)::bigint + (e->>'extra')::bigint - spent - held INTO v_room FROM budget
      WHERE scope = x->>0 AND ends = (x->>2)::bigint AND starts = (x->>1)::bigint;
    IF NOT FOUND THEN
      INSERT INTO budget(scope, starts, ends, spent, held)
        SELECT x->>0, (x->>1)::bigint, (x->>2)::bigint, c.spent, c.held
        FROM counted(x->>0, (x->>1)::bigint, (x->>2)::bigint) c
        RETURNING (x->>3)::bigint + (e->>'extra')::bigint - spent - held INTO v_room;
    END IF;
    IF v_held > 0 AND v_held > v_room THEN
      RETURN jsonb_build_object('over', x->>0, 'room', v_room, 'ends', x->2);
    END IF;
  END LOOP;
  FOR x IN SELECT * FROM jsonb_array_elements(e->'envelopes') LOOP  -- id, cap
    v_sum := used(x->>0);
    IF v_held > 0 AND v_held > (x->>1)::bigint - v_sum THEN
      RETURN jsonb_build_object('over', 'call:' || (x->>0), 'room', (x->>1)::bigint - v_sum);
    END IF;
    v_used := v_used || jsonb_build_array(jsonb_build_array(x->>0, v_sum + v_held));
  END LOOP;
  INSERT INTO attempt(id, owner, state, at, ask, number, part_of, caller, task, provider, model, asked, servers,
    simulated, held, max_tokens, prefix, history)
  VALUES (p_id, p_owner, 0, v_at, e->>'ask', (e->>'number')::int, e->>'part_of', e->>'caller', e->>'task',
    e->>'provider', e->>'model', e->>'asked', e->>'servers', (e->>'simulated')::boolean, v_held,
    (e->>'max_tokens')::bigint, e->>'prefix', (e->>'history')::int);
  RETURN jsonb_build_object('standings', moved(v_scopes, v_at, v_held, 0), 'used', v_used, 'at', v_at);
END $$;

CREATE FUNCTION settle(p_id bigint, c jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  a attempt; v_cost bigint := (c->>'cost')::bigint; v_standings jsonb; v_alerts jsonb := '[]'; x jsonb; v_spent bigint;
  v_number int := 0;
BEGIN
  SELECT * INTO a FROM attempt WHERE id = p_id AND state = 0;
  IF NOT FOUND THEN RETURN NULL; END IF;
  v_standings := moved(scopes(a.provider, a.model, a.caller, a.task), a.at, -a.held, coalesce(v_cost, 0));
  UPDATE attempt SET state = (c->>'state')::smallint, latency = (c->>'latency')::float8, cost = v_cost,
    basis = c->>'basis', price = c->>'price', model_returned = c->>'returned', ok = (c->>'ok')::boolean,
    computed = (c->>'computed')::bigint, input = (c->'usage'->>0)::bigint, output = (c->'usage'->>1)::bigint,
    cached_input = (c->'usage'->>2)::bigint, cache_write = (c->'usage'->>3)::bigint,
    reasoning = (c->'usage'->>4)::bigint WHERE id = p_id;
  FOR x IN SELECT * FROM jsonb_array_elements(c->'alerts') LOOP  -- scope, starts, ends, amount
    UPDATE budget SET alerted = (x->>3)::bigint WHERE scope = x->>0 AND starts = (x->>1)::bigint
      AND ends = (x->>2)::bigint AND spent >= (x->>3)::bigint AND alerted < (x->>3)::bigint RETURNING spent INTO v_spent;
    IF FOUND THEN v_alerts := v_alerts || jsonb_build_array(jsonb_build_array(v_number, v_spent)); END IF;
    v_number := v_number + 1;
  END LOOP;
  RETURN jsonb_build_object('standings', v_standings, 'alerts', v_alerts);
END $$;

CREATE FUNCTION reclaim(p_owner text, p_after_s float8) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_count bigint := 0; r record;
BEGIN
  INSERT INTO owner(id) VALUES (p_owner) ON CONFLICT (id) DO UPDATE SET seen = clock_timestamp();
  FOR r IN SELECT a.id, a.held FROM attempt a LEFT JOIN owner o ON o.id = a.owner WHERE a.state = 0
      AND (o.id IS NULL OR o.seen < clock_timestamp() - make_interval(secs => p_after_s)) LOOP
    PERFORM settle(r.id, jsonb_build_object('state', 3, 'cost', r.held, 'basis', 'estimated', 'price', '',
      'returned', '', 'usage', '[0,0,0,0,0]'::jsonb, 'alerts', '[]'::jsonb));
    v_count := v_count + 1;
  END LOOP;
  DELETE FROM owner WHERE seen < clock_timestamp() - make_interval(secs => 10 * p_after_s);
  RETURN v_count;
END $$;

CREATE FUNCTION claim(p_caller text, p_request text, p_key text, p_owner text, p_at float8, p_for float8, p_lease float8)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE c claim;
BEGIN
  SELECT * INTO c FROM claim WHERE caller = p_caller AND request_id = p_request AND at > p_at - p_for;
  IF FOUND THEN
    IF c.key <> p_key THEN RETURN '["other", null]'; END IF;
    IF EXISTS (SELECT 1 FROM receipt WHERE id = c.done AND answer IS NOT NULL) THEN
      RETURN jsonb_build_array('done', c.done);
    END IF;
    IF c.done IS NULL AND c.owner <> p_owner AND EXISTS (SELECT 1 FROM owner
        WHERE id = c.owner AND seen >= clock_timestamp() - make_interval(secs => p_lease)) THEN
      RETURN '["running", null]';
    END IF;
  END IF;
  INSERT INTO claim VALUES (p_caller, p_request, p_key, p_owner, p_at)
    ON CONFLICT (caller, request_id) DO UPDATE SET key = p_key, owner = p_owner, at = p_at, done = NULL;
  RETURN '["mine", null]';
END $$;

CREATE FUNCTION month_partition(p_name text, p_from float8, p_to float8) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF to_regclass('plenum.' || p_name) IS NULL AND NOT EXISTS (
      SELECT 1 FROM receipt_rest WHERE at >= p_from AND at < p_to) THEN
    EXECUTE format('CREATE TABLE plenum.%I PARTITION OF plenum.receipt FOR VALUES FROM (%L) TO (%L)',
      p_name, p_from, p_to);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION forget_before(p_at float8, p_claim float8) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_gone bigint := 0; v_part bigint; r record;
BEGIN
  DELETE FROM claim WHERE done IN (SELECT id FROM receipt WHERE at < p_at)
    OR at < (SELECT max(at) FROM claim) - p_claim;
  FOR r IN SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'plenum.receipt'::regclass AND c.relname ~ '^receipt_[0-9]{4}_[0-9]{2}$'
        AND extract(epoch FROM (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC') <= p_at
  LOOP
    EXECUTE format('SELECT count(*) FROM plenum.%I', r.name) INTO v_part;
    EXECUTE format('DROP TABLE plenum.%I', r.name);
    v_gone := v_gone + v_part;
  END LOOP;
  WITH gone AS (DELETE FROM receipt WHERE at < p_at RETURNING 1) SELECT count(*) + v_gone INTO v_gone FROM gone;
  RETURN v_gone;
END $$;
""",
    """
CREATE TABLE audit(
  number bigint PRIMARY KEY, at float8 NOT NULL, who text NOT NULL, what text NOT NULL, subject text NOT NULL,
  detail text NOT NULL, hash bytea NOT NULL, token bigint NOT NULL);
CREATE TABLE audit_head(number bigint NOT NULL, hash bytea NOT NULL);
INSERT INTO audit_head VALUES (0, decode(repeat('00', 32), 'hex'));
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays();

CREATE FUNCTION append_audit(p_number bigint, p_before bytea, p_at float8, p_who text, p_what text, p_subject text,
  p_detail text, p_hash bytea, p_token bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h audit_head;
BEGIN
  SELECT * INTO h FROM audit_head;
  IF EXISTS (SELECT 1 FROM audit WHERE number = p_number AND token = p_token) THEN  -- a batch repeated after its connection was lost
    RETURN jsonb_build_object('admitted', true, 'number', p_number);
  END IF;
  IF h.number <> p_number - 1 OR h.hash <> p_before THEN
    RETURN jsonb_build_object('admitted', false, 'number', h.number, 'hash', encode(h.hash, 'hex'));
  END IF;
  INSERT INTO audit VALUES (p_number, p_at, p_who, p_what, p_subject, p_detail, p_hash, p_token);
  UPDATE audit_head SET number = p_number, hash = p_hash;
  RETURN jsonb_build_object('admitted', true, 'number', p_number);
END $$;
""",
    """
CREATE TABLE token(
  name text PRIMARY KEY, hash bytea NOT NULL UNIQUE, scopes text[] NOT NULL, models text[] NOT NULL,
  daily_usd float8, monthly_usd float8, rpm int, created float8 NOT NULL, expires float8, revoked float8);
CREATE TABLE mark(
  id text PRIMARY KEY, caller text NOT NULL, at float8 NOT NULL, ok boolean NOT NULL, kind text NOT NULL,
  scale text NOT NULL, raw float8, models text[] NOT NULL, others text[] NOT NULL);
CREATE FUNCTION trim_to(p_limit bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_gone bigint;
BEGIN
  WITH sized AS (SELECT id, at, sum(octet_length(body) + coalesce(octet_length(answer), 0)
      + coalesce(octet_length(turn), 0)) OVER (ORDER BY at DESC, id) AS held FROM receipt),
    gone AS (DELETE FROM receipt r USING sized s WHERE r.id = s.id AND r.at = s.at AND s.held > p_limit RETURNING r.id),
    claims AS (DELETE FROM claim WHERE done IN (SELECT id FROM gone))
  SELECT count(*) INTO v_gone FROM gone;
  RETURN v_gone;
END $$;
CREATE FUNCTION put_token(p_name text, p_hash bytea, p_scopes text[], p_models text[], p_daily float8, p_monthly float8,
  p_rpm int, p_created float8, p_expires float8, p_revoked float8) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM token WHERE name = p_name AND hash <> p_hash AND revoked IS NULL
      AND (expires IS NULL OR expires > p_created)) THEN RETURN false; END IF;
  DELETE FROM token WHERE name = p_name;
  INSERT INTO token VALUES (p_name, p_hash, p_scopes, p_models, p_daily, p_monthly, p_rpm, p_created, p_expires, p_revoked);
  RETURN true;
END $$;
""",
    """
CREATE TABLE trial(
  experiment text, id text, arm text NOT NULL, at float8 NOT NULL, model text NOT NULL, ok boolean NOT NULL,
  code text NOT NULL, nano bigint, latency float8 NOT NULL, faults int NOT NULL, pair text NOT NULL, agreement float8,
  basis text NOT NULL, PRIMARY KEY (experiment, id));
""",
    """
CREATE TABLE notice(name text PRIMARY KEY, reason text NOT NULL, until timestamptz NOT NULL, trial boolean NOT NULL);
CREATE TABLE rpd(name text PRIMARY KEY, day text NOT NULL, used bigint NOT NULL);
ALTER TABLE owner ADD COLUMN shares timestamptz;  -- when it last exchanged: who serves, takes a share of the limits
CREATE FUNCTION exchange(p_owner text, p_present float8, news jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE v_now timestamptz := clock_timestamp(); v_notices jsonb; v_replicas bigint;
BEGIN
  INSERT INTO owner(id, shares) VALUES (p_owner, v_now) ON CONFLICT (id) DO UPDATE SET shares = v_now, seen = v_now;
  INSERT INTO notice SELECT n->>0, n->>1, v_now + make_interval(secs => (n->>2)::float8), (n->>3)::boolean
    FROM jsonb_array_elements(news) n
    ON CONFLICT (name) DO UPDATE SET reason = excluded.reason, until = excluded.until, trial = excluded.trial;
  DELETE FROM notice WHERE until <= v_now;
  SELECT coalesce(jsonb_agg(jsonb_build_array(name, reason, extract(epoch FROM until - v_now), trial)), '[]')
    INTO v_notices FROM notice;
  SELECT count(*) INTO v_replicas FROM owner WHERE shares > v_now - make_interval(secs => p_present);
  RETURN jsonb_build_object('notices', v_notices, 'replicas', v_replicas);
END $$;

CREATE TABLE response(
  key text PRIMARY KEY, caller text NOT NULL, receipt text NOT NULL, at float8 NOT NULL, used float8 NOT NULL,
  body bytea NOT NULL, seal bytea NOT NULL);
CREATE INDEX response_used ON response(used);
CREATE INDEX response_receipt ON response(receipt);
CREATE TABLE meaning(
  key text PRIMARY KEY REFERENCES response(key) ON DELETE CASCADE, scope text NOT NULL, embedder text NOT NULL,
  words bytea NOT NULL, vector bytea NOT NULL);
CREATE INDEX meaning_scope ON meaning(scope, embedder);
CREATE TABLE response_total(entries bigint NOT NULL, bytes bigint NOT NULL) WITH (fillfactor = 50);
INSERT INTO response_total VALUES (0, 0);
CREATE FUNCTION response_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE response_total SET
    entries = entries + CASE TG_OP WHEN 'INSERT' THEN 1 WHEN 'DELETE' THEN -1 ELSE 0 END,
    bytes = bytes + CASE WHEN TG_OP = 'DELETE' THEN 0 ELSE octet_length(NEW.body) END
      - CASE WHEN TG_OP = 'INSERT' THEN 0 ELSE octet_length(OLD.body) END;
  RETURN NULL;
END $$;
CREATE TRIGGER response_counted AFTER INSERT OR DELETE OR UPDATE OF body ON response
  FOR EACH ROW EXECUTE FUNCTION response_counted();
CREATE FUNCTION keep_response(p_key text, p_caller text, p_receipt text, p_at float8, p_body bytea, p_seal bytea,
  p_used text[], p_used_at float8[], p_entries bigint, p_bytes bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE v_over bigint; v_size bigint; r record;
BEGIN
  UPDATE response SET used = u.at FROM unnest(p_used, p_used_at) u(key, at) WHERE response.key = u.key;
  INSERT INTO response VALUES (p_key, p_caller, p_receipt, p_at, p_at, p_body, p_seal)
    ON CONFLICT (key) DO UPDATE SET caller = p_caller, receipt = p_receipt, at = p_at, used = p_at, body = p_body,
    seal = p_seal WHERE response.at <= p_at;
  SELECT entries - p_entries, bytes - p_bytes INTO v_over, v_size FROM response_total;
  IF v_over > 0 OR v_size > 0 THEN
    FOR r IN SELECT key, octet_length(body) AS size FROM response ORDER BY used LOOP
      EXIT WHEN v_over <= 0 AND v_size <= 0;
      DELETE FROM response WHERE key = r.key;
      v_over := v_over - 1;
      v_size := v_size - r.size;
    END LOOP;
  END IF;
  RETURN NULL;
END $$;
CREATE FUNCTION answer_forgotten() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN DELETE FROM response WHERE receipt = OLD.id; RETURN NULL; END $$;
CREATE TRIGGER answer_forgotten AFTER DELETE ON receipt FOR EACH ROW EXECUTE FUNCTION answer_forgotten();
CREATE OR REPLACE FUNCTION forget_before(p_at float8, p_claim float8) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE v_gone bigint := 0; v_part bigint; r record;
BEGIN
  DELETE FROM claim WHERE done IN (SELECT id FROM receipt WHERE at < p_at)
    OR at < (SELECT max(at) FROM claim) - p_claim;
  DELETE FROM response WHERE receipt IN (SELECT id FROM receipt WHERE at < p_at);  -- dropping a table fires no trigger
  FOR r IN SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'plenum.receipt'::regclass AND c.relname ~ '^receipt_[0-9]{4}_[0-9]{2}$'
        AND extract(epoch FROM (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC') <= p_at
  LOOP
    EXECUTE format('SELECT count(*) FROM plenum.%I', r.name) INTO v_part;
    EXECUTE format('DROP TABLE plenum.%I', r.name);
    v_gone := v_gone + v_part;
  END LOOP;
  WITH gone AS (DELETE FROM receipt WHERE at < p_at RETURNING 1) SELECT count(*) + v_gone INTO v_gone FROM gone;
  RETURN v_gone;
END $$;
""",
    """
CREATE FUNCTION amend(p_ask text, c jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE a attempt;
BEGIN
  SELECT * INTO a FROM attempt WHERE ask = p_ask AND state IN (0, 3) ORDER BY at DESC, id DESC LIMIT 1;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF a.state = 3 THEN  -- opened again, as if its process had lived
    PERFORM moved(scopes(a.provider, a.model, a.caller, a.task), a.at, a.held, -coalesce(a.cost, 0));
    UPDATE attempt SET state = 0, cost = NULL WHERE id = a.id;
  END IF;
  RETURN settle(a.id, c);
END $$;
""",
    """
CREATE FUNCTION shrunk(a attempt, p_amount bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF a.state = 0 THEN
    UPDATE attempt SET held = held - p_amount WHERE id = a.id;
    PERFORM moved(scopes(a.provider, a.model, a.caller, a.task), a.at, -p_amount, 0);
  ELSE  -- reclaimed, by whoever took its owner for dead
    UPDATE attempt SET cost = cost - p_amount WHERE id = a.id;
    PERFORM moved(scopes(a.provider, a.model, a.caller, a.task), a.at, 0, -p_amount);
  END IF;
END $$;

CREATE FUNCTION release(p_id bigint, p_amount bigint, p_turn int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE a attempt;
BEGIN
  SELECT * INTO a FROM attempt WHERE id = p_id AND state IN (0, 3);
  IF NOT FOUND THEN RETURN false; END IF;
  IF p_turn <= a.number THEN RETURN true; END IF;  -- a batch repeated after its connection was lost
  PERFORM shrunk(a, least(coalesce(a.cost, a.held), p_amount));  -- with no amount: all of it
  IF p_amount IS NULL THEN
    DELETE FROM attempt WHERE id = p_id;
  ELSE
    UPDATE attempt SET number = p_turn WHERE id = p_id;
  END IF;
  RETURN true;
END $$;

CREATE FUNCTION draw(p_lease bigint, p_id bigint, p_owner text, e jsonb, c jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  a attempt; v_at float8 := (e->>'at')::float8; v_taken bigint := 0;
  v_scopes text[] := scopes(e->>'provider', e->>'model', e->>'caller', e->>'task');
BEGIN
  IF EXISTS (SELECT 1 FROM attempt WHERE id = p_id) THEN  -- a batch repeated after its connection was lost
    RETURN jsonb_build_object('standings', '[]'::jsonb, 'alerts', '[]'::jsonb);
  END IF;
  SELECT * INTO a FROM attempt WHERE id = p_lease AND state IN (0, 3);
  IF FOUND THEN
    v_taken := least(coalesce(a.cost, a.held), coalesce((c->>'cost')::bigint, 0));
    IF a.state = 0 AND NOT EXISTS (SELECT 1 FROM budget WHERE scope = ANY(v_scopes)
        AND (ends > a.at AND starts <= a.at) <> (ends > v_at AND starts <= v_at)) THEN
      UPDATE attempt SET held = held - v_taken WHERE id = a.id;  -- held in the same windows, under another name
    ELSE
      PERFORM shrunk(a, v_taken);
      PERFORM moved(v_scopes, v_at, v_taken, 0);
    END IF;
  END IF;
  INSERT INTO attempt(id, owner, state, at, ask, number, part_of, caller, task, provider, model, asked, servers,
    simulated, held, max_tokens, prefix, history)
  VALUES (p_id, p_owner, 0, v_at, e->>'ask', (e->>'number')::int, e->>'part_of', e->>'caller', e->>'task',
    e->>'provider', e->>'model', e->>'asked', e->>'servers', (e->>'simulated')::boolean, v_taken,
    (e->>'max_tokens')::bigint, e->>'prefix', (e->>'history')::int);
  RETURN settle(p_id, c);
END $$;
""",
)
