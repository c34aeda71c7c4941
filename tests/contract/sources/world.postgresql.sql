CREATE ROLE shop LOGIN PASSWORD 'secret';
CREATE ROLE reader NOLOGIN;
GRANT reader TO shop;
ALTER ROLE shop SET work_mem = '8MB';
CREATE ROLE "odd ""role'
\! id
x";
CREATE DATABASE "odd/db ""'\ =ü
x" OWNER "odd ""role'
\! id
x";
CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
CREATE DATABASE template_too IS_TEMPLATE true;
CREATE DATABASE d1 OWNER shop CONNECTION LIMIT 9;
COMMENT ON DATABASE d1 IS 'it is''s';
ALTER DATABASE d1 SET statement_timeout = 0;
ALTER ROLE shop IN DATABASE d1 SET search_path = public;
REVOKE CONNECT ON DATABASE d1 FROM PUBLIC;
GRANT CONNECT ON DATABASE d1 TO reader;
CREATE TABLE in_postgres AS SELECT 1 AS a;
\c template1
CREATE TABLE in_template1 AS SELECT 2 AS a;
\c latin
CREATE TABLE t AS SELECT 'ü' AS a;
\c d1
CREATE EXTENSION pg_trgm;
CREATE EXTENSION hstore;
CREATE TABLE t (id serial PRIMARY KEY, a text, b bytea, c timestamptz DEFAULT now(), h hstore, g int GENERATED ALWAYS AS (1 + 1) STORED);
INSERT INTO t (a, b) VALUES ('x' || chr(10) || '\.' || chr(10) || '\unrestrict hotsync', '\x00ff'), (E'multi\nline\ttab\\', NULL);
CREATE VIEW b_view AS SELECT id FROM t;
CREATE VIEW a_view AS SELECT id FROM b_view;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM t;
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE parts (a int, m mood, d positive) PARTITION BY RANGE (a);
CREATE TABLE part_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
INSERT INTO parts VALUES (1, 'a', 2);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN new.a = 't'; RETURN new; END $body$;
CREATE TRIGGER before_t BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
CREATE SCHEMA "odd schema""
x";
CREATE TABLE "odd schema""
x"."odd table;
--" ("odd column" int PRIMARY KEY REFERENCES t (id));
INSERT INTO "odd schema""
x"."odd table;
--" VALUES (1);
SELECT lo_from_bytea(0, '\xdeadbeef');
ALTER TABLE t OWNER TO shop;
GRANT SELECT (a) ON t TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE shop GRANT SELECT ON TABLES TO reader;
SELECT setval('t_id_seq', 42);
