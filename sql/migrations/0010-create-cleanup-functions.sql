-- depends: 0009-seal-published-versions
-- Cleaning up what legacy names left behind: "Data Team" beside "data-team". Links move, those of sealed versions too:
-- which entity a contract names stays the same, only how it is spelled changes.

CREATE FUNCTION rename_entity(entities regclass, kind text, old_name text, new_name text) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    taken boolean;
    renamed bigint;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE name = $1)', entities) INTO taken USING new_name;
    IF taken AND new_name <> old_name THEN
        RAISE EXCEPTION 'there is a % "%" already', kind, new_name
            USING ERRCODE = 'unique_violation',
                  HINT = format('To make the two one: SELECT merge_%s(%L, %L).',
                                replace(kind, ' ', '_'), old_name, new_name);
    END IF;
    EXECUTE format('UPDATE %s SET name = $2 WHERE name = $1', entities) USING old_name, new_name;
    GET DIAGNOSTICS renamed = ROW_COUNT;
    IF renamed = 0 THEN
        RAISE EXCEPTION 'there is no % "%"', kind, old_name
            USING ERRCODE = 'no_data_found', HINT = format('Names are exact: SELECT name FROM %s.', entities);
    END IF;
END
$$;

COMMENT ON FUNCTION rename_entity(regclass, text, text, text) IS 'The common part of rename_system and the others.';

CREATE FUNCTION entities_to_merge(entities regclass, kind text, from_name text, into_name text) RETURNS uuid[]
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    entity_name text;
    found_id uuid;
    ids uuid[];
BEGIN
    IF from_name = into_name THEN
        RAISE EXCEPTION 'the % "%" cannot be merged into itself', kind, from_name
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Name two.';
    END IF;
    -- As a load does: one after the other.
    PERFORM wait_for_turn();
    FOREACH entity_name IN ARRAY ARRAY[from_name, into_name] LOOP
        EXECUTE format('SELECT id FROM %s WHERE name = $1 FOR UPDATE', entities) INTO found_id USING entity_name;
        IF found_id IS NULL THEN
            RAISE EXCEPTION 'there is no % "%"', kind, entity_name
                USING ERRCODE = 'no_data_found', HINT = format('Names are exact: SELECT name FROM %s.', entities);
        END IF;
        ids := ids || found_id;
    END LOOP;
    RETURN ids;
END
$$;

COMMENT ON FUNCTION entities_to_merge(regclass, text, text, text) IS
    'The common part of merge_system and the others: locks both rows and returns their ids.';

CREATE FUNCTION domains_below(domain_id uuid) RETURNS TABLE (id uuid)
LANGUAGE sql STABLE
BEGIN ATOMIC
    WITH RECURSIVE below AS (
        SELECT d.id FROM domains AS d WHERE d.parent_domain_id = domain_id
        UNION
        SELECT d.id FROM below AS b JOIN domains AS d ON d.parent_domain_id = b.id
    )
    SELECT b.id FROM below AS b;
END;

COMMENT ON FUNCTION domains_below(uuid) IS 'The domains that lie within a domain, however deep.';

CREATE FUNCTION rename_system(old_name text, new_name text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    SELECT rename_entity('systems'::regclass, 'system', old_name, new_name);
END;

COMMENT ON FUNCTION rename_system(text, text) IS
    'Gives a system another name. Refused where that name is taken: then merge_system.';

CREATE FUNCTION merge_system(from_name text, into_name text) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    ids uuid[] := entities_to_merge('systems', 'system', from_name, into_name);
    overwriting text := coalesce(current_setting('pycharter_sql.overwrite', true), '');
    moved bigint := 0;
    rows_moved bigint;
BEGIN
    PERFORM set_config('pycharter_sql.overwrite', 'yes', true);
    INSERT INTO data_contract_system_pulls (data_contract_id, system_id, created_at, created_by)
    SELECT data_contract_id, ids[2], created_at, created_by
    FROM data_contract_system_pulls WHERE system_id = ids[1]
    ON CONFLICT DO NOTHING;
    DELETE FROM data_contract_system_pulls WHERE system_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    INSERT INTO data_contract_system_pushes (data_contract_id, system_id, created_at, created_by)
    SELECT data_contract_id, ids[2], created_at, created_by
    FROM data_contract_system_pushes WHERE system_id = ids[1]
    ON CONFLICT DO NOTHING;
    DELETE FROM data_contract_system_pushes WHERE system_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    INSERT INTO data_contract_system_sources (data_contract_id, system_id, created_at, created_by)
    SELECT data_contract_id, ids[2], created_at, created_by
    FROM data_contract_system_sources WHERE system_id = ids[1]
    ON CONFLICT DO NOTHING;
    DELETE FROM data_contract_system_sources WHERE system_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    PERFORM set_config('pycharter_sql.overwrite', overwriting, true);

    UPDATE systems AS kept SET
        description = coalesce(kept.description, gone.description),
        system_type = coalesce(kept.system_type, gone.system_type),
        connection_info = coalesce(kept.connection_info, gone.connection_info)
    FROM systems AS gone WHERE kept.id = ids[2] AND gone.id = ids[1];
    DELETE FROM systems WHERE id = ids[1];
    RETURN moved;
END
$$;

COMMENT ON FUNCTION merge_system(text, text) IS
    'Makes two rows of one system one: moves the links of contracts to it, '
    'fills in the attributes that the second lacks, deletes the first. Returns the number of links moved.';

CREATE FUNCTION rename_data_feed(old_name text, new_name text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    SELECT rename_entity('data_feeds'::regclass, 'data feed', old_name, new_name);
END;

COMMENT ON FUNCTION rename_data_feed(text, text) IS
    'Gives a data feed another name. Refused where that name is taken: then merge_data_feed.';

CREATE FUNCTION merge_data_feed(from_name text, into_name text) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    ids uuid[] := entities_to_merge('data_feeds', 'data feed', from_name, into_name);
    overwriting text := coalesce(current_setting('pycharter_sql.overwrite', true), '');
    moved bigint := 0;
    rows_moved bigint;
    depending text;
BEGIN
    PERFORM set_config('pycharter_sql.overwrite', 'yes', true);
    SELECT c.name INTO depending FROM data_contracts AS c
    JOIN data_feed_dependencies AS l ON l.data_contract_id = c.id
    WHERE (c.data_feed_id, l.dependency_feed_id) IN ((ids[1], ids[2]), (ids[2], ids[1]))
    ORDER BY c.name LIMIT 1;
    IF depending IS NOT NULL THEN
        RAISE EXCEPTION 'contract "%" serves one of the two and depends on the other', depending
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Remove that dependency first: no contract depends on its own feed.';
    END IF;
    -- Required by either name, required.
    UPDATE data_feed_dependencies AS l SET dependency_type = 'required'
    FROM data_feed_dependencies AS other
    WHERE l.dependency_feed_id = ids[2] AND l.dependency_type = 'optional'
        AND other.dependency_feed_id = ids[1] AND other.dependency_type = 'required'
        AND other.data_contract_id = l.data_contract_id;
    INSERT INTO data_feed_dependencies (data_contract_id, dependency_feed_id, dependency_type, created_at, created_by)
    SELECT data_contract_id, ids[2], dependency_type, created_at, created_by
    FROM data_feed_dependencies WHERE dependency_feed_id = ids[1]
    ON CONFLICT DO NOTHING;
    DELETE FROM data_feed_dependencies WHERE dependency_feed_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    UPDATE data_contracts SET data_feed_id = ids[2] WHERE data_feed_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    PERFORM set_config('pycharter_sql.overwrite', overwriting, true);

    UPDATE data_feeds AS kept SET
        title = coalesce(kept.title, gone.title),
        description = coalesce(kept.description, gone.description),
        feed_type = coalesce(kept.feed_type, gone.feed_type)
    FROM data_feeds AS gone WHERE kept.id = ids[2] AND gone.id = ids[1];
    DELETE FROM data_feeds WHERE id = ids[1];
    RETURN moved;
END
$$;

COMMENT ON FUNCTION merge_data_feed(text, text) IS
    'Makes two rows of one data feed one: moves the links of contracts that serve it or depend on it, '
    'fills in the attributes that the second lacks, deletes the first. Returns the number of links moved.';

CREATE FUNCTION rename_business_owner(old_name text, new_name text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    SELECT rename_entity('business_owners'::regclass, 'business owner', old_name, new_name);
END;

COMMENT ON FUNCTION rename_business_owner(text, text) IS
    'Gives a business owner another name. Refused where that name is taken: then merge_business_owner.';

CREATE FUNCTION merge_business_owner(from_name text, into_name text) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    ids uuid[] := entities_to_merge('business_owners', 'business owner', from_name, into_name);
    overwriting text := coalesce(current_setting('pycharter_sql.overwrite', true), '');
    moved bigint := 0;
    rows_moved bigint;
BEGIN
    PERFORM set_config('pycharter_sql.overwrite', 'yes', true);
    INSERT INTO data_contract_business_owners (data_contract_id, business_owner_id, role, created_at, created_by)
    SELECT data_contract_id, ids[2], role, created_at, created_by
    FROM data_contract_business_owners WHERE business_owner_id = ids[1]
    ON CONFLICT DO NOTHING;
    DELETE FROM data_contract_business_owners WHERE business_owner_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    PERFORM set_config('pycharter_sql.overwrite', overwriting, true);

    UPDATE business_owners AS kept SET
        description = coalesce(kept.description, gone.description),
        contact_email = coalesce(kept.contact_email, gone.contact_email),
        department = coalesce(kept.department, gone.department)
    FROM business_owners AS gone WHERE kept.id = ids[2] AND gone.id = ids[1];
    DELETE FROM business_owners WHERE id = ids[1];
    RETURN moved;
END
$$;

COMMENT ON FUNCTION merge_business_owner(text, text) IS
    'Makes two rows of one business owner one: moves the links of contracts to it, '
    'fills in the attributes that the second lacks, deletes the first. Returns the number of links moved.';

CREATE FUNCTION rename_domain(old_name text, new_name text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    SELECT rename_entity('domains'::regclass, 'domain', old_name, new_name);
END;

COMMENT ON FUNCTION rename_domain(text, text) IS
    'Gives a domain another name. Refused where that name is taken: then merge_domain.';

CREATE FUNCTION merge_domain(from_name text, into_name text) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    ids uuid[] := entities_to_merge('domains', 'domain', from_name, into_name);
    overwriting text := coalesce(current_setting('pycharter_sql.overwrite', true), '');
    moved bigint := 0;
    rows_moved bigint;
BEGIN
    PERFORM set_config('pycharter_sql.overwrite', 'yes', true);
    -- What lies below the one that goes is lifted to its place first, then the one that stays cannot end below itself.
    IF ids[2] IN (SELECT b.id FROM domains_below(ids[1]) AS b) THEN
        UPDATE domains SET parent_domain_id = (SELECT parent_domain_id FROM domains WHERE id = ids[1])
        WHERE id = ids[2];
    END IF;
    UPDATE domains SET parent_domain_id = ids[2] WHERE parent_domain_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := rows_moved;
    UPDATE data_contracts SET domain_id = ids[2] WHERE domain_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    PERFORM set_config('pycharter_sql.overwrite', overwriting, true);

    UPDATE domains AS kept SET
        description = coalesce(kept.description, gone.description),
        parent_domain_id = coalesce(kept.parent_domain_id, (
            SELECT gone.parent_domain_id
            WHERE gone.parent_domain_id <> kept.id AND gone.parent_domain_id NOT IN (
                SELECT b.id FROM domains_below(kept.id) AS b)))
    FROM domains AS gone WHERE kept.id = ids[2] AND gone.id = ids[1];
    DELETE FROM domains WHERE id = ids[1];
    RETURN moved;
END
$$;

COMMENT ON FUNCTION merge_domain(text, text) IS
    'Makes two rows of one domain one: moves the links of contracts and domains in it, '
    'fills in the attributes that the second lacks, deletes the first. Returns the number of links moved.';

CREATE FUNCTION rename_team(old_name text, new_name text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    SELECT rename_entity('teams'::regclass, 'team', old_name, new_name);
END;

COMMENT ON FUNCTION rename_team(text, text) IS
    'Gives a team another name. Refused where that name is taken: then merge_team.';

CREATE FUNCTION merge_team(from_name text, into_name text) RETURNS bigint
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    ids uuid[] := entities_to_merge('teams', 'team', from_name, into_name);
    overwriting text := coalesce(current_setting('pycharter_sql.overwrite', true), '');
    moved bigint := 0;
    rows_moved bigint;
BEGIN
    PERFORM set_config('pycharter_sql.overwrite', 'yes', true);
    INSERT INTO data_contract_team_access (data_contract_id, team_id, permission, created_at, created_by)
    SELECT data_contract_id, ids[2], permission, created_at, created_by
    FROM data_contract_team_access WHERE team_id = ids[1]
    ON CONFLICT DO NOTHING;
    DELETE FROM data_contract_team_access WHERE team_id = ids[1];
    GET DIAGNOSTICS rows_moved = ROW_COUNT;
    moved := moved + rows_moved;
    PERFORM set_config('pycharter_sql.overwrite', overwriting, true);

    UPDATE teams AS kept SET
        description = coalesce(kept.description, gone.description),
        team_type = coalesce(kept.team_type, gone.team_type)
    FROM teams AS gone WHERE kept.id = ids[2] AND gone.id = ids[1];
    DELETE FROM teams WHERE id = ids[1];
    RETURN moved;
END
$$;

COMMENT ON FUNCTION merge_team(text, text) IS
    'Makes two rows of one team one: moves the links of contracts to it, '
    'fills in the attributes that the second lacks, deletes the first. Returns the number of links moved.';
