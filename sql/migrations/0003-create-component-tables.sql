-- depends: 0002-create-entity-tables
-- The components of a contract. Each row belongs to one contract version and goes with it; none is shared, so that
-- changing one version never changes another.

CREATE TABLE schemas (
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text COLLATE "C" NOT NULL,
    version text COLLATE "C",
    schema_data jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT schemas_pkey PRIMARY KEY (id),
    CONSTRAINT schemas_name_check
        CHECK (name <> '' AND name = btrim(name, E' \t\n\r\f\x0B') AND length(name) <= 255),
    CONSTRAINT schemas_version_check CHECK (version <> '' AND length(version) <= 128),
    CONSTRAINT schemas_schema_data_check CHECK (jsonb_typeof(schema_data) = 'object')
);

CREATE TRIGGER schemas_set_updated BEFORE UPDATE ON schemas
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE schemas IS 'The JSON Schema of each contract version.';
COMMENT ON COLUMN schemas.id IS 'Key, time-ordered.';
COMMENT ON COLUMN schemas.name IS 'Name of the schema, e.g. Aircraft.';
COMMENT ON COLUMN schemas.version IS 'The schema''s own version; may differ from its contract''s.';
COMMENT ON COLUMN schemas.schema_data IS
    'The schema itself: JSON Schema, draft 2020-12 or the one its $schema names.';
COMMENT ON COLUMN schemas.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN schemas.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN schemas.created_by IS 'The database user who made the row.';
COMMENT ON COLUMN schemas.updated_by IS 'The database user who last changed the row.';

CREATE TABLE coercion_rules (
    id uuid NOT NULL DEFAULT uuid_v7(),
    schema_id uuid NOT NULL
        CONSTRAINT coercion_rules_schema_id_fkey REFERENCES schemas (id) ON DELETE CASCADE,
    version text COLLATE "C",
    rules jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT coercion_rules_pkey PRIMARY KEY (id),
    -- What data_contracts refers to, so that a contract's rules are those of its own schema.
    CONSTRAINT coercion_rules_schema_id_id_key UNIQUE (schema_id, id),
    CONSTRAINT coercion_rules_version_check CHECK (version <> '' AND length(version) <= 128),
    CONSTRAINT coercion_rules_rules_check CHECK (jsonb_typeof(rules) = 'object')
);

CREATE TRIGGER coercion_rules_set_updated BEFORE UPDATE ON coercion_rules
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE coercion_rules IS
    'How values are coerced before validation, by field; at most one row a contract version.';
COMMENT ON COLUMN coercion_rules.id IS 'Key, time-ordered.';
COMMENT ON COLUMN coercion_rules.schema_id IS 'The schema whose fields the rules are for; they go with it.';
COMMENT ON COLUMN coercion_rules.version IS 'The rules'' own version, where they have one.';
COMMENT ON COLUMN coercion_rules.rules IS 'Rules by field name, e.g. {"REGISTRATION": "coerce_to_string"}.';
COMMENT ON COLUMN coercion_rules.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN coercion_rules.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN coercion_rules.created_by IS 'The database user who made the row.';
COMMENT ON COLUMN coercion_rules.updated_by IS 'The database user who last changed the row.';

CREATE TABLE validation_rules (
    id uuid NOT NULL DEFAULT uuid_v7(),
    schema_id uuid NOT NULL
        CONSTRAINT validation_rules_schema_id_fkey REFERENCES schemas (id) ON DELETE CASCADE,
    version text COLLATE "C",
    rules jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT validation_rules_pkey PRIMARY KEY (id),
    -- What data_contracts refers to, so that a contract's rules are those of its own schema.
    CONSTRAINT validation_rules_schema_id_id_key UNIQUE (schema_id, id),
    CONSTRAINT validation_rules_version_check CHECK (version <> '' AND length(version) <= 128),
    CONSTRAINT validation_rules_rules_check CHECK (jsonb_typeof(rules) = 'object')
);

CREATE TRIGGER validation_rules_set_updated BEFORE UPDATE ON validation_rules
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE validation_rules IS
    'Validation beyond standard JSON Schema, by field; at most one row a contract version.';
COMMENT ON COLUMN validation_rules.id IS 'Key, time-ordered.';
COMMENT ON COLUMN validation_rules.schema_id IS 'The schema whose fields the rules are for; they go with it.';
COMMENT ON COLUMN validation_rules.version IS 'The rules'' own version, where they have one.';
COMMENT ON COLUMN validation_rules.rules IS
    'Rules by field name, e.g. {"REGISTRATION": {"max_length": {"threshold": 10}}}.';
COMMENT ON COLUMN validation_rules.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN validation_rules.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN validation_rules.created_by IS 'The database user who made the row.';
COMMENT ON COLUMN validation_rules.updated_by IS 'The database user who last changed the row.';

CREATE TABLE governance_rules (
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text COLLATE "C" NOT NULL,
    rule_definition jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT governance_rules_pkey PRIMARY KEY (id),
    CONSTRAINT governance_rules_name_check
        CHECK (name <> '' AND name = btrim(name, E' \t\n\r\f\x0B') AND length(name) <= 255),
    CONSTRAINT governance_rules_rule_definition_check CHECK (jsonb_typeof(rule_definition) = 'object')
);

CREATE TRIGGER governance_rules_set_updated BEFORE UPDATE ON governance_rules
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE governance_rules IS 'Governance policies: data retention, PII, access control.';
COMMENT ON COLUMN governance_rules.id IS 'Key, time-ordered.';
COMMENT ON COLUMN governance_rules.name IS 'Name of the policy, e.g. aircraft_governance.';
COMMENT ON COLUMN governance_rules.rule_definition IS
    'The policy: an object with keys such as data_retention, pii_fields, sensitivity, access_control.';
COMMENT ON COLUMN governance_rules.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN governance_rules.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN governance_rules.created_by IS 'The database user who made the row.';
COMMENT ON COLUMN governance_rules.updated_by IS 'The database user who last changed the row.';

CREATE TABLE metadata_record (
    id uuid NOT NULL DEFAULT uuid_v7(),
    resource_id text COLLATE "C" NOT NULL,
    resource_type text COLLATE "C" NOT NULL DEFAULT 'data_contract',
    metadata_data jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT metadata_record_pkey PRIMARY KEY (id),
    CONSTRAINT metadata_record_resource_id_check CHECK (resource_id <> '' AND length(resource_id) <= 512),
    CONSTRAINT metadata_record_resource_type_check CHECK (resource_type <> '' AND length(resource_type) <= 128),
    CONSTRAINT metadata_record_metadata_data_check CHECK (jsonb_typeof(metadata_data) = 'object')
);

CREATE TRIGGER metadata_record_set_updated BEFORE UPDATE ON metadata_record
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE metadata_record IS
    'Further metadata of a resource; for a loaded contract its whole legacy document, nothing dropped.';
COMMENT ON COLUMN metadata_record.id IS 'Key, time-ordered.';
COMMENT ON COLUMN metadata_record.resource_id IS
    'What the metadata is of: name@version of the contract where the loader made it.';
COMMENT ON COLUMN metadata_record.resource_type IS 'Kind of that resource, e.g. data_contract or schema.';
COMMENT ON COLUMN metadata_record.metadata_data IS 'The metadata: a JSON object.';
COMMENT ON COLUMN metadata_record.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN metadata_record.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN metadata_record.created_by IS 'The database user who made the row.';
COMMENT ON COLUMN metadata_record.updated_by IS 'The database user who last changed the row.';

CREATE TABLE ownership (
    resource_id text COLLATE "C" NOT NULL,
    owner text,
    team text,
    additional_info jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT ownership_pkey PRIMARY KEY (resource_id),
    CONSTRAINT ownership_resource_id_check CHECK (resource_id <> '' AND length(resource_id) <= 512),
    CONSTRAINT ownership_additional_info_check CHECK (jsonb_typeof(additional_info) = 'object')
);

CREATE TRIGGER ownership_set_updated BEFORE UPDATE ON ownership
    FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated();

COMMENT ON TABLE ownership IS 'Who owns a resource: owner, team, additional information.';
COMMENT ON COLUMN ownership.resource_id IS
    'Key: name@version of the contract where the loader made it; other writers choose their own.';
COMMENT ON COLUMN ownership.owner IS 'Who owns the resource.';
COMMENT ON COLUMN ownership.team IS 'The team that looks after it.';
COMMENT ON COLUMN ownership.additional_info IS 'Whatever else is known of the ownership: a JSON object.';
COMMENT ON COLUMN ownership.created_at IS 'When the row was made: the start of its transaction.';
COMMENT ON COLUMN ownership.updated_at IS
    'When the row last changed: the start of that transaction. Moves on any UPDATE that changes something.';
COMMENT ON COLUMN ownership.created_by IS 'The database user who made the row.';
COMMENT ON COLUMN ownership.updated_by IS 'The database user who last changed the row.';
