-- depends: 0014-create-field-views
-- Search by indexes on words, over the tables as they are. Nothing is copied, so nothing can get out of step: a renamed
-- system is found by its new name in the transaction that renames it.

CREATE FUNCTION split_punctuation(given text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
-- Of ASCII all but letters and digits, and the dashes, quotes and blanks beyond it.
RETURN regexp_replace(
    given COLLATE "default", '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f\u00a0\u2000-\u206f]+', '_', 'g');

COMMENT ON FUNCTION split_punctuation(text) IS 'A text with _ for whatever stands between words.';

CREATE FUNCTION split_capitals(given text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(given COLLATE "default", '([a-z0-9])(?=[A-Z])|([A-Z])(?=[A-Z][a-z])', '\1\2_', 'g');

COMMENT ON FUNCTION split_capitals(text) IS
    'A text with _ between the words of camel case: customer_Id for customerId, HTTP_Server for HTTPServer.';

CREATE FUNCTION search_vector(VARIADIC marked text[]) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    mark text;
    given text;
    words text;
    lexemes text[];
    found text[] := '{}'::text[];
BEGIN
    FOR i IN 1 .. cardinality(marked) BY 2 LOOP
        mark := marked[i];
        given := left(marked[i + 1], 30000);
        CONTINUE WHEN given IS NULL;
        words := replace(lower(given COLLATE "default"), ' ', '_');
        IF given ~ '[a-z0-9][A-Z]|[A-Z][A-Z][a-z]' THEN
            -- customerId is customerid, customer and id.
            words := words || '_' || lower(split_capitals(given) COLLATE "default");
        END IF;
        IF words ~ '[^a-z0-9_]' THEN
            words := split_punctuation(words);
        END IF;
        lexemes := string_to_array(mark || replace(words, '_', '_' || mark), '_');
        -- A lexeme has at most 2,046 bytes.
        IF octet_length(words) > 2000 THEN
            lexemes := ARRAY(SELECT DISTINCT left(lexeme, 200) FROM unnest(lexemes) AS lexeme);
        END IF;
        found := found || lexemes;
    END LOOP;
    RETURN array_to_tsvector(found);
END
$$;

COMMENT ON FUNCTION search_vector(text[]) IS
    'The words of texts, as the indexes for search hold them: of (mark, text, mark, text ...) each word of a text, in '
    'small letters, behind its one-letter mark. Identifiers are taken apart. The first 30,000 characters of a text and '
    'the first 199 of a word count, so that whatever can be stored can be indexed.';

CREATE FUNCTION field_lexeme(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'f' || lower(left(name, 150) COLLATE "default");

COMMENT ON FUNCTION field_lexeme(text) IS 'What the index for search holds of the name of a field, taken as a whole.';

CREATE FUNCTION schema_search_vector(schema jsonb) RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path FROM CURRENT
AS $$
DECLARE
    names text[];
    further text;
    joined text;
BEGIN
    SELECT array_agg(field_lexeme(name)), string_agg(substr(name, strpos(name, '_') + 1), '_')
            FILTER (WHERE strpos(name, '_') > 0), string_agg(name, '_')
    INTO names, further, joined
    FROM jsonb_path_query(schema, '$.**{0 to 200}.properties ? (@.type() == "object")') AS properties
    CROSS JOIN jsonb_object_keys(properties) AS name;
    -- A tsvector has at most 1 MB, and a path is followed on the stack. With more names, any may be among them.
    IF octet_length(joined) > 30000 OR jsonb_path_exists(schema, '$.**{201}') THEN
        names := '{=}';
    END IF;
    -- The first word of customer_id is found by the whole; where names are written otherwise, all are taken apart.
    IF names = '{=}' OR joined ~ '[^a-z0-9_]' THEN
        further := joined;
    END IF;
    RETURN array_to_tsvector(coalesce(names, '{}'))
        || search_vector('w', further, 't', schema ->> 'title', 'd', schema ->> 'description');
END
$$;

COMMENT ON FUNCTION schema_search_vector(jsonb) IS
    'What the index for search holds of a JSON Schema: the names of its properties (f) with the words in them that do '
    'not begin them (w), words of its title (t) and description (d). = instead of names where there are too many.';

-- Writes wait while these are made, at some 10,000 contracts a second; reads do not. Not CONCURRENTLY: that would have
-- to come after the migrations of one transaction, and could be left half done.
-- With short pending lists a load costs less than without any, and what has just been loaded is found as fast.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX data_contracts_search_vector_idx ON data_contracts
    USING gin (search_vector('n', name, 'd', description)) WITH (gin_pending_list_limit = 64);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX schemas_schema_search_vector_idx ON schemas
    USING gin (schema_search_vector(schema_data)) WITH (gin_pending_list_limit = 64);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX metadata_record_search_vector_idx ON metadata_record
    USING gin (search_vector('g', metadata_data ->> 'tags')) WITH (gin_pending_list_limit = 64)
    WHERE metadata_data ? 'tags';
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX ownership_search_vector_idx ON ownership
    USING gin (search_vector('o', owner, 't', team)) WITH (gin_pending_list_limit = 64);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX systems_search_vector_idx ON systems
    USING gin (search_vector('n', name)) WITH (gin_pending_list_limit = 64);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX business_owners_search_vector_idx ON business_owners
    USING gin (search_vector('n', name)) WITH (gin_pending_list_limit = 64);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX teams_search_vector_idx ON teams
    USING gin (search_vector('n', name)) WITH (gin_pending_list_limit = 64);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX data_feeds_search_vector_idx ON data_feeds
    USING gin (search_vector('n', name, 'n', title)) WITH (gin_pending_list_limit = 64);
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX domains_search_vector_idx ON domains
    USING gin (search_vector('n', name)) WITH (gin_pending_list_limit = 64);

-- Nobody asks how common a word is; to find out, ANALYZE would have to take thousands of schemas apart.
ALTER INDEX data_contracts_search_vector_idx ALTER COLUMN 1 SET STATISTICS 0;
ALTER INDEX schemas_schema_search_vector_idx ALTER COLUMN 1 SET STATISTICS 0;
ALTER INDEX metadata_record_search_vector_idx ALTER COLUMN 1 SET STATISTICS 0;
ALTER INDEX ownership_search_vector_idx ALTER COLUMN 1 SET STATISTICS 0;

CREATE FUNCTION begins_with(mark text, word text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ('''' || mark || word || ''':*')::tsquery;

COMMENT ON FUNCTION begins_with(text, text) IS
    'A query for the words behind a mark that begin with this one, which has no punctuation in it.';

CREATE FUNCTION search_contracts(query text, max_rows integer DEFAULT 50)
RETURNS TABLE (
    contract_id uuid, contract text, version text, status text, title text, description text, rank integer,
    matched_in text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 50
SET search_path FROM CURRENT
-- Planned once a session, for words yet unknown: each is looked up by index, whatever it is.
SET plan_cache_mode TO force_generic_plan
SET enable_seqscan TO off
SET enable_hashjoin TO off
SET enable_mergejoin TO off
SET jit TO off
AS $$
#variable_conflict use_column
DECLARE
    words text[] := '{}'::text[];
    -- What of the query each word stands for: a bit a part.
    parts integer[] := '{}'::integer[];
    whole integer := 0;
    before integer;
    term text;
    part text;
BEGIN
    FOREACH term IN ARRAY string_to_array(split_punctuation(left(coalesce(search_contracts.query, ''), 1000)), '_') LOOP
        CONTINUE WHEN term = '';
        before := whole;
        FOREACH part IN ARRAY string_to_array(split_capitals(term), '_') LOOP
            words := words || left(lower(part COLLATE "default"), 199);
            parts := parts || (whole + 1);
            whole := 2 * whole + 1;
            EXIT WHEN whole > 1000000;
        END LOOP;
        -- OrderLines may be written order_lines elsewhere, or orderlines.
        IF whole > 2 * before + 1 THEN
            words := words || left(lower(term COLLATE "default"), 199);
            parts := parts || (whole - before);
        END IF;
        EXIT WHEN whole > 1000000;
    END LOOP;
    IF whole = 0 THEN
        RETURN;
    END IF;

    RETURN QUERY
    WITH found AS (
        SELECT w.place AS word, w.parts, f.contract_id, bit_or(f.places) AS places
        FROM unnest(words, parts) WITH ORDINALITY AS w (word, parts, place)
        CROSS JOIN LATERAL (
            SELECT c.id AS contract_id, 2048 AS places FROM data_contracts AS c
            WHERE search_vector('n', c.name, 'd', c.description) @@ ('''n' || w.word || '''')::tsquery
            UNION ALL
            SELECT c.id, 1024 FROM data_contracts AS c
            WHERE search_vector('n', c.name, 'd', c.description) @@ begins_with('n', w.word)
            UNION ALL
            SELECT c.id, 512 FROM schemas AS s JOIN data_contracts AS c ON c.schema_id = s.id
            WHERE schema_search_vector(s.schema_data) @@ begins_with('t', w.word)
            UNION ALL
            SELECT c.id, 256 FROM data_contracts AS c
            WHERE search_vector('n', c.name, 'd', c.description) @@ begins_with('d', w.word)
            UNION ALL
            SELECT c.id, 256 FROM schemas AS s JOIN data_contracts AS c ON c.schema_id = s.id
            WHERE schema_search_vector(s.schema_data) @@ begins_with('d', w.word)
            UNION ALL
            SELECT c.id, 128 FROM schemas AS s JOIN data_contracts AS c ON c.schema_id = s.id
            WHERE schema_search_vector(s.schema_data)
                @@ (begins_with('f', left(w.word, 150)) || begins_with('w', w.word))
            UNION ALL
            SELECT l.data_contract_id, 64
            FROM systems AS s
            CROSS JOIN LATERAL (
                SELECT p.data_contract_id FROM data_contract_system_pulls AS p WHERE p.system_id = s.id
                UNION ALL
                SELECT p.data_contract_id FROM data_contract_system_pushes AS p WHERE p.system_id = s.id
                UNION ALL
                SELECT p.data_contract_id FROM data_contract_system_sources AS p WHERE p.system_id = s.id
            ) AS l
            WHERE search_vector('n', s.name) @@ begins_with('n', w.word)
            UNION ALL
            SELECT l.data_contract_id, 32
            FROM business_owners AS b JOIN data_contract_business_owners AS l ON l.business_owner_id = b.id
            WHERE search_vector('n', b.name) @@ begins_with('n', w.word)
            UNION ALL
            SELECT c.id, 32 FROM ownership AS o JOIN data_contracts AS c ON c.ownership_id = o.resource_id
            WHERE search_vector('o', o.owner, 't', o.team) @@ begins_with('o', w.word)
            UNION ALL
            SELECT l.data_contract_id, 16
            FROM teams AS t JOIN data_contract_team_access AS l ON l.team_id = t.id
            WHERE search_vector('n', t.name) @@ begins_with('n', w.word)
            UNION ALL
            SELECT c.id, 16 FROM ownership AS o JOIN data_contracts AS c ON c.ownership_id = o.resource_id
            WHERE search_vector('o', o.owner, 't', o.team) @@ begins_with('t', w.word)
            UNION ALL
            SELECT l.data_contract_id, l.place
            FROM data_feeds AS f
            CROSS JOIN LATERAL (
                SELECT c.id AS data_contract_id, 8 AS place FROM data_contracts AS c WHERE c.data_feed_id = f.id
                UNION ALL
                SELECT d.data_contract_id, 4 FROM data_feed_dependencies AS d WHERE d.dependency_feed_id = f.id
            ) AS l
            WHERE search_vector('n', f.name, 'n', f.title) @@ begins_with('n', w.word)
            UNION ALL
            SELECT c.id, 2
            FROM domains AS d
            CROSS JOIN LATERAL (SELECT d.id UNION ALL SELECT b.id FROM domains_below(d.id) AS b) AS within
            JOIN data_contracts AS c ON c.domain_id = within.id
            WHERE search_vector('n', d.name) @@ begins_with('n', w.word)
            UNION ALL
            SELECT c.id, 1 FROM metadata_record AS m JOIN data_contracts AS c ON c.metadata_id = m.id
            WHERE m.metadata_data ? 'tags'
                AND search_vector('g', m.metadata_data ->> 'tags') @@ begins_with('g', w.word)
        ) AS f
        GROUP BY w.place, w.parts, f.contract_id
    ),
    matching AS (
        -- Of each word: 32 for a whole word of the name, 16, 8, 4, 2 for the other places, 1 for any entity.
        SELECT f.contract_id, bit_or(f.places) AS places,
            sum(f.places / 128 * 2 + least(f.places % 128, 1)) AS rank
        FROM found AS f
        GROUP BY f.contract_id
        HAVING bit_or(f.parts) = whole
    ),
    ordered AS (
        SELECT c.id, c.name, c.version, c.status, c.description, c.schema_id, m.places,
            (m.rank + CASE WHEN lower(c.name COLLATE "default") = lower(btrim(search_contracts.query) COLLATE "default")
                THEN 1000 ELSE 0 END)::integer AS rank
        FROM matching AS m JOIN data_contracts AS c ON c.id = m.contract_id
        ORDER BY rank DESC, c.name, c.id
    )
    SELECT o.id, o.name, o.version, o.status,
        (SELECT s.schema_data ->> 'title' FROM schemas AS s WHERE s.id = o.schema_id), o.description, o.rank,
        ARRAY(
            SELECT p.name
            FROM unnest(
                '{tag,domain,dependency,data_feed,team,owner,system,field,description,title,name}'::text[]
            ) WITH ORDINALITY AS p (name, place)
            WHERE o.places & (1 << (p.place - 1)::integer) <> 0
            ORDER BY p.place DESC
        )
    FROM ordered AS o
    -- As contract_current chooses, else as contract_latest does.
    WHERE o.id = coalesce(
        (
            SELECT v.id FROM data_contracts AS v
            WHERE v.name = o.name AND v.status = 'active'
            ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
        ),
        (
            SELECT v.id FROM data_contracts AS v
            WHERE v.name = o.name
            ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1
        ))
    LIMIT search_contracts.max_rows;
END
$$;

COMMENT ON FUNCTION search_contracts(text, integer) IS
    'Contracts in which every word of the query stands somewhere, or begins a word: in the name, title, description, a '
    'field, system, owner, team, data feed, dependency, domain or tag of their current version, or of the latest where '
    'none is active. Best first: a name counts more than a title, then description, field, anything else. Capitals, _ '
    'and punctuation do not matter. At most max_rows rows, null for all; of the query the first 20 words.';

CREATE FUNCTION fields_named(name text)
RETURNS TABLE (
    contract_id uuid, contract text, version text, status text, pointer text, path text, field text, type text,
    format text, is_required boolean, is_nullable boolean, enum jsonb, description text, is_pii boolean,
    coercion_rules jsonb, validation_rules jsonb)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT f.*
    FROM (
        SELECT s.id
        FROM schemas AS s
        WHERE schema_search_vector(s.schema_data) @@ (
            '''' || regexp_replace(field_lexeme(fields_named.name), '([''\\])', '\1\1', 'g') || ''' | ''=''')::tsquery
        OFFSET 0
    ) AS s
    -- One after the other, whatever the planner expects: it knows neither names nor fields.
    CROSS JOIN LATERAL (SELECT c.id FROM data_contracts AS c WHERE c.schema_id = s.id OFFSET 0) AS c
    CROSS JOIN LATERAL (
        SELECT v.* FROM contract_fields AS v WHERE v.contract_id = c.id AND v.field = fields_named.name OFFSET 0
    ) AS f;
END;

COMMENT ON FUNCTION fields_named(text) IS
    'The rows of contract_fields whose field has exactly this name, found by an index: WHERE field = ... on the view '
    'itself reads every schema.';

SELECT apply_access();
