-- What matters of an old database in the layout of the original design.
CREATE SCHEMA pycharter;
SET search_path TO pycharter;

CREATE TABLE systems (
    id serial PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, description text, system_type varchar(50),
    connection_info text, is_active varchar(10) NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE data_feeds (
    id serial PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, title varchar(255), description text,
    feed_type varchar(50), is_active boolean NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE business_owners (
    id serial PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, description text, contact_email varchar(255),
    department varchar(255), is_active varchar(10) NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE domains (
    id serial PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, description text, parent_domain_id integer,
    is_active varchar(10) NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE teams (
    id serial PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, description text, team_type varchar(50),
    is_active varchar(10) NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE schemas (
    id serial PRIMARY KEY, name varchar(255) NOT NULL, version varchar(50), schema_data json NOT NULL,
    created_at timestamptz DEFAULT now(), UNIQUE (name, version));
CREATE TABLE coercion_rules (
    id serial PRIMARY KEY, schema_id integer NOT NULL REFERENCES schemas ON DELETE CASCADE,
    version varchar(50), rules json NOT NULL, created_at timestamptz DEFAULT now(),
    UNIQUE (schema_id, version));
CREATE TABLE validation_rules (
    id serial PRIMARY KEY, schema_id integer NOT NULL REFERENCES schemas ON DELETE CASCADE,
    version varchar(50), rules json NOT NULL, created_at timestamptz DEFAULT now(),
    UNIQUE (schema_id, version));
CREATE TABLE governance_rules (
    id serial PRIMARY KEY, name varchar(255) NOT NULL, rule_definition json NOT NULL,
    schema_id integer REFERENCES schemas, created_at timestamptz DEFAULT now());
CREATE TABLE metadata_record (
    id serial PRIMARY KEY, resource_id varchar(255) NOT NULL, resource_type varchar(50) NOT NULL,
    metadata_data json NOT NULL, created_at timestamptz DEFAULT now(), UNIQUE (resource_id, resource_type));
CREATE TABLE ownership (
    resource_id varchar(255) PRIMARY KEY, owner varchar(255) NOT NULL, team varchar(255),
    additional_info json, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE data_contracts (
    id serial PRIMARY KEY, name varchar(255) NOT NULL, version varchar(50) NOT NULL, status varchar(50),
    schema_id integer NOT NULL REFERENCES schemas ON DELETE CASCADE,
    coercion_rules_id integer REFERENCES coercion_rules ON DELETE SET NULL,
    validation_rules_id integer REFERENCES validation_rules ON DELETE SET NULL,
    governance_rules_id integer REFERENCES governance_rules ON DELETE SET NULL,
    metadata_id integer REFERENCES metadata_record ON DELETE SET NULL,
    ownership_id varchar(255) REFERENCES ownership ON DELETE SET NULL,
    data_feed_id integer NOT NULL REFERENCES data_feeds ON DELETE CASCADE,
    domain_id integer REFERENCES domains ON DELETE SET NULL,
    description text, is_data_feed boolean NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    created_by varchar(255), updated_by varchar(255), UNIQUE (name, version));
CREATE TABLE data_contract_system_pulls (
    id serial PRIMARY KEY, data_contract_id integer NOT NULL REFERENCES data_contracts ON DELETE CASCADE,
    system_id integer NOT NULL REFERENCES systems ON DELETE CASCADE, created_at timestamptz DEFAULT now(),
    UNIQUE (data_contract_id, system_id));
CREATE TABLE data_contract_system_pushes (LIKE data_contract_system_pulls INCLUDING ALL);
CREATE TABLE data_contract_system_sources (LIKE data_contract_system_pulls INCLUDING ALL);
CREATE TABLE data_contract_business_owners (
    id serial PRIMARY KEY, data_contract_id integer NOT NULL REFERENCES data_contracts ON DELETE CASCADE,
    business_owner_id integer NOT NULL REFERENCES business_owners ON DELETE CASCADE,
    created_at timestamptz DEFAULT now(), UNIQUE (data_contract_id, business_owner_id));
CREATE TABLE data_contract_team_access (
    id serial PRIMARY KEY, data_contract_id integer NOT NULL REFERENCES data_contracts ON DELETE CASCADE,
    team_id integer NOT NULL REFERENCES teams ON DELETE CASCADE, permission varchar(20) NOT NULL,
    created_at timestamptz DEFAULT now(), UNIQUE (data_contract_id, team_id, permission));
CREATE TABLE data_feed_dependencies (
    id serial PRIMARY KEY, data_contract_id integer NOT NULL REFERENCES data_contracts ON DELETE CASCADE,
    dependency_feed_id integer NOT NULL REFERENCES data_feeds ON DELETE CASCADE, dependency_type varchar(50),
    created_at timestamptz DEFAULT now(), UNIQUE (data_contract_id, dependency_feed_id));

-- Shipment 1.0.0 as the software of its day wrote it: no row of data_contracts, everything in the document.
INSERT INTO schemas VALUES (3, 'Shipment', '1.0.0',
    '{"type": "object", "properties": {"weight": {"type": ["number", "null"], "default": null}}}',
    '2024-02-01 09:00:00+01');
INSERT INTO coercion_rules VALUES (5, 3, '1.0.0', '{"weight": "coerce_to_float"}', '2024-02-01 08:01:00+00');
INSERT INTO validation_rules VALUES (6, 3, '1.0.0', '{"weight": {"positive": null}}', '2024-02-01 08:02:00+00');
INSERT INTO governance_rules VALUES (7, 'shipment_policy',
    '{"sensitivity": "Internal", "access_control": {"read": ["Dispatch"]}}', 3, '2024-02-01 08:03:00+00');
INSERT INTO ownership VALUES (
    '3', 'Logistics', NULL, '{"contact": "dispatch@shop.example"}',
    '2024-02-01 08:04:00+00', '2024-02-01 08:05:00+00');
INSERT INTO metadata_record VALUES (8, '3', 'schema',
    '{"title": "Shipment", "version": "1.0.0", "status": "Active", "pulls_from": ["wms"],
      "business_owners": ["Logistics"], "data_quality": {"accuracy": 0.98, "sla": null}}',
    '2024-02-01 08:06:00+00');

-- Shipment 2.0.0 with a row and links, which say otherwise than the document; one schema without a version.
INSERT INTO schemas VALUES (4, 'shipment-v2', NULL, '{"type": "object", "version": "2.1.0"}', NULL);
INSERT INTO coercion_rules VALUES
    (9, 4, '1.9.0', '{"weight": "coerce_to_string"}', NULL), (10, 4, '2.0.0', '{}', NULL);
INSERT INTO metadata_record VALUES (11, 'shipment', 'contract',
    '{"title": "Shipment", "status": "draft", "is_data_feed": false, "pushes_to": ["billing"],
      "pulls_from": ["wms", "erp"], "domain": "Logistics", "governance_rules": {"sensitivity": "Public"}}', NULL);
INSERT INTO ownership VALUES ('shipment', 'Logistics', 'dispatch', NULL, NULL, NULL);
INSERT INTO systems VALUES
    (1, 'wms', 'Warehouse', 'database', '{"host": "wms.example", "password": "env:WMS"}', 'true', NULL, NULL),
    (2, 'carrier-api', NULL, 'api', 'https://carrier.example', 'FALSE', NULL, NULL),
    (3, 'fax', 'Nobody uses it', '', NULL, 'false', NULL, NULL);
INSERT INTO data_feeds VALUES
    (1, 'Shipments', 'All shipments', NULL, 'Operational', true, NULL, NULL),
    (2, 'Orders', NULL, 'What customers want', NULL, true, NULL, NULL),
    (3, 'Returns', NULL, NULL, NULL, false, NULL, NULL);
INSERT INTO domains VALUES
    (1, 'Fulfilment', 'From order to door', 2, 'true', NULL, NULL),
    (2, 'Operations', 'All that moves', 99, 'true', NULL, NULL);
INSERT INTO business_owners VALUES
    (1, 'Logistics', NULL, 'logistics@shop.example', 'Operations', 'true', NULL, NULL),
    (2, 'Legal', 'Contracts on paper', 'legal@shop.example', 'Board', 'true', NULL, NULL);
INSERT INTO teams VALUES
    (1, 'Dispatch', NULL, 'operations', 'true', NULL, NULL), (2, 'Audit', NULL, NULL, 'true', NULL, NULL);
INSERT INTO data_contracts VALUES (
    17, 'Shipment', '2.0.0', 'Deprecated', 4, NULL, NULL, NULL, 11, 'shipment', 1, 1, 'Parcels', true,
    '2024-05-01 10:00:00+00', '2024-06-01 10:00:00+00', 'mara', NULL);
INSERT INTO data_contract_system_pulls VALUES (1, 17, 1, NULL), (2, 17, 2, NULL);
INSERT INTO data_contract_business_owners VALUES (1, 17, 1, NULL);
INSERT INTO data_contract_team_access VALUES (1, 17, 1, 'READ', NULL), (2, 17, 1, 'Write', NULL);
INSERT INTO data_feed_dependencies VALUES (1, 17, 2, 'Optional', NULL);
