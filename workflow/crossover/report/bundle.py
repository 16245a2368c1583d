"""The scripts that draw the report's charts in a browser, as one text that is in the page."""

from functools import cache
from importlib.metadata import version
from pathlib import Path

import vl_convert

from crossover.charts.chart import VL_VERSION
from crossover.errors import UserError
from crossover.files import read_sealed_json, write_sealed_json

FOLDER = Path("results/bundles")


@cache
def chart_scripts() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script, with nothing in it that would end a script element early.

    Putting them together takes longer than all else that a report needs, and gives the same text each time: it is kept in
    results/bundles/, with a seal.
    """
    path = FOLDER / f"vega-lite-{VL_VERSION}-vl-convert-{version('vl-convert-python')}.json"
    try:
        return str(read_sealed_json(path)["script"])
    except UserError:  # not there yet, or damaged
        bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VL_VERSION)
        script = bundle.replace("</script", "<\\/script")
        write_sealed_json(path, {"script": script})
        return script
