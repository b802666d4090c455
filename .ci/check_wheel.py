"""Checks that a wheel installs the package keras_bnn and nothing beside it."""

import sys
import zipfile

for wheel in sys.argv[1:]:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    others = {top for top in tops if top != "keras_bnn" and not top.endswith(".dist-info")}
    if "keras_bnn" not in tops or others:
        sys.exit(f"{wheel}: expected keras_bnn alone at the top level, got {sorted(tops)}.")
    print(f"{wheel}: {sorted(tops)}")
