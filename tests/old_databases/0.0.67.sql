-- What matters of an old database in the layout of release 0.0.67.
CREATE SCHEMA pycharter;
SET search_path TO pycharter;

CREATE TABLE json_schemas (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, data_contract_id uuid, version varchar(50) NOT NULL,
    schema_data json NOT NULL, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE coercion_rules (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, data_contract_id uuid, description varchar(500),
    version varchar(50) NOT NULL, rules json NOT NULL, json_schema_id uuid,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE validation_rules (LIKE coercion_rules INCLUDING ALL);
CREATE TABLE field_bindings (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, data_contract_id uuid, description varchar(500),
    version varchar(50) NOT NULL, mapping_data json NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE metadata_records (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, namespace varchar(255), data_contract_id uuid NOT NULL,
    version varchar(50) NOT NULL, status varchar(50), type varchar(50), description text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    created_by varchar(255), updated_by varchar(255), governance_rules json, payload json);
CREATE TABLE data_contracts (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, namespace varchar(255), version varchar(50) NOT NULL,
    status varchar(50), description text, revision integer NOT NULL,
    json_schema_id uuid REFERENCES json_schemas, coercion_rules_id uuid REFERENCES coercion_rules,
    validation_rules_id uuid REFERENCES validation_rules, metadata_record_id uuid REFERENCES metadata_records,
    field_bindings_id uuid REFERENCES field_bindings, data_quality json, sla_default_element text,
    sla_properties json, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    created_by varchar(255), updated_by varchar(255), UNIQUE (namespace, name, version));
CREATE TABLE tags (
    id uuid PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, description text, category varchar(50),
    color varchar(7), additional_metadata json,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE data_contract_tags (
    id uuid PRIMARY KEY, data_contract_id uuid NOT NULL REFERENCES data_contracts,
    tag_id uuid NOT NULL REFERENCES tags, created_at timestamptz DEFAULT now());
CREATE TABLE data_dependencies (
    id uuid PRIMARY KEY, source_contract_id uuid NOT NULL REFERENCES data_contracts,
    target_contract_id uuid NOT NULL REFERENCES data_contracts, dependency_type varchar(50), description text,
    is_critical boolean NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE systems (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, app_id varchar(255), description text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE domains (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, description text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE data_feeds (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, title varchar(255), feed_type varchar(50),
    description text, is_active boolean NOT NULL, additional_metadata json,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE owners (
    id varchar(255) PRIMARY KEY, name varchar(255), email varchar(255), team varchar(255),
    additional_info json, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE environments (
    id uuid PRIMARY KEY, name varchar(50) NOT NULL, description text, environment_type varchar(50),
    is_production boolean NOT NULL, additional_metadata json);
CREATE TABLE compliance_frameworks (
    id uuid PRIMARY KEY, name varchar(100) NOT NULL, code varchar(50), description text,
    framework_type varchar(50), is_active boolean NOT NULL, additional_metadata json);
CREATE TABLE storage_locations (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, location_type varchar(50), connection_string text);
CREATE TABLE api_endpoints (
    id uuid PRIMARY KEY, path varchar(500) NOT NULL, method varchar(10) NOT NULL,
    metadata_record_id uuid NOT NULL REFERENCES metadata_records, rate_limit varchar(50), cache_ttl integer,
    documentation_url text, is_active boolean NOT NULL, additional_metadata json);
CREATE TABLE metadata_record_environments (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    environment_id uuid NOT NULL REFERENCES environments);
CREATE TABLE metadata_record_storage_locations (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    storage_location_id uuid NOT NULL REFERENCES storage_locations, usage_type varchar(50));
CREATE TABLE metadata_record_compliance_frameworks (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    compliance_framework_id uuid NOT NULL REFERENCES compliance_frameworks, compliance_status varchar(50),
    notes text);
CREATE TABLE metadata_record_system_pulls (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    system_id uuid NOT NULL REFERENCES systems, created_at timestamptz DEFAULT now());
CREATE TABLE metadata_record_system_pushes (LIKE metadata_record_system_pulls INCLUDING ALL);
CREATE TABLE metadata_record_system_sources (LIKE metadata_record_system_pulls INCLUDING ALL);
CREATE TABLE metadata_record_domains (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    domain_id uuid NOT NULL REFERENCES domains, created_at timestamptz DEFAULT now());
CREATE TABLE metadata_record_data_feeds (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    data_feed_id uuid NOT NULL REFERENCES data_feeds, created_at timestamptz DEFAULT now());
CREATE TABLE metadata_record_ownership (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    owner_id varchar(255) NOT NULL REFERENCES owners, role varchar(64) NOT NULL,
    created_at timestamptz DEFAULT now());

-- shipment 1.0.0: the document says it all; its row was retired since.
INSERT INTO json_schemas VALUES (
    '00000000-0000-4000-8000-000000000011', 'logistics_shipment', '00000000-0000-4000-8000-000000000001',
    '1.0.0', '{"type": "object", "properties": {"weight": {"type": "number"}}}', NULL, NULL);
INSERT INTO validation_rules VALUES (
    '00000000-0000-4000-8000-000000000031', 'logistics_shipment_validation_rules', NULL, 'Weights in kg',
    '1.2.0', '{"weight": {"positive": null}}', NULL, NULL, NULL);
INSERT INTO field_bindings VALUES (
    '00000000-0000-4000-8000-000000000081', 'shipment_bindings', NULL, NULL, '1.0.0', '{"weight": "mass"}',
    NULL, NULL);
INSERT INTO metadata_records VALUES
    ('00000000-0000-4000-8000-000000000041', 'shipment', 'logistics', '00000000-0000-4000-8000-000000000001',
     '1.0.0', 'active', 'event', 'Parcels', NULL, NULL, NULL, NULL, '{"dependencies": ["Orders"]}',
     '{"name": "shipment", "version": "1.0.0", "status": "active", "type": "event", "description": "Parcels",
       "ownership": {"roles": {"business_owner": ["logistics"], "data_steward": ["mara"]}},
       "lineage": {"pulls_from": ["wms"]}, "governance_rules": {"dependencies": ["Orders"]},
       "runtime": {"serve": {}}}'),
    ('00000000-0000-4000-8000-000000000042', 'shipment', NULL, '00000000-0000-4000-8000-000000000002',
     '0.5.0', 'active', NULL, 'Parcels, once', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO data_contracts VALUES
    ('00000000-0000-4000-8000-000000000001', 'shipment', 'logistics', '1.0.0', 'Retired', NULL, 4,
     '00000000-0000-4000-8000-000000000011', NULL, '00000000-0000-4000-8000-000000000031',
     '00000000-0000-4000-8000-000000000041', '00000000-0000-4000-8000-000000000081', '{"targets": []}', NULL,
     '[{"property": "latency", "value": 4}]', '2026-01-01 00:00:00+00', NULL, 'mara', NULL),
    -- Of the time before documents were kept: links only.
    ('00000000-0000-4000-8000-000000000002', 'shipment', NULL, '0.5.0', 'draft', NULL, 1,
     '00000000-0000-4000-8000-000000000011', NULL, NULL, '00000000-0000-4000-8000-000000000042', NULL, NULL,
     NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO data_dependencies VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002',
    'required', NULL, true);
INSERT INTO tags VALUES ('00000000-0000-4000-8000-000000000071', 'parcels', NULL, NULL, '#aabbcc', NULL);
INSERT INTO data_contract_tags VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000071');
INSERT INTO systems VALUES ('00000000-0000-4000-8000-000000000051', 'wms', 'APP-7', 'Warehouse');
INSERT INTO domains VALUES ('00000000-0000-4000-8000-000000000061', 'Fulfilment', NULL);
INSERT INTO data_feeds VALUES (
    '00000000-0000-4000-8000-000000000091', 'Shipments', NULL, 'Operational', NULL, true, '{"sla": 1}');
INSERT INTO owners VALUES ('mara', 'Mara Lind', 'mara@shop.example', 'Dispatch', NULL);
INSERT INTO environments VALUES ('00000000-0000-4000-8000-000000000072', 'prod', NULL, NULL, true, NULL);
INSERT INTO compliance_frameworks VALUES (
    '00000000-0000-4000-8000-000000000073', 'GDPR', NULL, NULL, 'law', true, NULL);
INSERT INTO metadata_record_system_pulls VALUES
    -- Written by an earlier release, and passed over by this one, which keeps a document.
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000041', '00000000-0000-4000-8000-000000000051'),
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000042', '00000000-0000-4000-8000-000000000051');
INSERT INTO metadata_record_domains VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000042', '00000000-0000-4000-8000-000000000061');
INSERT INTO metadata_record_data_feeds VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000042', '00000000-0000-4000-8000-000000000091');
INSERT INTO metadata_record_ownership VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000042', 'mara', 'business_owner'),
    (gen_random_uuid(), '00000000-0000-4000-8000-000000000042', 'mara', 'Data_Steward');
INSERT INTO metadata_record_environments VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000042', '00000000-0000-4000-8000-000000000072');
INSERT INTO storage_locations VALUES (
    '00000000-0000-4000-8000-000000000074', 'lake', 'bucket', 'secret, and nothing that a contract says');
INSERT INTO metadata_record_storage_locations VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000042', '00000000-0000-4000-8000-000000000074',
    'archive');
INSERT INTO metadata_record_compliance_frameworks VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000042', '00000000-0000-4000-8000-000000000073',
    'compliant', NULL);
INSERT INTO api_endpoints VALUES (
    gen_random_uuid(), '/v1/shipment', 'GET', '00000000-0000-4000-8000-000000000042', '120/min', 3600, NULL,
    true, NULL);
