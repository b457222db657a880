"""`python -m appliance` is `dicom-edge`."""

from appliance.cli import main

main()
