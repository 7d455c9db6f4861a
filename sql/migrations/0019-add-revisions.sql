-- depends: 0018-create-health-view
-- A number that is another one after every transaction that has changed a contract version, its components or links.
-- Whoever has read it can change the version on the condition that nobody else has meanwhile: 0020. It is the number of
-- that transaction: it never comes back, also where a version is deleted and made anew, or a transaction rolled back.

-- The default is stable, not volatile: what is there has one number, and no row is rewritten.
ALTER TABLE data_contracts
-- squawk-ignore adding-field-with-default
ADD COLUMN revision bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);
-- What is there has the default.
-- squawk-ignore constraint-missing-not-valid
ALTER TABLE data_contracts ADD CONSTRAINT data_contracts_revision_check CHECK (revision > 0);

COMMENT ON COLUMN data_contracts.revision IS
    'The transaction that last changed the version, its components or links (pg_current_xact_id); kept by triggers.';

CREATE FUNCTION set_revision() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    NEW.revision := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION set_revision() IS 'Trigger: a changed contract version has a new revision, whoever changes it.';

-- The columns are named, since a trigger condition cannot look at a generated
-- one.
CREATE TRIGGER data_contracts_set_revision BEFORE UPDATE ON data_contracts
    FOR EACH ROW WHEN (
        (OLD.id, OLD.name, OLD.version, OLD.status, OLD.schema_id, OLD.coercion_rules_id, OLD.validation_rules_id,
         OLD.governance_rules_id, OLD.metadata_id, OLD.ownership_id, OLD.data_feed_id, OLD.domain_id,
         OLD.description, OLD.is_data_feed, OLD.published_at, OLD.created_at, OLD.updated_at, OLD.created_by,
         OLD.updated_by, OLD.revision)
        IS DISTINCT FROM
        (NEW.id, NEW.name, NEW.version, NEW.status, NEW.schema_id, NEW.coercion_rules_id, NEW.validation_rules_id,
         NEW.governance_rules_id, NEW.metadata_id, NEW.ownership_id, NEW.data_feed_id, NEW.domain_id,
         NEW.description, NEW.is_data_feed, NEW.published_at, NEW.created_at, NEW.updated_at, NEW.created_by,
         NEW.updated_by, NEW.revision)
    ) EXECUTE FUNCTION set_revision();

-- updated_at goes with the revision.
DROP TRIGGER data_contracts_set_updated ON data_contracts;
CREATE TRIGGER data_contracts_set_updated BEFORE UPDATE ON data_contracts
    FOR EACH ROW WHEN (
        (OLD.id, OLD.name, OLD.version, OLD.status, OLD.schema_id, OLD.coercion_rules_id, OLD.validation_rules_id,
         OLD.governance_rules_id, OLD.metadata_id, OLD.ownership_id, OLD.data_feed_id, OLD.domain_id,
         OLD.description, OLD.is_data_feed, OLD.published_at, OLD.created_at, OLD.updated_at, OLD.created_by,
         OLD.updated_by, OLD.revision)
        IS DISTINCT FROM
        (NEW.id, NEW.name, NEW.version, NEW.status, NEW.schema_id, NEW.coercion_rules_id, NEW.validation_rules_id,
         NEW.governance_rules_id, NEW.metadata_id, NEW.ownership_id, NEW.data_feed_id, NEW.domain_id,
         NEW.description, NEW.is_data_feed, NEW.published_at, NEW.created_at, NEW.updated_at, NEW.created_by,
         NEW.updated_by, NEW.revision)
    ) EXECUTE FUNCTION set_updated();

CREATE OR REPLACE FUNCTION seal_links() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    contract data_contracts;
    changed uuid[];
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
            changed := changed || contract.id;
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
            changed := changed || contract.id;
        END LOOP;
        DELETE FROM document_digests WHERE data_contract_id IN (SELECT b.data_contract_id FROM before AS b);
    END IF;
    IF changed IS NOT NULL THEN
        UPDATE data_contracts SET revision = pg_current_xact_id()::text::bigint
        WHERE id = ANY (changed) AND revision <> pg_current_xact_id()::text::bigint;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION seal_links() IS
    'Trigger: refuses to add, change or delete links of sealed contract versions; the others have a new revision.';

CREATE OR REPLACE FUNCTION seal_components() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    contract data_contracts;
    changed uuid[];
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    FOR contract IN EXECUTE format(
        'SELECT c.* FROM data_contracts AS c
         WHERE c.%I IN (SELECT b.%I FROM before AS b) AND c.created_at <> now()
         ORDER BY c.id FOR NO KEY UPDATE', TG_ARGV[0], TG_ARGV[1])
    LOOP
        PERFORM refuse_sealed(contract);
        changed := changed || contract.id;
    END LOOP;
    EXECUTE format(
        'DELETE FROM document_digests WHERE data_contract_id IN (
             SELECT c.id FROM data_contracts AS c WHERE c.%I IN (SELECT b.%I FROM before AS b))',
        TG_ARGV[0], TG_ARGV[1]);
    IF changed IS NOT NULL THEN
        UPDATE data_contracts SET revision = pg_current_xact_id()::text::bigint
        WHERE id = ANY (changed) AND revision <> pg_current_xact_id()::text::bigint;
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION seal_components() IS
    'Trigger: refuses to change or delete components of sealed contract versions; the others have a new revision. '
    'Arguments: the column of data_contracts that refers to the component, and the column it refers to.';

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
    IF TG_TABLE_NAME <> 'data_contracts' THEN
        UPDATE data_contracts SET revision = pg_current_xact_id()::text::bigint;
    END IF;
    RETURN NULL;
END
$$;

-- OR REPLACE: a further column, at the end.
CREATE OR REPLACE VIEW contract_full AS
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
    c.updated_by,
    c.revision
FROM data_contracts AS c;

CREATE OR REPLACE VIEW contract_latest AS
SELECT f.*
FROM contract_full AS f
WHERE f.contract_id = (
    SELECT v.id FROM data_contracts AS v
    WHERE v.name = f.name
    ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
);

CREATE OR REPLACE VIEW contract_current AS
SELECT f.*
FROM contract_full AS f
WHERE f.contract_id = (
    SELECT v.id FROM data_contracts AS v
    WHERE v.name = f.name AND v.status = 'active'
    ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
);

COMMENT ON COLUMN contract_full.revision IS
    'Another number after every transaction that has changed the version, its components or links.';
COMMENT ON COLUMN contract_latest.revision IS
    'Another number after every transaction that has changed the version, its components or links.';
COMMENT ON COLUMN contract_current.revision IS
    'Another number after every transaction that has changed the version, its components or links.';

SELECT refuse_dependents(
    'get_latest_contract(text)', 'get_current_contract(text)', 'get_contract(text, text)'
);
-- Made anew below, with the column revision at the end.
-- squawk-ignore ban-drop-function
DROP FUNCTION get_latest_contract(text);
-- squawk-ignore ban-drop-function
DROP FUNCTION get_current_contract(text);
-- squawk-ignore ban-drop-function
DROP FUNCTION get_contract(text, text);

CREATE FUNCTION get_contract(contract text, in_version text) RETURNS TABLE (
    contract_id uuid, name text, version text, status text, description text, is_data_feed boolean, data_feed text,
    feed_type text, domain text, schema jsonb, coercion_rules jsonb, validation_rules jsonb,
    governance_rules jsonb, metadata jsonb, ownership jsonb, pulls_from text[], pushes_to text[],
    system_sources text[], business_owners text[], read_teams text[], write_teams text[], dependencies text[],
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text,
    revision bigint
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
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by,
        f.revision
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
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text,
    revision bigint
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
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by,
        f.revision
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
    created_at timestamptz, updated_at timestamptz, created_by text, updated_by text,
    revision bigint
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
        f.dependencies, f.created_at, f.updated_at, f.created_by, f.updated_by,
        f.revision
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
