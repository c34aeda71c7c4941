CREATE ROLE clerk LOGIN PASSWORD 'x' VALID UNTIL '2099-01-01' CONNECTION LIMIT 5;
CREATE ROLE chief NOLOGIN CREATEDB BYPASSRLS;
CREATE ROLE "O'Hara" LOGIN;
GRANT clerk TO chief WITH ADMIN OPTION;
GRANT chief TO "O'Hara";
GRANT pg_read_all_stats, pg_monitor TO clerk;
ALTER ROLE clerk SET search_path = '"odd, schema"', public;
ALTER ROLE ALL SET log_min_duration_statement = '5s';
COMMENT ON ROLE clerk IS 'who; sells';
CREATE DATABASE rental OWNER chief;
CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' LOCALE 'C.UTF-8';
CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C';
CREATE DATABASE win TEMPLATE template0 ENCODING 'WIN1252' LOCALE 'C';
ALTER DATABASE rental SET search_path = public, films;
ALTER DATABASE rental CONNECTION LIMIT 50;
ALTER ROLE clerk IN DATABASE rental SET work_mem = '7MB';
GRANT CREATE, TEMPORARY ON DATABASE rental TO clerk;
REVOKE ALL ON DATABASE icu FROM PUBLIC;
\c icu
CREATE TABLE words AS SELECT unnest(ARRAY['Ärger', 'Argus', 'Zoo']) AS w;
CREATE COLLATION numbers (provider = icu, locale = 'en-u-kn-true');
CREATE TABLE sorted (a text COLLATE numbers); CREATE INDEX ON sorted (a);
INSERT INTO sorted VALUES ('a10'), ('a9');
\c bytes
CREATE TABLE t (a text); INSERT INTO t VALUES (E'\xff\xfe'), ('x');
\c win
SET client_encoding = 'UTF8';
CREATE TABLE "Größe" (a text); INSERT INTO "Größe" VALUES ('€uro');
\c rental
CREATE EXTENSION citext;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION postgres_fdw;
CREATE SCHEMA films AUTHORIZATION chief;
CREATE SCHEMA "odd, schema";
CREATE TYPE films.rating AS ENUM ('G', 'PG-13', 'it''s');
CREATE DOMAIN films.year AS integer CONSTRAINT sane CHECK (VALUE BETWEEN 1901 AND 2155) DEFAULT 1999;
CREATE TYPE films.pair AS (a int, b text COLLATE "C");
CREATE TYPE films.span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE SEQUENCE films.tickets AS smallint START 100 INCREMENT -10 MINVALUE -50 MAXVALUE 100 CYCLE;
SELECT nextval('films.tickets'), nextval('films.tickets');
CREATE TABLE films.film (
  id integer GENERATED ALWAYS AS IDENTITY (START 7) PRIMARY KEY, title citext NOT NULL, rating films.rating DEFAULT 'G',
  year films.year, words tsvector, tags text[][] DEFAULT '{}', doc jsonb, one films.pair, during tstzrange, at inet,
  amount numeric, big double precision DEFAULT 'NaN', raw bytea, x xml, m money, i interval,
  ticket smallint DEFAULT nextval('films.tickets'), slug text GENERATED ALWAYS AS (lower(title::text)) STORED,
  CONSTRAINT "no ""empty""" CHECK (title <> ''), EXCLUDE USING gist (during WITH &&)
) WITH (fillfactor = 70, autovacuum_enabled = off);
INSERT INTO films.film (title, rating, doc, one, during, amount, raw, tags, i) VALUES
 (E'tab\there\\.', 'it''s', '{"a": [1e3, null, "\u00e9"]}', '(1,"x,y")', '[2026-01-01,2026-02-01)', 1.5, '\x00ff', '{{a,"b,c"},{NULL,""}}', '1 mon -3 days'),
 (E'two\nlines', 'G', NULL, NULL, NULL, 'Infinity', '', NULL, NULL);
COMMENT ON COLUMN films.film.title IS E'a\ncomment';
ALTER TABLE films.film ALTER COLUMN title SET STATISTICS 500;
ALTER TABLE films.film REPLICA IDENTITY FULL;
ALTER TABLE films.film ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE STATISTICS films.dependent (dependencies) ON rating, year FROM films.film;
CREATE INDEX by_words ON films.film USING gin (words) WHERE rating = 'G';
CREATE UNIQUE INDEX lower_title ON films.film (lower(title::text) COLLATE "C" DESC NULLS LAST) INCLUDE (year);
ALTER TABLE films.film CLUSTER ON film_pkey;
CREATE TABLE films.payment (id bigint, at date NOT NULL, film int REFERENCES films.film DEFERRABLE INITIALLY DEFERRED) PARTITION BY RANGE (at);
CREATE TABLE films.payment_2025 PARTITION OF films.payment FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE films.payment_rest PARTITION OF films.payment DEFAULT PARTITION BY LIST (film);
CREATE TABLE films.payment_7 PARTITION OF films.payment_rest FOR VALUES IN (7, NULL);
CREATE TABLE films.payment_other PARTITION OF films.payment_rest DEFAULT;
INSERT INTO films.payment SELECT n, date '2025-12-01' + n, CASE WHEN n % 3 = 0 THEN 7 WHEN n % 3 = 1 THEN 8 END FROM generate_series(1, 60) n;
CREATE TABLE hashed (r films.rating, n int) PARTITION BY HASH (r);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed VALUES ('G', 1), ('PG-13', 2), ('it''s', 3);
CREATE TABLE base (a int); CREATE TABLE derived (b int) INHERITS (base);
INSERT INTO base VALUES (1); INSERT INTO derived VALUES (2, 3);
CREATE UNLOGGED TABLE passing (a int); INSERT INTO passing VALUES (1), (2);
CREATE TABLE "odd, schema"."Таблица ""x""" ("a.b" int, "select" text); INSERT INTO "odd, schema"."Таблица ""x""" VALUES (1, 'ы');
CREATE TABLE self (id int PRIMARY KEY, up int REFERENCES self ON DELETE SET NULL); INSERT INTO self VALUES (1, 2), (2, 1);
CREATE VIEW films.cheap WITH (security_barrier) AS SELECT id, title FROM films.film WHERE rating = 'G' WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW tree (id) AS SELECT 1 UNION ALL SELECT id + 1 FROM tree WHERE id < 5;
CREATE MATERIALIZED VIEW films.totals AS SELECT rating, count(*) FROM films.film GROUP BY 1; CREATE UNIQUE INDEX ON films.totals (rating);
CREATE MATERIALIZED VIEW films.empty AS SELECT 1 AS a WITH NO DATA;
CREATE FUNCTION films.highest() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(id) FROM film); END';
CREATE MATERIALIZED VIEW films.highest AS SELECT films.highest() AS id;
CREATE FUNCTION films.tax(amount numeric, VARIADIC rates numeric[] DEFAULT '{1.2}') RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY DEFINER SET search_path = films RETURN amount * rates[1];
CREATE PROCEDURE pay(INOUT total int) LANGUAGE plpgsql AS $$ BEGIN total := total + 1; /* \! id */ COMMIT; END $$;
CREATE AGGREGATE films.product (numeric) (SFUNC = numeric_mul, STYPE = numeric, INITCOND = '1');
CREATE OPERATOR films.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq, COMMUTATOR = OPERATOR(films.===));
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.doc = coalesce(NEW.doc, ''{}''); RETURN NEW; END';
CREATE TRIGGER stamped BEFORE INSERT OR UPDATE OF title ON films.film FOR EACH ROW WHEN (NEW.doc IS NULL) EXECUTE FUNCTION stamp();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON self DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE films.film DISABLE TRIGGER stamped;
CREATE RULE never AS ON DELETE TO base DO INSTEAD NOTHING;
CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER tells ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION told();
ALTER TABLE self ENABLE ROW LEVEL SECURITY; ALTER TABLE self FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON self FOR SELECT TO clerk USING (id > 1);
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '192.0.2.9', dbname 'x');
CREATE USER MAPPING FOR clerk SERVER far OPTIONS (user 'u', password 'p''w');
CREATE FOREIGN TABLE elsewhere (a int) SERVER far;
CREATE PUBLICATION news FOR TABLE films.film (id, title) WHERE (id > 3);
CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);
CREATE CAST (films.pair AS text) WITH INOUT;
SELECT lo_create(424242), lo_from_bytea(424243, decode(repeat('00ff0a5c', 3000), 'hex'));
GRANT SELECT ON LARGE OBJECT 424243 TO clerk; COMMENT ON LARGE OBJECT 424242 IS 'empty';
GRANT SELECT (id, title), UPDATE (title) ON films.film TO clerk WITH GRANT OPTION;
GRANT USAGE ON SCHEMA films TO clerk; GRANT USAGE ON SEQUENCE films.tickets TO PUBLIC; GRANT EXECUTE ON PROCEDURE pay TO clerk;
REVOKE EXECUTE ON FUNCTION films.tax FROM PUBLIC; GRANT USAGE ON TYPE films.rating TO clerk; GRANT USAGE ON FOREIGN SERVER far TO clerk;
ALTER DEFAULT PRIVILEGES FOR ROLE chief IN SCHEMA films GRANT ALL ON TABLES TO clerk; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER TABLE films.film OWNER TO chief;
