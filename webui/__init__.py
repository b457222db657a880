"""The pages a technician sees; they come with the issue that builds them and use `appliance.manage` alone."""
