"""Draft a task from a user's own data: `crossover new-task`."""
