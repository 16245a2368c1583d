"""The digests of code, each computed once for all that a plan names."""

from functools import cache

from crossover.specs.identity import code_digests


@cache
def code_of(*modules: str) -> dict[str, str]:
    """Return `code_digests` of these modules; the caller must not change the result."""
    return code_digests(*modules)
