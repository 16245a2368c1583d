"""Acquire datasets: download or generate raw files, verify them, and record them in a receipt."""
