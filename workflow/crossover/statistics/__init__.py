"""Intervals, paired tests, steps to a threshold and tables, from the files of a study's runs."""
