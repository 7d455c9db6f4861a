SELECT refuse_dependents(
    'contract_current', 'contract_latest', 'contract_full',
    'get_latest_contract(text)', 'get_current_contract(text)', 'get_contract(text, text)'
);
DROP FUNCTION get_latest_contract(text);
DROP FUNCTION get_current_contract(text);
DROP FUNCTION get_contract(text, text);
DROP VIEW contract_current;
DROP VIEW contract_latest;
DROP VIEW contract_full;

CREATE OR REPLACE FUNCTION seal_links() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    contract data_contracts;
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    -- Locked, so that no other transaction can publish the contract before this one has ended. One that this
    -- transaction has made itself needs no lock, and bulk loads are made of those.
    IF TG_OP <> 'DELETE' THEN
        FOR contract IN
            SELECT c.* FROM data_contracts AS c
            WHERE c.id IN (SELECT a.data_contract_id FROM after AS a) AND c.created_at <> now()
            ORDER BY c.id FOR NO KEY UPDATE
        LOOP
            PERFORM refuse_sealed(contract);
        END LOOP;
        DELETE FROM document_digests WHERE data_contract_id IN (SELECT a.data_contract_id FROM after AS a);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        FOR contract IN
            SELECT c.* FROM data_contracts AS c
            WHERE c.id IN (SELECT b.data_contract_id FROM before AS b) AND c.created_at <> now()
            ORDER BY c.id FOR NO KEY UPDATE
        LOOP
            PERFORM refuse_sealed(contract);
        END LOOP;
        DELETE FROM document_digests WHERE data_contract_id IN (SELECT b.data_contract_id FROM before AS b);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION seal_links() IS 'Trigger: refuses to add, change or delete links of sealed contract versions.';

CREATE OR REPLACE FUNCTION seal_components() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    contract data_contracts;
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    FOR contract IN EXECUTE format(
        'SELECT c.* FROM data_contracts AS c
         WHERE c.%I IN (SELECT b.%I FROM before AS b) AND c.created_at <> now()
         ORDER BY c.id FOR NO KEY UPDATE', TG_ARGV[0], TG_ARGV[1])
    LOOP
        PERFORM refuse_sealed(contract);
    END LOOP;
    EXECUTE format(
        'DELETE FROM document_digests WHERE data_contract_id IN (
             SELECT c.id FROM data_contracts AS c WHERE c.%I IN (SELECT b.%I FROM before AS b))',
        TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION seal_components() IS
    'Trigger: refuses to change or delete components of sealed contract versions. Arguments: the column of '
    'data_contracts that refers to the component, and the column it refers to.';

CREATE OR REPLACE FUNCTION seal_everything() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    IF coalesce(current_setting('pycharter_sql.overwrite', true), '') <> 'yes' THEN
        RAISE EXCEPTION 'TRUNCATE makes no difference between published versions and others'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'data_contracts_seal',
                  HINT = 'DELETE what is not published. To destroy all, say so: '
                         'SET LOCAL pycharter_sql.overwrite = ''yes''.';
    END IF;
    DELETE FROM document_digests;
    RETURN NULL;
END
$$;

DROP TRIGGER data_contracts_set_updated ON data_contracts;
DROP TRIGGER data_contracts_set_revision ON data_contracts;
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

DROP FUNCTION set_revision();
ALTER TABLE data_contracts DROP COLUMN revision;

CREATE VIEW contract_full AS
SELECT
    c.id AS contract_id,
    c.name,
    c.version,
    c.status,
    c.description,
    c.is_data_feed,
    (SELECT f.name FROM data_feeds AS f WHERE f.id = c.data_feed_id) AS data_feed,
    (SELECT f.feed_type FROM data_feeds AS f WHERE f.id = c.data_feed_id) AS feed_type,
    (SELECT d.name FROM domains AS d WHERE d.id = c.domain_id) AS domain,
    (SELECT s.schema_data FROM schemas AS s WHERE s.id = c.schema_id) AS schema,
    (SELECT r.rules FROM coercion_rules AS r WHERE r.id = c.coercion_rules_id) AS coercion_rules,
    (SELECT r.rules FROM validation_rules AS r WHERE r.id = c.validation_rules_id) AS validation_rules,
    (SELECT g.rule_definition FROM governance_rules AS g WHERE g.id = c.governance_rules_id) AS governance_rules,
    (SELECT m.metadata_data FROM metadata_record AS m WHERE m.id = c.metadata_id) AS metadata,
    (
        SELECT jsonb_build_object(
            'resource_id', o.resource_id, 'owner', o.owner, 'team', o.team, 'additional_info', o.additional_info)
        FROM ownership AS o WHERE o.resource_id = c.ownership_id
    ) AS ownership,
    ARRAY(
        SELECT s.name FROM data_contract_system_pulls AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS pulls_from,
    ARRAY(
        SELECT s.name FROM data_contract_system_pushes AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS pushes_to,
    ARRAY(
        SELECT s.name FROM data_contract_system_sources AS l JOIN systems AS s ON s.id = l.system_id
        WHERE l.data_contract_id = c.id ORDER BY s.name
    ) AS system_sources,
    -- The role, and the permission below, in FILTER: in WHERE each is a condition on the last column of an index whose
    -- second is not given, and PostgreSQL 18 then looks up every owner, every team there is.
    (
        SELECT coalesce(array_agg(b.name ORDER BY b.name) FILTER (WHERE l.role = 'business_owner'), '{}')
        FROM data_contract_business_owners AS l JOIN business_owners AS b ON b.id = l.business_owner_id
        WHERE l.data_contract_id = c.id
    ) AS business_owners,
    ARRAY(
        SELECT DISTINCT t.name FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id
        WHERE l.data_contract_id = c.id ORDER BY t.name
    ) AS read_teams,
    (
        SELECT coalesce(array_agg(t.name ORDER BY t.name) FILTER (WHERE l.permission = 'write'), '{}')
        FROM data_contract_team_access AS l JOIN teams AS t ON t.id = l.team_id
        WHERE l.data_contract_id = c.id
    ) AS write_teams,
    ARRAY(
        SELECT f.name FROM data_feed_dependencies AS l JOIN data_feeds AS f ON f.id = l.dependency_feed_id
        WHERE l.data_contract_id = c.id ORDER BY f.name
    ) AS dependencies,
    c.created_at,
    c.updated_at,
    c.created_by,
    c.updated_by
FROM data_contracts AS c;

CREATE VIEW contract_latest AS
SELECT f.*
FROM contract_full AS f
WHERE f.contract_id = (
    SELECT v.id FROM data_contracts AS v
    WHERE v.name = f.name
    ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
);

CREATE VIEW contract_current AS
SELECT f.*
FROM contract_full AS f
WHERE f.contract_id = (
    SELECT v.id FROM data_contracts AS v
    WHERE v.name = f.name AND v.status = 'active'
    ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
);

COMMENT ON VIEW contract_full IS 'One row a contract version, all of it.';
COMMENT ON COLUMN contract_full.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_full.name IS 'Contract name.';
COMMENT ON COLUMN contract_full.version IS
    'Contract version; order by contract_latest or version_sort_key, never by this text.';
COMMENT ON COLUMN contract_full.status IS 'Lifecycle: proposed, draft, active, deprecated or retired.';
COMMENT ON COLUMN contract_full.description IS 'What the contract is about.';
COMMENT ON COLUMN contract_full.is_data_feed IS 'Whether the dataset is itself served as a data feed.';
COMMENT ON COLUMN contract_full.data_feed IS 'Name of the data feed that the contract describes.';
COMMENT ON COLUMN contract_full.feed_type IS 'Kind of that feed, e.g. Operational.';
COMMENT ON COLUMN contract_full.domain IS 'Name of the business domain; null where none is named.';
COMMENT ON COLUMN contract_full.schema IS 'The JSON Schema.';
COMMENT ON COLUMN contract_full.coercion_rules IS 'Coercion rules by field name; null where there are none.';
COMMENT ON COLUMN contract_full.validation_rules IS 'Validation rules by field name; null where there are none.';
COMMENT ON COLUMN contract_full.governance_rules IS
    'Governance policies: retention, PII, access; null where there are none.';
COMMENT ON COLUMN contract_full.metadata IS
    'Further metadata: for a loaded contract its legacy document; null where there is none.';
COMMENT ON COLUMN contract_full.ownership IS
    'Object with resource_id, owner, team and additional_info; null where there is none.';
COMMENT ON COLUMN contract_full.pulls_from IS 'Names of the systems it pulls from, sorted.';
COMMENT ON COLUMN contract_full.pushes_to IS 'Names of the systems it pushes to, sorted.';
COMMENT ON COLUMN contract_full.system_sources IS 'Names of the systems that are its sources, sorted.';
COMMENT ON COLUMN contract_full.business_owners IS
    'Names of those who own it in the role business_owner, sorted; other roles are in contract_owners.';
COMMENT ON COLUMN contract_full.read_teams IS 'Names of the teams that can read, sorted; write implies read.';
COMMENT ON COLUMN contract_full.write_teams IS 'Names of the teams that can write, sorted.';
COMMENT ON COLUMN contract_full.dependencies IS 'Names of the feeds it depends on, sorted.';
COMMENT ON COLUMN contract_full.created_at IS 'When the version was entered here.';
COMMENT ON COLUMN contract_full.updated_at IS 'When the version was last changed.';
COMMENT ON COLUMN contract_full.created_by IS 'Who made the version.';
COMMENT ON COLUMN contract_full.updated_by IS 'Who last changed the version.';
COMMENT ON VIEW contract_latest IS
    'The highest version of each contract by SemVer precedence, whatever its status; columns as contract_full.';
COMMENT ON COLUMN contract_latest.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_latest.name IS 'Contract name.';
COMMENT ON COLUMN contract_latest.version IS
    'Contract version; order by contract_latest or version_sort_key, never by this text.';
COMMENT ON COLUMN contract_latest.status IS 'Lifecycle: proposed, draft, active, deprecated or retired.';
COMMENT ON COLUMN contract_latest.description IS 'What the contract is about.';
COMMENT ON COLUMN contract_latest.is_data_feed IS 'Whether the dataset is itself served as a data feed.';
COMMENT ON COLUMN contract_latest.data_feed IS 'Name of the data feed that the contract describes.';
COMMENT ON COLUMN contract_latest.feed_type IS 'Kind of that feed, e.g. Operational.';
COMMENT ON COLUMN contract_latest.domain IS 'Name of the business domain; null where none is named.';
COMMENT ON COLUMN contract_latest.schema IS 'The JSON Schema.';
COMMENT ON COLUMN contract_latest.coercion_rules IS 'Coercion rules by field name; null where there are none.';
COMMENT ON COLUMN contract_latest.validation_rules IS 'Validation rules by field name; null where there are none.';
COMMENT ON COLUMN contract_latest.governance_rules IS
    'Governance policies: retention, PII, access; null where there are none.';
COMMENT ON COLUMN contract_latest.metadata IS
    'Further metadata: for a loaded contract its legacy document; null where there is none.';
COMMENT ON COLUMN contract_latest.ownership IS
    'Object with resource_id, owner, team and additional_info; null where there is none.';
COMMENT ON COLUMN contract_latest.pulls_from IS 'Names of the systems it pulls from, sorted.';
COMMENT ON COLUMN contract_latest.pushes_to IS 'Names of the systems it pushes to, sorted.';
COMMENT ON COLUMN contract_latest.system_sources IS 'Names of the systems that are its sources, sorted.';
COMMENT ON COLUMN contract_latest.business_owners IS
    'Names of those who own it in the role business_owner, sorted; other roles are in contract_owners.';
COMMENT ON COLUMN contract_latest.read_teams IS 'Names of the teams that can read, sorted; write implies read.';
COMMENT ON COLUMN contract_latest.write_teams IS 'Names of the teams that can write, sorted.';
COMMENT ON COLUMN contract_latest.dependencies IS 'Names of the feeds it depends on, sorted.';
COMMENT ON COLUMN contract_latest.created_at IS 'When the version was entered here.';
COMMENT ON COLUMN contract_latest.updated_at IS 'When the version was last changed.';
COMMENT ON COLUMN contract_latest.created_by IS 'Who made the version.';
COMMENT ON COLUMN contract_latest.updated_by IS 'Who last changed the version.';
COMMENT ON VIEW contract_current IS
    'The highest active version of each contract by SemVer precedence; columns as contract_full.';
COMMENT ON COLUMN contract_current.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN contract_current.name IS 'Contract name.';
COMMENT ON COLUMN contract_current.version IS
    'Contract version; order by contract_latest or version_sort_key, never by this text.';
COMMENT ON COLUMN contract_current.status IS 'Lifecycle: proposed, draft, active, deprecated or retired.';
COMMENT ON COLUMN contract_current.description IS 'What the contract is about.';
COMMENT ON COLUMN contract_current.is_data_feed IS 'Whether the dataset is itself served as a data feed.';
COMMENT ON COLUMN contract_current.data_feed IS 'Name of the data feed that the contract describes.';
COMMENT ON COLUMN contract_current.feed_type IS 'Kind of that feed, e.g. Operational.';
COMMENT ON COLUMN contract_current.domain IS 'Name of the business domain; null where none is named.';
COMMENT ON COLUMN contract_current.schema IS 'The JSON Schema.';
COMMENT ON COLUMN contract_current.coercion_rules IS 'Coercion rules by field name; null where there are none.';
COMMENT ON COLUMN contract_current.validation_rules IS 'Validation rules by field name; null where there are none.';
COMMENT ON COLUMN contract_current.governance_rules IS
    'Governance policies: retention, PII, access; null where there are none.';
COMMENT ON COLUMN contract_current.metadata IS
    'Further metadata: for a loaded contract its legacy document; null where there is none.';
COMMENT ON COLUMN contract_current.ownership IS
    'Object with resource_id, owner, team and additional_info; null where there is none.';
COMMENT ON COLUMN contract_current.pulls_from IS 'Names of the systems it pulls from, sorted.';
COMMENT ON COLUMN contract_current.pushes_to IS 'Names of the systems it pushes to, sorted.';
COMMENT ON COLUMN contract_current.system_sources IS 'Names of the systems that are its sources, sorted.';
COMMENT ON COLUMN contract_current.business_owners IS
    'Names of those who own it in the role business_owner, sorted; other roles are in contract_owners.';
COMMENT ON COLUMN contract_current.read_teams IS 'Names of the teams that can read, sorted; write implies read.';
COMMENT ON COLUMN contract_current.write_teams IS 'Names of the teams that can write, sorted.';
COMMENT ON COLUMN contract_current.dependencies IS 'Names of the feeds it depends on, sorted.';
COMMENT ON COLUMN contract_current.created_at IS 'When the version was entered here.';
COMMENT ON COLUMN contract_current.updated_at IS 'When the version was last changed.';
COMMENT ON COLUMN contract_current.created_by IS 'Who made the version.';
COMMENT ON COLUMN contract_current.updated_by IS 'Who last changed the version.';

CREATE FUNCTION get_contract(contract text, in_version text) RETURNS TABLE (
    contract_id uuid, name text, version text, status text, description text, is_data_feed boolean, data_feed text,
    feed_type text, domain text, schema jsonb, coercion_rules jsonb, validation_rules jsonb,
    governance_rules jsonb, metadata jsonb, ownership jsonb, pulls_from text[], pushes_to text[],
    system_sources text[], business_owners text[], read_teams text[], write_teams text[], dependencies text[],
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        f.contract_id, f.name, f.version, f.status, f.description, f.is_data_feed, f.data_feed, f.feed_type,
        f.domain, f.schema, f.coercion_rules, f.validation_rules, f.governance_rules, f.metadata, f.ownership,
        f.pulls_from, f.pushes_to, f.system_sources, f.business_owners, f.read_teams, f.write_teams,
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by
    FROM contract_full AS f
    WHERE f.name = contract AND f.version = in_version;
END
$$;

COMMENT ON FUNCTION get_contract(text, text) IS
    'One version of a contract: the row of contract_full, no row where there is none. For pipelines: its plan is '
    'made once a connection.';

CREATE FUNCTION get_current_contract(contract text) RETURNS TABLE (
    contract_id uuid, name text, version text, status text, description text, is_data_feed boolean, data_feed text,
    feed_type text, domain text, schema jsonb, coercion_rules jsonb, validation_rules jsonb,
    governance_rules jsonb, metadata jsonb, ownership jsonb, pulls_from text[], pushes_to text[],
    system_sources text[], business_owners text[], read_teams text[], write_teams text[], dependencies text[],
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        f.contract_id, f.name, f.version, f.status, f.description, f.is_data_feed, f.data_feed, f.feed_type,
        f.domain, f.schema, f.coercion_rules, f.validation_rules, f.governance_rules, f.metadata, f.ownership,
        f.pulls_from, f.pushes_to, f.system_sources, f.business_owners, f.read_teams, f.write_teams,
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by
    FROM contract_full AS f
    WHERE f.contract_id = (
        SELECT c.id FROM data_contracts AS c
        WHERE c.name = contract AND c.status = 'active'
        ORDER BY c.version_sort_key DESC, c.version DESC LIMIT 1
    );
END
$$;

COMMENT ON FUNCTION get_current_contract(text) IS
    'The highest active version of a contract: the row of contract_current, no row where none is active. For '
    'pipelines, as get_contract.';

CREATE FUNCTION get_latest_contract(contract text) RETURNS TABLE (
    contract_id uuid, name text, version text, status text, description text, is_data_feed boolean, data_feed text,
    feed_type text, domain text, schema jsonb, coercion_rules jsonb, validation_rules jsonb,
    governance_rules jsonb, metadata jsonb, ownership jsonb, pulls_from text[], pushes_to text[],
    system_sources text[], business_owners text[], read_teams text[], write_teams text[], dependencies text[],
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text
)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1
SET search_path FROM CURRENT
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
BEGIN
    RETURN QUERY
    SELECT
        f.contract_id, f.name, f.version, f.status, f.description, f.is_data_feed, f.data_feed, f.feed_type,
        f.domain, f.schema, f.coercion_rules, f.validation_rules, f.governance_rules, f.metadata, f.ownership,
        f.pulls_from, f.pushes_to, f.system_sources, f.business_owners, f.read_teams, f.write_teams,
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by
    FROM contract_full AS f
    WHERE f.contract_id = (
        SELECT c.id FROM data_contracts AS c
        WHERE c.name = contract
        ORDER BY c.version_sort_key DESC, c.version DESC LIMIT 1
    );
END
$$;

COMMENT ON FUNCTION get_latest_contract(text) IS
    'The highest version of a contract, whatever its status: the row of contract_latest. For pipelines, as '
    'get_contract.';

SELECT apply_access();
