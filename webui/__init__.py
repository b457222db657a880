"""The pages: set-up and status in a browser, on `appliance.manage` alone. `webui.app` makes the application, `webui.server` serves it."""
