SELECT refuse_dependents('catalogue_issues');
DROP VIEW catalogue_issues;
