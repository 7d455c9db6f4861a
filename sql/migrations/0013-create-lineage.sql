-- depends: 0012-speed-up-load-functions
-- Which feed is made from which. Only the current version of a contract counts, so a closure over the links of
-- all versions would read each of them and ask whether it is the current one. The edges that count are kept instead,
-- in the transaction that changes them.

-- Numbers from 1 on, so that a search can keep what it has seen in arrays, where a look is one step. Places in an array
-- are integers. The feeds are rewritten once: they are few beside contracts.
-- squawk-ignore-file prefer-bigint-over-int
ALTER TABLE data_feeds
    -- squawk-ignore adding-field-with-default
    ADD COLUMN number integer NOT NULL GENERATED ALWAYS AS IDENTITY,
    -- squawk-ignore constraint-missing-not-valid, disallowed-unique-constraint
    ADD CONSTRAINT data_feeds_number_key UNIQUE (number),
    -- squawk-ignore constraint-missing-not-valid
    ADD CONSTRAINT data_feeds_number_check CHECK (number > 0);

COMMENT ON COLUMN data_feeds.number IS
    'Stands for the feed in lineage_edges. Of this database alone: elsewhere the feed has another one.';

CREATE TABLE current_contracts (
    name text COLLATE "C" NOT NULL,
    data_contract_id uuid
        CONSTRAINT current_contracts_data_contract_id_fkey REFERENCES data_contracts (id)
        ON UPDATE CASCADE ON DELETE SET NULL,
    CONSTRAINT current_contracts_pkey PRIMARY KEY (name)
);

-- Not unique: while a version is given another name, it stands under both.
CREATE INDEX current_contracts_data_contract_id_idx ON current_contracts (data_contract_id);

COMMENT ON TABLE current_contracts IS
    'The current version of each contract, its highest active one, as contract_current has it. Kept by triggers.';
COMMENT ON COLUMN current_contracts.name IS
    'Name of a contract that has, or had, an active version. The row stays: writers of one contract wait at it.';
COMMENT ON COLUMN current_contracts.data_contract_id IS 'The version; null where none is active now.';

CREATE TABLE lineage_edges (
    data_contract_id uuid NOT NULL,
    dependency_feed_id uuid NOT NULL,
    feed_number integer NOT NULL
        CONSTRAINT lineage_edges_feed_number_fkey REFERENCES data_feeds (number) ON DELETE RESTRICT,
    dependency_number integer NOT NULL
        CONSTRAINT lineage_edges_dependency_number_fkey REFERENCES data_feeds (number) ON DELETE RESTRICT,
    is_required boolean NOT NULL,
    CONSTRAINT lineage_edges_pkey PRIMARY KEY (data_contract_id, dependency_feed_id),
    CONSTRAINT lineage_edges_data_contract_id_dependency_feed_id_fkey
        FOREIGN KEY (data_contract_id, dependency_feed_id)
        REFERENCES data_feed_dependencies (data_contract_id, dependency_feed_id)
        ON UPDATE CASCADE ON DELETE CASCADE
);

-- Whole, so that a search reads nothing but the index: up and down.
CREATE INDEX lineage_edges_feed_number_dependency_number_is_required_idx
    ON lineage_edges (feed_number, dependency_number, is_required);
CREATE INDEX lineage_edges_dependency_number_feed_number_is_required_idx
    ON lineage_edges (dependency_number, feed_number, is_required);

COMMENT ON TABLE lineage_edges IS
    'The rows of data_feed_dependencies that are of current contracts, feed by number. Kept by triggers. What '
    'upstream, downstream and dependency_cycles read; feed_lineage has the names.';
COMMENT ON COLUMN lineage_edges.data_contract_id IS 'The current contract; with the next column its dependency.';
COMMENT ON COLUMN lineage_edges.dependency_feed_id IS 'The feed that it depends on.';
COMMENT ON COLUMN lineage_edges.feed_number IS 'Number of the feed that the contract serves.';
COMMENT ON COLUMN lineage_edges.dependency_number IS 'Number of the feed that it depends on.';
COMMENT ON COLUMN lineage_edges.is_required IS 'Whether the contract cannot do without that feed.';

CREATE FUNCTION rebuild_lineage(contract_ids uuid[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
BEGIN
    DELETE FROM lineage_edges WHERE data_contract_id = ANY (contract_ids);
    INSERT INTO lineage_edges (data_contract_id, dependency_feed_id, feed_number, dependency_number, is_required)
    SELECT l.data_contract_id, l.dependency_feed_id, own.number, f.number, l.dependency_type = 'required'
    FROM data_feed_dependencies AS l
    JOIN data_feeds AS own ON own.id = l.data_feed_id
    JOIN data_feeds AS f ON f.id = l.dependency_feed_id
    WHERE l.data_contract_id IN (
        SELECT c.data_contract_id FROM current_contracts AS c WHERE c.data_contract_id = ANY (contract_ids));
END
$$;

COMMENT ON FUNCTION rebuild_lineage(uuid[]) IS
    'Makes lineage_edges true for these contract versions: those of a current one, none of another.';

CREATE FUNCTION choose_current(names text[]) RETURNS void
LANGUAGE plpgsql
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    chosen uuid[];
    left_behind uuid[];
BEGIN
    -- A new name is entered with its version at once. Whoever else enters it waits for this transaction.
    WITH entered AS (
        INSERT INTO current_contracts AS c (name, data_contract_id)
        SELECT n.name, (
            SELECT v.id FROM data_contracts AS v WHERE v.name = n.name AND v.status = 'active'
            ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1)
        FROM (SELECT DISTINCT unnest(names) COLLATE "C" AS name) AS n
        WHERE NOT EXISTS (SELECT FROM current_contracts AS known WHERE known.name = n.name)
        ORDER BY n.name
        ON CONFLICT DO NOTHING RETURNING c.name, c.data_contract_id
    )
    SELECT coalesce(array_agg(e.data_contract_id), '{}'),
        ARRAY(SELECT unnest(names) EXCEPT SELECT e.name FROM entered AS e)
    INTO chosen, names
    FROM entered AS e;

    IF names <> '{}' THEN
        -- Of two who change versions of one contract at once the second sees, after this, what the first has done.
        PERFORM FROM current_contracts WHERE name = ANY (names) ORDER BY name FOR NO KEY UPDATE;
        WITH choice AS (
            SELECT c.name, c.data_contract_id AS before, (
                SELECT v.id FROM data_contracts AS v WHERE v.name = c.name AND v.status = 'active'
                ORDER BY v.version_sort_key DESC, v.version DESC LIMIT 1) AS after
            FROM current_contracts AS c WHERE c.name = ANY (names)
        ),
        changed AS (
            -- Also where it stays the same: under REPEATABLE READ whoever has chosen by an older state then fails.
            UPDATE current_contracts AS c SET data_contract_id = choice.after
            FROM choice WHERE c.name = choice.name
            RETURNING choice.before, choice.after
        )
        SELECT array_agg(before), chosen || array_agg(after) INTO left_behind, chosen
        FROM changed WHERE before IS DISTINCT FROM after;
    END IF;
    PERFORM rebuild_lineage(left_behind || chosen);
END
$$;

COMMENT ON FUNCTION choose_current(text[]) IS
    'Finds the current version of each of these contracts; where it is another one than before, lineage follows.';

CREATE FUNCTION follow_versions() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
DECLARE
    names text[];
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(name) INTO names FROM after WHERE status = 'active';
    ELSIF TG_OP = 'DELETE' THEN
        SELECT array_agg(name) INTO names FROM before WHERE status = 'active';
    ELSE
        SELECT array_agg(name) INTO names
        FROM (
            (SELECT id, name, version FROM before WHERE status = 'active'
             EXCEPT SELECT id, name, version FROM after WHERE status = 'active')
            UNION ALL
            (SELECT id, name, version FROM after WHERE status = 'active'
             EXCEPT SELECT id, name, version FROM before WHERE status = 'active')
        ) AS changed;
    END IF;
    IF names IS NOT NULL THEN
        PERFORM choose_current(names);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION follow_versions() IS 'Trigger: another version of a contract may be its current one now.';

-- After the seal's, by name: what is refused need not be followed.
CREATE TRIGGER data_contracts_settle_lineage_insert AFTER INSERT ON data_contracts
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION follow_versions();
CREATE TRIGGER data_contracts_settle_lineage_update AFTER UPDATE ON data_contracts
    REFERENCING OLD TABLE AS before NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION follow_versions();
CREATE TRIGGER data_contracts_settle_lineage_delete AFTER DELETE ON data_contracts
    REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION follow_versions();

CREATE FUNCTION follow_dependencies() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    contract_ids uuid[];
    names text[];
BEGIN
    PERFORM refuse_other_tables(TG_TABLE_SCHEMA);
    IF TG_OP = 'DELETE' THEN
        contract_ids := ARRAY(SELECT DISTINCT data_contract_id FROM before);
    ELSE
        contract_ids := ARRAY(SELECT DISTINCT data_contract_id FROM after);
    END IF;
    -- Waits for, and keeps waiting, whoever chooses another current version of the contract meanwhile. What this
    -- transaction has made itself nobody else can choose, and bulk loads are made of that.
    names := ARRAY(
        SELECT DISTINCT c.name FROM data_contracts AS c
        WHERE c.id = ANY (contract_ids) AND c.status = 'active' AND c.created_at <> now());
    IF names <> '{}' THEN
        PERFORM FROM current_contracts WHERE name = ANY (names) ORDER BY name FOR NO KEY UPDATE;
        UPDATE current_contracts SET data_contract_id = data_contract_id WHERE name = ANY (names);
    END IF;
    IF TG_OP = 'INSERT' THEN
        -- These edges alone: a contract's dependencies may come one by one.
        INSERT INTO lineage_edges (
            data_contract_id, dependency_feed_id, feed_number, dependency_number, is_required)
        SELECT a.data_contract_id, a.dependency_feed_id, own.number, f.number, a.dependency_type = 'required'
        FROM after AS a
        JOIN data_feeds AS own ON own.id = a.data_feed_id
        JOIN data_feeds AS f ON f.id = a.dependency_feed_id
        WHERE EXISTS (SELECT FROM current_contracts AS c WHERE c.data_contract_id = a.data_contract_id)
        ON CONFLICT ON CONSTRAINT lineage_edges_pkey DO UPDATE SET
            feed_number = excluded.feed_number, dependency_number = excluded.dependency_number,
            is_required = excluded.is_required;
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM rebuild_lineage(contract_ids);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION follow_dependencies() IS
    'Trigger: a current contract may depend on other feeds now. A dependency that is deleted takes its edge along.';

CREATE TRIGGER data_feed_dependencies_settle_lineage_delete AFTER DELETE ON data_feed_dependencies
    REFERENCING OLD TABLE AS before
    FOR EACH STATEMENT EXECUTE FUNCTION follow_dependencies();

CREATE TRIGGER data_feed_dependencies_settle_lineage_insert AFTER INSERT ON data_feed_dependencies
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION follow_dependencies();
CREATE TRIGGER data_feed_dependencies_settle_lineage_update AFTER UPDATE ON data_feed_dependencies
    REFERENCING NEW TABLE AS after
    FOR EACH STATEMENT EXECUTE FUNCTION follow_dependencies();

-- What is there already.
SELECT choose_current(ARRAY(SELECT DISTINCT name FROM data_contracts WHERE status = 'active'));

CREATE FUNCTION feed_number(feed text) RETURNS integer
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    found integer;
BEGIN
    SELECT number INTO found FROM data_feeds WHERE name = feed;
    IF found IS NULL THEN
        RAISE EXCEPTION 'there is no data feed "%"', feed
            USING ERRCODE = 'no_data_found',
                  HINT = format('Names are exact: SELECT name FROM %I.data_feeds.', current_schema());
    END IF;
    RETURN found;
END
$$;

COMMENT ON FUNCTION feed_number(text) IS 'Number of the data feed of this name; raises where there is none.';

CREATE FUNCTION linked_feeds(numbers integer[], upstream boolean)
RETURNS TABLE (number integer, is_required boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT e.dependency_number, e.is_required
    FROM unnest(numbers) AS given (number) JOIN lineage_edges AS e ON e.feed_number = given.number WHERE upstream
    UNION ALL
    SELECT e.feed_number, e.is_required
    FROM unnest(numbers) AS given (number) JOIN lineage_edges AS e ON e.dependency_number = given.number
    WHERE NOT upstream;
END;

COMMENT ON FUNCTION linked_feeds(integer[], boolean) IS
    'The feeds one step upstream, or downstream, of any of these; by number, and once for each edge.';

CREATE FUNCTION reachable_feeds(feed text, upstream boolean, and_required boolean)
RETURNS TABLE (data_feed text, distance integer, all_required boolean)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET plan_cache_mode = 'force_generic_plan'
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
AS $$
DECLARE
    -- By number of a feed; null where it is not reached. They start at 0, so that they grow in one direction.
    distances integer[] := '[0:0]={0}';
    required boolean[] := '[0:0]={true}';
    reached integer[] := '{}';
    level integer[] := ARRAY[feed_number(feed)];
    required_level integer[] := CASE WHEN and_required THEN level ELSE '{}' END;
    depth integer := 0;
    found integer;
BEGIN
    -- Breadth first, each level in one statement.
    WHILE level <> '{}' LOOP
        depth := depth + 1;
        level := ARRAY(
            SELECT DISTINCT l.number FROM linked_feeds(level, upstream) AS l WHERE distances[l.number] IS NULL);
        FOREACH found IN ARRAY level LOOP
            distances[found] := depth;
        END LOOP;
        reached := reached || level;
    END LOOP;
    -- Once more over required edges alone: that way to a feed may be a longer one.
    WHILE required_level <> '{}' LOOP
        required_level := ARRAY(
            SELECT DISTINCT l.number FROM linked_feeds(required_level, upstream) AS l
            WHERE l.is_required AND required[l.number] IS NULL);
        FOREACH found IN ARRAY required_level LOOP
            required[found] := true;
        END LOOP;
    END LOOP;
    RETURN QUERY
    SELECT f.name, distances[f.number], required[f.number] IS NOT NULL
    FROM data_feeds AS f WHERE f.number = ANY (reached);
END
$$;

COMMENT ON FUNCTION reachable_feeds(text, boolean, boolean) IS
    'The common part of upstream, downstream and what gives their names alone: and_required says whether all_required '
    'is asked for.';

CREATE FUNCTION upstream(feed text) RETURNS TABLE (data_feed text, distance integer, all_required boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT r.data_feed, r.distance, r.all_required FROM reachable_feeds(feed, true, true) AS r;
END;

COMMENT ON FUNCTION upstream(text) IS
    'Every feed that a feed is made from by current contracts, however indirectly, once: with the length of the '
    'shortest way to it, in steps, and whether a way of required dependencies alone leads there. The feed itself is '
    'among them where it lies on a cycle. upstream_feeds is faster where the names are enough.';

CREATE FUNCTION downstream(feed text) RETURNS TABLE (data_feed text, distance integer, all_required boolean)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT r.data_feed, r.distance, r.all_required FROM reachable_feeds(feed, false, true) AS r;
END;

COMMENT ON FUNCTION downstream(text) IS
    'Every feed that is made from a feed by current contracts, however indirectly, once: what a change of it can '
    'reach. Columns as of upstream. downstream_feeds is faster where the names are enough.';

CREATE FUNCTION upstream_feeds(feed text) RETURNS TABLE (data_feed text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT r.data_feed FROM reachable_feeds(feed, true, false) AS r;
END;

COMMENT ON FUNCTION upstream_feeds(text) IS 'The names of the feeds that upstream finds.';

CREATE FUNCTION downstream_feeds(feed text) RETURNS TABLE (data_feed text)
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT r.data_feed FROM reachable_feeds(feed, false, false) AS r;
END;

COMMENT ON FUNCTION downstream_feeds(text) IS 'The names of the feeds that downstream finds.';

CREATE VIEW feed_lineage AS
SELECT own.name AS data_feed, f.name AS depends_on, l.dependency_type, c.id AS contract_id, c.name AS contract,
    c.version
FROM data_feed_dependencies AS l
JOIN current_contracts AS k ON k.data_contract_id = l.data_contract_id
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN data_feeds AS own ON own.id = l.data_feed_id
JOIN data_feeds AS f ON f.id = l.dependency_feed_id;

COMMENT ON VIEW feed_lineage IS
    'One row a feed, a feed that it depends on directly, and the current contract that says so. upstream and '
    'downstream follow them all the way.';
COMMENT ON COLUMN feed_lineage.data_feed IS 'Name of the feed that the contract describes.';
COMMENT ON COLUMN feed_lineage.depends_on IS 'Name of the feed that it depends on.';
COMMENT ON COLUMN feed_lineage.dependency_type IS 'required or optional.';
COMMENT ON COLUMN feed_lineage.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN feed_lineage.contract IS 'Name of the contract.';
COMMENT ON COLUMN feed_lineage.version IS 'Its current version.';

-- One branch for each way in, flat, so that it can be entered from either system and from the contract.
CREATE VIEW system_flow AS
SELECT s.name AS from_system, 'pulls_from' AS relation, c.id AS contract_id, c.name AS contract, c.version,
    f.name AS data_feed, t.name AS to_system
FROM data_contract_system_pulls AS l
JOIN systems AS s ON s.id = l.system_id
JOIN current_contracts AS k ON k.data_contract_id = l.data_contract_id
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN data_feeds AS f ON f.id = c.data_feed_id
LEFT JOIN data_contract_system_pushes AS p ON p.data_contract_id = l.data_contract_id
LEFT JOIN systems AS t ON t.id = p.system_id
UNION ALL
SELECT s.name, 'system_sources', c.id, c.name, c.version, f.name, t.name
FROM data_contract_system_sources AS l
JOIN systems AS s ON s.id = l.system_id
JOIN current_contracts AS k ON k.data_contract_id = l.data_contract_id
JOIN data_contracts AS c ON c.id = l.data_contract_id
JOIN data_feeds AS f ON f.id = c.data_feed_id
LEFT JOIN data_contract_system_pushes AS p ON p.data_contract_id = l.data_contract_id
LEFT JOIN systems AS t ON t.id = p.system_id
UNION ALL
SELECT NULL, NULL, c.id, c.name, c.version, f.name, t.name
FROM data_contract_system_pushes AS p
JOIN systems AS t ON t.id = p.system_id
JOIN current_contracts AS k ON k.data_contract_id = p.data_contract_id
JOIN data_contracts AS c ON c.id = p.data_contract_id
JOIN data_feeds AS f ON f.id = c.data_feed_id
WHERE NOT EXISTS (SELECT FROM data_contract_system_pulls AS l WHERE l.data_contract_id = p.data_contract_id)
    AND NOT EXISTS (SELECT FROM data_contract_system_sources AS l WHERE l.data_contract_id = p.data_contract_id);

COMMENT ON VIEW system_flow IS
    'One row a current contract, system that its data comes from, and system that it goes to: how data flows between '
    'systems, and by which contract.';
COMMENT ON COLUMN system_flow.from_system IS 'Name of the system that data comes from; null where none is named.';
COMMENT ON COLUMN system_flow.relation IS
    'How it comes: pulls_from or system_sources; null where there is no such system.';
COMMENT ON COLUMN system_flow.contract_id IS 'Key of the contract version in data_contracts.';
COMMENT ON COLUMN system_flow.contract IS 'Name of the contract.';
COMMENT ON COLUMN system_flow.version IS 'Its current version.';
COMMENT ON COLUMN system_flow.data_feed IS 'Name of the feed that the contract describes.';
COMMENT ON COLUMN system_flow.to_system IS 'Name of the system that the contract pushes to; null where it does not.';

-- Tarjan's algorithm (SIAM Journal on Computing 1, 1972), with a stack of its own in place of recursion.
CREATE FUNCTION feed_cycles() RETURNS TABLE (feed_numbers integer[])
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
DECLARE
    -- The edges by the feed they start at: those of feed n are targets[firsts[n]] to targets[lasts[n]].
    targets integer[];
    firsts integer[] := '[0:0]={0}';
    lasts integer[] := '[0:0]={0}';
    -- By number of a feed: when it was first met, the earliest feed on the stack that it leads back to, and how
    -- far its edges have been followed. low is null again once the feed's group is known.
    met integer[] := '[0:0]={0}';
    low integer[] := '[0:0]={0}';
    followed integer[] := '[0:0]={0}';
    way integer[];
    way_length integer;
    stack integer[];
    stack_length integer := 0;
    clock integer := 0;
    edge record;
    root integer;
    feed integer;
    next integer;
    group_start integer;
BEGIN
    SELECT array_agg(dependency_number ORDER BY feed_number) INTO targets
    FROM lineage_edges;
    FOR edge IN
        SELECT feed_number, count(*)::integer AS edges, sum(count(*)) OVER (ORDER BY feed_number)::integer AS last
        FROM lineage_edges GROUP BY feed_number
    LOOP
        firsts[edge.feed_number] := edge.last - edge.edges + 1;
        lasts[edge.feed_number] := edge.last;
    END LOOP;
    FOR root IN SELECT DISTINCT feed_number FROM lineage_edges ORDER BY feed_number LOOP
        CONTINUE WHEN met[root] IS NOT NULL;
        way[1] := root;
        way_length := 1;
        WHILE way_length > 0 LOOP
            feed := way[way_length];
            IF met[feed] IS NULL THEN
                clock := clock + 1;
                met[feed] := clock;
                low[feed] := clock;
                followed[feed] := firsts[feed];
                stack_length := stack_length + 1;
                stack[stack_length] := feed;
            END IF;
            next := NULL;
            WHILE followed[feed] <= lasts[feed] LOOP
                next := targets[followed[feed]];
                -- Stays at this edge until the feed it leads to is done: then its low counts.
                EXIT WHEN met[next] IS NULL;
                IF low[next] < low[feed] THEN
                    low[feed] := low[next];
                END IF;
                followed[feed] := followed[feed] + 1;
                next := NULL;
            END LOOP;
            IF next IS NOT NULL THEN
                way_length := way_length + 1;
                way[way_length] := next;
                CONTINUE;
            END IF;
            way_length := way_length - 1;
            IF low[feed] = met[feed] THEN
                group_start := stack_length;
                WHILE stack[group_start] <> feed LOOP
                    group_start := group_start - 1;
                END LOOP;
                IF group_start < stack_length THEN
                    feed_numbers := stack[group_start:stack_length];
                    RETURN NEXT;
                END IF;
                WHILE stack_length >= group_start LOOP
                    low[stack[stack_length]] := NULL;
                    stack_length := stack_length - 1;
                END LOOP;
            END IF;
        END LOOP;
    END LOOP;
END
$$;

COMMENT ON FUNCTION feed_cycles() IS
    'The strongly connected groups of two feeds or more: each depends on every other of its group, by their numbers.';

CREATE VIEW dependency_cycles AS
SELECT ARRAY(SELECT f.name FROM data_feeds AS f WHERE f.number = ANY (g.feed_numbers) ORDER BY f.name) AS data_feeds,
    cardinality(g.feed_numbers) AS size
FROM feed_cycles() AS g;

COMMENT ON VIEW dependency_cycles IS
    'One row a group of feeds each of which is made from every other, directly or indirectly, by current contracts.';
COMMENT ON COLUMN dependency_cycles.data_feeds IS 'Names of the feeds, sorted.';
COMMENT ON COLUMN dependency_cycles.size IS 'How many they are: two or more.';

-- Writers change contracts and dependencies; what follows from them changes with them.
CREATE OR REPLACE FUNCTION own_relations(rows_of_the_catalogue boolean) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN (
        SELECT string_agg(quote_ident(c.relname), ', ')
        FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        -- Somebody else's table in this schema is not ours to grant.
        WHERE n.nspname = current_schema() AND c.relowner = n.nspowner AND c.relkind IN ('r', 'v')
            AND (NOT rows_of_the_catalogue OR c.relkind = 'r' AND c.relname !~ '^(_?yoyo_|migration_)'
                AND c.relname NOT IN ('granted_access', 'current_contracts', 'lineage_edges')));
END
$$;

SELECT apply_access();
