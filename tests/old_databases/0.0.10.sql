-- What matters of an old database in the layout of release 0.0.10.
CREATE SCHEMA pycharter;
SET search_path TO pycharter;

CREATE TABLE data_contracts (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL, version varchar(50) NOT NULL, status varchar(50),
    description text, schema_id uuid, coercion_rules_id uuid, validation_rules_id uuid,
    metadata_record_id uuid, schema_version varchar(50), coercion_rules_version varchar(50),
    validation_rules_version varchar(50), metadata_version varchar(50),
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    created_by varchar(255), updated_by varchar(255), UNIQUE (name, version));
CREATE TABLE schemas (
    id uuid PRIMARY KEY, title varchar(255) NOT NULL, data_contract_id uuid NOT NULL REFERENCES data_contracts,
    version varchar(50) NOT NULL, schema_data json NOT NULL,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE coercion_rules (
    id uuid PRIMARY KEY, title varchar(255) NOT NULL, data_contract_id uuid NOT NULL REFERENCES data_contracts,
    description varchar(500), version varchar(50) NOT NULL, rules json NOT NULL,
    schema_id uuid REFERENCES schemas,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE validation_rules (LIKE coercion_rules INCLUDING ALL);
CREATE TABLE metadata_records (
    id uuid PRIMARY KEY, title varchar(255) NOT NULL, data_contract_id uuid NOT NULL REFERENCES data_contracts,
    version varchar(50) NOT NULL, status varchar(50), type varchar(50), description text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    created_by varchar(255), updated_by varchar(255), governance_rules json);
CREATE TABLE systems (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, app_id varchar(255), description text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE domains (
    id uuid PRIMARY KEY, name varchar(255) NOT NULL UNIQUE, description text,
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE owners (
    id varchar(255) PRIMARY KEY, name varchar(255), email varchar(255) UNIQUE, team varchar(255),
    additional_info json, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
CREATE TABLE metadata_record_system_pulls (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    system_id uuid NOT NULL REFERENCES systems, created_at timestamptz DEFAULT now());
CREATE TABLE metadata_record_system_pushes (LIKE metadata_record_system_pulls INCLUDING ALL);
CREATE TABLE metadata_record_system_sources (LIKE metadata_record_system_pulls INCLUDING ALL);
CREATE TABLE metadata_record_domains (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    domain_id uuid NOT NULL REFERENCES domains, created_at timestamptz DEFAULT now());
CREATE TABLE metadata_record_business_owners (
    id uuid PRIMARY KEY, metadata_record_id uuid NOT NULL REFERENCES metadata_records,
    owner_id varchar(255) NOT NULL REFERENCES owners, created_at timestamptz DEFAULT now());
CREATE TABLE metadata_record_bu_sme (LIKE metadata_record_business_owners INCLUDING ALL);
CREATE TABLE metadata_record_it_application_owners (LIKE metadata_record_business_owners INCLUDING ALL);
CREATE TABLE metadata_record_it_sme (LIKE metadata_record_business_owners INCLUDING ALL);
CREATE TABLE metadata_record_support_lead (LIKE metadata_record_business_owners INCLUDING ALL);

INSERT INTO data_contracts VALUES (
    '00000000-0000-4000-8000-000000000001', 'Shipment', '1.0.0', 'DEPRECATED', NULL,
    '00000000-0000-4000-8000-000000000012', '00000000-0000-4000-8000-000000000021', NULL,
    '00000000-0000-4000-8000-000000000041', '1.0.0', '1.0.0', NULL, '1.0.0',
    '2025-01-01 00:00:00+00', '2025-01-02 00:00:00+00', NULL, 'mara');
INSERT INTO schemas VALUES
    ('00000000-0000-4000-8000-000000000011', 'Shipment', '00000000-0000-4000-8000-000000000001', '0.9.0',
     '{"type": "array"}', NULL, NULL),
    ('00000000-0000-4000-8000-000000000012', 'Shipment', '00000000-0000-4000-8000-000000000001', '1.0.0',
     '{"type": "object", "version": "1.0.0"}', NULL, NULL);
INSERT INTO coercion_rules VALUES (
    '00000000-0000-4000-8000-000000000021', 'Shipment Coercion Rules', '00000000-0000-4000-8000-000000000001',
    'Weights in kg', '1.0.0', '{"weight": "coerce_to_float"}', '00000000-0000-4000-8000-000000000012',
    '2025-01-01 00:00:00+00', NULL);
INSERT INTO metadata_records VALUES (
    '00000000-0000-4000-8000-000000000041', 'shipment_metadata', '00000000-0000-4000-8000-000000000001',
    '1.0.0', 'active', 'event', 'Parcels', NULL, NULL, NULL, NULL,
    '{"sensitivity": "Internal", "access_control": {"read": ["Dispatch"]}}');
INSERT INTO systems VALUES
    ('00000000-0000-4000-8000-000000000051', 'wms', 'APP-7', 'Warehouse', NULL, NULL),
    ('00000000-0000-4000-8000-000000000052', 'billing', NULL, NULL, NULL, NULL),
    ('00000000-0000-4000-8000-000000000053', 'fax', 'APP-1', NULL, NULL, NULL);
INSERT INTO domains VALUES
    ('00000000-0000-4000-8000-000000000061', 'Fulfilment', 'From order to door', NULL, NULL),
    ('00000000-0000-4000-8000-000000000062', 'Legal', NULL, NULL, NULL);
INSERT INTO owners VALUES
    ('logistics', 'logistics', NULL, NULL, NULL, NULL, NULL),
    ('mara', 'Mara Lind', 'mara@shop.example', 'Dispatch', '{"phone": "42"}', NULL, NULL),
    ('legal', 'Legal Department', 'legal@shop.example', NULL, '{"floor": 3}', NULL, NULL);
INSERT INTO metadata_record_system_pulls VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000041', '00000000-0000-4000-8000-000000000051');
INSERT INTO metadata_record_system_pushes VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000041', '00000000-0000-4000-8000-000000000052');
INSERT INTO metadata_record_domains VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000041', '00000000-0000-4000-8000-000000000061');
INSERT INTO metadata_record_business_owners VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000041', 'logistics');
INSERT INTO metadata_record_bu_sme VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000041', 'mara');
INSERT INTO metadata_record_it_application_owners VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000041', 'mara');
INSERT INTO metadata_record_it_sme VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000041', 'mara');
INSERT INTO metadata_record_support_lead VALUES (
    gen_random_uuid(), '00000000-0000-4000-8000-000000000041', 'logistics');
