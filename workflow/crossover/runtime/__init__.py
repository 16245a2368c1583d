"""What happens around the jobs of one invocation: fork server, session, job steps, patches of plugins."""
