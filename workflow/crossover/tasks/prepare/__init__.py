"""Preparation: items made into a task, with policies, splits and a card."""
