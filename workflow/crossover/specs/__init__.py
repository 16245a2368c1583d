"""Typed specs and sealed descriptions: the contract between planner, stages, status and report."""
