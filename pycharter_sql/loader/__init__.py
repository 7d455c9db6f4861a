"""Documents into the catalogue: a stream of contract documents through the load functions of the database.

This is the design's "Migration Path". Its four steps are SQL (``load_entities``, ``load_data_feeds``,
``load_contracts``, ``load_relations``, called by ``load_documents``). Here documents are normalised, held
against one another and sent in batches, and what the database says of them becomes one report, or one plan.
"""

from pycharter_sql.loader.loading import load, register_contract
from pycharter_sql.loader.planning import Change, Plan, Step, plan
from pycharter_sql.loader.report import Counts, LoadRefused, Report

__all__ = ["Change", "Counts", "LoadRefused", "Plan", "Report", "Step", "load", "plan", "register_contract"]
