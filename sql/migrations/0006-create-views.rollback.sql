SELECT refuse_dependents(
    'domain_tree', 'contract_dependencies', 'contract_access', 'contract_owners', 'contract_systems',
    'contract_current', 'contract_latest', 'contract_full'
);
DROP VIEW
    domain_tree, contract_dependencies, contract_access, contract_owners, contract_systems,
    contract_current, contract_latest, contract_full;
