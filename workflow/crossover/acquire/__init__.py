"""Datasets: raw files from one origin, fetched or made, checked, and vouched for by a receipt."""
