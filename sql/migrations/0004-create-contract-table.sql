-- depends: 0003-create-component-tables
-- The central table: one row a version of a contract, which owns one schema and at most one of each other component.

CREATE TABLE data_contracts (
    id uuid NOT NULL DEFAULT uuid_v7(),
    name text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    version_sort_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (version_sort_key(version)) STORED,
    status text NOT NULL DEFAULT 'draft',
    schema_id uuid NOT NULL
        CONSTRAINT data_contracts_schema_id_fkey REFERENCES schemas (id) ON DELETE RESTRICT,
    coercion_rules_id uuid,
    validation_rules_id uuid,
    governance_rules_id uuid
        CONSTRAINT data_contracts_governance_rules_id_fkey REFERENCES governance_rules (id) ON DELETE RESTRICT,
    metadata_id uuid
        CONSTRAINT data_contracts_metadata_id_fkey REFERENCES metadata_record (id) ON DELETE RESTRICT,
    ownership_id text COLLATE "C"
        CONSTRAINT data_contracts_ownership_id_fkey REFERENCES ownership (resource_id)
        ON UPDATE CASCADE ON DELETE RESTRICT,
    data_feed_id uuid NOT NULL
        CONSTRAINT data_contracts_data_feed_id_fkey REFERENCES data_feeds (id) ON DELETE RESTRICT,
    domain_id uuid
        CONSTRAINT data_contracts_domain_id_fkey REFERENCES domains (id) ON DELETE RESTRICT,
    description text,
    is_data_feed boolean NOT NULL DEFAULT false,
    published_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT session_user,
    updated_by text NOT NULL DEFAULT session_user,
    CONSTRAINT data_contracts_pkey PRIMARY KEY (id),
    CONSTRAINT data_contracts_name_version_key UNIQUE (name, version),
    -- One-to-one with its components. Rules need no key of their own: they are those of the contract's one schema.
    CONSTRAINT data_contracts_schema_id_key UNIQUE (schema_id),
    CONSTRAINT data_contracts_governance_rules_id_key UNIQUE (governance_rules_id),
    CONSTRAINT data_contracts_metadata_id_key UNIQUE (metadata_id),
    CONSTRAINT data_contracts_ownership_id_key UNIQUE (ownership_id),
    CONSTRAINT data_contracts_schema_id_coercion_rules_id_fkey FOREIGN KEY (schema_id, coercion_rules_id)
        REFERENCES coercion_rules (schema_id, id) ON DELETE RESTRICT,
    CONSTRAINT data_contracts_schema_id_validation_rules_id_fkey FOREIGN KEY (schema_id, validation_rules_id)
        REFERENCES validation_rules (schema_id, id) ON DELETE RESTRICT,
    -- What data_feed_dependencies refers to: the feed that a contract's dependencies are of.
    CONSTRAINT data_contracts_data_feed_id_id_key UNIQUE (data_feed_id, id),
    CONSTRAINT data_contracts_name_check
        CHECK (name <> '' AND name = btrim(name, E' \t\n\r\f\x0B') AND length(name) <= 255),
    CONSTRAINT data_contracts_version_check
        CHECK (version <> '' AND version = btrim(version, E' \t\n\r\f\x0B') AND length(version) <= 128),
    -- The words of the Open Data Contract Standard.
    CONSTRAINT data_contracts_status_check
        CHECK (status IN ('proposed', 'draft', 'active', 'deprecated', 'retired'))
);

-- The versions of a contract in their order: latest, current, history.
CREATE INDEX data_contracts_name_version_sort_key_version_idx ON data_contracts (name, version_sort_key, version);
CREATE INDEX data_contracts_domain_id_idx ON data_contracts (domain_id);
-- For the check that no contract refers to rules that are deleted.
CREATE INDEX data_contracts_schema_id_coercion_rules_id_idx ON data_contracts (schema_id, coercion_rules_id);
CREATE INDEX data_contracts_schema_id_validation_rules_id_idx ON data_contracts (schema_id, validation_rules_id);

CREATE FUNCTION set_published() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    NEW.published_at := CASE
        WHEN NEW.status IN ('proposed', 'draft') THEN NULL
        WHEN TG_OP = 'INSERT' THEN coalesce(NEW.published_at, now())
        ELSE coalesce(OLD.published_at, now())
    END;
    -- Waits for whoever is changing a component: what is published is what is there.
    IF NEW.published_at IS NOT NULL THEN
        PERFORM FROM schemas WHERE id = NEW.schema_id FOR SHARE;
        PERFORM FROM coercion_rules WHERE id = NEW.coercion_rules_id FOR SHARE;
        PERFORM FROM validation_rules WHERE id = NEW.validation_rules_id FOR SHARE;
        PERFORM FROM governance_rules WHERE id = NEW.governance_rules_id FOR SHARE;
        PERFORM FROM metadata_record WHERE id = NEW.metadata_id FOR SHARE;
        PERFORM FROM ownership WHERE resource_id = NEW.ownership_id FOR SHARE;
    END IF;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_published() IS 'Trigger: says when a contract version was published, whoever publishes it.';

CREATE TRIGGER data_contracts_set_published_insert BEFORE INSERT ON data_contracts
    FOR EACH ROW WHEN ((NEW.published_at IS NULL) <> (NEW.status IN ('proposed', 'draft')))
    EXECUTE FUNCTION set_published();

CREATE TRIGGER data_contracts_set_published_update BEFORE UPDATE ON data_contracts
    FOR EACH ROW WHEN (OLD.status <> NEW.status OR OLD.published_at IS DISTINCT FROM NEW.published_at)
    EXECUTE FUNCTION set_published();

-- The columns are named, since a trigger condition cannot look at a generated one.
CREATE TRIGGER data_contracts_set_updated BEFORE UPDATE ON data_contracts
    FOR EACH ROW WHEN (
        (OLD.id, OLD.name, OLD.version, OLD.status, OLD.schema_id, OLD.coercion_rules_id, OLD.validation_rules_id,
         OLD.governance_rules_id, OLD.metadata_id, OLD.ownership_id, OLD.data_feed_id, OLD.domain_id,
         OLD.description, OLD.is_data_feed, OLD.published_at, OLD.created_at, OLD.updated_at, OLD.created_by,
         OLD.updated_by)
        IS DISTINCT FROM
        (NEW.id, NEW.name, NEW.version, NEW.status, NEW.schema_id, NEW.coercion_rules_id, NEW.validation_rules_id,
         NEW.governance_rules_id, NEW.metadata_id, NEW.ownership_id, NEW.data_feed_id, NEW.domain_id,
         NEW.description, NEW.is_data_feed, NEW.published_at, NEW.created_at, NEW.updated_at, NEW.created_by,
         NEW.updated_by)
    ) EXECUTE FUNCTION set_updated();

-- A contract's components go with it, and a component that it no longer refers to goes too.
CREATE FUNCTION delete_components() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    -- The rules go with their schema.
    DELETE FROM schemas WHERE id IN (SELECT schema_id FROM deleted);
    DELETE FROM governance_rules WHERE id IN (SELECT governance_rules_id FROM deleted);
    DELETE FROM metadata_record WHERE id IN (SELECT metadata_id FROM deleted);
    DELETE FROM ownership WHERE resource_id IN (SELECT ownership_id FROM deleted);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION delete_components() IS 'Trigger: deletes the components of deleted contracts.';

CREATE TRIGGER data_contracts_delete_components AFTER DELETE ON data_contracts
    REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION delete_components();

CREATE FUNCTION delete_replaced_components() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    DELETE FROM coercion_rules WHERE id IN (
        SELECT coercion_rules_id FROM before EXCEPT SELECT coercion_rules_id FROM after);
    DELETE FROM validation_rules WHERE id IN (
        SELECT validation_rules_id FROM before EXCEPT SELECT validation_rules_id FROM after);
    DELETE FROM schemas WHERE id IN (SELECT schema_id FROM before EXCEPT SELECT schema_id FROM after);
    DELETE FROM governance_rules WHERE id IN (
        SELECT governance_rules_id FROM before EXCEPT SELECT governance_rules_id FROM after);
    DELETE FROM metadata_record WHERE id IN (SELECT metadata_id FROM before EXCEPT SELECT metadata_id FROM after);
    -- A renamed resource_id arrives here as a replaced one, but then its old row is gone already.
    DELETE FROM ownership WHERE resource_id IN (
        SELECT ownership_id FROM before EXCEPT SELECT ownership_id FROM after);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION delete_replaced_components() IS
    'Trigger: deletes components that their contract no longer refers to.';

CREATE TRIGGER data_contracts_delete_replaced_components AFTER UPDATE ON data_contracts
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION delete_replaced_components();

COMMENT ON TABLE data_contracts IS
    'Links all components and entities together: one row a version of a data contract for a data feed.';
COMMENT ON COLUMN data_contracts.id IS
    'Key, time-ordered. What the loader makes has the same id in its component tables.';
COMMENT ON COLUMN data_contracts.name IS 'Contract name, e.g. Aircraft: up to 255 characters, trimmed.';
COMMENT ON COLUMN data_contracts.version IS
    'Contract version, e.g. 1.0.0: up to 128 characters; unique within the name.';
COMMENT ON COLUMN data_contracts.version_sort_key IS
    'Orders versions by SemVer 2.0.0 precedence (see version_sort_key); ties are ordered by version.';
COMMENT ON COLUMN data_contracts.status IS
    'Lifecycle: proposed, draft, active, deprecated or retired. The last three are published.';
COMMENT ON COLUMN data_contracts.schema_id IS 'The JSON Schema of this version.';
COMMENT ON COLUMN data_contracts.coercion_rules_id IS
    'The coercion rules of this version, for its own schema; null where it has none.';
COMMENT ON COLUMN data_contracts.validation_rules_id IS
    'The validation rules of this version, for its own schema; null where it has none.';
COMMENT ON COLUMN data_contracts.governance_rules_id IS
    'The governance rules of this version; null where it has none.';
COMMENT ON COLUMN data_contracts.metadata_id IS 'The metadata of this version; null where it has none.';
COMMENT ON COLUMN data_contracts.ownership_id IS 'The ownership of this version; null where it has none.';
COMMENT ON COLUMN data_contracts.data_feed_id IS 'The data feed that this contract describes.';
COMMENT ON COLUMN data_contracts.domain_id IS
    'The business domain that the contract belongs to; null where none is named.';
COMMENT ON COLUMN data_contracts.description IS 'What the contract is about.';
COMMENT ON COLUMN data_contracts.is_data_feed IS 'Whether the dataset is itself served as a data feed.';
COMMENT ON COLUMN data_contracts.published_at IS
    'When the version was published, as active, deprecated or retired: the start of that transaction; null before.';
COMMENT ON COLUMN data_contracts.created_at IS 'When the version was entered here: the start of its transaction.';
COMMENT ON COLUMN data_contracts.updated_at IS
    'When the version, a component or a link of it was last changed by a load, or its row by anyone.';
COMMENT ON COLUMN data_contracts.created_by IS
    'Who made the version: from the document where it says so, else the database user.';
COMMENT ON COLUMN data_contracts.updated_by IS
    'Who last changed the version: the database user, or on entry what the document says.';
