"""Items to a task: policies, splits, card."""
