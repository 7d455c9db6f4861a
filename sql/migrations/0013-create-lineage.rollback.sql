SELECT refuse_dependents(
    'dependency_cycles', 'system_flow', 'feed_lineage', 'current_contracts', 'lineage_edges', 'feed_cycles()',
    'downstream_feeds(text)', 'upstream_feeds(text)', 'downstream(text)', 'upstream(text)',
    'reachable_feeds(text, boolean, boolean)', 'linked_feeds(integer[], boolean)', 'feed_number(text)',
    'choose_current(text[])', 'rebuild_lineage(uuid[])');
DROP VIEW dependency_cycles, system_flow, feed_lineage;
DROP FUNCTION feed_cycles();
DROP FUNCTION downstream_feeds(text);
DROP FUNCTION upstream_feeds(text);
DROP FUNCTION downstream(text);
DROP FUNCTION upstream(text);
DROP FUNCTION reachable_feeds(text, boolean, boolean);
DROP FUNCTION linked_feeds(integer[], boolean);
DROP FUNCTION feed_number(text);
DROP TRIGGER data_feed_dependencies_settle_lineage_insert ON data_feed_dependencies;
DROP TRIGGER data_feed_dependencies_settle_lineage_update ON data_feed_dependencies;
DROP TRIGGER data_feed_dependencies_settle_lineage_delete ON data_feed_dependencies;
DROP FUNCTION follow_dependencies();
DROP TRIGGER data_contracts_settle_lineage_insert ON data_contracts;
DROP TRIGGER data_contracts_settle_lineage_update ON data_contracts;
DROP TRIGGER data_contracts_settle_lineage_delete ON data_contracts;
DROP FUNCTION follow_versions();
DROP FUNCTION choose_current(text[]);
DROP FUNCTION rebuild_lineage(uuid[]);
-- No loss: both say what contracts and dependencies say.
DROP TABLE lineage_edges;
DROP TABLE current_contracts;
-- First no identity: pg_dump would see it in the dropped column.
ALTER TABLE data_feeds ALTER COLUMN number DROP IDENTITY;
ALTER TABLE data_feeds DROP COLUMN number;

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
                AND c.relname <> 'granted_access'));
END
$$;
