SELECT refuse_data_loss('granted_access');
-- Only where the data may be dropped.
SELECT revoke_access(role_name) FROM granted_access;
DROP FUNCTION bind_functions(text);
DROP FUNCTION grant_access(text, text);
DROP FUNCTION revoke_access(text);
DROP FUNCTION apply_access();
DROP FUNCTION own_relations(boolean);
DROP FUNCTION check_grant(text);
DROP TABLE granted_access;
