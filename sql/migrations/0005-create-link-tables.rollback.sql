SELECT refuse_data_loss(
    'data_contract_system_pulls',
    'data_contract_system_pushes',
    'data_contract_system_sources',
    'data_contract_business_owners',
    'data_contract_team_access',
    'data_feed_dependencies'
);
DROP TABLE
    data_contract_system_pulls,
    data_contract_system_pushes,
    data_contract_system_sources,
    data_contract_business_owners,
    data_contract_team_access,
    data_feed_dependencies;
DROP FUNCTION set_data_feed();
