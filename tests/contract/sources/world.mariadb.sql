SET NAMES utf8mb4;
CREATE DATABASE plain CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE second CHARACTER SET latin1;
CREATE DATABASE `we``ird/na-me 'q" ü`;
CREATE DATABASE `new
line`;
CREATE DATABASE empty;
USE plain;
CREATE TABLE odd (
  id int PRIMARY KEY, marks varchar(500), bin varbinary(20), doc json, kind enum('a','b'),
  twice int GENERATED ALWAYS AS (id * 2) STORED, thrice int AS (id * 3) VIRTUAL, CHECK (id > 0)
) COMMENT 'a comment
-- Current Database: `second`
';
INSERT INTO odd (id, marks, bin, doc, kind) VALUES
 (1, 'x\n--\n-- Current Database: `second`\n--\n\nCREATE DATABASE x;\n', x'00ff0a2d', '{"a": 1}', 'a'),
 (2, ');\n', NULL, NULL, NULL), (3, '\\\'";;\nDELIMITER ;;\n', '', NULL, 'b'), (4, '😀 ü \r\n \0', NULL, NULL, NULL);
CREATE TABLE bytes (n int PRIMARY KEY, b longblob, g geometry, f bit(9), u uuid, i inet6, d decimal(30, 10), t timestamp(6) NULL);
INSERT INTO bytes VALUES (1, x'00010203ff0a0d1a5c27', point(1, 2), b'101010101', '123e4567-e89b-12d3-a456-426655440000', '::1', -1.5, '2026-01-01 00:00:00.123456');
CREATE TABLE `table
-- Current Database: ``second``
x` (`column
);
y` int PRIMARY KEY);
INSERT INTO `table
-- Current Database: ``second``
x` VALUES (1), (2);
CREATE TABLE covered (a int, b int, PRIMARY KEY (a, b), KEY back (b, a));
INSERT INTO covered VALUES (1, 9), (2, 8), (3, 7);
CREATE TABLE no_transactions (a int) ENGINE=MyISAM;
INSERT INTO no_transactions VALUES (3), (1), (2);
CREATE TABLE history (x int PRIMARY KEY, y int) WITH SYSTEM VERSIONING;
INSERT INTO history VALUES (1, 1);
UPDATE history SET y = 2;
CREATE TABLE parts (a int PRIMARY KEY) PARTITION BY RANGE (a) (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE);
INSERT INTO parts VALUES (1), (100);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE);
INSERT INTO parent VALUES (5);
INSERT INTO child VALUES (1, 5);
CREATE SEQUENCE numbers;
SELECT nextval(numbers);
CREATE VIEW z_last AS SELECT id, marks AS `odd
name`, 'text
in two lines' AS s FROM odd;
CREATE VIEW a_first AS SELECT * FROM z_last;
USE second;
CREATE TABLE other (z int PRIMARY KEY);
INSERT INTO other VALUES (1), (2);
CREATE VIEW over_all AS SELECT id FROM plain.a_first;
USE plain;
CREATE VIEW across AS SELECT z FROM second.other;
CREATE TABLE second.refers (id int PRIMARY KEY, parent int, FOREIGN KEY (parent) REFERENCES plain.parent (id));
INSERT INTO second.refers VALUES (1, 5);
DELIMITER $$
CREATE PROCEDURE confusing()
BEGIN
/*
DELIMITER ;
--
-- Current Database: `second`
--

CREATE DATABASE `second`;

USE `second`;
-- a comment that is not over */
SELECT 'a;;
-- Current Database: `second`
DELIMITER ;
b', "c''
-- Current Database: `second`
", `id` FROM odd; # '
SELECT 5--3; -- "
END$$
CREATE FUNCTION add_one(x int) RETURNS int DETERMINISTIC RETURN x + 1 -- it ends in a comment
$$
CREATE TRIGGER before_odd BEFORE INSERT ON odd FOR EACH ROW
BEGIN
  SET NEW.marks = concat(NEW.marks, ';;');
END$$
CREATE EVENT daily ON SCHEDULE EVERY 1 DAY STARTS '2027-01-01 00:00:00' DISABLE DO BEGIN SELECT 1; END$$
SET sql_mode = 'NO_BACKSLASH_ESCAPES'$$
CREATE PROCEDURE no_escapes()
BEGIN
SELECT '\';
-- Current Database: `second`
SELECT '\';
END$$
SET sql_mode = 'ANSI_QUOTES'$$
CREATE PROCEDURE ansi()
BEGIN
SELECT "id" FROM "odd";
SELECT 'x';
END$$
SET sql_mode = DEFAULT$$
DELIMITER ;
CREATE USER shop@'%' IDENTIFIED BY 'secret\' \\ word' REQUIRE NONE WITH MAX_USER_CONNECTIONS 7;
CREATE USER `odd ``user`@localhost IDENTIFIED BY 'x' ACCOUNT LOCK;
CREATE ROLE reader;
CREATE ROLE nested;
GRANT SELECT ON plain.* TO reader;
GRANT nested TO reader;
GRANT reader TO shop@'%';
SET DEFAULT ROLE reader FOR shop@'%';
GRANT SELECT (id), INSERT (id, marks) ON plain.odd TO shop@'%';
GRANT EXECUTE ON PROCEDURE plain.confusing TO shop@'%' WITH GRANT OPTION;
GRANT ALL ON `we``ird/na-me 'q" ü`.* TO `odd ``user`@localhost;
GRANT SELECT ON second.other TO PUBLIC;
