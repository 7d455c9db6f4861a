-- depends: 0008-create-load-functions
-- A published version (active, deprecated, retired) is a promise. From the commit of the transaction that published it
-- its row, components and links do not change, whoever asks; only its status moves on. The setting
-- pycharter_sql.overwrite = yes lifts the seal. Within that transaction published_at is now(): the design's example,
-- which makes a contract active and then links rows to it, works.

-- From before these triggers, when nothing kept them true.
DELETE FROM document_digests;

CREATE FUNCTION refuse_sealed(contract data_contracts) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    IF contract.published_at <> now() AND coalesce(current_setting('pycharter_sql.overwrite', true), '') <> 'yes' THEN
        RAISE EXCEPTION 'version % of contract "%" is published: it does not change', contract.version, contract.name
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'data_contracts_seal',
                  HINT = 'Give the changed contract a new version. To change this one nevertheless, say so: '
                         'pycharter-sql load --overwrite, or SET LOCAL pycharter_sql.overwrite = ''yes''.';
    END IF;
END
$$;

COMMENT ON FUNCTION refuse_sealed(data_contracts) IS
    'Raises where the contract version is sealed, unless the setting pycharter_sql.overwrite is yes.';

CREATE FUNCTION seal_contract() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM refuse_sealed(OLD);
    RETURN coalesce(NEW, OLD);
END
$$;

COMMENT ON FUNCTION seal_contract() IS 'Trigger: refuses to change or delete a sealed contract version.';

CREATE TRIGGER data_contracts_seal_delete BEFORE DELETE ON data_contracts
    FOR EACH ROW EXECUTE FUNCTION seal_contract();

-- Who last changed the row, and when, goes with the status.
CREATE TRIGGER data_contracts_seal_update BEFORE UPDATE ON data_contracts
    FOR EACH ROW WHEN (
        NEW.status IN ('proposed', 'draft')
        OR (OLD.id, OLD.name, OLD.version, OLD.schema_id, OLD.coercion_rules_id, OLD.validation_rules_id,
            OLD.governance_rules_id, OLD.metadata_id, OLD.ownership_id, OLD.data_feed_id, OLD.domain_id,
            OLD.description, OLD.is_data_feed, OLD.created_at, OLD.created_by)
        IS DISTINCT FROM
           (NEW.id, NEW.name, NEW.version, NEW.schema_id, NEW.coercion_rules_id, NEW.validation_rules_id,
            NEW.governance_rules_id, NEW.metadata_id, NEW.ownership_id, NEW.data_feed_id, NEW.domain_id,
            NEW.description, NEW.is_data_feed, NEW.created_at, NEW.created_by)
    ) EXECUTE FUNCTION seal_contract();

CREATE FUNCTION seal_everything() RETURNS trigger
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

COMMENT ON FUNCTION seal_everything() IS
    'Trigger: refuses to TRUNCATE, unless the setting pycharter_sql.overwrite is yes.';

-- The tables of the components cannot be truncated without this one.
CREATE TRIGGER data_contracts_seal_truncate BEFORE TRUNCATE ON data_contracts
    FOR EACH STATEMENT EXECUTE FUNCTION seal_everything();

CREATE FUNCTION seal_links() RETURNS trigger
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

CREATE FUNCTION seal_components() RETURNS trigger
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

CREATE FUNCTION forget_digests() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    renamed uuid[];
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    IF TG_TABLE_NAME = 'data_contracts' THEN
        DELETE FROM document_digests WHERE data_contract_id IN (SELECT a.id FROM after AS a);
        RETURN NULL;
    END IF;
    SELECT array_agg(a.id) INTO renamed FROM after AS a JOIN before AS b ON b.id = a.id WHERE a.name <> b.name;
    IF renamed IS NULL THEN
        RETURN NULL;
    END IF;
    DELETE FROM document_digests WHERE data_contract_id IN (
        SELECT data_contract_id FROM data_contract_system_pulls WHERE system_id = ANY (renamed)
        UNION ALL
        SELECT data_contract_id FROM data_contract_system_pushes WHERE system_id = ANY (renamed)
        UNION ALL
        SELECT data_contract_id FROM data_contract_system_sources WHERE system_id = ANY (renamed)
        UNION ALL
        SELECT data_contract_id FROM data_contract_business_owners WHERE business_owner_id = ANY (renamed)
        UNION ALL
        SELECT data_contract_id FROM data_contract_team_access WHERE team_id = ANY (renamed)
        UNION ALL
        SELECT data_contract_id FROM data_feed_dependencies WHERE dependency_feed_id = ANY (renamed)
        UNION ALL
        SELECT id FROM data_contracts WHERE data_feed_id = ANY (renamed) OR domain_id = ANY (renamed));
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION forget_digests() IS
    'Trigger: a document loaded before may say something else than the contract version that has changed, or than an '
    'entity of another name.';

CREATE FUNCTION take_turns() RETURNS trigger
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM wait_for_turn();
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION take_turns() IS
    'Trigger: waits for loads, and makes loads wait. A load that compares documents must know what things are called.';

CREATE TRIGGER data_contracts_forget_digests AFTER UPDATE ON data_contracts
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION forget_digests();

DO $$
DECLARE
    link name;
    entities name;
    component record;
BEGIN
    FOREACH link IN ARRAY ARRAY[
        'data_contract_system_pulls', 'data_contract_system_pushes', 'data_contract_system_sources',
        'data_contract_business_owners', 'data_contract_team_access', 'data_feed_dependencies'
    ] LOOP
        -- Transition tables do not go with several events.
        EXECUTE format(
            'CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS after
             FOR EACH STATEMENT EXECUTE FUNCTION seal_links()', link || '_seal_insert', link);
        EXECUTE format(
            'CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS before NEW TABLE AS after
             FOR EACH STATEMENT EXECUTE FUNCTION seal_links()', link || '_seal_update', link);
        EXECUTE format(
            'CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS before
             FOR EACH STATEMENT EXECUTE FUNCTION seal_links()', link || '_seal_delete', link);
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION seal_everything()',
            link || '_seal_truncate', link);
    END LOOP;

    -- Transition tables do not go with a list of columns either.
    FOREACH entities IN ARRAY ARRAY['systems', 'data_feeds', 'business_owners', 'domains', 'teams'] LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS before NEW TABLE AS after
             FOR EACH STATEMENT EXECUTE FUNCTION forget_digests()', entities || '_forget_digests', entities);
        EXECUTE format(
            'CREATE TRIGGER %I BEFORE UPDATE ON %I FOR EACH ROW WHEN (OLD.name <> NEW.name)
             EXECUTE FUNCTION take_turns()', entities || '_take_turns', entities);
    END LOOP;

    FOR component IN
        SELECT * FROM (VALUES
            ('schemas', 'schema_id', 'id'),
            ('coercion_rules', 'coercion_rules_id', 'id'),
            ('validation_rules', 'validation_rules_id', 'id'),
            ('governance_rules', 'governance_rules_id', 'id'),
            ('metadata_record', 'metadata_id', 'id'),
            ('ownership', 'ownership_id', 'resource_id')
        ) AS c (table_name, referring, key)
    LOOP
        EXECUTE format(
            'CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING OLD TABLE AS before
             FOR EACH STATEMENT EXECUTE FUNCTION seal_components(%L, %L)',
            component.table_name || '_seal_update', component.table_name, component.referring, component.key);
        EXECUTE format(
            'CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS before
             FOR EACH STATEMENT EXECUTE FUNCTION seal_components(%L, %L)',
            component.table_name || '_seal_delete', component.table_name, component.referring, component.key);
    END LOOP;
END
$$;
