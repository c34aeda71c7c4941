SET NAMES utf8mb4;
CREATE ROLE clerks;
CREATE ROLE chiefs WITH ADMIN clerks;
CREATE USER 'o''hara'@'10.%' IDENTIFIED BY 'pass "word"' REQUIRE SSL PASSWORD EXPIRE INTERVAL 90 DAY;
CREATE USER nobody@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING 'invalid';
CREATE DATABASE rental CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci COMMENT 'films; and more';
CREATE DATABASE `select` CHARACTER SET utf16 COLLATE utf16_bin;
CREATE DATABASE `Größe/1:2` CHARACTER SET cp1251;
USE rental;
CREATE TABLE language (id tinyint unsigned AUTO_INCREMENT PRIMARY KEY, name char(20) NOT NULL UNIQUE) AUTO_INCREMENT=250;
CREATE TABLE film (
  id smallint unsigned zerofill NOT NULL AUTO_INCREMENT PRIMARY KEY,
  title varchar(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'it''s "new"',
  description text COMPRESSED, year year DEFAULT 1999, rate decimal(4,2) NOT NULL DEFAULT 4.99 CHECK (rate >= 0),
  rating enum('G','PG-13','NC,17','it''s') DEFAULT 'G', features set('Trailers','Behind; the Scenes','') DEFAULT NULL,
  secret int INVISIBLE DEFAULT 7, doc json CHECK (json_valid(doc)), slug varchar(200) AS (lower(replace(title, ' ', '-'))) STORED,
  days int AS (to_days(updated)) VIRTUAL INVISIBLE, uid uuid DEFAULT uuid(), flags bit(3) DEFAULT b'101',
  updated timestamp(3) NOT NULL DEFAULT current_timestamp(3) ON UPDATE current_timestamp(3),
  language tinyint unsigned NOT NULL, zero datetime DEFAULT '0000-00-00 00:00:00',
  KEY by_slug (slug(20)), FULLTEXT KEY words (title), UNIQUE KEY `odd ``key` (title, language),
  CONSTRAINT `fk ``lang` FOREIGN KEY (language) REFERENCES language (id) ON UPDATE CASCADE,
  CONSTRAINT not_both CHECK (rating <> 'G' OR secret < 100)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC COMMENT='a; comment -- with /* marks */';
INSERT INTO language (id, name) VALUES (1, 'Français'), (2, '日本語'), (255, '');
INSERT INTO film (title, description, rating, features, secret, doc, language, flags) VALUES
 ('A\0B', repeat('é\n', 1000), 'NC,17', 'Trailers,Behind; the Scenes', 99, '{"a": ["\\"", null, 1e3]}', 1, b'010'),
 ('\'";`\\%_', '-- Dump completed', 'it''s', '', 1, '[]', 2, b'111'), ('𝄞 and 👩‍👩‍👧', NULL, 'G', NULL, 7, 'null', 255, b'000');
CREATE TABLE place (id int PRIMARY KEY, spot point NOT NULL, area polygon, SPATIAL KEY (spot)) ENGINE=InnoDB;
INSERT INTO place VALUES (1, ST_GeomFromText('POINT(1.5 -2)'), ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'));
CREATE TABLE payment (
  id bigint NOT NULL, at date NOT NULL, amount double, ratio float, PRIMARY KEY (id, at)
) PARTITION BY RANGE (to_days(at)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 (
  PARTITION p2025 VALUES LESS THAN (to_days('2026-01-01')) COMMENT = 'old', PARTITION rest VALUES LESS THAN MAXVALUE);
INSERT INTO payment SELECT seq, '2025-12-01' + INTERVAL seq DAY, seq / 3, seq / 7 FROM seq_1_to_60;
CREATE TABLE listed (kind int, v varchar(9)) PARTITION BY LIST (kind) (PARTITION a VALUES IN (1, 2), PARTITION d DEFAULT);
INSERT INTO listed VALUES (1, 'a'), (9, 'b'), (NULL, NULL);
CREATE TABLE tariff (
  id int, price int, valid_from date, valid_to date, PERIOD FOR valid (valid_from, valid_to),
  UNIQUE (id, valid WITHOUT OVERLAPS)
) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION past HISTORY, PARTITION now CURRENT);
INSERT INTO tariff VALUES (1, 5, '2026-01-01', '2026-06-01'), (2, 6, '2026-01-01', '2027-01-01');
UPDATE tariff SET price = 7 WHERE id = 1;
DELETE FROM tariff WHERE id = 2;
CREATE TABLE latin (a varchar(50)) CHARACTER SET latin1 COLLATE latin1_german2_ci;
INSERT INTO latin VALUES ('Ärger £ €'), (_latin1 x'80ff27');
CREATE TABLE shift (a varchar(50)) CHARACTER SET sjis;
INSERT INTO shift VALUES (_sjis x'835c'), (_sjis x'955c27');
CREATE TABLE searched (a text, FULLTEXT (a)) ENGINE=MyISAM;
INSERT INTO searched VALUES ('zwei'), ('eins');
CREATE TABLE crash_safe (a int PRIMARY KEY, b blob) ENGINE=Aria TRANSACTIONAL=1;
INSERT INTO crash_safe VALUES (1, x'00'), (2, NULL);
CREATE TABLE held (a int) ENGINE=MEMORY;
INSERT INTO held VALUES (5), (5);
CREATE SEQUENCE tickets START WITH 100 INCREMENT BY -10 MINVALUE -50 MAXVALUE 100 CYCLE NOCACHE;
SELECT nextval(tickets), nextval(tickets);
CREATE TABLE numbered (id int PRIMARY KEY DEFAULT nextval(rental.tickets), d datetime DEFAULT (now() + INTERVAL 1 DAY));
INSERT INTO numbered (d) VALUES ('2026-02-03');
SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
INSERT INTO language (id, name) VALUES (0, 'zero');
SET sql_mode = DEFAULT;
CREATE TABLE `Größe/1:2`.`Таблица``s` (`столбец
2` varchar(20) DEFAULT 'ы');
INSERT INTO `Größe/1:2`.`Таблица``s` VALUES ('Привет'), ('');
CREATE TABLE `select`.`from` (`where` varchar(40));
INSERT INTO `select`.`from` VALUES ('utf16: 😀');
CREATE TABLE self (id int PRIMARY KEY, up int, FOREIGN KEY (up) REFERENCES self (id) ON DELETE SET NULL);
INSERT INTO self VALUES (1, NULL);
INSERT INTO self VALUES (2, 1), (3, 3);
CREATE ALGORITHM=MERGE DEFINER='o''hara'@'10.%' SQL SECURITY INVOKER VIEW cheap AS
  SELECT id, title FROM film WHERE rate < 5 WITH LOCAL CHECK OPTION;
CREATE ALGORITHM=TEMPTABLE VIEW `select`.total AS SELECT count(*) AS `count(*)`, 'x;y' AS `;` FROM rental.cheap;
DELIMITER //
CREATE DEFINER='o''hara'@'10.%' FUNCTION tax(amount decimal(9,2)) RETURNS decimal(9,2) DETERMINISTIC SQL SECURITY INVOKER
  COMMENT 'a // b' RETURN amount * 1.2//
CREATE PROCEDURE pay(IN who int, INOUT total double, OUT said text CHARACTER SET utf8mb3)
BEGIN
  DECLARE done int DEFAULT 0; DECLARE c CURSOR FOR SELECT id FROM film;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
  label: LOOP LEAVE label; END LOOP;
  SET said = CONCAT('-- Current Database: `rental`', CHAR(10), who); -- ' a quote
END//
CREATE TRIGGER first_one BEFORE UPDATE ON film FOR EACH ROW SET NEW.updated = OLD.updated//
CREATE TRIGGER second_one BEFORE UPDATE ON film FOR EACH ROW PRECEDES first_one BEGIN IF NEW.rate < 0 THEN SIGNAL SQLSTATE '45000'; END IF; END//
CREATE TRIGGER gone AFTER DELETE ON self FOR EACH ROW INSERT INTO held VALUES (OLD.id)//
CREATE DEFINER='o''hara'@'10.%' EVENT `every ``night` ON SCHEDULE EVERY '1:30' HOUR_MINUTE STARTS '2030-01-01 00:00:00'
  ON COMPLETION PRESERVE COMMENT 'it''s' DO BEGIN DELETE FROM held; SELECT ';//'; END//
CREATE EVENT `select`.once ON SCHEDULE AT '2035-01-01' DISABLE ON SLAVE DO SELECT 1//
SET sql_mode = 'ORACLE'//
CREATE PACKAGE tools AS
  FUNCTION twice(a INT) RETURN INT;
END//
CREATE PACKAGE BODY tools AS
  FUNCTION twice(a INT) RETURN INT AS BEGIN RETURN a * 2; END;
END//
GRANT EXECUTE ON PACKAGE rental.tools TO 'o''hara'@'10.%', clerks//
GRANT EXECUTE ON PACKAGE BODY rental.tools TO 'o''hara'@'10.%' WITH GRANT OPTION//
SET sql_mode = 'PIPES_AS_CONCAT,ANSI_QUOTES,NO_BACKSLASH_ESCAPES'//
CREATE FUNCTION joined() RETURNS text DETERMINISTIC RETURN 'a\' || "rental"."tax"(1)//
SET sql_mode = DEFAULT//
DELIMITER ;
GRANT SELECT, INSERT ON rental.* TO clerks;
GRANT UPDATE (title, rate), SELECT (id) ON rental.film TO clerks;
GRANT EXECUTE ON FUNCTION rental.tax TO clerks;
GRANT chiefs TO 'o''hara'@'10.%' WITH ADMIN OPTION;
GRANT clerks TO nobody@localhost;
SET DEFAULT ROLE clerks FOR nobody@localhost;
GRANT ALL ON `rent\_al`.* TO nobody@localhost;
GRANT REPLICATION SLAVE, RELOAD ON *.* TO 'o''hara'@'10.%';
GRANT PROXY ON nobody@localhost TO 'o''hara'@'10.%';
SET innodb_strict_mode = 0, check_constraint_checks = 0;
CREATE TABLE rental.lax (id INT PRIMARY KEY, n INT, CHECK (n > 5)) ENGINE=InnoDB ROW_FORMAT=FIXED;
INSERT INTO rental.lax VALUES (1, 3);
