SELECT refuse_dependents(
    'retire_contract(text, text, bigint)', 'deprecate_contract(text, text, bigint)',
    'activate_contract(text, text, bigint)', 'change_status(text, text, text, text[], bigint)',
    'expect_revision(text, text, bigint)'
);
DROP FUNCTION retire_contract(text, text, bigint);
DROP FUNCTION deprecate_contract(text, text, bigint);
DROP FUNCTION activate_contract(text, text, bigint);
DROP FUNCTION change_status(text, text, text, text[], bigint);
DROP FUNCTION expect_revision(text, text, bigint);
